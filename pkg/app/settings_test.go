package app

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/testenv"
)

// up runs `hawser up` on a folder until stop, and returns where it serves HTTP.
func up(t *testing.T, dir string, args ...string) (address string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var out testenv.Log
	ended := make(chan int, 1)
	go func() {
		ended <- Run(ctx, "hawser", append([]string{"up", "--data", dir, "--http", "127.0.0.1:0", "--nats", "off", "--sync", "1s"}, args...), &out)
	}()
	stop = sync.OnceValue(func() int { cancel(); return <-ended })
	t.Cleanup(func() { stop() })
	ready := regexp.MustCompile(`hawser is ready: http at (http://\S+),`)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); <-tick.C {
		if found := ready.FindStringSubmatch(out.String()); found != nil {
			return found[1], stop
		}
	}
	t.Fatalf("not ready: %s", out.String())
	return "", nil
}

func TestSettingsThatCannotBeMeantAreRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ flag, value, want string }{
		{"--base-url", "hooks.example.com", "--base-url"},
		{"--base-url", "ftp://hooks.example.com", "--base-url"},
		{"--base-url", "https://", "--base-url"},
		{"--base-url", "https://hooks.example.com/?a=1", "--base-url"},
		{"--base-path", "/api v1", "--base-path"},
		{"--base-path", "/api/{x}", "--base-path"},
		{"--base-path", "/api/../v1", "--base-path"},
		{"--scopes", "", "scope"},
		{"--scopes", "Team", "scope"},
		{"--allow-networks", "10.0.0.0", "network"},
	} {
		dir := filepath.Join(t.TempDir(), "data")
		var out testenv.Log
		if status := Run(t.Context(), "hawser", []string{"up", c.flag, c.value, "--data", dir, "--http", "127.0.0.1:0", "--nats", "off"}, &out); status == 0 || !strings.Contains(out.String(), c.want) {
			t.Errorf("%s %q: exit %d, %s", c.flag, c.value, status, out.String())
		}
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s %q: the data folder was made", c.flag, c.value)
		}
	}
}

func TestBaseURLAndPathAreTakenInEveryPlainForm(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ url, path, served, shown string }{
		{"https://hooks.example.com/", "api/v1/", "/api/v1", "https://hooks.example.com/api/v1/"},
		{"https://example.com//", "/", "", "https://example.com/"},
	} {
		dir := t.TempDir()
		address, stop := up(t, dir, "--base-url", c.url, "--base-path", c.path)
		token, err := os.ReadFile(filepath.Join(dir, "admin.token"))
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), "POST", address+c.served+"/connect-sessions", strings.NewReader(`{"scope":"organization","identity":"a","return_url":"`+c.shown+`done"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var session struct{ URL string }
		err = json.NewDecoder(resp.Body).Decode(&session)
		_ = resp.Body.Close()
		want := strings.TrimRight(c.url, "/") + "/connect/"
		if err != nil || resp.StatusCode != http.StatusCreated || !strings.HasPrefix(session.URL, want) {
			t.Errorf("%s %s: %d, the session is at %s, want below %s", c.url, c.path, resp.StatusCode, session.URL, want)
		}
		if status := stop(); status != 0 {
			t.Errorf("exit %d", status)
		}
	}
}

// New keys for old records would only put off the bad news.
func TestAFolderWithRecordsGetsNoNewKeyset(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, stop := up(t, dir)
	if status := stop(); status != 0 {
		t.Fatalf("exit %d", status)
	}
	keyset := filepath.Join(dir, "keyset.json")
	if err := os.Rename(keyset, keyset+".away"); err != nil {
		t.Fatal(err)
	}
	var out testenv.Log
	status := Run(t.Context(), "hawser", []string{"up", "--data", dir, "--http", "127.0.0.1:0", "--nats", "off"}, &out)
	if status == 0 || !strings.Contains(out.String(), "keyset.json") || !strings.Contains(out.String(), "backup") {
		t.Errorf("exit %d, %s", status, out.String())
	}
	if _, err := os.Stat(keyset); err == nil {
		t.Error("a new keyset was made")
	}
	if err := os.Rename(keyset+".away", keyset); err != nil {
		t.Fatal(err)
	}
	_, stop = up(t, dir)
	stop()
}
