package demo_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/hawser-io/hawser/internal/demo"
	"github.com/hawser-io/hawser/internal/testenv"
)

func TestARestartForgetsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	used := b.authorize("read", "write")
	rotated := b.refresh(used.RefreshToken).json(t)
	dead := b.authorize("read")
	wantStatus(t, b.form("/revoke", asClient("token", dead.RefreshToken)), 200)
	code, verifier := b.code("read")
	message := b.post("/api/messages", key, `{"text":"hi"}`, "Idempotency-Key", "k").Body
	wantStatus(t, b.post("/api/charges", key, `{"amount":1}`), 200)
	wantStatus(t, b.post("/api/fail", key, `{"status":500,"times":2,"id":"f"}`), 500)
	b.fault("api", "429", 1)

	b = b.again()
	wantStatus(t, b.get("/api/me", key), 429)
	wantStatus(t, b.post("/api/fail", key, `{"status":500,"times":2,"id":"f"}`), 500)
	wantStatus(t, b.post("/api/fail", key, `{"status":500,"times":2,"id":"f"}`), 200)
	if got := b.post("/api/messages", key, `{"text":"hi"}`, "Idempotency-Key", "k").Body; got != message {
		t.Errorf("message = %s, want %s", got, message)
	}
	wantStatus(t, b.get("/api/me", used.AccessToken), 200)
	wantStatus(t, b.get("/api/me", dead.AccessToken), 401)
	wantStatus(t, b.form("/token", asClient("grant_type", "authorization_code", "code", code, "code_verifier", verifier)), 200)
	wantStatus(t, b.refresh(rotated["refresh_token"].(string)), 200)
	want := map[string]int{"exchanges": 3, "refreshes": 2, "revocations": 1, "messages": 1, "charges": 1}
	b.wantStats(want)

	b = b.again()
	b.wantStats(want)
	wantOAuthError(t, b.refresh(used.RefreshToken), 400, "invalid_grant")
	want["reuses"] = 1
	b.wantStats(want)
}

func TestAnUnfinishedFileIsIgnoredAndADamagedOneIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	wantStatus(t, b.post("/api/charges", key, `{"amount":1}`), 200)
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(b.folder, "demo", "state.json")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(path+".next", `{"stats":{"charges":7`) // as a kill leaves it
	b = b.again()
	b.wantStats(map[string]int{"charges": 1})
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	write(path, "{")
	_, err := demo.Start(t.Context(), demo.Options{Addr: "127.0.0.1:0", DataDir: b.folder})
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("Start over a damaged file = %v, want an error that names %s", err, path)
	}
}

func TestNothingAtRestOrInTheLogIsSecret(t *testing.T) {
	t.Parallel()
	var log testenv.Log
	b := setup(t, &demo.Options{Log: zerolog.New(&log)})
	address, _ := receiver(t, 200)
	code, verifier := b.code("read", "write")
	token := wantStatus(t, b.form("/token", asClient("grant_type", "authorization_code", "code", code, "code_verifier", verifier)), 200).json(t)
	wantStatus(t, b.post("/api/messages", key, `{"text":"hi"}`, "Idempotency-Key", "idem-canary"), 200)
	wantStatus(t, b.post("/_webhook", "", `{"url":"`+address+`","secret":"hmac-canary","body":1}`), 200)
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(b.folder, "demo", "state.json")
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{
		code, verifier, token["access_token"].(string), token["refresh_token"].(string),
		key, "idem-canary", "hmac-canary", "s3cret-path", demo.ClientSecret,
	} {
		if strings.Contains(string(kept), secret) || strings.Contains(log.String(), secret) {
			t.Errorf("%q is in the file or the log", secret)
		}
	}
	if !strings.Contains(log.String(), "POST /api/messages") || !strings.Contains(string(kept), `"messages":1`) {
		t.Errorf("log and file hold nothing:\n%s\n%s", log.String(), kept)
	}
	for path, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v: want %v", path, info.Mode(), err, want)
		}
	}
}

func TestStartRefusesWhatItCannotServe(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	taken := setup(t, nil)
	for name, opts := range map[string]demo.Options{
		"no folder":      {Addr: "127.0.0.1:0"},
		"a file":         {Addr: "127.0.0.1:0", DataDir: file},
		"not loopback":   {Addr: "0.0.0.0:0", DataDir: t.TempDir()},
		"every address":  {Addr: ":0", DataDir: t.TempDir()},
		"no port":        {Addr: "127.0.0.1", DataDir: t.TempDir()},
		"address in use": {Addr: strings.TrimPrefix(taken.URL(), "http://"), DataDir: t.TempDir()},
		"short TTL":      {Addr: "127.0.0.1:0", DataDir: t.TempDir(), TokenTTL: 1},
		"bad base URL":   {Addr: "127.0.0.1:0", DataDir: t.TempDir(), BaseURLs: []string{"example.com"}},
	} {
		if p, err := demo.Start(t.Context(), opts); err == nil {
			t.Errorf("%s: started", name)
			_ = p.Close(t.Context())
		}
	}
}
