package events_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
)

func TestFollowTellsWhatIsStoredAndThenWhatComes(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	for i := range 3 {
		publishAction(t, bus, request(fmt.Sprint(i)))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	seen, ended := make(chan string, 16), make(chan error, 1)
	go func() {
		ended <- bus.Follow(ctx, events.Actions, bus.ActionFilter("demo-key"), 1, func(d *events.Delivery) error {
			seen <- events.IDOf(d)
			return nil
		})
	}()
	for _, want := range []string{"1", "2"} {
		if got := receive(t, "what is stored", seen); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	other := request("of another connector")
	other.Connector = "other"
	publishAction(t, bus, other)
	began := time.Now()
	publishAction(t, bus, request("3"))
	if got := receive(t, "what comes", seen); got != "3" {
		t.Errorf("got %s, want 3", got)
	}
	if took := time.Since(began); took > 800*time.Millisecond {
		t.Errorf("told after %v: it was not heard", took)
	}
	stop()
	if err := receive(t, "the end", ended); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestFollowEndsWithTheErrorOfItsReader(t *testing.T) {
	t.Parallel()
	_, bus := start(t)
	publishAction(t, bus, request("1"))
	enough := errors.New("enough")
	if err := bus.Follow(t.Context(), events.Actions, bus.Actions(), 0, func(*events.Delivery) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("ended with %v", err)
	}
}
