package demo_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// receiver answers every webhook with status and keeps it.
func receiver(t *testing.T, status int) (address string, received <-chan answer) {
	t.Helper()
	got := make(chan answer, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- answer{Header: r.Header, Body: string(body)}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	return srv.URL + "/hook/s3cret-path", got
}

// blockingReceiver says when a webhook has arrived and answers after release was closed.
func blockingReceiver(t *testing.T) (address string, arrived <-chan struct{}, release chan struct{}) {
	t.Helper()
	in, release := make(chan struct{}, 10), make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		in <- struct{}{}
		<-release
	}))
	t.Cleanup(srv.Close)
	return srv.URL, in, release
}

func TestAWebhookIsSignedAsItSays(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	address, received := receiver(t, 202)
	reply := wantStatus(t, b.post("/_webhook", "", `{"url":"`+address+`","secret":"shh","type":"ship.docked","body":{"b": 1,  "a":[]}}`), 200).json(t)
	got := <-received
	if got.Body != `{"b": 1,  "a":[]}` {
		t.Errorf("body = %s, want the bytes of the request", got.Body)
	}
	mac := hmac.New(sha256.New, []byte("shh"))
	mac.Write([]byte(got.Header.Get("X-Demo-Timestamp") + "." + got.Body))
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); got.Header.Get("X-Demo-Signature") != want {
		t.Errorf("signature = %q, want %q", got.Header.Get("X-Demo-Signature"), want)
	}
	if id, err := uuid.Parse(got.Header.Get("X-Demo-Delivery")); err != nil || id.Version() != 7 {
		t.Errorf("delivery = %q, want a UUID v7", got.Header.Get("X-Demo-Delivery"))
	}
	if got.Header.Get("X-Demo-Event") != "ship.docked" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers = %v", got.Header)
	}
	if diff := cmp.Diff(map[string]any{"status": 202.0, "delivery": got.Header.Get("X-Demo-Delivery")}, reply); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
	b.wantStats(map[string]int{"webhooks_sent": 1})
}

func TestWebhookBodiesAndOverrides(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	address, received := receiver(t, 307) // a redirect is an answer, not followed
	for _, c := range []struct{ body, want, kind string }{
		{`,"body":"plain\u0000 text"`, "plain\x00 text", "text/plain; charset=utf-8"},
		{`,"body":"{\"a\":1}"`, `{"a":1}`, "application/json"},
		{`,"body":null`, `null`, "application/json"},
		{`,"body":[1,2.50]`, `[1,2.50]`, "application/json"},
		{``, ``, "application/json"},
	} {
		reply := wantStatus(t, b.post("/_webhook", "", `{"url":"`+address+`","delivery":"d-1","timestamp":1700000000`+c.body+`}`), 200).json(t)
		got := <-received
		if got.Body != c.want || got.Header.Get("Content-Type") != c.kind {
			t.Errorf("%s: got %q as %s, want %q as %s", c.body, got.Body, got.Header.Get("Content-Type"), c.want, c.kind)
		}
		for name, want := range map[string]string{
			"X-Demo-Delivery": "d-1", "X-Demo-Timestamp": "1700000000", "X-Demo-Signature": "", "X-Demo-Event": "",
		} {
			if got.Header.Get(name) != want {
				t.Errorf("%s = %q, want %q", name, got.Header.Get(name), want)
			}
		}
		if reply["status"] != 307.0 || len(received) > 0 {
			t.Errorf("reply = %v, %d more calls: want 307 and none", reply, len(received))
		}
	}
}

func TestAWebhookWithoutAnswerIsNotCounted(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	srv := httptest.NewServer(nil)
	address := srv.URL + "/hook/s3cret-path"
	srv.Close()
	a := wantStatus(t, b.post("/_webhook", "", `{"url":"`+address+`","secret":"shh","body":1}`), 502)
	if strings.Contains(a.Body, "s3cret") || strings.Contains(a.Body, "shh") {
		t.Errorf("the answer shows a secret: %s", a.Body)
	}
	b.wantStats(map[string]int{})
}
