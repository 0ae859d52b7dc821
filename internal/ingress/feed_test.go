package ingress_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/testenv"
)

// feedReader reads a feed.
type feedReader struct {
	resp  *http.Response
	lines *bufio.Scanner
}

type sseEvent struct {
	id, event string
	data      struct {
		Type, Subject, HawserIdentity string
		Data                          json.RawMessage
	}
}

func (s *site) feed(t *testing.T, query string, header ...string) *feedReader {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/api/v1/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.Token.Reveal())
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %s: %s", resp.StatusCode, resp.Header.Get("Content-Type"), read(t, resp).body)
	}
	r := &feedReader{resp, bufio.NewScanner(resp.Body)}
	if !r.lines.Scan() || !strings.HasPrefix(r.lines.Text(), ":") {
		t.Fatalf("the feed begins with %q", r.lines.Text())
	}
	return r
}

// next reads one event.
func (r *feedReader) next(t *testing.T) (e sseEvent) {
	t.Helper()
	timer := time.AfterFunc(testenv.MaxWait, func() { _ = r.resp.Body.Close() })
	defer timer.Stop()
	for r.lines.Scan() {
		name, value, _ := strings.Cut(r.lines.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.event = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.data); err != nil {
				t.Fatalf("%s: %v", value, err)
			}
			return e
		}
	}
	t.Fatalf("the feed ended: %v", r.lines.Err())
	return e
}

func TestTheFeedSendsEventsByFilterAndPosition(t *testing.T) {
	t.Parallel()
	s := serve(t)
	began := time.Now().Add(-time.Second).UTC().Format(time.RFC3339Nano)
	all, bobs, toggles := s.feed(t, ""), s.feed(t, "?scope=organization&identity=bob"), s.feed(t, "?type=hawser.connector.disabled")
	s.connect(t, "probe")
	if r := s.do(t, "PUT", ofBob+"/probe", `{"config":`+config+`}`); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	s.do(t, "POST", ofBob+"/probe/toggle", "")
	first := all.next(t)
	if first.event != "hawser.connector.connected" || first.data.Type != first.event || first.data.Subject != "organization/ava@example.com/probe" || first.id == "" {
		t.Errorf("the first is %+v", first)
	}
	if e := bobs.next(t); e.event != "hawser.connector.connected" || e.data.HawserIdentity != "bob" {
		t.Errorf("bob's first is %+v", e)
	}
	if e := toggles.next(t); e.event != "hawser.connector.disabled" {
		t.Errorf("the first of its type is %+v", e)
	}
	for name, again := range map[string]*feedReader{
		"since":         s.feed(t, "?connector=probe&type=connector&since="+began),
		"Last-Event-ID": s.feed(t, "", "Last-Event-ID", "0"),
	} {
		if e := again.next(t); e.id != first.id {
			t.Errorf("%s: begins with %+v, want %s", name, e, first.id)
		}
	}
	if e := s.feed(t, "", "Last-Event-ID", first.id).next(t); e.id == first.id || e.data.HawserIdentity != "bob" {
		t.Errorf("after the first comes %+v", e)
	}
}

func TestTheFeedRefusesInvalidParameters(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for query, want := range map[string]string{
		"?scope=galaxy":      "CONNECTOR_SCOPE_INVALID",
		"?type=*":            `"path":"type"`,
		"?type=a.b.c":        `"path":"type"`,
		"?type=action.%3E":   `"path":"type"`,
		"?since=yesterday":   `"path":"since"`,
		"?typ=action.failed": `"path":"typ"`,
	} {
		if r := s.do(t, "GET", "/api/v1/events"+query, ""); r.status != http.StatusBadRequest || !strings.Contains(r.body, want) {
			t.Errorf("%s: %d %s, want 400 %s", query, r.status, r.body, want)
		}
	}
	if r := s.do(t, "GET", "/api/v1/events", "", "Last-Event-ID", "x"); r.status != http.StatusBadRequest {
		t.Errorf("Last-Event-ID: %d %s", r.status, r.body)
	}
	if r := s.do(t, "GET", "/api/v1/events", "", "Authorization", ""); r.status != http.StatusUnauthorized {
		t.Errorf("without a token: %d %s", r.status, r.body)
	}
	if r := s.do(t, "HEAD", "/api/v1/events", ""); r.status != http.StatusOK || r.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %d %s", r.status, r.header.Get("Content-Type"))
	}
}

func TestAFeedEndsWhenItsIngressStops(t *testing.T) {
	t.Parallel()
	s := serve(t)
	feed := s.feed(t, "")
	stopped := make(chan error, 1)
	go func() { stopped <- s.Front.Stop() }()
	for feed.lines.Scan() {
	}
	if err := <-stopped; err != nil {
		t.Errorf("the ingress ended with %v", err)
	}
}
