package catalog_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/catalog"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/secret"
)

// vector is a request that a provider has published, or that the provider's
// own library or code has signed or accepted: Evidence says which, and begins
// as kinds says; Source is where that can be read.
type vector struct {
	Provider, Evidence string
	Source             string
	Secrets            []string
	Now                int64
	Method, URL        string
	Headers            map[string]string
	Body               string
	// Serve are the answers of the provider's key servers, by address.
	Serve map[string]string
	Want  struct {
		ID, Type string
		Accounts []string
	}
	// Where the scheme is special: the whole body is not signed; only this part
	// is; nothing is; there is no signature header; there is no secret.
	UnsignedBody bool
	SignedPart   string
	Unsigned     bool
	NoHeader     bool
	NoSecret     bool
}

func vectors(t *testing.T) []vector {
	t.Helper()
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func (v *vector) request(t *testing.T) webhook.Request {
	t.Helper()
	u, err := url.Parse(v.URL)
	if err != nil {
		t.Fatal(err)
	}
	r := webhook.Request{Method: v.Method, PublicURL: v.URL, Header: http.Header{}, Query: u.Query(), Body: []byte(v.Body), Now: time.Unix(v.Now, 0)}
	for name, value := range v.Headers {
		r.Header.Set(name, value)
	}
	return r
}

func (v *vector) secrets() []secret.Text {
	var texts []secret.Text
	for _, s := range v.Secrets {
		texts = append(texts, secret.New(s))
	}
	return texts
}

// engine compiles the descriptor with a key server that knows the vector's
// addresses only.
func (v *vector) engine(t *testing.T) *webhook.Engine {
	t.Helper()
	w, ok := catalog.Webhook(v.Provider)
	if !ok {
		t.Fatalf("no descriptor %q", v.Provider)
	}
	serve := roundTrip(func(r *http.Request) (*http.Response, error) {
		body, ok := v.Serve[r.URL.String()]
		if !ok {
			return nil, errors.New("unexpected address " + r.URL.String())
		}
		return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(body)), Request: r}, nil
	})
	now := func() time.Time { return time.Unix(v.Now, 0) } // certificates expire
	keys := webhook.NewKeys(&webhook.KeysOptions{HTTP: &http.Client{Transport: serve}, Now: now})
	e, err := webhook.Compile(&w, &webhook.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestVectorsAreVerifiedAndIdentified(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		t.Run(v.Provider+"/"+v.Evidence, func(t *testing.T) {
			t.Parallel()
			e, r := v.engine(t), v.request(t)
			verified, err := e.Verify(t.Context(), r, v.secrets())
			if err != nil {
				t.Fatalf("Verify: %v", err)
			}
			if n := len(v.Secrets); n > 0 && verified.Secret != n-1 {
				t.Errorf("Verified.Secret = %d, want the last of %d", verified.Secret, n)
			}
			for _, s := range v.secrets() {
				if err := e.CheckSecret(s); err != nil {
					t.Errorf("CheckSecret: %v", err)
				}
			}
			got := e.Extract(r)
			if v.Want.ID != "" && got.ID != v.Want.ID {
				t.Errorf("ID = %q, want %q", got.ID, v.Want.ID)
			}
			if got.Type != v.Want.Type {
				t.Errorf("Type = %q, want %q", got.Type, v.Want.Type)
			}
			if diff := cmp.Diff(v.Want.Accounts, got.Accounts); diff != "" {
				t.Errorf("Accounts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestVectorsAreRefusedWhenAnythingSignedChanges(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		if v.Unsigned {
			continue
		}
		t.Run(v.Provider+"/"+v.Evidence, func(t *testing.T) {
			t.Parallel()
			v.refuses(t, "without any header", func(r *webhook.Request) {
				if !v.NoHeader {
					r.Header = http.Header{"Content-Type": r.Header["Content-Type"]}
				} else {
					r.Body = nil
				}
			})
			if !v.UnsignedBody || v.SignedPart != "" {
				v.refuses(t, "with another body", func(r *webhook.Request) {
					if v.SignedPart != "" {
						r.Body = []byte(strings.Replace(v.Body, v.SignedPart, "altered", 1))
					} else {
						r.Body = append([]byte(v.Body), ' ')
					}
				})
			}
			if !v.NoSecret {
				v.Secrets = []string{"another"}
				v.refuses(t, "with another secret", func(*webhook.Request) {})
				v.Secrets = nil
				v.refuses(t, "without a secret", func(*webhook.Request) {})
			}
		})
	}
}

func (v *vector) refuses(t *testing.T, how string, change func(*webhook.Request)) {
	t.Helper()
	r := v.request(t)
	change(&r)
	_, err := v.engine(t).Verify(t.Context(), r, v.secrets())
	if _, ok := errors.AsType[*webhook.Rejection](err); !ok {
		t.Errorf("%s: err = %v, want a rejection", how, err)
	}
}

func TestVectorsAreRefusedOutsideTheirTimeWindow(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		e := v.engine(t)
		if !timed(e.Descriptor()) {
			continue
		}
		for _, edge := range []struct {
			shift time.Duration
			want  webhook.Reason
		}{{2 * time.Hour, webhook.ReasonStale}, {-2 * time.Hour, webhook.ReasonFuture}} {
			r := v.request(t)
			r.Now = r.Now.Add(edge.shift)
			_, err := e.Verify(t.Context(), r, v.secrets())
			got, ok := errors.AsType[*webhook.Rejection](err)
			if !ok || got.Reason != edge.want {
				t.Errorf("%s %s later: err = %v, want %s", v.Provider, edge.shift, err, edge.want)
			}
		}
	}
}

func timed(w *webhooks.Descriptor) bool {
	for _, v := range w.Verify {
		if v.Timestamp != nil || v.JWT != nil {
			return true
		}
	}
	return false
}

func TestEveryDescriptorHasAVector(t *testing.T) {
	t.Parallel()
	covered := map[string]bool{}
	for _, v := range vectors(t) {
		covered[v.Provider] = true
	}
	for name := range catalog.Webhooks() {
		if !covered[name] {
			t.Errorf("%s has no vector", name)
		}
	}
}
