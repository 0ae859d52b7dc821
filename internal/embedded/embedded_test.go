package embedded_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/embedded"
)

func TestStreamsAndCredentialsSurviveARestart(t *testing.T) {
	t.Parallel()
	s, dir := started(t)
	js := jetStream(t, operator(t, s))
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "KEEP", Subjects: []string{"hawser.action.>"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "hawser.action.org.ava.demo.a", []byte("1")); err != nil {
		t.Fatal(err)
	}
	tenant := issue(t, dir, "org", "ava")
	before := tree(t, filepath.Join(dir, "nats.creds"))
	shutdown(t, s)

	s = start(t, quick(dir))
	if got := tree(t, filepath.Join(dir, "nats.creds")); got[s.CredsPath()] != before[s.CredsPath()] {
		t.Error("nats.creds changed at a restart")
	}
	nc, err := nats.Connect(s.URL(), nats.UserCredentials(s.CredsPath()), patient)
	if err != nil {
		t.Fatalf("connect with the credentials of before: %v", err)
	}
	defer nc.Close()
	st, err := jetStream(t, nc).Stream(t.Context(), "KEEP")
	if err != nil {
		t.Fatal(err)
	}
	if got := st.CachedInfo().State.Msgs; got != 1 {
		t.Errorf("messages after a restart = %d, want 1", got)
	}
	tc := dial(t, s, tenant)
	if _, err := jetStream(t, tc).Publish(t.Context(), "hawser.action.org.ava.demo.a", []byte("2")); err != nil {
		t.Errorf("publish with a tenant's credentials of before: %v", err)
	}
}

func TestAFolderIsUsedByOneServerAtATime(t *testing.T) {
	t.Parallel()
	s, dir := started(t)
	_, err := embedded.Start(t.Context(), quick(dir))
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("in use by another hawser, process %d:", os.Getpid())) {
		t.Fatalf("second Start: %v, want an error that names the process", err)
	}
	shutdown(t, s)
	start(t, quick(dir)) // the lock came back
}

func TestNothingIsWrittenBeforeTheLockIsHeld(t *testing.T) {
	t.Parallel()
	s, dir := started(t)
	for _, gone := range []string{"nats", "nats.creds"} {
		if err := os.RemoveAll(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := embedded.Start(t.Context(), quick(dir)); err == nil {
		t.Fatal("second Start succeeded")
	}
	for _, gone := range []string{"nats", "nats.creds"} {
		if _, err := os.Stat(filepath.Join(dir, gone)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was written without the lock (%v)", gone, err)
		}
	}
	shutdown(t, s)
}

func TestFilesAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	s, dir := started(t)
	issue(t, dir, "org", "ava")
	if got, want := s.CredsPath(), filepath.Join(dir, "nats.creds"); got != want {
		t.Errorf("CredsPath = %s, want %s", got, want)
	}
	var seen int
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "jetstream" {
			return filepath.SkipDir // the server's own; nobody gets that far
		}
		info, err := d.Info()
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %#o, want %#o", path, got, want)
		}
		seen++
		return err
	})
	if err != nil || seen < 8 { // three folders; lock, credentials, keys, three accounts
		t.Errorf("saw %d files, %v", seen, err)
	}
}

func TestNobodyGetsInWithoutCredentials(t *testing.T) {
	t.Parallel()
	s, _ := started(t)
	other, _ := started(t)
	stranger := nats.UserCredentials(other.CredsPath()) // signed by somebody else's operator
	for name, opts := range map[string][]nats.Option{
		"nothing": nil, "a password": {nats.UserInfo("hawser", "hawser")}, "a token": {nats.Token("t")}, "foreign credentials": {stranger},
	} {
		if nc, err := nats.Connect(s.URL(), append(opts, patient)...); !errors.Is(err, nats.ErrAuthorization) {
			t.Errorf("connect with %s: %v, %v, want an authorization error", name, nc, err)
		}
	}
	if got := knock(t, s); got != "-ERR 'Authorization Violation'\r\n" {
		t.Errorf("connecting in process without credentials is answered %q", got)
	}
}

