package webhook_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

const keyServerURL = "https://keys.example/jwks"

// keyServer is an http.RoundTripper that serves a key set.
type keyServer struct {
	private map[string]*rsa.PrivateKey

	mu      sync.Mutex
	calls   int
	respond func(r *http.Request) (*http.Response, error) // in place of the set, if not nil
}

func newKeyServer(t *testing.T, ids ...string) *keyServer {
	t.Helper()
	s := &keyServer{private: map[string]*rsa.PrivateKey{}}
	for _, id := range ids {
		s.private[id] = rsaKeys()[id]
	}
	return s
}

// rsaKeys are generated once: that takes longer than most tests.
var rsaKeys = sync.OnceValue(func() map[string]*rsa.PrivateKey {
	keys := map[string]*rsa.PrivateKey{}
	for id, bits := range map[string]int{"k1": 2048, "k2": 2048, "weak": 1024} {
		private, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		keys[id] = private
	}
	return keys
})

func (s *keyServer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.respond != nil {
		return s.respond(r)
	}
	return answer(200, s.document()), nil
}

func (s *keyServer) document() string {
	var set struct {
		Keys []map[string]string `json:"keys"`
	}
	for id, private := range s.private {
		set.Keys = append(set.Keys, map[string]string{
			"kty": "RSA", "kid": id, "use": "sig", "n": base64.RawURLEncoding.EncodeToString(private.N.Bytes()),
			"e": base64.RawURLEncoding.EncodeToString(big.NewInt(int64(private.E)).Bytes()),
		})
	}
	text, _ := json.Marshal(set)
	return string(text)
}

