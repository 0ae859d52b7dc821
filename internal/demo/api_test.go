package demo_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const key = "demo_key-1"

func TestEveryKeyIsAnAccount(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	one, again := wantStatus(t, b.get("/api/me", key), 200).json(t), b.get("/api/me", key).json(t)
	other := wantStatus(t, b.get("/api/me", "demo_key-2"), 200).json(t)
	if diff := cmp.Diff(one, again); diff != "" || one["id"] == other["id"] || one["id"] == "" {
		t.Errorf("accounts = %v, %v, %v: want the first two to be the same", one, again, other)
	}
	if strings.Contains(fmt.Sprint(one), key) {
		t.Errorf("me = %v shows the key", one)
	}
}

func TestBadCredentialsAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for name, header := range map[string][]string{
		"none":      nil,
		"basic":     {"Authorization", "Basic ZGVtbzpkZW1v"},
		"empty":     {"Authorization", "Bearer "},
		"bare":      {"Authorization", "Bearer"},
		"other key": {"Authorization", "Bearer sk_1"},
		"prefix":    {"Authorization", "Bearer demo_"},
		"revoked":   {"Authorization", "Bearer demo_revoked-1"},
		"long key":  {"Authorization", "Bearer demo_" + strings.Repeat("k", 200)},
		"odd key":   {"Authorization", "Bearer demo_a b"},
		"two":       {"Authorization", "Bearer demo_a", "Authorization", "Bearer demo_b"},
		"no token":  {"Authorization", "Bearer dat_AAAA"},
	} {
		a := b.do("GET", "/api/me", "", header...)
		if a.Status != 401 || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%s: got %d, challenge %q, want 401 with one", name, a.Status, a.Header.Get("WWW-Authenticate"))
		}
		if len(header) > 1 && len(header[1]) > 12 && strings.Contains(a.Body, header[1][7:]) {
			t.Errorf("%s: the answer shows the credential: %s", name, a.Body)
		}
	}
}

func TestAnIdempotencyKeyGivesOneMessage(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	ids := make([]string, 8)
	var all sync.WaitGroup
	for i := range ids {
		all.Go(func() {
			a, err := b.try(b.request("POST", "/api/messages", `{"text":"hi"}`, "Content-Type", "application/json",
				"Authorization", "Bearer "+key, "Idempotency-Key", "k1"))
			if err != nil {
				t.Error(err)
			}
			ids[i] = a.Body
		})
	}
	all.Wait()
	for _, id := range ids {
		if id != ids[0] || id == "" {
			t.Errorf("answers %q and %q, want the same", ids[0], id)
		}
	}
	first := b.post("/api/messages", key, `{"text":"other","channel":"x"}`, "Idempotency-Key", "k1").json(t)
	if first["text"] != "hi" || first["channel"] != "general" {
		t.Errorf("the same key gives %v, want the first message", first)
	}
	b.wantStats(map[string]int{"messages": 1})

	next := b.post("/api/messages", key, `{"text":"hi"}`, "Idempotency-Key", "k2").json(t)
	stranger := b.post("/api/messages", "demo_key-2", `{"text":"hi"}`, "Idempotency-Key", "k1").json(t)
	plain, plain2 := b.post("/api/messages", key, `{"text":"hi"}`).json(t), b.post("/api/messages", key, `{"text":"hi"}`).json(t)
	seen := map[any]bool{first["id"]: true, next["id"]: true, stranger["id"]: true, plain["id"]: true, plain2["id"]: true}
	if len(seen) != 5 {
		t.Errorf("ids = %v, want 5", seen)
	}
	b.wantStats(map[string]int{"messages": 5})
}

