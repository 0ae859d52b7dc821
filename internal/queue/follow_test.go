package queue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestFollowTellsWhatIsStoredAndThenWhatComes(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	for i := range 3 {
		publishAction(t, q, request(fmt.Sprint(i)))
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	seen, ended := make(chan string, 16), make(chan error, 1)
	go func() {
		ended <- q.Streams.Follow(ctx, events.Actions, q.Bus.Subjects.ActionFilter("demo-key"), 1, func(d *events.StoredMessage) error {
			seen <- d.ID()
			return nil
		})
	}()
	for _, want := range []string{"1", "2"} {
		if got := testenv.Receive(t, "what is stored", seen); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	other := request("of another connector")
	other.Connector = "other"
	publishAction(t, q, other)
	began := time.Now()
	publishAction(t, q, request("3"))
	if got := testenv.Receive(t, "what comes", seen); got != "3" {
		t.Errorf("got %s, want 3", got)
	}
	if took := time.Since(began); took > 800*time.Millisecond {
		t.Errorf("delivered after %v: the subscription missed it", took)
	}
	stop()
	if err := testenv.Receive(t, "the end", ended); err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestFollowEndsWithTheErrorOfItsReader(t *testing.T) {
	t.Parallel()
	_, q := start(t)
	publishAction(t, q, request("1"))
	enough := errors.New("enough")
	if err := q.Streams.Follow(t.Context(), events.Actions, q.Bus.Subjects.Actions(), 0, func(*events.StoredMessage) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("ended with %v", err)
	}
}
