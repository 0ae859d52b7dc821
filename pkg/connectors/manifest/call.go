package manifest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/template"
)

// maxReply bounds the body of one answer of the provider, in bytes.
const maxReply = 8 << 20

// actionCall runs an action that is described as a request.
type actionCall struct {
	headers map[string]template.Template // of the connector
	request *request
	pages   *pages // nil: one page
	rules   []rule
	output  *program // nil: the body, or the items
	key     *connectors.IdempotencyKey
}

// handle is the action's handler.
func (a *actionCall) handle(ctx context.Context, call *connectors.Call, input json.RawMessage) (json.RawMessage, error) {
	v, err := valuesOf(call, input)
	if err != nil {
		return nil, err
	}
	filled, err := a.request.fill(call.BaseURL, v, a.headers)
	if err != nil {
		return nil, err
	}
	a.addKey(filled, call.IdempotencyKey)
	e := newExchange(call, a.rules)
	var reply map[string]any
	var value any
	if a.pages == nil {
		if reply, err = e.do(ctx, filled); err != nil {
			return nil, err
		}
		value = reply["body"]
	} else {
		var items []any
		if reply, items, err = a.pages.read(ctx, e, filled); err != nil {
			return nil, err
		}
		reply["items"] = items
		value = any(items)
	}
	if a.output != nil {
		if value, err = a.output.run(ctx, reply); err != nil {
			return nil, outputError("output", err)
		}
	}
	out, err := encode(value)
	if err != nil {
		return nil, outputError("output", err)
	}
	return out, nil
}

func (a *actionCall) addKey(f *filled, key string) {
	switch {
	case a.key == nil || key == "":
	case a.key.Header != "":
		f.header.Set(a.key.Header, key)
	case a.key.Query != "":
		f.query.Set(a.key.Query, key)
	default:
		f.set("body", a.key.Body, key)
	}
}

// valuesOf returns what placeholders stand for in a call.
func valuesOf(call *connectors.Call, input json.RawMessage) (values, error) {
	v := values{roots: map[string]any{
		"connection": map[string]any{"id": call.ConnectionID, "scope": call.Scope, "identity": call.Identity, "account": call.Account},
		"call":       map[string]any{"id": call.RequestID, "idempotency_key": call.IdempotencyKey},
	}}
	for root, document := range map[string]json.RawMessage{"config": call.Config, "input": input} {
		if len(bytes.TrimSpace(document)) == 0 {
			continue
		}
		value, err := decode(document)
		if err != nil {
			return values{}, fmt.Errorf("read the %s: %w", root, err)
		}
		v.roots[root] = value
	}
	return v, nil
}

// decode decodes JSON and keeps the digits of numbers.
func decode(document []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is text after the document")
	}
	return value, nil
}

// maxReplies bounds the bodies of all answers of one call, in bytes.
const maxReplies = 32 << 20

// exchange sends the requests of one call.
type exchange struct {
	call  *connectors.Call
	rules []rule
	left  int // bytes of further answers
}

func newExchange(call *connectors.Call, rules []rule) *exchange {
	return &exchange{call: call, rules: rules, left: maxReplies}
}

// ask fills in a request and sends it.
func (e *exchange) ask(ctx context.Context, r *request, v values, headers map[string]template.Template) (map[string]any, error) {
	filled, err := r.fill(e.call.BaseURL, v, headers)
	if err != nil {
		return nil, err
	}
	return e.do(ctx, filled)
}

// do sends the request and returns the answer as programs see it: {status, headers, body}.
// An answer that a rule recognises, or whose status is not 2xx, is an error.
func (e *exchange) do(ctx context.Context, f *filled) (map[string]any, error) {
	r, err := f.build(ctx)
	if err != nil {
		return nil, err
	}
	response, err := e.call.HTTP.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	most := min(maxReply, e.left)
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(most)+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of the provider: %w", err)
	}
	if len(body) > most {
		return nil, connectors.Permanent(connectors.Errorf(connectors.CodeConnectorActionOutputInvalid,
			"the answer of the provider has more than %d bytes, or all answers more than %d", maxReply, maxReplies))
	}
	e.left -= len(body)
	reply := map[string]any{"status": response.StatusCode, "headers": headersOf(response.Header), "body": bodyOf(body)}
	for _, rule := range e.rules {
		if rule.applies(ctx, reply) {
			return nil, rule.failure(ctx, reply, e.call.ResponseError(response, body))
		}
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, e.call.ResponseError(response, body)
	}
	return reply, nil
}

// headersOf returns headers by their names in lower case; several values are joined by ", ".
func headersOf(header http.Header) map[string]any {
	all := make(map[string]any, len(header))
	for name, values := range header {
		all[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	return all
}

// bodyOf returns a body as JSON, or as a text; what is not UTF-8 in base64.
func bodyOf(body []byte) any {
	body = bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if value, err := decode(body); err == nil {
		return value
	}
	if utf8.Valid(body) {
		return string(body)
	}
	return base64.StdEncoding.EncodeToString(body)
}
