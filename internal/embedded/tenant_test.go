package embedded_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/embedded"
)

// world is a server with the streams and the bucket that the attacks aim at.
type world struct {
	server *embedded.Server
	dir    string
	nc     *nats.Conn // operator's
	js     jetstream.JetStream
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, dir := started(t)
	nc := operator(t, s)
	w := &world{server: s, dir: dir, nc: nc, js: jetStream(t, nc)}
	for name, subjects := range map[string][]string{
		"HAWSER_ACTIONS": {"hawser.action.>"},
		"HAWSER_RESULTS": {"hawser.result.>"},
		"HAWSER_PARKED":  {"hawser.parked.>"},
	} {
		if _, err := w.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: subjects, Retention: jetstream.WorkQueuePolicy}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "hawser-connections"}); err != nil {
		t.Fatal(err)
	}
	return w
}

// count is how many messages a stream holds, when the server has done all that
// was published before.
func (w *world) count(t *testing.T, stream string) uint64 {
	t.Helper()
	st, err := w.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return st.CachedInfo().State.Msgs
}

func TestATenantPublishesActionsAndHasThemAcknowledged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nc := dial(t, w.server, issue(t, w.dir, "org", "ava=40example=2Ecom"))
	msg := &nats.Msg{Subject: "hawser.action.org.ava=40example=2Ecom.demo.send", Data: []byte(`{"a":1}`), Header: nats.Header{
		"ce-id": {"e1"}, "ce-type": {"t"}, "Nats-Msg-Id": {"e1"},
	}}
	ack, err := jetStream(t, nc).PublishMsg(t.Context(), msg)
	if err != nil {
		t.Fatal(err)
	}
	if ack.Stream != "HAWSER_ACTIONS" || ack.Sequence != 1 {
		t.Errorf("ack = %+v, want sequence 1 of HAWSER_ACTIONS", ack)
	}
	if again, err := jetStream(t, nc).PublishMsg(t.Context(), msg); err != nil || !again.Duplicate {
		t.Errorf("the same id again: %+v, %v, want a duplicate", again, err)
	}
	if err := nc.Publish(msg.Subject, nil); err != nil { // as plain `nats pub` does
		t.Fatal(err)
	}
	if ack, err := jetStream(t, nc).Publish(t.Context(), msg.Subject, nil); err != nil || ack.Sequence != 3 {
		t.Errorf("after a plain publish: %+v, %v, want sequence 3", ack, err)
	}
	st, err := w.js.Stream(t.Context(), "HAWSER_ACTIONS")
	if err != nil {
		t.Fatal(err)
	}
	got, err := st.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if got.Subject != msg.Subject || string(got.Data) != `{"a":1}` || fmt.Sprint(got.Header) != fmt.Sprint(msg.Header) {
		t.Errorf("stored %s %v %s, want what was published and no header more", got.Subject, got.Header, got.Data)
	}
}

func TestTenantsPublishAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const tenants, workers, each = 4, 4, 100
	var all errgroup.Group
	at := time.Now()
	for i := range tenants {
		identity := fmt.Sprintf("id%d", i)
		js := jetStream(t, dial(t, w.server, issue(t, w.dir, "org", identity)))
		for range workers {
			all.Go(func() error {
				for range each {
					if _, err := js.Publish(t.Context(), "hawser.action.org."+identity+".demo.a", nil); err != nil {
						return err
					}
				}
				return nil
			})
		}
		async := make([]jetstream.PubAckFuture, each)
		for i := range async {
			var err error
			if async[i], err = js.PublishAsync("hawser.action.org."+identity+".demo.b", nil); err != nil {
				t.Fatal(err)
			}
		}
		for _, ack := range async {
			select {
			case <-ack.Ok():
			case err := <-ack.Err():
				t.Fatal(err)
			}
		}
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	const want = tenants * (workers + 1) * each
	t.Logf("%d acknowledged publishes in %v", want, time.Since(at))
	if got := w.count(t, "HAWSER_ACTIONS"); got != want {
		t.Errorf("stream holds %d messages, want %d", got, want)
	}
}

func TestATenantHearsItsOwnSubjectsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ava := dial(t, w.server, issue(t, w.dir, "org", "ava"))
	twin := dial(t, w.server, issue(t, w.dir, "org", "ava"))
	bob := dial(t, w.server, issue(t, w.dir, "org", "bob"))
	heard := map[string]*nats.Subscription{}
	for name, nc := range map[string]*nats.Conn{"ava": ava, "twin": twin} {
		for _, kind := range []string{"result", "event", "webhook"} {
			heard[name+kind] = subscribe(t, nc, "hawser."+kind+".org.ava.>")
		}
	}
	bobs := subscribe(t, bob, "hawser.result.org.bob.>")
	for _, kind := range []string{"result", "event", "webhook"} {
		if err := w.nc.Publish("hawser."+kind+".org.ava.demo.x", []byte(kind)); err != nil {
			t.Fatal(err)
		}
	}
	for name, sub := range heard {
		msg, err := sub.NextMsgWithContext(t.Context())
		if err != nil || !strings.HasSuffix(name, string(msg.Data)) {
			t.Errorf("%s: %v, %v", name, msg, err)
		}
	}
	if err := w.nc.Publish("hawser.result.org.bob.demo.x", []byte("bob")); err != nil {
		t.Fatal(err)
	}
	// What bob should not have would have come before this.
	if msg, err := bobs.NextMsgWithContext(t.Context()); err != nil || string(msg.Data) != "bob" {
		t.Errorf("bob: %v, %v", msg, err)
	}
	for name, sub := range heard {
		if n, _, err := sub.Pending(); err != nil || n != 0 {
			t.Errorf("%s has %d more, %v", name, n, err)
		}
	}
}

func subscribe(t *testing.T, nc *nats.Conn, subject string) *nats.Subscription {
	t.Helper()
	sub, err := nc.SubscribeSync(subject)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return sub
}

// user signs claims of a new user.
func user(t *testing.T, account nkeys.KeyPair, shape func(*jwt.UserClaims)) (token, seed string) {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.NewUserClaims(public)
	shape(claims)
	token, err = claims.Encode(account)
	if err != nil {
		t.Fatal(err)
	}
	b, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	return token, string(b)
}

func TestATenantCannotEnlargeItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	creds, err := embedded.TenantCreds(w.dir, "org", "eve", "")
	if err != nil {
		t.Fatal(err)
	}
	// Claims of its own, signed with the only key it has.
	pair, err := nkeys.ParseDecoratedUserNKey([]byte(creds.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.NewUserClaims(public)
	if token, err := claims.Encode(pair); err == nil {
		refused(t, w.server, token, pair)
	}
	// An account of its own operator's, put where accounts lie.
	op, _ := nkeys.CreateOperator()
	account, _ := nkeys.CreateAccount()
	accountPublic, err := account.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	forged, err := jwt.NewAccountClaims(accountPublic).Encode(op)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(w.dir, "nats", "accounts", accountPublic+".jwt"), []byte(forged))
	token, seed := user(t, account, func(*jwt.UserClaims) {})
	own, err := nkeys.FromSeed([]byte(seed))
	if err != nil {
		t.Fatal(err)
	}
	refused(t, w.server, token, own)
}

func refused(t *testing.T, s *embedded.Server, token string, pair nkeys.KeyPair) {
	t.Helper()
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(s.URL(), nats.UserJWTAndSeed(token, string(seed)), patient)
	if !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("connect with forged claims: %v, %v, want an authorization error", nc, err)
	}
}

func TestCredentialsAreIssuedWhileNoServerRuns(t *testing.T) {
	t.Parallel()
	dir := used(t)
	creds := issue(t, dir, "org", "ava")
	s := start(t, quick(dir))
	if err := dial(t, s, creds).Flush(); err != nil {
		t.Error(err)
	}
}

func TestCredentialsEndWithTheirAccountsClaims(t *testing.T) {
	t.Parallel()
	s, dir := started(t)
	creds, err := embedded.TenantCreds(dir, "org", "ava", "")
	if err != nil {
		t.Fatal(err)
	}
	option := nats.UserCredentialBytes([]byte(creds.Reveal()))
	dial(t, s, option).Close()
	token, err := jwt.ParseDecoratedJWT([]byte(creds.Reveal()))
	if err != nil {
		t.Fatal(err)
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "nats", "accounts", claims.Issuer+".jwt")); err != nil {
		t.Fatal(err)
	}
	shutdown(t, s)
	s = start(t, quick(dir))
	if nc, err := nats.Connect(s.URL(), option, patient); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("connect after the account's claims were removed: %v, %v, want an authorization error", nc, err)
	}
}

