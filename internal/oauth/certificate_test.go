package oauth_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// selfSigned returns a certificate of the key, in PEM.
func selfSigned(t testing.TB, key crypto.Signer) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hawser"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	return pemOf("CERTIFICATE", der)
}

// bundle returns a certificate with its key, in PEM.
func bundle(t testing.TB) string {
	t.Helper()
	key := ecKey(t)
	return selfSigned(t, key) + pkcs8(t, key)
}

// tlsServer is an authorization server and an API behind TLS that accepts only trusted
// client certificates. Tokens are bound to the certificate.
type tlsServer struct {
	*httptest.Server
	mu     sync.Mutex
	bound  map[string]string // token → thumbprint
	asked  []string
	faults []string
}

func newCertified(t testing.TB, trusted ...string) *tlsServer {
	t.Helper()
	s := &tlsServer{bound: map[string]string{}}
	s.Server = httptest.NewUnstartedServer(s)
	pool := x509.NewCertPool()
	for _, text := range trusted {
		block, _ := pem.Decode([]byte(text))
		leaf, err := x509.ParseCertificate(block.Bytes)
		must(t, err)
		pool.AddCert(leaf)
	}
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it is meant to refuse clients
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *tlsServer) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

func (s *tlsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	sum := sha256.Sum256(r.TLS.PeerCertificates[0].Raw)
	who := hex.EncodeToString(sum[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, strings.TrimSpace(r.URL.Path+" "+form.Get("grant_type")))
	switch r.URL.Path {
	case "/token", "/revoke":
		if basic, password, ok := r.BasicAuth(); ok {
			if basic != "demo-client" || password != "demo-secret" || form.Has("client_id") {
				s.faults = append(s.faults, "the certificate came without the secret that belongs to it")
			}
		} else if form.Has("client_secret") || form.Get("client_id") != "demo-client" {
			s.faults = append(s.faults, "the client is not authenticated by its id and certificate alone")
		}
		token := fmt.Sprintf("at-%d", len(s.asked))
		s.bound[token] = who
		_, _ = fmt.Fprintf(w, `{"access_token":"%s","refresh_token":"r","expires_in":3600}`, token)
	default:
		if s.bound[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] != who {
			s.faults = append(s.faults, r.URL.Path+" with the token of another certificate")
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"id":"una"}`)
	}
}

func (s *tlsServer) report(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff(want, s.asked); diff != "" || len(s.faults) > 0 {
		t.Errorf("faults %q; asked (-want +got):\n%s", s.faults, diff)
	}
}

func (s *tlsServer) install(t *testing.T, secrets []string, with func(*connectors.OAuth2)) *installation {
	t.Helper()
	in := installWith(t, testenv.NodeOptions{Roots: s.roots()}, nil, oauthConnector("keyed", s.URL, func(o *connectors.OAuth2) {
		o.ClientAuth, o.MTLS = connectors.ClientAuthTLS, true
		with(o)
	}))
	app := records.App{ClientID: "demo-client"}
	for _, text := range secrets {
		app.ClientSecrets = append(app.ClientSecrets, secret.New(text))
	}
	in.setApp("keyed", app)
	return in
}

// The certificate is presented for a code, for the user info, for calls of the API, for
// a refresh, and for a revocation.
func TestAClientAuthenticatesByItsCertificate(t *testing.T) {
	t.Parallel()
	mine := bundle(t)
	s := newCertified(t, mine)
	in := s.install(t, []string{mine}, func(*connectors.OAuth2) {})
	if location := in.connectWithCode("keyed"); !strings.Contains(location, "status=success") {
		t.Fatalf("connect: %s; %s", location, in.front.Log)
	}
	if got := in.throughProxy(t, onKeyed+"/proxy/api/me"); got != `{"id":"una"}` {
		t.Errorf("through the proxy: got %s", got)
	}
	if status, problem := in.call(http.MethodPost, onKeyed+"/refresh", nil, nil); status != http.StatusOK {
		t.Fatalf("refresh: got %d %v", status, &problem)
	}
	if got := in.throughProxy(t, onKeyed+"/proxy/api/me"); got != `{"id":"una"}` {
		t.Errorf("through the proxy: got %s", got)
	}
	in.runExecutor(t)
	if failures := in.act(t, "keyed", "get", 1, "certified"); len(failures) > 0 {
		t.Errorf("the action failed: %s", failures[0])
	}
	in.call(http.MethodDelete, onKeyed, nil, nil)
	s.report(t, "/token authorization_code", "/userinfo", "/api/me", "/token refresh_token", "/api/me", "/api/me", "/revoke")
	if strings.Contains(in.front.Log.String(), mine) {
		t.Error("the key is in the log")
	}
}

// After a certificate that the server refuses the next one is tried. If there is none,
// the error says so without quoting it.
func TestAfterARefusedCertificateTheNextIsTried(t *testing.T) {
	t.Parallel()
	mine := bundle(t)
	s := newCertified(t, mine)
	in := s.install(t, []string{bundle(t), mine}, func(o *connectors.OAuth2) { o.MTLS, o.UserInfoURL = false, "" })
	if location := in.connectWithCode("keyed"); !strings.Contains(location, "status=success") {
		t.Fatalf("connect: %s; %s", location, in.front.Log)
	}
	in.call(http.MethodDelete, onKeyed, nil, nil)
	s.report(t, "/token authorization_code", "/revoke")
	in.setApp("keyed", records.App{ClientID: "demo-client", ClientSecrets: []secret.Text{secret.New(bundle(t))}})
	if location := in.connectWithCode("keyed"); !strings.Contains(location, string(connectors.CodeConnectorOAuthNotConfigured)) {
		t.Errorf("with a stranger's certificate: got %s, want CONNECTOR_OAUTH_NOT_CONFIGURED", location)
	}
	in.setApp("keyed", records.App{ClientID: "demo-client", ClientSecrets: []secret.Text{secret.New(pkcs8(t, ecKey(t)))}})
	if location := in.connectWithCode("keyed"); !strings.Contains(location, string(connectors.CodeConnectorOAuthNotConfigured)) {
		t.Errorf("with a key alone: got %s, want CONNECTOR_OAUTH_NOT_CONFIGURED", location)
	}
}

// alerting answers every connection with a TLS alert, before it has read a request.
func alerting(t *testing.T, alert tls.AlertError) (address string, connections *atomic.Int32) {
	t.Helper()
	recorder, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	connections = new(atomic.Int32)
	var served sync.WaitGroup
	served.Go(func() {
		for {
			conn, err := recorder.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_, _ = conn.Read(make([]byte, 4096)) // a close beside unread bytes could overtake the alert
			_, _ = conn.Write([]byte{21, 3, 3, 0, 2, 2, byte(alert)})
			_ = conn.Close()
		}
	})
	t.Cleanup(func() { _ = recorder.Close(); served.Wait() })
	return "https://" + recorder.Addr().String(), connections
}

// An alert that is not about the certificate may come after the request was processed:
// the next certificate is not tried, and the error does not name the certificate.
func TestOnlyACertificateAlertRefusesTheCertificate(t *testing.T) {
	t.Parallel()
	first, second := bundle(t), bundle(t)
	for alert, want := range map[tls.AlertError]connectors.Code{
		40: connectors.CodeConnectorOAuthNotConfigured, 42: connectors.CodeConnectorOAuthNotConfigured, 46: connectors.CodeConnectorOAuthNotConfigured,
		48: connectors.CodeConnectorOAuthNotConfigured, 49: connectors.CodeConnectorOAuthNotConfigured, 116: connectors.CodeConnectorOAuthNotConfigured,
		10: connectors.CodeConnectorOAuthTokenFailed, 20: connectors.CodeConnectorOAuthTokenFailed, 47: connectors.CodeConnectorOAuthTokenFailed,
		80: connectors.CodeConnectorOAuthTokenFailed, 90: connectors.CodeConnectorOAuthTokenFailed,
	} {
		t.Run(alert.Error(), func(t *testing.T) {
			t.Parallel()
			address, connections := alerting(t, alert)
			in := install(t, nil, machine(address, func(o *connectors.OAuth2) { o.ClientAuth, o.RevocationURL = connectors.ClientAuthTLS, "" }))
			in.setApp("machine", records.App{ClientID: "demo-client", ClientSecrets: []secret.Text{secret.New(first), secret.New(second)}})
			_, problem := in.call(http.MethodPut, "/scopes/organization/acme/connections/machine", map[string]any{}, nil)
			tried := map[connectors.Code]int32{connectors.CodeConnectorOAuthNotConfigured: 2, connectors.CodeConnectorOAuthTokenFailed: 1}[want]
			if got := connections.Load(); problem.Code != want || got != tried {
				t.Errorf("got %v after %d certificates, want %s after %d", &problem, got, want, tried)
			}
		})
	}
}

// wantsCertificateOfConfig is an installation of a connector whose config holds the
// certificate.
func (s *tlsServer) wantsCertificateOfConfig(t *testing.T) *installation {
	t.Helper()
	c := machine(s.URL, func(o *connectors.OAuth2) { o.Certificate, o.MTLS = "${config.certificate}", true })
	c.Config = schema.For[struct {
		Certificate connectors.Secret `json:"certificate"`
	}]()
	in := installWith(t, testenv.NodeOptions{Roots: s.roots()}, nil, c)
	in.setApp("machine", demoApp)
	return in
}

// A tenant's own certificate is presented beside the client's secret, and in calls of
// the API.
func TestACertificateOfTheConfigIsPresentedBesideTheSecret(t *testing.T) {
	t.Parallel()
	mine := bundle(t)
	s := newCertified(t, mine)
	in := s.wantsCertificateOfConfig(t)
	const path = "/scopes/organization/acme/connections/machine"
	in.connectAndRenew(t, "machine", map[string]any{"certificate": mine})
	if got := in.throughProxy(t, path+"/proxy/api/me"); got != `{"id":"una"}` {
		t.Errorf("through the proxy: got %s", got)
	}
	in.call(http.MethodDelete, path, nil, nil)
	s.report(t, "/token client_credentials", "/token client_credentials", "/api/me", "/revoke")
	if strings.Contains(in.front.Log.String(), mine) {
		t.Error("the key is in the log")
	}
}

// A certificate is public. With another tenant's certificate and another key no request
// is sent, and no connection of the other tenant is used.
func TestACertificateWithAnotherKeyIsRefused(t *testing.T) {
	t.Parallel()
	other := events.Tenant{Scope: "organization", Identity: "globex"}
	key, theirs := ecKey(t), ecKey(t)
	mine := selfSigned(t, key) + pkcs8(t, key)
	s := newCertified(t, mine)
	in := s.wantsCertificateOfConfig(t)
	if status, problem := in.call(http.MethodPut, "/scopes/organization/acme/connections/machine", map[string]any{"config": map[string]any{"certificate": mine}}, nil); status != http.StatusCreated {
		t.Fatalf("connect: got %d %v", status, &problem)
	}
	shown, _ := pem.Decode([]byte(mine))
	for name, text := range map[string]string{"PEM": selfSigned(t, key) + pkcs8(t, theirs), "a JWK": forgedJWK(t, key, theirs, shown.Bytes)} {
		config, err := json.Marshal(map[string]string{"certificate": text})
		must(t, err)
		_, err = in.front.Flow.ClientCredentials.Connect(t.Context(), records.NewRef(other, "machine", ""), connection.ConnectInput{Config: config})
		e := connectors.AsError(err)
		if e == nil || e.Code != connectors.CodeConnectorOAuthNotConfigured || !strings.Contains(e.Message, "PEM, or a JWK with x5c") {
			t.Errorf("in %s: got %v, want CONNECTOR_OAUTH_NOT_CONFIGURED and what a certificate may be", name, err)
		}
	}
	s.report(t, "/token client_credentials")
}

// holding blocks its first read until it is released.
type holding struct {
	kvstore.Store
	reads    *atomic.Int32
	blocked  chan<- struct{}
	released <-chan struct{}
}

func (h holding) GetLatest(ctx context.Context, key string) (kvstore.Entry, error) {
	if h.reads.Add(1) == 1 {
		close(h.blocked)
		<-h.released
	}
	return h.Store.(kvstore.LatestGetter).GetLatest(ctx, key)
}

// A store that is slow for one call of the API delays that call only.
func TestConcurrentCallsReadTheCertificateIndependently(t *testing.T) {
	t.Parallel()
	mine := bundle(t)
	s := newCertified(t, mine)
	in := s.wantsCertificateOfConfig(t)
	in.connectAndRenew(t, "machine", map[string]any{"certificate": mine})
	conn := in.connection("machine", "")
	blocked, released := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	in.front.Wrap = func(bucket string, s kvstore.Store) kvstore.Store {
		if bucket != "connections" {
			return s
		}
		return holding{s, new(atomic.Int32), blocked, released}
	}
	n := in.front.Join(t)
	def, ok := in.front.Registry.Get("machine")
	if !ok {
		t.Fatal("the connector is not there")
	}
	client := &http.Client{Transport: n.OAuth.Source.Transport(n.Providers.Transport, def, conn.Grant, connectors.Runtime{BaseURL: s.URL})}
	ask := func() error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL+"/api/me", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	var both sync.WaitGroup
	defer both.Wait()
	defer release()
	both.Go(func() {
		if err := ask(); err != nil {
			t.Errorf("the blocked call: %v", err)
		}
	})
	<-blocked
	second := make(chan error, 1)
	both.Go(func() { second <- ask() })
	select {
	case err := <-second:
		must(t, err)
	case <-time.After(20 * time.Second):
		t.Error("a call waits for another that reads the certificate")
	}
}

// throughProxy returns the provider's response to a call of its API.
func (in *installation) throughProxy(t *testing.T, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, in.url+path, nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+in.token.Reveal())
	resp, err := in.client.Do(req)
	must(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	must(t, err)
	return string(body)
}
