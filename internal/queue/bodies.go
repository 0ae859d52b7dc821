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

// A body that is larger than a message may be travels as a claim check
// (CloudEvents extension "dataref"): the event has no data, and names an object
// in a JetStream object store that holds the bytes. Objects outlive the events
// that name them by a little, and go with them. Dead letters live longer, so those
// that name an object get a copy of it in a store of their own.

// Bodies stores the bodies that are larger than a message.
type Bodies struct{ bus *events.Bus }

const (
	bodies       = "bodies"
	deadBodies   = "dead-bodies"
	dataRefStart = "nats-object:"
	// objectTimeout bounds storing or reading the largest body.
	objectTimeout = 15 * time.Second
	// headerBytes is what a message needs besides its data: the provider's headers,
	// our own, and those that a dead letter adds.
	headerBytes = 64 << 10
	// minPayload is the least max_payload of a server.
	minPayload = 2 * headerBytes
)

// Fits reports whether data of so many bytes can travel inside a message. What fits
// every server needs no look at the connection: its lock is the one that all
// publishes wait for.
func (b Bodies) Fits(bytes int) bool {
	return bytes <= minPayload-headerBytes || int64(bytes) <= b.bus.JetStream().Conn().MaxPayload()-headerBytes
}

// ensure creates the object stores.
func (b Bodies) ensure(ctx context.Context, t, chosen Topology) error {
	config := jetstream.ObjectStoreConfig{
		Bucket: b.bus.Subjects.Bucket(bodies), Description: "large webhook bodies", TTL: t.WebhooksMaxAge + time.Hour,
		MaxBytes: t.WebhooksMaxBytes / 4, Replicas: t.Replicas, Storage: jetstream.FileStorage,
	}
	if err := b.ensureObjects(ctx, config, chosen.elastic(events.Webhooks)); err != nil {
		return err
	}
	config.Bucket, config.Description = b.bus.Subjects.Bucket(deadBodies), "large bodies of webhooks that were given up on"
	config.TTL, config.MaxBytes = t.EvidenceMaxAge+time.Hour, t.EvidenceMaxBytes/4
	return b.ensureObjects(ctx, config, chosen.elastic(Dead))
}

// ensureObjects makes an object store. Its size gives way like that of a stream:
// an elastic one takes what room there is, and is not touched after that. Where
// there is none at all, it is not made, and large bodies are [ErrUnavailable].
func (b Bodies) ensureObjects(ctx context.Context, config jetstream.ObjectStoreConfig, elastic bool) error {
	if elastic {
		switch _, err := b.bus.JetStream().ObjectStore(ctx, config.Bucket); {
		case err == nil:
			return nil
		case !errors.Is(err, jetstream.ErrBucketNotFound):
			return fmt.Errorf("queue: object store for large bodies: %w", refused(err))
		}
	}
	for {
		_, err := b.bus.JetStream().CreateOrUpdateObjectStore(ctx, config)
		if err == nil {
			return nil
		}
		api, _ := errors.AsType[*jetstream.APIError](err)
		if !elastic || api == nil || api.ErrorCode != codeInsufficientStorage {
			return fmt.Errorf("queue: object store for large bodies: %w", refused(err))
		}
		if config.MaxBytes /= 2; config.MaxBytes < minStreamBytes {
			return nil
		}
	}
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
	return dataRefStart + bucket + "/" + name, nil
}

// locate finds the object that a message names.
func (b Bodies) locate(ref string) (bucket, name string, ok bool) {
	ref, ok = strings.CutPrefix(ref, dataRefStart)
	bucket, name, _ = strings.Cut(ref, "/")
	return bucket, name, ok && name != "" && (bucket == b.bus.Subjects.Bucket(bodies) || bucket == b.bus.Subjects.Bucket(deadBodies))
}

// retain copies the body that a message refers to into the store of dead letters,
// whose retention is theirs, and returns the reference of the copy. If that fails it
// returns the reference as it was.
func (b Bodies) retain(ctx context.Context, m *events.StoredMessage) (ref string) {
	ref = events.Attribute(m.Header, events.ExtDataRef)
	_, name, ok := b.locate(ref)
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
	bucket, name, ok := b.locate(ref)
	if !ok {
		return nil, fmt.Errorf("%w: the event's data lies elsewhere", events.ErrNotFound)
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
