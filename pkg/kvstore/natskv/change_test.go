package natskv_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
)

// network is a JetStream whose publishes meet the next fault.
type network struct {
	jetstream.JetStream
	faults []fault
}

// fault takes the place of one publish.
type fault func(publish func() (*jetstream.PubAck, error)) (*jetstream.PubAck, error)

func (n *network) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	publish := func() (*jetstream.PubAck, error) { return n.JetStream.PublishMsg(ctx, m, opts...) }
	if len(n.faults) == 0 {
		return publish()
	}
	f := n.faults[0]
	n.faults = n.faults[1:]
	return f(publish)
}

// refusal is the answer of a stream to a write at the wrong sequence.
func refusal(code jetstream.ErrorCode) error {
	return &jetstream.APIError{Code: 400, ErrorCode: code, Description: "wrong last sequence"}
}

// The faults: the write or its answer is lost; the server refuses for nothing,
// or what it has stored.
func writeLost(func() (*jetstream.PubAck, error)) (*jetstream.PubAck, error) {
	return nil, context.DeadlineExceeded
}

func answerLost(publish func() (*jetstream.PubAck, error)) (*jetstream.PubAck, error) {
	_, err := publish()
	return nil, errors.Join(err, context.DeadlineExceeded)
}

func refusedForNothing(func() (*jetstream.PubAck, error)) (*jetstream.PubAck, error) {
	return nil, refusal(jetstream.JSErrCodeStreamWrongLastSequence)
}

func refusedThoughStored(publish func() (*jetstream.PubAck, error)) (*jetstream.PubAck, error) {
	_, err := publish()
	return nil, errors.Join(err, refusal(jetstream.JSErrCodeStreamWrongLastSequenceConstant))
}

// openFaulty returns a store behind a network, and one beside it.
func openFaulty(t *testing.T) (faulty, direct *natskv.Store, n *network) {
	t.Helper()
	direct, js := open(t)
	n = &network{JetStream: js}
	return mustOpen(t, n, natskv.Bucket{Name: "test"}, nil), direct, n
}

func TestWriterIsToldThatItSucceededThoughTheAnswerWasLost(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{"answer lost": answerLost, "refused though stored": refusedThoughStored} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faulty, direct, n := openFaulty(t)

			n.faults = []fault{f}
			first, err := faulty.Create(t.Context(), "a", []byte("one"), 0)
			if err != nil {
				t.Fatalf("Create: %v", err)
			}
			wantValue(t, direct, "a", "one", first)

			n.faults = []fault{f}
			second, err := faulty.Update(t.Context(), "a", []byte("two"), first)
			if err != nil {
				t.Fatalf("Update: %v", err)
			}
			wantValue(t, direct, "a", "two", second)

			n.faults = []fault{f}
			if err := faulty.Delete(t.Context(), "a", second); err != nil {
				t.Fatalf("Delete: %v", err)
			}
			if _, err := direct.Get(t.Context(), "a"); !errors.Is(err, kvstore.ErrNotFound) {
				t.Errorf("after Delete: got %v, want not found", err)
			}

			// Over the marker, Create needs a second publish: that one is lost.
			n.faults = []fault{func(publish func() (*jetstream.PubAck, error)) (*jetstream.PubAck, error) { return publish() }, f}
			again, err := faulty.Create(t.Context(), "a", []byte("three"), 0)
			if err != nil {
				t.Fatalf("Create over a marker: %v", err)
			}
			wantValue(t, direct, "a", "three", again)
		})
	}
}

func TestLostWriteIsUnavailableAndChangesNothing(t *testing.T) {
	t.Parallel()
	faulty, direct, n := openFaulty(t)
	revision := mustCreate(t, direct, "a", "one")
	calls := map[string]func() error{
		"Create": func() error { _, err := faulty.Create(t.Context(), "b", []byte("x"), 0); return err },
		"Update": func() error { _, err := faulty.Update(t.Context(), "a", []byte("x"), revision); return err },
		"Delete": func() error { return faulty.Delete(t.Context(), "a", revision) },
	}
	for name, call := range calls {
		n.faults = []fault{writeLost}
		err := call()
		if !errors.Is(err, kvstore.ErrUnavailable) || errors.Is(err, kvstore.ErrConflict) {
			t.Errorf("%s: got error %v, want unavailable", name, err)
		}
	}
	wantValue(t, direct, "a", "one", revision)
}

