package webhook_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
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

func (s *keyServer) assertFetches(t *testing.T, when string, want int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls != want {
		t.Errorf("%s: %d fetches, want %d", when, s.calls, want)
	}
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
	s.assertFetches(t, "three requests", 1)
	clock = clock.Add(61 * time.Minute)
	assertReason(t, "after an hour", reason(t, e, r), "")
	s.assertFetches(t, "after an hour", 2)
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
	s.assertFetches(t, "after 100 unknown keys", 1)
	clock = clock.Add(31 * time.Second)
	assertReason(t, "after the interval", reason(t, e, rotated), "")
	s.assertFetches(t, "after the interval", 2)
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
	redirect := answer(302, "")
	redirect.Header.Set("Location", "https://evil.example/")
	for name, response := range map[string]*http.Response{
		"no answer":   nil,
		"500":         answer(500, ""),
		"429":         answer(429, ""),
		"404":         answer(404, ""),
		"HTML":        answer(200, "<html>"),
		"no keys":     answer(200, `{"keys":[]}`),
		"other types": answer(200, `{"keys":[{"kty":"EC","kid":"k1"}]}`),
		"bad numbers": answer(200, `{"keys":[{"kty":"RSA","kid":"k1","n":"%","e":"AQAB"}]}`),
		"weak key":    answer(200, `{"keys":[{"kty":"RSA","kid":"k1","n":"`+modulus+`","e":"AQAB"}]}`),
		"too large":   answer(200, strings.Repeat(" ", 2<<20)+`{}`),
		"redirect":    redirect,
	} {
		s := newKeyServer(t, "k1")
		s.answerWith(func(*http.Request) (*http.Response, error) {
			if response == nil {
				return nil, context.DeadlineExceeded
			}
			return response, nil
		})
		e := byKeySet(t, s, func() time.Time { return now })
		if _, err := e.Verify(t.Context(), s.signedBy(t, "k1"), nil); !errors.Is(err, webhook.ErrKeysUnavailable) {
			t.Errorf("%s: err = %v, want ErrKeysUnavailable", name, err)
		}
		s.assertFetches(t, name, 1)
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
	s.assertFetches(t, "nine verifications", 1)
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
	text := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate(t, private)}))
	s, clock := newKeyServer(t), now
	s.answerWith(func(*http.Request) (*http.Response, error) { return answer(200, text), nil })
	w := byPublicKey(webhooks.SchemeRSA, "")
	w.Verify[0].Key = webhooks.Key{CertificateURL: "header.X-Cert", Addresses: []string{"https://a.example.com/*"}}
	e, err := webhook.Compile(w, &webhook.Options{Keys: s.keys(func() time.Time { return clock })})
	if err != nil {
		t.Fatal(err)
	}
	signature := base64.StdEncoding.EncodeToString(rs256(t, private)("b"))
	verify := func(name string) {
		t.Helper()
		r := request("X-Signature", signature, "b")
		r.Header.Set("X-Cert", "https://a.example.com/"+name)
		assertReason(t, name, reason(t, e, r), "")
		clock = clock.Add(2 * time.Second)
	}
	verify("first")
	for n := range 70 {
		verify(fmt.Sprint("c", n))
		verify("first") // recently used, so never evicted
	}
	s.assertFetches(t, "71 addresses", 71)
	verify("c0")
	s.assertFetches(t, "after an evicted address", 72)
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
	s.assertFetches(t, "addresses of others", 0)
	assertReason(t, "no certificate there", reason(t, e, request("X", "y", body("https://sns.a.example.com/Service-1.pem"))), webhook.ReasonBadKeyAddress)
	s.assertFetches(t, "an address of the provider", 1)
	// Fetches for invented addresses are limited.
	for n := range 100 {
		_, _ = e.Verify(t.Context(), request("X", "y", body(fmt.Sprintf("https://sns.a.example.com/Service-%d.pem", n+2))), nil)
	}
	s.assertFetches(t, "101 invented addresses within 30 s", 20)
}