// knock connects in process without credentials and returns the server's answer.
// By hand, because the client writes twice before it reads, on a pipe without a
// buffer: a refusal then takes until the server's write deadline, ten seconds.
func knock(t *testing.T, s *embedded.Server) (answer string) {
	t.Helper()
	conn, err := s.InProcessConn()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	if info, err := r.ReadString('\n'); err != nil || !strings.Contains(info, `"auth_required":true`) {
		t.Fatalf("the server says %q, %v", info, err)
	}
	if _, err := io.WriteString(conn, "CONNECT {\"verbose\":false}\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err = r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestOffMeansInProcessOnly(t *testing.T) {
	t.Parallel()
	opts := quick(t.TempDir())
	opts.Listen = "off"
	s := start(t, opts)
	if got := s.URL(); got != "" {
		t.Errorf("URL = %q, want none", got)
	}
	if err := operator(t, s).Flush(); err != nil {
		t.Error(err)
	}
}

func TestListeningEverywhereIsReachedOnLoopbackAndSaidAloud(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	opts := quick(t.TempDir())
	opts.Listen, opts.Log = "0.0.0.0:0", zerolog.New(zerolog.SyncWriter(&log))
	s := start(t, opts)
	if !strings.HasPrefix(s.URL(), "nats://127.0.0.1:") {
		t.Errorf("URL = %q, want a loopback address", s.URL())
	}
	nc, err := nats.Connect(s.URL(), nats.UserCredentials(s.CredsPath()), patient)
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
	shutdown(t, s)
	if !strings.Contains(log.String(), "without TLS") {
		t.Errorf("log = %s, want a warning", log.String())
	}
}

func TestAnAddressInUseIsAnErrorAndGivesTheFolderBack(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	opts := quick(t.TempDir())
	opts.Listen = l.Addr().String()
	if _, err := embedded.Start(t.Context(), opts); err == nil || !strings.Contains(err.Error(), opts.Listen) {
		t.Fatalf("Start on a used address: %v, want an error that names it", err)
	}
	start(t, quick(opts.DataDir))
}

func TestAStartThatIsGivenUpGivesTheFolderBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := embedded.Start(ctx, quick(dir)); !errors.Is(err, context.Canceled) {
		t.Fatalf("Start with a cancelled context: %v, want context.Canceled", err)
	}
	start(t, quick(dir))
}

func TestShutdownMayBeCalledOftenAndWaits(t *testing.T) {
	t.Parallel()
	s, dir := started(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown with a cancelled context: %v", err)
	}
	shutdown(t, s)
	shutdown(t, s)
	if _, err := s.Connect(); err == nil {
		t.Error("Connect after Shutdown succeeded")
	}
	start(t, quick(dir))
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*embedded.Options){
		"data folder":              func(o *embedded.Options) { o.DataDir = "" },
		`NATS address "4222"`:      func(o *embedded.Options) { o.Listen = "4222" },
		`NATS address "x:99999"`:   func(o *embedded.Options) { o.Listen = "x:99999" },
		`sync setting "sometimes"`: func(o *embedded.Options) { o.Sync = "sometimes" },
		`sync setting "-1s"`:       func(o *embedded.Options) { o.Sync = "-1s" },
		`subject prefix "a.>"`:     func(o *embedded.Options) { o.Prefix = "a.>" },
		`subject prefix "$JS"`:     func(o *embedded.Options) { o.Prefix = "$JS" },
		"max_payload of 8":         func(o *embedded.Options) { o.MaxPayload = 8<<20 + 1 },
		"NATS store limit of -1":   func(o *embedded.Options) { o.MaxStore = -1 },
	} {
		opts := quick(filepath.Join(t.TempDir(), "data"))
		change(&opts)
		if _, err := embedded.Start(t.Context(), opts); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Start = %v, want an error about %s", err, name)
		}
		if _, err := os.Stat(opts.DataDir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: bad options made the folder (%v)", name, err)
		}
	}
}

