package natsmicro_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/hawser-io/hawser/internal/natsmicro"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

// echo is a service with an endpoint that answers with what it is asked.
func echo(endpoints ...natsmicro.Endpoint) natsmicro.Service {
	return natsmicro.Service{
		Name: "test", Version: "1.0.0", Description: "answers",
		Endpoints: append(endpoints, natsmicro.Endpoint{Name: "echo", Subject: "test.echo", Handle: func(_ context.Context, ask natsmicro.Request) natsmicro.Reply {
			return natsmicro.Reply{Data: ask.Data}
		}}),
	}
}

// serve runs a service until stop is called, at the latest by the cleanup.
func serve(t testing.TB, bus *events.Bus, s natsmicro.Service) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	serving := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		if err := natsmicro.Serve(ctx, context.WithoutCancel(ctx), bus, s, func() { close(serving) }); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	testenv.Receive(t, "the service", serving)
	return stop
}

func TestAServiceAnswers(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	bus := busOn(t, env.Conn(t))
	serve(t, bus, echo())
	caller := busOn(t, env.Conn(t))
	h, data, err := caller.Request(t.Context(), "test.echo", []byte("hello"))
	if err != nil || string(data) != "hello" || h.Get(events.HeaderErrorCode) != "" {
		t.Errorf("got %s, %v, %v", data, h, err)
	}
}

func TestAServiceIsListedAmongTheServices(t *testing.T) {
	t.Parallel()
	bus := busOn(t, testenv.Start(t, nil).Conn(t))
	serve(t, bus, echo())
	_, data, err := bus.Request(t.Context(), "$SRV.INFO.test", nil)
	if err != nil {
		t.Fatal(err)
	}
	var info micro.Info
	if err := json.Unmarshal(data, &info); err != nil || len(info.Endpoints) != 1 || info.Endpoints[0].Subject != "test.echo" || info.Description != "answers" {
		t.Errorf("got %s, %v", data, err)
	}
}

func TestErrorsAreToldInHeadersWithTheirDocument(t *testing.T) {
	t.Parallel()
	bus := busOn(t, testenv.Start(t, nil).Conn(t))
	const canary = "c4n4ry"
	replies := map[string]func() natsmicro.Reply{
		"coded": func() natsmicro.Reply {
			return natsmicro.Reply{Code: "CONNECTOR_NOT_FOUND", Text: "no such thing", Data: []byte(`{}`)}
		},
		"no text": func() natsmicro.Reply { return natsmicro.Reply{Code: "FORBIDDEN"} },
		"lines":   func() natsmicro.Reply { return natsmicro.Reply{Code: "X", Text: "a\r\nNats-Rollup: all\x00"} },
		"panic":   func() natsmicro.Reply { panic(canary) },
		"large":   func() natsmicro.Reply { return natsmicro.Reply{Data: make([]byte, 2<<20)} },
		"large error": func() natsmicro.Reply {
			return natsmicro.Reply{Code: "X", Text: "x", Data: make([]byte, 2<<20)}
		},
	}
	s := echo()
	for name, reply := range replies {
		s.Endpoints = append(s.Endpoints, natsmicro.Endpoint{
			Name: strings.ReplaceAll(name, " ", "-"), Subject: "test." + strings.ReplaceAll(name, " ", "-"),
			Handle: func(context.Context, natsmicro.Request) natsmicro.Reply { return reply() },
		})
	}
	serve(t, bus, s)
	for subject, want := range map[string][3]string{
		"coded":       {"CONNECTOR_NOT_FOUND", "no such thing", "{}"},
		"no-text":     {"FORBIDDEN", "FORBIDDEN", ""},
		"lines":       {"X", "a  Nats-Rollup: all", ""},
		"panic":       {"INTERNAL", "the handler failed", ""},
		"large":       {"INTERNAL", "the reply could not be sent: it may be too large", ""},
		"large-error": {"INTERNAL", "the reply could not be sent: it may be too large", ""},
	} {
		h, data, err := bus.Request(testenv.Bounded(t), "test."+subject, nil)
		if got := [3]string{h.Get(events.HeaderErrorCode), h.Get(events.HeaderError), string(data)}; err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", subject, got, err, want)
		}
		if strings.Contains(fmt.Sprint(h), canary) || h.Get("Nats-Rollup") != "" {
			t.Errorf("%s: headers %v", subject, h)
		}
	}
}

