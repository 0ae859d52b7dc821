package testenv

import (
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// Proxy is a TCP proxy on loopback that pauses and cuts connections. Safe for
// concurrent use.
type Proxy struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	open   chan struct{}      // closed while bytes are forwarded; guarded by mu
	links  map[*link]struct{} // open connections; guarded by mu
	closed bool               // guarded by mu
}

// link is a client's connection and the connection to the server.
type link struct {
	client, server net.Conn
	cut            chan struct{} // closed when the link is cut
	once           sync.Once
}

// NewProxy starts a proxy to target, "host:port" or a URL such as
// "nats://host:port", and stops it, waiting, when the test is over.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	if _, after, found := strings.Cut(target, "://"); found {
		target = after
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start a proxy: %v", err)
	}
	p := &Proxy{target: target, listener: listener, open: make(chan struct{}), links: map[*link]struct{}{}}
	close(p.open)
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

// Addr is where clients connect, "127.0.0.1:port".
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL is Addr as a NATS address.
func (p *Proxy) URL() string { return "nats://" + p.Addr() }

// Pause stops forwarding in both directions and keeps connections open, like a
// network that drops packets. New connections are accepted and not forwarded
// either. A write in progress may still arrive.
func (p *Proxy) Pause() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.flowingLocked() {
		p.open = make(chan struct{})
	}
}

// Resume continues forwarding. Nothing is lost.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.flowingLocked() {
		close(p.open)
	}
}

func (p *Proxy) flowingLocked() bool {
	select {
	case <-p.open:
		return true
	default:
		return false
	}
}

// Cut resets every open connection on both sides; bytes in flight are lost.
// New connections work.
func (p *Proxy) Cut() {
	p.mu.Lock()
	links := make([]*link, 0, len(p.links))
	for l := range p.links {
		links = append(links, l)
	}
	p.mu.Unlock()
	for _, l := range links {
		l.reset()
	}
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	_ = p.listener.Close()
	p.Cut()
	p.running.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.running.Go(func() { p.serve(client) })
	}
}

func (p *Proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	l := &link{client: client, server: server, cut: make(chan struct{})}
	if !p.add(l) {
		l.reset()
		return
	}
	defer p.remove(l)
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, server, client) })
	both.Go(func() { p.pump(l, client, server) })
	both.Wait()
	_ = client.Close()
	_ = server.Close()
}

func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.links[l] = struct{}{}
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
}

// pump copies until the source closes or the link is cut.
func (p *Proxy) pump(l *link, to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if !p.wait(l) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				l.reset()
				return
			}
		}
		if errors.Is(err, io.EOF) {
			_ = to.(*net.TCPConn).CloseWrite()
			return
		}
		if err != nil {
			l.reset()
			return
		}
	}
}

// wait blocks while the proxy is paused. It returns false if the link was cut.
func (p *Proxy) wait(l *link) bool {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	select {
	case <-open:
		return true
	case <-l.cut:
		return false
	}
}

// reset closes both connections with a TCP reset.
func (l *link) reset() {
	l.once.Do(func() {
		close(l.cut)
		for _, c := range []net.Conn{l.client, l.server} {
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}
	})
}
