package oauth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
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
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// keyServer is an authorization server that authenticates a client by JWTs. It verifies
// them with the standard library only.
type keyServer struct {
	public    any // []byte is the secret of HS256
	algorithm string
	keyID     string
	audience  string // default: its token URL
	carried   string // the parameter with the JWT, "bearer" for the header; default: client_assertion
	url       string

	mu     sync.Mutex
	seen   map[string]bool // jti
	asked  []string
	claims []map[string]any
	faults []string
}

func (s *keyServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, strings.TrimPrefix(r.URL.Path, "/")+" "+form.Get("grant_type"))
	if err := s.check(r, form); err != nil {
		s.faults = append(s.faults, err.Error())
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
		return
	}
	_, _ = fmt.Fprintf(w, `{"access_token":"at-%d","refresh_token":"r","expires_in":3600}`, len(s.asked))
}

func (s *keyServer) check(r *http.Request, form url.Values) error {
	jwt := form.Get(s.carried)
	switch s.carried {
	case "bearer":
		jwt = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	case "":
		jwt = form.Get("client_assertion")
		if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || form.Get("client_id") != "demo-client" {
			return errors.New("not the parameters of RFC 7521")
		}
	}
	if s.carried != "" && form.Has("client_id") || form.Has("client_secret") {
		return errors.New("the request authenticates the client twice")
	}
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return errors.New("no JWT")
	}
	var header, claims map[string]any
	for i, to := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(raw, to) != nil {
			return errors.New("a JWT that cannot be read")
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if kid, _ := header["kid"].(string); err != nil || header["alg"] != s.algorithm || kid != s.keyID {
		return fmt.Errorf("header %v, want %s by key %q", header, s.algorithm, s.keyID)
	}
	if !verifies(s.public, s.algorithm, parts[0]+"."+parts[1], signature) {
		return errors.New("the signature is wrong")
	}
	s.claims = append(s.claims, claims)
	number := func(name string) time.Time { n, _ := claims[name].(float64); return time.Unix(int64(n), 0) }
	jti, _ := claims["jti"].(string)
	audience := s.audience
	if audience == "" {
		audience = s.url + "/token"
	}
	switch now := time.Now(); {
	case s.carried == "" && (claims["iss"] != "demo-client" || claims["sub"] != "demo-client"):
		return fmt.Errorf("of %v for %v", claims["iss"], claims["sub"])
	case claims["aud"] != audience:
		return fmt.Errorf("for %v, want %s", claims["aud"], audience)
	case number("exp").Sub(number("iat")) != time.Minute || number("iat").After(now.Add(time.Second)) || number("exp").Before(now):
		return errors.New("not good for a minute")
	case jti == "" || s.seen[jti]:
		return errors.New("used twice")
	}
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	s.seen[jti] = true
	return nil
}

func verifies(public any, algorithm, signed string, signature []byte) bool {
	digest := sha256.Sum256([]byte(signed))
	switch key := public.(type) {
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		return hmac.Equal(mac.Sum(nil), signature)
	case *rsa.PublicKey:
		if algorithm == "PS256" {
			return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	case *ecdsa.PublicKey:
		return len(signature) == 64 && ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
	case ed25519.PublicKey:
		return ed25519.Verify(key, []byte(signed), signature)
	}
	return false
}

func (s *keyServer) report(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff(want, s.asked); diff != "" || len(s.faults) > 0 {
		t.Errorf("refused for %q; asked (-want +got):\n%s", s.faults, diff)
	}
}

func rsaKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	return key
}

func ecKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// pkcs8 returns a key in PEM.
func pkcs8(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	return pemOf("PRIVATE KEY", der)
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// start returns an installation with one connector of the server.
func (s *keyServer) start(t *testing.T, kind connectors.AuthKind, with func(*connectors.OAuth2), secrets ...string) *installation {
	t.Helper()
	s.url = newServer(t, s)
	c := oauthConnector("keyed", s.url, func(o *connectors.OAuth2) {
		o.UserInfoURL, o.ClientAuth = "", connectors.ClientAuthKeyJWT
		if with != nil {
			with(o)
		}
	})
	if c.Auth.Kind = kind; kind == connectors.AuthClientCredentials {
		c.Auth.OAuth2.AuthorizationURL = ""
	}
	if c.Auth.OAuth2.Mint != nil {
		c.Validate = validateNothing
	}
	in := install(t, nil, c)
	if c.Validate != nil {
		in.runExecutor(t)
	}
	app := records.App{ClientID: "demo-client"}
	for _, text := range secrets {
		app.ClientSecrets = append(app.ClientSecrets, secret.New(text))
	}
	in.setApp("keyed", app)
	return in
}

const onKeyed = "/scopes/organization/acme/connections/keyed"

// A private key in every supported form signs for a code, for a refresh, and for a
// revocation.
func TestAClientIsKnownByItsPrivateKey(t *testing.T) {
	t.Parallel()
	private, curve := rsaKey(t), ecKey(t)
	edwards, edwardsPrivate, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	sec1, err := x509.MarshalECPrivateKey(curve)
	must(t, err)
	b64 := base64.RawURLEncoding.EncodeToString
	point, err := curve.PublicKey.Bytes()
	must(t, err)
	scalar, err := curve.Bytes()
	must(t, err)
	jwk := fmt.Sprintf(`{"kty":"EC","crv":"P-256","kid":"key-7","x":"%s","y":"%s","d":"%s"}`, b64(point[1:33]), b64(point[33:]), b64(scalar))
	const shared = "a-short-secret"
	for _, tc := range []struct {
		name, key string
		server    *keyServer
		with      func(*connectors.OAuth2)
	}{
		{name: "RSA in PKCS 8", key: pkcs8(t, private), server: &keyServer{public: &private.PublicKey, algorithm: "RS256"}},
		{name: "RSA in PKCS 1, PSS", key: pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private)), server: &keyServer{public: &private.PublicKey, algorithm: "PS256"},
			with: func(o *connectors.OAuth2) { o.Assertion = &connectors.Assertion{Algorithm: "PS256"} }},
		{name: "an elliptic curve in SEC 1", key: pemOf("EC PRIVATE KEY", sec1), server: &keyServer{public: &curve.PublicKey, algorithm: "ES256"}},
		{name: "a JWK with its id", key: jwk, server: &keyServer{public: &curve.PublicKey, algorithm: "ES256", keyID: "key-7"}},
		{name: "Ed25519", key: pkcs8(t, edwardsPrivate), server: &keyServer{public: edwards, algorithm: "EdDSA"}},
		{name: "for the issuer", key: pkcs8(t, private), server: &keyServer{public: &private.PublicKey, algorithm: "RS256", audience: "https://issuer.example/"},
			with: func(o *connectors.OAuth2) {
				o.Assertion = &connectors.Assertion{Claims: map[string]string{"aud": "https://issuer.example/"}}
			}},
		{name: "a secret", key: shared, server: &keyServer{public: []byte(shared), algorithm: "HS256"},
			with: func(o *connectors.OAuth2) { o.ClientAuth = connectors.ClientAuthSecretJWT }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := tc.server
			in := s.start(t, connectors.AuthOAuth2, tc.with, tc.key)
			if location := in.connectWithCode("keyed"); !strings.Contains(location, "status=success") {
				t.Fatalf("connect: %s, the server says %q", location, s.faults)
			}
			if status, problem := in.call(http.MethodPost, onKeyed+"/refresh", nil, nil); status != http.StatusOK {
				t.Fatalf("refresh: got %d %v", status, &problem)
			}
			in.call(http.MethodDelete, onKeyed, nil, nil)
			s.report(t, "token authorization_code", "token refresh_token", "revoke ")
			if strings.Contains(in.front.Log.String(), tc.key) {
				t.Error("the key is in the log")
			}
		})
	}
}