func TestAskingWhereNobodyServesFailsAtOnce(t *testing.T) {
	t.Parallel()
	bus := busOn(t, testenv.Start(t, nil).Conn(t))
	began := time.Now()
	_, _, err := bus.Request(t.Context(), "test.nobody", nil)
	if !errors.Is(err, events.ErrNoResponders) || time.Since(began) > 10*time.Second {
		t.Errorf("got %v after %v", err, time.Since(began))
	}
	_, _, err = bus.Request(t.Context(), "test.nobody", make([]byte, 2<<20))
	testenv.WantError(t, "a question that is too large", err, events.ErrTooLarge)
}

func TestAskingASlowServiceEndsWithTheContext(t *testing.T) {
	t.Parallel()
	bus := busOn(t, testenv.Start(t, nil).Conn(t))
	release := make(chan struct{})
	serve(t, bus, echo(natsmicro.Endpoint{Name: "slow", Subject: "test.slow", Handle: func(context.Context, natsmicro.Request) natsmicro.Reply {
		<-release
		return natsmicro.Reply{}
	}}))
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err := bus.Request(ctx, "test.slow", nil)
	testenv.WantError(t, "Ask", err, events.ErrUnavailable)
	testenv.WantError(t, "Ask", err, context.DeadlineExceeded)
}

// A service that stops answers everything that has reached its process, and
// nothing is lost between it and the one that goes on.
func TestNoRequestIsLostWhenAServiceStops(t *testing.T) {
	t.Parallel()
	env := testenv.Start(t, nil)
	slow := func(bus *events.Bus) natsmicro.Service {
		s := echo()
		s.MaxConcurrent = 2
		s.Endpoints[0].Handle = func(ctx context.Context, ask natsmicro.Request) natsmicro.Reply {
			_ = bus.Ping(ctx) // takes a while
			return natsmicro.Reply{Data: ask.Data}
		}
		return s
	}
	first, second := busOn(t, env.Conn(t)), busOn(t, env.Conn(t))
	stop := serve(t, first, slow(first))
	serve(t, second, slow(second))
	caller := busOn(t, env.Conn(t))
	const n = 400
	var answered atomic.Int32
	var asking sync.WaitGroup
	for i := range n {
		asking.Go(func() {
			_, data, err := caller.Request(testenv.Bounded(t), "test.echo", []byte(fmt.Sprint(i)))
			if err != nil || string(data) != fmt.Sprint(i) {
				t.Errorf("request %d: got %s, %v", i, data, err)
			}
			if answered.Add(1) == n/4 {
				go stop()
			}
		})
	}
	asking.Wait()
	stop()
}

func TestServeWaitsForItsHandlers(t *testing.T) {
	t.Parallel()
	bus := busOn(t, testenv.Start(t, nil).Conn(t))
	running, release := make(chan struct{}), make(chan struct{})
	stop := serve(t, bus, echo(natsmicro.Endpoint{Name: "slow", Subject: "test.slow", Handle: func(ctx context.Context, _ natsmicro.Request) natsmicro.Reply {
		close(running)
		<-release
		return natsmicro.Reply{Data: []byte(fmt.Sprint(ctx.Err()))}
	}}))
	answer := make(chan string, 1)
	go func() {
		_, data, err := bus.Request(testenv.Bounded(t), "test.slow", nil)
		answer <- fmt.Sprint(string(data), err)
	}()
	testenv.Receive(t, "the handler", running)
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	select {
	case <-stopped:
		t.Error("Serve returned while a handler ran")
	case <-time.After(50 * time.Millisecond):
	}
	close(release)
	if got := testenv.Receive(t, "the answer", answer); got != "<nil><nil>" {
		t.Errorf("got %s, want an answer under a context that still lives", got)
	}
	testenv.Receive(t, "the end of Serve", stopped)
}

