package ingress_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/ingress"
	"github.com/hawser-io/hawser/internal/testenv"
)

func TestAHundredSlowClientsDoNotHoldUpOthers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	for i := range 100 {
		c := s.dial(t)
		half := "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n"
		if i%2 == 0 {
			half += "\r\nonly a few"
		}
		if _, err := io.WriteString(c, half); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	for i := range 20 {
		if r := s.deliver(t, path, fmt.Sprint("d", i), "{}"); r.status != http.StatusAccepted {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("20 deliveries took %v", took)
	}
}

func TestASlowRequestTimesOut(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	s.Front = s.StartIngress(t, nil, func(server *http.Server) {
		server.ReadHeaderTimeout, server.ReadTimeout = 200*time.Millisecond, 200*time.Millisecond
	})
	for name, half := range map[string]string{
		"headers": "POST " + path + " HTTP/1.1\r\nHost: h\r\n",
		"body":    "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nonly a few",
	} {
		c := s.dial(t)
		if _, err := io.WriteString(c, half); err != nil {
			t.Fatal(err)
		}
		answer, err := io.ReadAll(bufio.NewReader(c))
		if err != nil {
			t.Errorf("%s: %v, want the connection's end", name, err)
		}
		if name == "body" && !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
			t.Errorf("%s: %s", name, answer)
		}
	}
}

func TestAPanicFailsOneRequest(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, nil)
	service := n.Service
	n.Service = nil // causes a panic
	s := &site{n, n.StartIngress(t, nil)}
	n.Service = service
	for range 3 {
		r := s.do(t, "GET", "/api/v1/connectors", "")
		if r.status != http.StatusInternalServerError || r.code() != "INTERNAL" || strings.Contains(r.body, "nil") {
			t.Errorf("%d %s", r.status, r.body)
		}
		if r := s.do(t, "GET", "/api/v1/results/x", ""); r.status != http.StatusNotFound {
			t.Errorf("others: %d %s", r.status, r.body)
		}
	}
	if lines := n.Log.Lines("panicked"); len(lines) != 3 || strings.Contains(lines[0], "nil pointer") {
		t.Errorf("logged: %s", lines)
	}
	// The same by NATS.
	header, reply, err := n.Bus.Request(t.Context(), n.Bus.Subjects.API("connectors.list"), nil)
	if err != nil || header.Get("Nats-Service-Error-Code") != "INTERNAL" || !strings.Contains(string(reply), `"status":500`) {
		t.Errorf("by NATS: %v %s %v", header, reply, err)
	}
}

func TestTooManyRequestsAreAnswered503(t *testing.T) {
	t.Parallel()
	n := testenv.StartNode(t, &testenv.NodeOptions{BaseURL: "https://hooks.example.test"})
	s := &site{n, n.StartIngress(t, &ingress.Options{MaxRequests: 2})}
	for range 2 { // both slots are used by requests that wait for their bodies
		c := s.dial(t)
		if _, err := io.WriteString(c, "PUT "+ofAva+"/probe HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer "+s.Token.Reveal()+"\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		// The server asks for the body once the request has its slot.
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
			t.Fatalf("%q %v", line, err)
		}
	}
	r := s.do(t, "GET", "/api/v1/connectors", "")
	if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" || r.code() != "CONNECTOR_UNAVAILABLE" || r.header.Get("X-Request-Id") == "" {
		t.Errorf("%d %s %v", r.status, r.body, r.header)
	}
}