// A token exchange authenticates the client in the same way.
func TestATradeIsSignedByTheClientsKey(t *testing.T) {
	t.Parallel()
	key := ecKey(t)
	s := &keyServer{public: &key.PublicKey, algorithm: "ES256"}
	in := s.start(t, connectors.AuthOAuth2, func(o *connectors.OAuth2) {
		o.Exchange, o.RevocationURL = &connectors.Exchange{Params: map[string]string{"audience": "api"}}, ""
	}, pkcs8(t, key))
	if location := in.connectWithCode("keyed"); !strings.Contains(location, "status=success") {
		t.Fatalf("connect: %s, the server says %q", location, s.faults)
	}
	s.report(t, "token authorization_code", "token urn:ietf:params:oauth:grant-type:token-exchange")
}

// Keys are rotated as secrets are: after one that is refused, or is no key, the next is
// tried.
func TestKeysAreTriedInTheirOrder(t *testing.T) {
	t.Parallel()
	fresh, known := ecKey(t), ecKey(t)
	s := &keyServer{public: &known.PublicKey, algorithm: "ES256"}
	in := s.start(t, connectors.AuthClientCredentials, nil, "a-secret-of-before", pkcs8(t, fresh), pkcs8(t, known))
	if status, problem := in.call(http.MethodPut, onKeyed, map[string]any{}, nil); status != http.StatusCreated {
		t.Fatalf("connect: got %d %v, want 201", status, &problem)
	}
	in.call(http.MethodDelete, onKeyed, nil, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	want := []string{"token client_credentials", "token client_credentials", "revoke ", "revoke "}
	if diff := cmp.Diff(want, s.asked); diff != "" || len(s.faults) != 2 {
		t.Errorf("refused for %q; asked (-want +got):\n%s", s.faults, diff)
	}
}

// forgedJWK returns a JWK with the public half of one key, with its certificates, and
// the private half of another.
func forgedJWK(t testing.TB, public, private *ecdsa.PrivateKey, chain ...[]byte) string {
	t.Helper()
	point, err := public.PublicKey.Bytes()
	must(t, err)
	scalar, err := private.Bytes()
	must(t, err)
	doc, err := json.Marshal(map[string]any{
		"kty": "EC", "crv": "P-256", "x5c": chain, "x": base64.RawURLEncoding.EncodeToString(point[1:33]),
		"y": base64.RawURLEncoding.EncodeToString(point[33:]), "d": base64.RawURLEncoding.EncodeToString(scalar),
	})
	must(t, err)
	return string(doc)
}

// The error of a client secret that is no key quotes nothing of it.
func TestAClientSecretThatIsNoKeyIsNamed(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a password":         "c4n4ry",
		"a public key":       `{"kty":"EC","crv":"P-256","x":"c4n4ry","y":"c4n4ry"}`,
		"a key with a lock":  pemOf("ENCRYPTED PRIVATE KEY", []byte("c4n4ry")),
		"another's half":     forgedJWK(t, ecKey(t), ecKey(t)),
		"another's document": pkcs8(t, ecKey(t)) + selfSigned(t, ecKey(t)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &keyServer{}
			in := s.start(t, connectors.AuthClientCredentials, nil, text)
			_, err := in.front.Flow.ClientCredentials.Connect(t.Context(), records.NewRef(acme, "keyed", ""), connection.ConnectInput{})
			e := connectors.AsError(err)
			if e == nil || e.Code != connectors.CodeConnectorOAuthNotConfigured || !strings.Contains(e.Message, "is no private key") {
				t.Errorf("got %v, want CONNECTOR_OAUTH_NOT_CONFIGURED", err)
			}
			if text := fmt.Sprint(err) + in.front.Log.String(); strings.Contains(text, "c4n4ry") || len(s.asked) != 0 {
				t.Errorf("requests %q; error and log: %s", s.asked, text)
			}
		})
	}
}