func TestMessagesAreBoundedByMaxPayload(t *testing.T) {
	t.Parallel()
	s, _ := started(t)
	if got := operator(t, s).MaxPayload(); got != 1<<20 {
		t.Errorf("largest message = %d, want 1 MiB", got)
	}
	opts := quick(t.TempDir())
	opts.MaxPayload = 8 << 20
	if got := operator(t, start(t, opts)).MaxPayload(); got != 8<<20 {
		t.Errorf("largest message = %d, want 8 MiB", got)
	}
}

func TestAFullStoreRefusesAndDropsNothing(t *testing.T) {
	t.Parallel()
	opts := quick(t.TempDir())
	opts.MaxStore = 64 << 10
	s := start(t, opts)
	js := jetStream(t, operator(t, s))
	st, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "FULL", Subjects: []string{"full"}})
	if err != nil {
		t.Fatal(err)
	}
	var accepted uint64
	for err == nil && accepted < 100 {
		if _, err = js.Publish(t.Context(), "full", make([]byte, 8<<10)); err == nil {
			accepted++
		}
	}
	var refusal *jetstream.APIError
	if !errors.As(err, &refusal) || refusal.Code != 503 {
		t.Errorf("publish to a full store: %v, want a refusal with code 503", err)
	}
	info, err := st.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.State.Msgs != accepted || accepted == 0 {
		t.Errorf("stream holds %d messages, want the %d accepted", info.State.Msgs, accepted)
	}
	stats, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if stats.StoreLimit != opts.MaxStore || stats.Messages != accepted || stats.Streams != 1 || stats.Connections != 1 {
		t.Errorf("stats = %+v, want limit %d, messages %d, 1 stream, 1 connection", stats, opts.MaxStore, accepted)
	}
}

func TestEveryWriteIsSyncedUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	opts := quick(t.TempDir())
	opts.Sync = ""
	stats, err := start(t, opts).Stats()
	if err != nil || !stats.SyncAlways || stats.StoreLimit <= 0 {
		t.Errorf("stats = %+v, %v, want SyncAlways and a store limit", stats, err)
	}
	opts = quick(t.TempDir())
	opts.Sync = "100ms"
	stats, err = start(t, opts).Stats()
	if err != nil || stats.SyncAlways || stats.SyncInterval != 100*time.Millisecond {
		t.Errorf("stats = %+v, %v, want an interval of 100ms", stats, err)
	}
}

func TestTheLogHasTheServersErrorsAndNoSecrets(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	opts := quick(t.TempDir())
	opts.Log = zerolog.New(zerolog.SyncWriter(&log))
	s := start(t, opts)
	creds, err := embedded.TenantCreds(opts.DataDir, "org", "ava", "")
	if err != nil {
		t.Fatal(err)
	}
	nc := dial(t, s, nats.UserCredentialBytes([]byte(creds.Reveal())))
	if err := nc.Publish("hawser.api.connections.list", nil); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := nats.Connect(s.URL(), nats.UserInfo("somebody", "canary-password"), patient); err == nil {
		t.Error("a password got in")
	}
	shutdown(t, s)
	got := log.String()
	if !strings.Contains(got, "hawser.api.connections.list") || !strings.Contains(got, `"part":"nats"`) {
		t.Errorf("log = %s, want the violation", got)
	}
	secrets := []string{"canary-password"}
	for _, content := range [][]byte{read(t, opts.DataDir, "nats", "keys.json"), read(t, opts.DataDir, "nats.creds"), []byte(creds.Reveal())} {
		secrets = append(secrets, seeds.FindAllString(string(content), -1)...)
	}
	if len(secrets) != 6 {
		t.Fatalf("found %d seeds, want 5", len(secrets)-1)
	}
	for _, seed := range secrets {
		if strings.Contains(got, seed) {
			t.Errorf("the log shows a secret: %s", got)
		}
	}
}