func TestFailFailsAsOftenAsAsked(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	const ask = `{"status":503,"times":2,"id":"a","retryAfter":7}`
	for range 2 {
		if a := wantStatus(t, b.post("/api/fail", key, ask), 503); a.Header.Get("Retry-After") != "7" {
			t.Errorf("Retry-After = %q, want 7", a.Header.Get("Retry-After"))
		}
	}
	if got := wantStatus(t, b.post("/api/fail", key, ask), 200).json(t); got["attempts"] != 3.0 {
		t.Errorf("got %v, want 3 attempts", got)
	}
	wantStatus(t, b.post("/api/fail", key, `{"status":500,"times":1,"id":"b"}`), 500)
	wantStatus(t, b.post("/api/fail", "demo_key-2", ask), 503)
	for range 3 {
		if a := wantStatus(t, b.post("/api/fail", key, `{"status":418}`), 418); a.Header.Get("Retry-After") != "" {
			t.Errorf("Retry-After = %q, want none", a.Header.Get("Retry-After"))
		}
	}
}

func TestChargesCountEachCall(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	one := b.post("/api/charges", key, `{"amount":12.5}`, "Idempotency-Key", "k").json(t)
	two := b.post("/api/charges", key, `{"amount":12.5}`, "Idempotency-Key", "k").json(t)
	if one["id"] == two["id"] || one["amount"] != 12.5 {
		t.Errorf("got %v and %v, want two charges of 12.5", one, two)
	}
	b.wantStats(map[string]int{"charges": 2})
}

func TestBadInputIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for _, c := range []struct{ path, body string }{
		{"/api/messages", ``}, {"/api/messages", `{}`}, {"/api/messages", `null`}, {"/api/messages", `[]`}, {"/api/messages", `{"text":1}`},
		{"/api/messages", `{"text":"a"} {}`}, {"/api/messages", `{"text":"a","x":1}`}, {"/api/messages", `{"text":"` + strings.Repeat("a", 33<<10) + `"}`},
		{"/api/fail", `{"status":200}`}, {"/api/fail", `{"status":600}`}, {"/api/fail", `{"status":500,"times":1}`}, {"/api/fail", `{"status":500,"times":-1,"id":"a"}`},
		{"/api/fail", `{"status":500,"retryAfter":-1}`}, {"/api/slow", `{"ms":-1}`}, {"/api/slow", `{"ms":120001}`}, {"/api/slow", `{"ms":9223372036854775807}`},
		{"/api/charges", `{}`}, {"/api/charges", `{"amount":-1}`}, {"/api/charges", `{"amount":1e999}`},
		{"/_fault", `{"endpoint":"x","mode":"500"}`}, {"/_fault", `{"endpoint":"api","mode":"x"}`}, {"/_fault", `{"endpoint":"api","mode":"500","times":-1}`},
		{"/_webhook", `{}`}, {"/_webhook", `{"url":"https://example.com/"}`}, {"/_webhook", `{"url":"http://169.254.169.254/"}`}, {"/_webhook", `{"url":"ftp://127.0.0.1/"}`},
		{"/_webhook", `{"url":"http://127.0.0.1/","type":"a\nb"}`}, {"/_webhook", `{"url":"http://127.0.0.1/","delivery":"é"}`}, {"/_webhook", `{"url":"http://127.0.0.1/","secret":7}`},
	} {
		a := b.post(c.path, key, c.body)
		if a.Status != 400 {
			t.Errorf("%s %.80s: got %d %s, want 400", c.path, c.body, a.Status, a.Body)
		}
	}
	wantStatus(t, b.post("/api/messages", key, `{"text":"`+strings.Repeat("a", 65<<10)+`"}`), 413)
	wantStatus(t, b.post("/api/messages", key, `{"text":"a"}`, "Idempotency-Key", strings.Repeat("k", 201)), 400)
	wantStatus(t, b.do("GET", "/nowhere", ""), 404)
	b.wantStats(map[string]int{})
}

func TestSlowEndsWithItsClient(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	if got := wantStatus(t, b.post("/api/slow", key, `{"ms":5}`), 200).json(t); got["ms"] != 5.0 {
		t.Errorf("got %v, want ms 5", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	req := b.request("POST", "/api/slow", `{"ms":120000}`, "Content-Type", "application/json", "Authorization", "Bearer "+key)
	ended := make(chan error, 1)
	go func() {
		_, err := b.try(req.WithContext(ctx))
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want canceled", err)
	}
	// Close, at the end of the test, would wait for the handler if it had not noticed.
}
