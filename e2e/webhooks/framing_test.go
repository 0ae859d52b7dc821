package webhooks_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
)

// raw sends bytes as they are, ends its side of the connection, and reads all
// answers until the server ends its own.
func (s *site) raw(request string) (statuses []int, text string) {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.fronts[0].URL, "http://"))
	must(s.t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, request)
	must(s.t, err)
	must(s.t, conn.(*net.TCPConn).CloseWrite())
	must(s.t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	var all strings.Builder
	reader := bufio.NewReader(io.TeeReader(conn, &all))
	for {
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			return statuses, all.String()
		}
		statuses = append(statuses, resp.StatusCode)
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Close {
			return statuses, all.String()
		}
	}
}

// Requests that two servers could read in two ways, or that are cut off: they are
// refused, or read in the one way that RFC 9112 says; no delivery is stored but the
// one that was signed, with its bytes.
func TestAmbiguousAndBrokenFramingIsNeverADelivery(t *testing.T) {
	t.Parallel()
	s := newSite(t, siteOptions{noExecutor: true}, probe())
	c := s.connect("org_1", secretConfig)
	path := c.WebhookURL[len(baseURL):]
	const body = `{"n":1}`
	head := func(signedBody, delivery string) string {
		var b strings.Builder
		fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: h\r\n", path)
		for name, values := range signed(signingSecret, signedBody, delivery, time.Now()) {
			fmt.Fprintf(&b, "%s: %s\r\n", name, values[0])
		}
		return b.String()
	}
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	smuggled := head(`{"smuggled":1}`, "evt_smuggled") + "Content-Length: 14\r\nConnection: close\r\n\r\n" + `{"smuggled":1}`
	for n, row := range []struct {
		name, request string
		want          int
	}{
		{"two lengths", head(body, "") + "Content-Length: 7\r\nContent-Length: 8\r\n\r\n" + body, 400},
		{"two lengths in one header", head(body, "") + "Content-Length: 7, 8\r\n\r\n" + body, 400},
		{"a negative length", head(body, "") + "Content-Length: -7\r\n\r\n" + body, 400},
		{"a length with a sign", head(body, "") + "Content-Length: +7\r\n\r\n" + body, 400},
		{"a length in hex", head(body, "") + "Content-Length: 0x7\r\n\r\n" + body, 400},
		{"a length of 2^64", head(body, "") + "Content-Length: 18446744073709551616\r\n\r\n" + body, 400},
		{"a length that is too large", head(body, "") + "Content-Length: 1048577\r\nConnection: close\r\n\r\n" + body, 413},
		{"less than its length", head(body, "") + "Content-Length: 8\r\n\r\n" + body, 400},
		{"no length at all", head(body, "") + "Connection: close\r\n\r\n" + body, 401},
		{"an unknown transfer encoding", head(body, "") + "Transfer-Encoding: xchunked\r\n\r\n" + chunked, 501},
		{"two transfer encodings", head(body, "") + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n" + chunked, 501},
		{"chunked twice", head(body, "") + "Transfer-Encoding: chunked, chunked\r\n\r\n" + chunked, 501},
		{"a space before the colon", head(body, "") + "Transfer-Encoding : chunked\r\n\r\n" + chunked, 400},
		{"a chunk that is no number", head(body, "") + "Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body + "\r\n0\r\n\r\n", 400},
		{"a chunk that is too short", head(body, "") + "Transfer-Encoding: chunked\r\n\r\n8\r\n" + body + "\r\n0\r\n\r\n", 400},
		{"chunks without an end", head(body, "") + "Transfer-Encoding: chunked\r\n\r\n7\r\n" + body + "\r\n", 400},
		{"chunks beyond the limit", head(body, "") + "Transfer-Encoding: chunked\r\n\r\n100001\r\n" + strings.Repeat("x", 1<<20+1) + "\r\n0\r\n\r\n", 413},
		{"a line feed in the path", "POST " + path + "\nX: y HTTP/1.1\r\nHost: h\r\n\r\n", 400},
		{"no host", "POST " + path + " HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400},
		{"two hosts", head("", "") + "Host: other\r\nContent-Length: 0\r\n\r\n", 400},
		{"HTTP/2 in the clear", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 404},
		{"a header of 40 KiB", head(body, "") + "X: " + strings.Repeat("x", 40<<10) + "\r\nContent-Length: 7\r\n\r\n" + body, 431},
	} {
		statuses, text := s.raw(row.request)
		if len(statuses) != 1 || statuses[0] != row.want {
			t.Errorf("%d, %s: got %v, want %d: %.200s", n, row.name, statuses, row.want, text)
		}
		if strings.Contains(text, signingSecret) || strings.Contains(text, segment(path)) {
			t.Errorf("%s: the answer shows a secret: %.300s", row.name, text)
		}
	}
	if got := s.messages(events.Webhooks, ">"); len(got) > 0 {
		t.Fatalf("%d broken requests were stored, one as %q", len(got), got[0].Data)
	}
	// What is allowed is read in one way, and whatever stands behind an ambiguous
	// request is not read at all.
	for n, row := range []struct {
		name, request string
		want          string
	}{
		{"the same length twice", "Content-Length: 7\r\nContent-Length: 7\r\nConnection: close\r\n\r\n" + body, "[202]"},
		{"chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n" + chunked + smuggled, "[202]"},
		{"a length and chunks", fmt.Sprintf("Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n", len(chunked)+len(smuggled)) + chunked + smuggled, "[202]"},
		{"chunks and a request behind them", "Transfer-Encoding: chunked\r\n\r\n" + chunked + smuggled, "[202]"},
		{"a length and a request behind it", "Content-Length: 7\r\n\r\n" + body + head(body, "evt_next") + "Content-Length: 7\r\nConnection: close\r\n\r\n" + body, "[202 202]"},
		{"asked to become HTTP/2", "Content-Length: 7\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n" + body, "[202]"},
		{"asked whether to go on", "Content-Length: 7\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n" + body, "[100 202]"},
	} {
		if statuses, text := s.raw(head(body, fmt.Sprintf("evt_%d", n)) + row.request); fmt.Sprint(statuses) != row.want {
			t.Errorf("%s: got %v, want %v: %.400s", row.name, statuses, row.want, text)
		}
	}
	stored := s.messages(events.Webhooks, ">")
	if len(stored) != 8 {
		t.Errorf("%d are stored, want 8", len(stored))
	}
	for _, m := range stored {
		if string(m.Data) != body {
			t.Errorf("stored %q", m.Data)
		}
	}
}
