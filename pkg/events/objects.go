package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A body that is larger than a message may be travels as a claim check
// (CloudEvents extension "dataref"): the event has no data, and names an object
// in a JetStream object store that holds the bytes. Objects outlive the events
// that name them by a little, and go with them.

// ExtDataRef is the extension that says where the data of an event lies.
const ExtDataRef = "dataref"

const (
	bodies       = "bodies"
	dataRefStart = "nats-object:"
	// objectPatience bounds storing or reading the largest body.
	objectPatience = 15 * time.Second
	// roomAround is what a message needs besides its data: headers kept, our own,
	// and those that a dead letter adds.
	roomAround = 64 << 10
)

// Fits reports whether data of so many bytes can travel inside a message.
func (b *Bus) Fits(bytes int) bool { return int64(bytes) <= b.nc.MaxPayload()-roomAround }

// ensureBodies makes the object store. Its size gives way like that of a stream:
// an elastic one takes what room there is, and is not touched after that. Where
// there is none at all, it is not made, and large bodies are [ErrUnavailable].
func (b *Bus) ensureBodies(ctx context.Context, t Topology, elastic bool) error {
	config := jetstream.ObjectStoreConfig{
		Bucket: b.Bucket(bodies), Description: "large webhook bodies", TTL: t.WebhooksMaxAge + time.Hour,
		MaxBytes: t.WebhooksMaxBytes / 4, Replicas: t.Replicas, Storage: jetstream.FileStorage,
	}
	if elastic {
		switch _, err := b.js.ObjectStore(ctx, config.Bucket); {
		case err == nil:
			return nil
		case !errors.Is(err, jetstream.ErrBucketNotFound):
			return fmt.Errorf("events: object store for large bodies: %w", refused(err))
		}
	}
	for {
		_, err := b.js.CreateOrUpdateObjectStore(ctx, config)
		if err == nil {
			return nil
		}
		api, _ := errors.AsType[*jetstream.APIError](err)
		if !elastic || api == nil || api.ErrorCode != codeNoRoom {
			return fmt.Errorf("events: object store for large bodies: %w", refused(err))
		}
		if config.MaxBytes /= 2; config.MaxBytes < smallest {
			return nil
		}
	}
}

// PutBody stores a body under a name that is used once, and returns what names it
// in an event. It is durable when PutBody returns.
func (b *Bus) PutBody(ctx context.Context, name string, body []byte) (ref string, err error) {
	ctx, cancel := context.WithTimeout(ctx, objectPatience)
	defer cancel()
	store, err := b.js.ObjectStore(ctx, b.Bucket(bodies))
	if err != nil {
		return "", unavailable(err)
	}
	if _, err := store.PutBytes(ctx, name, body); err != nil {
		return "", unavailable(err)
	}
	return dataRefStart + b.Bucket(bodies) + "/" + name, nil
}

// Body returns the data of a message, wherever it lies. [ErrNotFound] if the
// object is gone.
func (b *Bus) Body(ctx context.Context, d *Delivery) ([]byte, error) {
	ref := readableAttribute(d.Header, ExtDataRef)
	if ref == "" {
		return d.Data, nil
	}
	name, ok := strings.CutPrefix(ref, dataRefStart+b.Bucket(bodies)+"/")
	if !ok {
		return nil, fmt.Errorf("%w: the event's data lies elsewhere", ErrNotFound)
	}
	ctx, cancel := context.WithTimeout(ctx, objectPatience)
	defer cancel()
	store, err := b.js.ObjectStore(ctx, b.Bucket(bodies))
	if err != nil {
		return nil, unavailable(err)
	}
	body, err := store.GetBytes(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return body, nil
}

// DropBody removes a body that no event names. What cannot be removed goes with
// its age.
func (b *Bus) DropBody(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, objectPatience)
	defer cancel()
	store, err := b.js.ObjectStore(ctx, b.Bucket(bodies))
	if err != nil {
		return unavailable(err)
	}
	if err := store.Delete(ctx, name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		return unavailable(err)
	}
	return nil
}
