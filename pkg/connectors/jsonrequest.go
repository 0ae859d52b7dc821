package connectors

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
)

// maxJSONReply bounds the body of an answer to [JSON], in bytes.
const maxJSONReply = 8 << 20

// JSONRequest is a request for [JSON].
type JSONRequest struct {
	Method string // default: GET, or POST with a Body
	// Path is below Call.BaseURL, percent-encoded: see url.PathEscape. A path that is a URL
	// with the origin of BaseURL, as links to next pages are, stands for itself.
	Path   string
	Query  url.Values
	Header http.Header
	Body   any // sent as JSON; nil for none
	// IdempotencyHeader, if set, is the header that carries Call.IdempotencyKey.
	IdempotencyHeader string
}

// JSON sends a request with the connection's credentials and decodes the answer. Another
// status than 2xx is a [ProviderError] with the provider's message and the time after which
// to try again. An empty answer is the zero Out.
func JSON[Out any](ctx context.Context, call *Call, r JSONRequest) (Out, error) {
	out, _, err := exchangeJSON[Out](ctx, call, r)
	return out, err
}

// Pages yields the answers to first and to what next returns for each: the request of the
// next page, or false after the last one. An error ends the pages. next sees the headers of
// the answer, since some providers link to the next page there.
func Pages[Out any](ctx context.Context, call *Call, first JSONRequest, next func(Out, http.Header) (JSONRequest, bool)) iter.Seq2[Out, error] {
	return func(yield func(Out, error) bool) {
		for r, more := first, true; more; {
			page, header, err := exchangeJSON[Out](ctx, call, r)
			if !yield(page, err) || err != nil {
				return
			}
			r, more = next(page, header)
		}
	}
}

func exchangeJSON[Out any](ctx context.Context, call *Call, r JSONRequest) (out Out, header http.Header, err error) {
	request, err := r.build(ctx, call)
	if err != nil {
		return out, nil, err
	}
	response, err := call.HTTP.Do(request)
	if err != nil {
		return out, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxJSONReply+1))
	if err != nil {
		return out, nil, fmt.Errorf("read the answer of the provider: %w", err)
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return out, nil, call.ResponseError(response, body)
	}
	if len(body) > maxJSONReply {
		return out, nil, Permanent(Errorf(CodeConnectorActionOutputInvalid, "the answer of the provider has more than %d bytes", maxJSONReply))
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return out, response.Header, nil
	}
	if json.Unmarshal(body, &out) != nil { // the decoder's own error can quote the value
		return out, nil, Permanent(Errorf(CodeConnectorActionOutputInvalid, "the answer of the provider does not fit %T", out))
	}
	return out, response.Header, nil
}

func (r JSONRequest) build(ctx context.Context, call *Call) (*http.Request, error) {
	method := r.Method
	var body io.Reader
	if r.Body != nil {
		encoded, err := json.Marshal(r.Body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	if method == "" {
		method = http.MethodGet
		if body != nil {
			method = http.MethodPost
		}
	}
	address := call.BaseURL + r.Path
	if strings.HasPrefix(r.Path, "https://") || strings.HasPrefix(r.Path, "http://") {
		address = r.Path
	}
	request, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, Errorf(CodeConnectorConfigInvalid, "base URL and path do not make a URL")
	}
	if own := (Runtime{BaseURL: call.BaseURL}); !own.SameOrigin(request.URL) {
		return nil, Permanent(Errorf(CodeConnectorActionFailed, "the URL of the request is of another origin than the base URL"))
	}
	if len(r.Query) > 0 {
		request.URL.RawQuery = strings.TrimPrefix(request.URL.RawQuery+"&"+r.Query.Encode(), "&")
	}
	for name, values := range r.Header {
		request.Header[http.CanonicalHeaderKey(name)] = values
	}
	if request.Header.Get("Accept") == "" {
		request.Header.Set("Accept", "application/json")
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.IdempotencyHeader != "" && call.IdempotencyKey != "" {
		request.Header.Set(r.IdempotencyHeader, call.IdempotencyKey)
	}
	return request, nil
}
