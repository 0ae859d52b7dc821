package queue

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/events"
)

// Bodies stores bodies that are larger than a message (claim check). The event has no
// data; its extension "dataref" refers to an object in a JetStream object store. Objects
// expire an hour after the events that refer to them. Dead letters have a longer
// retention, so a body that one refers to is copied into an object store of its own.
type Bodies struct{ bus *events.Bus }

const (
	bodies        = "bodies"
	deadBodies    = "dead-bodies"
	dataRefPrefix = "nats-object:"
	// objectTimeout bounds storing or reading the largest body.
	objectTimeout = 15 * time.Second
	// headerBytes is what a message needs besides its data: the provider's headers,
	// our own, and those that a dead letter adds.
	headerBytes = 64 << 10
	// minPayload is the least max_payload of a server.
	minPayload = 2 * headerBytes
)

// Fits reports whether a message has room for so many bytes of data. It asks the
// connection only for more than every server accepts: publishes wait for the same lock.
func (b Bodies) Fits(bytes int) bool {
	return bytes <= minPayload-headerBytes || int64(bytes) <= b.bus.JetStream().Conn().MaxPayload()-headerBytes
}

// Put stores a body under a name that is used once, and returns the reference that
// an event carries (CloudEvents extension "dataref").
func (b Bodies) Put(ctx context.Context, name string, body []byte) (ref string, err error) {
	return b.put(ctx, b.bus.Subjects.Bucket(bodies), name, body)
}

func (b Bodies) put(ctx context.Context, bucket, name string, body []byte) (ref string, err error) {
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	store, err := b.bus.JetStream().ObjectStore(ctx, bucket)
	if err != nil {
		return "", unavailable(err)
	}
	if _, err := store.PutBytes(ctx, name, body); err != nil {
		return "", unavailable(err)
	}
	return dataRefPrefix + bucket + "/" + name, nil
}

// parse returns the object that a reference names.
func (b Bodies) parse(ref string) (bucket, name string, ok bool) {
	ref, ok = strings.CutPrefix(ref, dataRefPrefix)
	bucket, name, _ = strings.Cut(ref, "/")
	return bucket, name, ok && name != "" && (bucket == b.bus.Subjects.Bucket(bodies) || bucket == b.bus.Subjects.Bucket(deadBodies))
}

// retain copies the body that a message refers to into the store of dead letters,
// whose retention is theirs, and returns the reference of the copy. If that fails it
// returns the reference as it was.
func (b Bodies) retain(ctx context.Context, m *events.StoredMessage) (ref string) {
	ref = events.Attribute(m.Header, events.ExtDataRef)
	_, name, ok := b.parse(ref)
	if !ok {
		return ref
	}
	body, err := b.Get(ctx, m)
	if err != nil {
		return ref
	}
	// The copy of an earlier dead letter is replaced, and its age begins anew.
	copied, err := b.put(ctx, b.bus.Subjects.Bucket(deadBodies), name, body)
	if err != nil {
		return ref
	}
	return copied
}

// Get returns the data of a message, or the body that it refers to.
// [events.ErrNotFound] if that is gone.
func (b Bodies) Get(ctx context.Context, m *events.StoredMessage) ([]byte, error) {
	ref := events.Attribute(m.Header, events.ExtDataRef)
	if ref == "" {
		return m.Data, nil
	}
	bucket, name, ok := b.parse(ref)
	if !ok {
		return nil, fmt.Errorf("%w: the event's dataref is not one of Hawser's object stores", events.ErrNotFound)
	}
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	store, err := b.bus.JetStream().ObjectStore(ctx, bucket)
	if err != nil {
		return nil, unavailable(err)
	}
	body, err := store.GetBytes(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, events.ErrNotFound
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return body, nil
}

// Delete removes a body that no event refers to. A body that cannot be removed
// expires.
func (b Bodies) Delete(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, objectTimeout)
	defer cancel()
	store, err := b.bus.JetStream().ObjectStore(ctx, b.bus.Subjects.Bucket(bodies))
	if err != nil {
		return unavailable(err)
	}
	if err := store.Delete(ctx, name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return unavailable(err)
	}
	return nil
}
