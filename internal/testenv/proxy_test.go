package testenv_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/internal/testenv"
)

// echo answers every line with itself, and ends a connection when its client has.
func echo(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, p *testenv.Proxy) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, bufio.NewReader(c)
}

func say(t *testing.T, c net.Conn, line string) {
	t.Helper()
	if _, err := c.Write([]byte(line + "\n")); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, r *bufio.Reader, want string) {
	t.Helper()
	got, err := r.ReadString('\n')
	if err != nil || got != want+"\n" {
		t.Fatalf("heard %q, %v, want %q", got, err, want)
	}
}

func TestProxyHoldsTrafficWhilePausedAndLosesNothing(t *testing.T) {
	t.Parallel()
	p := testenv.NewProxy(t, "tcp://"+echo(t))
	c, r := dial(t, p)
	say(t, c, "before")
	hear(t, r, "before")

	p.Pause()
	p.Pause() // twice is once
	say(t, c, "during")
	if err := c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if got, err := r.ReadString('\n'); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("while paused heard %q, %v, want silence", got, err)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	p.Resume()
	p.Resume()
	hear(t, r, "during")

	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := r.ReadString('\n'); !errors.Is(err, io.EOF) {
		t.Errorf("after the client's end heard %q, %v, want the other's end", got, err)
	}
}

func TestProxyCutEndsConnectionsEvenWhilePausedAndTakesNewOnes(t *testing.T) {
	t.Parallel()
	p := testenv.NewProxy(t, echo(t))
	c, r := dial(t, p)
	say(t, c, "before")
	hear(t, r, "before")
	p.Pause()
	say(t, c, "lost")
	p.Cut()
	if got, err := r.ReadString('\n'); err == nil {
		t.Errorf("after the cut heard %q, want an error", got)
	}
	p.Resume()
	c, r = dial(t, p)
	say(t, c, "after")
	hear(t, r, "after")
}

func TestProxyEndsConnectionsToNobody(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, r := dial(t, testenv.NewProxy(t, nobody))
	if got, err := r.ReadString('\n'); err == nil {
		t.Errorf("heard %q from nobody, want an error", got)
	}
}

func TestNATSClientsComeBackAfterACut(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	p := testenv.NewProxy(t, env.URL())
	back := make(chan struct{}, 1)
	nc, err := nats.Connect(p.URL(), nats.UserCredentials(env.Server().CredsPath()),
		nats.ReconnectWait(time.Millisecond), nats.ReconnectJitter(0, 0), nats.MaxReconnects(-1), nats.Timeout(30*time.Second),
		nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	p.Cut()
	select {
	case <-back:
	case <-t.Context().Done():
	}
	if err := nc.Flush(); err != nil {
		t.Errorf("flush after the cut: %v", err)
	}
}
