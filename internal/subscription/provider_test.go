package subscription_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// hook is a webhook as the provider has it.
type hook struct {
	ID        int       `json:"id"`
	URL       string    `json:"url"`
	Secret    string    `json:"-"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Renewals  int       `json:"-"`
}

// provider is one whose API registers webhooks:
//
//	POST /hooks {url, secret}   PUT /hooks/{id}   DELETE /hooks/{id}   GET /hooks
type provider struct {
	*httptest.Server

	mu       sync.Mutex
	hooks    []hook
	last     int
	lifetime time.Duration  // 0: forever
	chooses  string         // the secret that it chooses; "": none
	refuse   map[string]int // method → status
	single   bool           // there is place for one registration
	calls    map[string]int // method → calls
}

func startProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{refuse: map[string]int{}, calls: map[string]int{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls[r.Method]++
	if r.Header.Get("Authorization") != "Bearer good" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if status := p.refuse[r.Method]; status != 0 {
		w.WriteHeader(status)
		asked, _ := io.ReadAll(r.Body)
		_ = json.NewEncoder(w).Encode(map[string]string{"message": "not now: " + string(asked)})
		return
	}
	id, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/hooks/"))
	at := slices.IndexFunc(p.hooks, func(h hook) bool { return h.ID == id })
	var reply any
	switch {
	case r.Method == http.MethodGet:
		reply = map[string]any{"hooks": p.hooks}
	case r.Method == http.MethodPost:
		reply = p.add(r)
	case at < 0:
		w.WriteHeader(http.StatusNotFound)
		return
	case r.Method == http.MethodDelete:
		p.hooks = slices.Delete(p.hooks, at, at+1)
	default:
		p.hooks[at].ExpiresAt = time.Now().Add(p.lifetime).UTC()
		p.hooks[at].Renewals++
		reply = p.hooks[at]
	}
	_ = json.NewEncoder(w).Encode(reply)
}

func (p *provider) add(r *http.Request) any {
	var asked struct{ URL, Secret string }
	_ = json.NewDecoder(r.Body).Decode(&asked)
	if p.single {
		p.hooks, p.last = nil, 0
	}
	p.last++
	h := hook{ID: p.last, URL: asked.URL, Secret: asked.Secret}
	if p.lifetime > 0 {
		h.ExpiresAt = time.Now().Add(p.lifetime).UTC()
	}
	p.hooks = append(p.hooks, h)
	reply := map[string]any{"id": h.ID, "signing_secret": p.chooses}
	if p.lifetime > 0 {
		reply["expires_at"] = h.ExpiresAt
	}
	return reply
}

// has returns what is registered.
func (p *provider) has() []hook {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.hooks)
}

func (p *provider) count(method string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[method]
}

// change changes the provider under its lock.
func (p *provider) change(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}