func (s *keyServer) called() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func (s *keyServer) answerWith(respond func(*http.Request) (*http.Response, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.respond = respond
}

func (s *keyServer) keys(clock func() time.Time) *webhook.Keys {
	return webhook.NewKeys(&webhook.KeysOptions{HTTP: &http.Client{Transport: s}, Now: clock})
}

func answer(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// byKeySet is an engine that verifies tokens by the server's keys.
func byKeySet(t *testing.T, s *keyServer, clock func() time.Time) *webhook.Engine {
	t.Helper()
	e, err := webhook.Compile(bearer(&webhooks.JWT{Algorithm: "RS256", JWKS: keyServerURL, Audience: "{url}"}), &webhook.Options{Keys: s.keys(clock)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (s *keyServer) signedBy(t *testing.T, id string) webhook.Request {
	t.Helper()
	return request("Authorization", "Bearer "+token(t, `{"alg":"RS256","kid":"`+id+`"}`, valid(), rs256(t, s.private[id])), "b")
}

func TestAKeySetIsFetchedOnceAnHour(t *testing.T) {
	t.Parallel()
	s, clock := newKeyServer(t, "k1"), now
	e := byKeySet(t, s, func() time.Time { return clock })
	r := s.signedBy(t, "k1")
	for range 3 {
		assertReason(t, "three requests", reason(t, e, r), "")
	}
	if got := s.called(); got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
	clock = clock.Add(61 * time.Minute)
	if got := reason(t, e, r); got != "" || s.called() != 2 {
		t.Errorf("after an hour: reason = %q with %d fetches, want accepted after the second", got, s.called())
	}
}

func TestUnknownKeyIDsCauseOneFetchPerInterval(t *testing.T) {
	t.Parallel()
	s, clock := newKeyServer(t, "k1"), now
	e := byKeySet(t, s, func() time.Time { return clock })
	assertReason(t, "the known key", reason(t, e, s.signedBy(t, "k1")), "")
	s.mu.Lock()
	s.private["k2"] = rsaKeys()["k2"]
	s.mu.Unlock()
	rotated := s.signedBy(t, "k2")
	for range 100 {
		assertReason(t, "a new key within the interval", reason(t, e, rotated), webhook.ReasonBadSignature)
	}
	if got := s.called(); got != 1 {
		t.Errorf("%d fetches for 100 unknown keys, want none", got-1)
	}
	clock = clock.Add(31 * time.Second)
	if got := reason(t, e, rotated); got != "" || s.called() != 2 {
		t.Errorf("after the interval: reason = %q with %d fetches, want accepted after the second", got, s.called())
	}
}

func TestCachedKeysAreUsedForADayWhileFetchesFail(t *testing.T) {
	t.Parallel()
	s, clock := newKeyServer(t, "k1"), now
	e := byKeySet(t, s, func() time.Time { return clock })
	r := s.signedBy(t, "k1")
	assertReason(t, "the first request", reason(t, e, r), "")
	s.answerWith(func(*http.Request) (*http.Response, error) { return nil, errors.New("down") })
	clock = clock.Add(23 * time.Hour)
	assertReason(t, "after 23 h", reason(t, e, r), "")
	clock = clock.Add(2 * time.Hour)
	if _, err := e.Verify(t.Context(), r, nil); !errors.Is(err, webhook.ErrKeysUnavailable) {
		t.Errorf("after 25 h: err = %v, want ErrKeysUnavailable", err)
	}
}

func TestFailingKeyServersMakeKeysUnavailable(t *testing.T) {
	t.Parallel()
	modulus := base64.RawURLEncoding.EncodeToString(rsaKeys()["weak"].N.Bytes())
	for name, respond := range map[string]func(*http.Request) (*http.Response, error){
		"error":   func(*http.Request) (*http.Response, error) { return nil, errors.New("x") },
		"500":     func(*http.Request) (*http.Response, error) { return answer(500, ""), nil },
		"429":     func(*http.Request) (*http.Response, error) { return answer(429, ""), nil },
		"404":     func(*http.Request) (*http.Response, error) { return answer(404, ""), nil },
		"page":    func(*http.Request) (*http.Response, error) { return answer(200, "<html>"), nil },
		"no keys": func(*http.Request) (*http.Response, error) { return answer(200, `{"keys":[]}`), nil },
		"other kinds": func(*http.Request) (*http.Response, error) {
			return answer(200, `{"keys":[{"kty":"EC","kid":"k1"}]}`), nil
		},
		"bad numbers": func(*http.Request) (*http.Response, error) {
			return answer(200, `{"keys":[{"kty":"RSA","kid":"k1","n":"%","e":"AQAB"}]}`), nil
		},
		"weak key": func(*http.Request) (*http.Response, error) {
			return answer(200, `{"keys":[{"kty":"RSA","kid":"k1","n":"`+modulus+`","e":"AQAB"}]}`), nil
		},
		"huge": func(*http.Request) (*http.Response, error) { return answer(200, strings.Repeat(" ", 2<<20)+`{}`), nil },
		"redirect": func(*http.Request) (*http.Response, error) {
			r := answer(302, "")
			r.Header.Set("Location", "https://evil.example/")
			return r, nil
		},
		"deadline": func(r *http.Request) (*http.Response, error) { return nil, context.DeadlineExceeded },
	} {
		s := newKeyServer(t, "k1")
		s.answerWith(respond)
		e := byKeySet(t, s, func() time.Time { return now })
		if _, err := e.Verify(t.Context(), s.signedBy(t, "k1"), nil); !errors.Is(err, webhook.ErrKeysUnavailable) {
			t.Errorf("%s: err = %v, want ErrKeysUnavailable", name, err)
		}
		if got := s.called(); got != 1 {
			t.Errorf("%s: %d requests, want 1", name, got)
		}
	}
}

func TestConcurrentVerificationsShareOneFetch(t *testing.T) {
	t.Parallel()
	s := newKeyServer(t, "k1")
	entered, release := make(chan struct{}), make(chan struct{})
	s.answerWith(func(*http.Request) (*http.Response, error) {
		close(entered)
		<-release
		return answer(200, s.document()), nil
	})
	e, r := byKeySet(t, s, func() time.Time { return now }), s.signedBy(t, "k1")
	cancelled, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { _, err := e.Verify(cancelled, r, nil); first <- err }()
	<-entered
	results := make(chan error, 8)
	for range 8 {
		go func() { _, err := e.Verify(t.Context(), r, nil); results <- err }()
	}
	cancel()
	if err := <-first; !errors.Is(err, webhook.ErrKeysUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: err = %v, want ErrKeysUnavailable and the context's", err)
	}
	close(release)
	for range 8 {
		if err := <-results; err != nil {
			t.Errorf("waiter: %v", err)
		}
	}
	// calls are counted under the server's lock, which the fetch above held.
	if got := s.called(); got != 1 {
		t.Errorf("%d fetches, want 1", got)
	}
}

func TestATokenWithoutKeyIDNeedsASetOfOneKey(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]webhook.Reason{1: "", 2: webhook.ReasonBadSignature} {
		s := newKeyServer(t, []string{"k1", "k2"}[:n]...)
		e := byKeySet(t, s, func() time.Time { return now })
		r := request("Authorization", "Bearer "+token(t, `{"alg":"RS256"}`, valid(), rs256(t, s.private["k1"])), "b")
		assertReason(t, fmt.Sprintf("%d keys", n), reason(t, e, r), want)
	}
}

func TestTheCacheOfCertificatesIsBounded(t *testing.T) {
	t.Parallel()
	private := rsaKeys()["k1"]
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(240 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	s, clock := newKeyServer(t), now
	s.answerWith(func(*http.Request) (*http.Response, error) { return answer(200, text), nil })
	w := byPublicKey(webhooks.SchemeRSA, "")
	w.Verify[0].Key = webhooks.Key{CertificateURL: "header.X-Cert", Addresses: []string{"https://a.example.com/*"}}
	e, err := webhook.Compile(w, &webhook.Options{Keys: s.keys(func() time.Time { return clock })})
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("b"))
	signature, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	verify := func(name string) {
		t.Helper()
		r := request("X-Signature", base64.StdEncoding.EncodeToString(signature), "b")
		r.Header.Set("X-Cert", "https://a.example.com/"+name)
		assertReason(t, name, reason(t, e, r), "")
		clock = clock.Add(2 * time.Second)
	}
	verify("first")
	for n := range 70 {
		verify(fmt.Sprint("c", n))
		verify("first") // recently used, so never evicted
	}
	if got := s.called(); got != 71 {
		t.Errorf("%d fetches, want one for each address", got)
	}
	verify("c0")
	if got := s.called(); got != 72 {
		t.Errorf("%d fetches, want one more for the evicted address", got)
	}
}

func TestCertificatesComeFromTheProvidersAddressesOnly(t *testing.T) {
	t.Parallel()
	s := newKeyServer(t, "k1")
	s.answerWith(func(*http.Request) (*http.Response, error) { return answer(200, "no certificate"), nil })
	w := plain()
	w.Verify[0] = webhooks.Verification{
		Scheme: webhooks.SchemeRSA, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingBase64,
		Signature: webhooks.Source{From: "body.sig"}, Signed: "{body.m}",
		Key: webhooks.Key{CertificateURL: "body.cert", Addresses: []string{"https://sns.*.example.com/Service-*.pem"}},
	}
	e, err := webhook.Compile(w, &webhook.Options{Keys: s.keys(func() time.Time { return now })})
	if err != nil {
		t.Fatal(err)
	}
	body := func(address string) string { return fmt.Sprintf(`{"m":"x","sig":"AAAA","cert":%q}`, address) }
	for _, address := range []string{
		"http://sns.a.example.com/Service-1.pem", "https://evil.com/Service-1.pem", "https://sns.a.example.com/x/Service-1.pem",
		"https://sns.a.example.com/Service-1.pem?x", "https://sns.a.example.com/Service-%2e.pem", "https://169.254.169.254/Service-1.pem", "",
	} {
		assertReason(t, address, reason(t, e, request("X", "y", body(address))), webhook.ReasonBadKeyAddress)
	}
	if got := s.called(); got != 0 {
		t.Errorf("%d requests to addresses that are not the provider's", got)
	}
	if got := reason(t, e, request("X", "y", body("https://sns.a.example.com/Service-1.pem"))); got != webhook.ReasonBadKeyAddress || s.called() != 1 {
		t.Errorf("no certificate there: reason = %q after %d requests, want bad_key_address after 1", got, s.called())
	}
	// Fetches for invented addresses are limited.
	for n := range 100 {
		_, _ = e.Verify(t.Context(), request("X", "y", body(fmt.Sprintf("https://sns.a.example.com/Service-%d.pem", n+2))), nil)
	}
	if got := s.called(); got > 20 {
		t.Errorf("%d requests for invented addresses, want at most 20", got)
	}
}
