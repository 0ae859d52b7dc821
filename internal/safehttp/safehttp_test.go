package safehttp_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/safehttp"
)

func get(t *testing.T, client *http.Client, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err == nil {
		t.Cleanup(func() { _ = resp.Body.Close() })
	}
	return resp, err
}

func allowLoopback() *safehttp.Options {
	return &safehttp.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

func TestPrivateAddressesAreNotDialled(t *testing.T) {
	t.Parallel()
	client := safehttp.New(nil)
	for _, host := range []string{"127.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "100.64.0.1", "0.0.0.0", "localhost"} {
		_, err := get(t, client, "http://"+host+":9/")
		if err == nil || !safehttp.Refused(err) {
			t.Errorf("GET http://%s: err = %v, want a refusal", host, err)
		}
	}
}

func TestAllowedNetworksAreDialled(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(server.Close)
	resp, err := get(t, safehttp.New(allowLoopback()), server.URL)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(resp.Body); string(body) != "hello" || err != nil {
		t.Errorf("body = %q, %v, want hello", body, err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.RedirectHandler("http://169.254.169.254/", http.StatusFound))
	t.Cleanup(server.Close)
	resp, err := get(t, safehttp.New(allowLoopback()), server.URL)
	if err != nil || resp.StatusCode != http.StatusFound {
		t.Errorf("got %v, %v, want the redirect itself", resp, err)
	}
}

func TestResponsesAreBounded(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := 8 << 20
		if r.URL.Path == "/more" {
			size++
		}
		_, _ = io.Copy(w, io.LimitReader(strings.NewReader(strings.Repeat("x", size)), int64(size)))
	}))
	t.Cleanup(server.Close)
	client := safehttp.New(allowLoopback())
	for path, want := range map[string]error{"/": nil, "/more": safehttp.ErrBodyTooLarge} {
		resp, err := get(t, client, server.URL+path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); !errors.Is(err, want) {
			t.Errorf("%s: err = %v, want %v", path, err, want)
		}
	}
}

func TestAServerThatDoesNotRespondTimesOut(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(release); server.Close() })
	opts := allowLoopback()
	opts.Timeout = 50 * time.Millisecond
	if _, err := get(t, safehttp.New(opts), server.URL); err == nil {
		t.Error("got a response, want a timeout")
	}
}