func TestCredentialsAreForOnePrefix(t *testing.T) {
	t.Parallel()
	opts := quick(filepath.Join(t.TempDir(), "data"))
	opts.Prefix = "stage-hawser"
	s := start(t, opts)
	js := jetStream(t, operator(t, s))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "A", Subjects: []string{"stage-hawser.action.>"}}); err != nil {
		t.Fatal(err)
	}
	creds, err := embedded.TenantCreds(opts.DataDir, "org", "ava", opts.Prefix)
	if err != nil {
		t.Fatal(err)
	}
	nc := dial(t, s, nats.UserCredentialBytes([]byte(creds.Reveal())))
	if _, err := jetStream(t, nc).Publish(t.Context(), "stage-hawser.action.org.ava.demo.a", nil); err != nil {
		t.Error(err)
	}
}

func TestTenantCredsChecksWhatItIsGiven(t *testing.T) {
	t.Parallel()
	_, dir := started(t)
	before := tree(t, dir)
	for _, c := range []struct{ scope, identity, prefix, want string }{
		{"", "ava", "", `scope ""`}, {"Org", "ava", "", `scope "Org"`}, {"*", "ava", "", `scope "*"`}, {"a.b", "ava", "", `scope "a.b"`},
		{"org", "", "", `identity token ""`}, {"org", ">", "", `identity token ">"`}, {"org", "a.b", "", `identity token "a.b"`},
		{"org", "a=2", "", "identity token"}, {"org", "a=2e", "", "identity token"}, {"org", "a b", "", "identity token"},
		{"org", strings.Repeat("a", 129), "", "identity token"}, {"org", "ava", "x.*", "subject prefix"},
	} {
		if _, err := embedded.TenantCreds(dir, c.scope, c.identity, c.prefix); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("TenantCreds(%q, %q, %q) = %v, want an error with %s", c.scope, c.identity, c.prefix, err, c.want)
		}
	}
	if got := tree(t, dir); len(got) != len(before) {
		t.Errorf("refused credentials left files: %d, were %d", len(got), len(before))
	}
	empty := filepath.Join(t.TempDir(), "none")
	if _, err := embedded.TenantCreds(empty, "org", "ava", ""); err == nil || !strings.Contains(err.Error(), "start `hawser up`") {
		t.Errorf("TenantCreds on no folder: %v, want advice", err)
	}
	if _, err := os.Stat(empty); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder was made (%v)", err)
	}
}

// The empty identity and the longest one.
func TestTenantCredsTakesEveryIdentityToken(t *testing.T) {
	t.Parallel()
	s, dir := started(t)
	for _, identity := range []string{"=", strings.Repeat("=2E", 128)} {
		nc := dial(t, s, issue(t, dir, "org", identity))
		subscribe(t, nc, "hawser.result.org."+identity+".>")
		if err := nc.LastError(); err != nil {
			t.Errorf("subscribe as %.10s…: %v", identity, err)
		}
	}
}

// Tokens that are accepted give subjects of exactly those tokens.
func FuzzTenantTokens(f *testing.F) {
	dir := f.TempDir()
	s, err := embedded.Start(f.Context(), embedded.Options{DataDir: dir, Listen: "off", Sync: "5s"})
	if err != nil {
		f.Fatal(err)
	}
	if err := s.Shutdown(f.Context()); err != nil {
		f.Fatal(err)
	}
	f.Add("org", "ava", "hawser")
	f.Add("user", "=", "")
	f.Add("a.b", "x=2E", "stage-hawser")
	f.Add("org", "*", ">")
	f.Fuzz(func(t *testing.T, scope, identity, prefix string) {
		creds, err := embedded.TenantCreds(dir, scope, identity, prefix)
		if err != nil {
			return
		}
		token, err := jwt.ParseDecoratedJWT([]byte(creds.Reveal()))
		if err != nil {
			t.Fatal(err)
		}
		claims, err := jwt.DecodeUserClaims(token)
		if err != nil {
			t.Fatal(err)
		}
		if prefix == "" {
			prefix = "hawser"
		}
		got := claims.Permissions.Pub.Allow
		want := prefix + ".action." + scope + "." + identity + ".>"
		if len(got) != 1 || got[0] != want || strings.ContainsAny(strings.TrimSuffix(want, ">"), "*> \r\n\t") {
			t.Errorf("tokens %q, %q, %q may publish %q", scope, identity, prefix, got)
		}
		if n := strings.Count(want, ".") - strings.Count(prefix, "."); n != 4 {
			t.Errorf("tokens %q, %q give %q", scope, identity, want)
		}
		if err := os.Remove(filepath.Join(dir, "nats", "accounts", claims.Issuer+".jwt")); err != nil {
			t.Fatal(err)
		}
	})
}