func TestTheEndOfGraceRefusesWhatWaits(t *testing.T) {
	t.Parallel()
	nc := testenv.Start(t, nil).Conn(t)
	bus := busOn(t, nc)
	ctx, stop := context.WithCancel(t.Context())
	grace, endGrace := context.WithCancel(t.Context())
	running, serving, returned := make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
	s := echo()
	s.MaxConcurrent = 1
	s.Endpoints[0].Handle = func(ctx context.Context, _ natsmicro.Request) natsmicro.Reply {
		running <- struct{}{}
		<-ctx.Done()
		return natsmicro.Reply{Code: "INTERNAL", Text: "stopped in the middle"}
	}
	go func() {
		defer close(returned)
		if err := natsmicro.Serve(ctx, grace, bus, s, func() { close(serving) }); err != nil {
			t.Errorf("Serve: %v", err)
		}
	}()
	testenv.Receive(t, "the service", serving)
	answers, err := nc.SubscribeSync(nats.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := nc.PublishRequest("test.echo", answers.Subject, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil { // all three are with the service now
		t.Fatal(err)
	}
	testenv.Receive(t, "a handler", running)
	stop()
	endGrace()
	for range 3 {
		msg, err := answers.NextMsgWithContext(testenv.Bounded(t))
		if err != nil || msg.Header.Get(events.HeaderErrorCode) != "INTERNAL" {
			t.Errorf("got %v, %v", msg, err)
		}
	}
	testenv.Receive(t, "the end of Serve", returned)
}

func TestTheTraceOfTheCallerReachesTheHandler(t *testing.T) {
	t.Parallel()
	bus := busOn(t, testenv.Start(t, nil).Conn(t))
	serve(t, bus, echo(natsmicro.Endpoint{Name: "trace", Subject: "test.trace", Handle: func(ctx context.Context, _ natsmicro.Request) natsmicro.Reply {
		return natsmicro.Reply{Data: []byte(events.TraceID(ctx))}
	}}))
	ctx := events.EnsureTrace(t.Context())
	if _, data, err := bus.Request(ctx, "test.trace", nil); err != nil || string(data) != events.TraceID(ctx) {
		t.Errorf("got trace %s, %v, want %s", data, err, events.TraceID(ctx))
	}
	if _, data, err := bus.Request(t.Context(), "test.trace", nil); err != nil || len(data) != 32 {
		t.Errorf("without a trace of the caller: got %s, %v, want a new one", data, err)
	}
}

func TestAServiceThatCannotBeMadeIsAnError(t *testing.T) {
	t.Parallel()
	bus := busOn(t, testenv.Start(t, nil).Conn(t))
	for name, change := range map[string]func(*natsmicro.Service){
		"name":     func(s *natsmicro.Service) { s.Name = "a b" },
		"version":  func(s *natsmicro.Service) { s.Version = "new" },
		"endpoint": func(s *natsmicro.Service) { s.Endpoints[0].Name = "a.b" },
	} {
		s := echo()
		change(&s)
		if err := natsmicro.Serve(t.Context(), t.Context(), bus, s, func() {}); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

func TestMain(m *testing.M) { testenv.VerifyNoLeaks(m) }

func busOn(t testing.TB, nc *nats.Conn) *events.Bus {
	t.Helper()
	bus, err := events.NewBus(nc, &events.Options{PublishTimeout: testenv.MaxWait})
	if err != nil {
		t.Fatal(err)
	}
	return bus
}