func TestWriterDoesNotTakeAnothersWriteForItsOwn(t *testing.T) {
	t.Parallel()
	faulty, direct, n := openFaulty(t)
	first := mustCreate(t, direct, "a", "one")

	// Somebody else writes the same value at the same revision, faster.
	other := func(then error) fault {
		return func(func() (*jetstream.PubAck, error)) (*jetstream.PubAck, error) {
			if _, err := direct.Update(t.Context(), "a", []byte("two"), first); err != nil {
				t.Errorf("the other's Update: %v", err)
			}
			return nil, then
		}
	}
	n.faults = []fault{other(context.DeadlineExceeded)}
	if _, err := faulty.Update(t.Context(), "a", []byte("two"), first); !errors.Is(err, kvstore.ErrUnavailable) {
		t.Errorf("write lost: got %v, want unavailable", err)
	}

	e, err := direct.Get(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	first = e.Revision
	n.faults = []fault{other(refusal(jetstream.JSErrCodeStreamWrongLastSequence))}
	if _, err := faulty.Update(t.Context(), "a", []byte("two"), first); !errors.Is(err, kvstore.ErrConflict) {
		t.Errorf("write refused: got %v, want a conflict", err)
	}
}

func TestWriteThatWasStoredAndReplacedIsUnavailable(t *testing.T) {
	t.Parallel()
	faulty, direct, n := openFaulty(t)
	first := mustCreate(t, direct, "a", "one")
	n.faults = []fault{func(publish func() (*jetstream.PubAck, error)) (*jetstream.PubAck, error) {
		ack, err := publish()
		if err != nil {
			return nil, err
		}
		if _, err := direct.Update(t.Context(), "a", []byte("three"), ack.Sequence); err != nil {
			t.Errorf("the other's Update: %v", err)
		}
		return nil, context.DeadlineExceeded
	}}
	// Not a conflict: that would say that nothing was written.
	_, err := faulty.Update(t.Context(), "a", []byte("two"), first)
	if !errors.Is(err, kvstore.ErrUnavailable) || errors.Is(err, kvstore.ErrConflict) {
		t.Errorf("got %v, want unavailable", err)
	}
}

func TestRefusalAtAnUnchangedRevisionIsTriedAgain(t *testing.T) {
	t.Parallel()
	faulty, direct, n := openFaulty(t)
	first := mustCreate(t, direct, "a", "one")
	n.faults = []fault{refusedForNothing, refusedForNothing}
	second, err := faulty.Update(t.Context(), "a", []byte("two"), first)
	if err != nil {
		t.Fatalf("two refusals for nothing: %v", err)
	}
	wantValue(t, direct, "a", "two", second)

	n.faults = slices.Repeat([]fault{refusedForNothing}, 100)
	_, err = faulty.Update(t.Context(), "a", []byte("three"), second)
	if !errors.Is(err, kvstore.ErrUnavailable) || errors.Is(err, kvstore.ErrConflict) {
		t.Errorf("refusals without end: got %v, want unavailable: the key did not move", err)
	}
	wantValue(t, direct, "a", "two", second)
}

func TestBothCodesOfWrongSequenceAreConflicts(t *testing.T) {
	t.Parallel()
	faulty, direct, n := openFaulty(t)
	first := mustCreate(t, direct, "a", "one")
	if _, err := direct.Update(t.Context(), "a", []byte("two"), first); err != nil {
		t.Fatal(err)
	}
	for _, code := range []jetstream.ErrorCode{
		jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant,
	} {
		n.faults = []fault{func(func() (*jetstream.PubAck, error)) (*jetstream.PubAck, error) { return nil, refusal(code) }}
		if _, err := faulty.Update(t.Context(), "a", []byte("x"), first); !errors.Is(err, kvstore.ErrConflict) {
			t.Errorf("code %d: got %v, want a conflict", code, err)
		}
	}
}

func TestOtherRefusalsAreUnavailable(t *testing.T) {
	t.Parallel()
	faulty, _, n := openFaulty(t)
	full := &jetstream.APIError{Code: 503, ErrorCode: 10023, Description: "insufficient resources"}
	n.faults = []fault{func(func() (*jetstream.PubAck, error)) (*jetstream.PubAck, error) { return nil, full }}
	if _, err := faulty.Create(t.Context(), "a", nil, 0); !errors.Is(err, kvstore.ErrUnavailable) {
		t.Errorf("got %v, want unavailable", err)
	}
}

func mustCreate(t testing.TB, s *natskv.Store, key, value string) uint64 {
	t.Helper()
	revision, err := s.Create(t.Context(), key, []byte(value), 0)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

// wantValue reads from the leader.
func wantValue(t testing.TB, s *natskv.Store, key, value string, revision uint64) {
	t.Helper()
	e, err := s.GetLatest(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if string(e.Value) != value || e.Revision != revision {
		t.Errorf("%s is %q at %d, want %q at %d", key, e.Value, e.Revision, value, revision)
	}
}
