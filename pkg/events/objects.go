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
// that name them by a little, and go with them. Dead letters live longer, so those
// that name an object get a copy of it in a store of their own.

// ExtDataRef is the extension that says where the data of an event lies.
const ExtDataRef = "dataref"

const (
	bodies       = "bodies"
	deadBodies   = "dead-bodies"
	dataRefStart = "nats-object:"
	// objectPatience bounds storing or reading the largest body.
	objectPatience = 15 * time.Second
	// roomAround is what a message needs besides its data: headers kept, our own,
	// and those that a dead letter adds.
	roomAround = 64 << 10
	// leastPayload is what a server's max_payload has to be.
	leastPayload = 2 * roomAround
)

// Fits reports whether data of so many bytes can travel inside a message. What fits
// every server needs no look at the connection: its lock is the one that all
// publishes wait for.
func (b *Bus) Fits(bytes int) bool {
	return bytes <= leastPayload-roomAround || int64(bytes) <= b.nc.MaxPayload()-roomAround
}

// ensureBodies makes the object stores.
func (b *Bus) ensureBodies(ctx context.Context, t, chosen Topology) error {
	config := jetstream.ObjectStoreConfig{
		Bucket: b.Bucket(bodies), Description: "large webhook bodies", TTL: t.WebhooksMaxAge + time.Hour,
		MaxBytes: t.WebhooksMaxBytes / 4, Replicas: t.Replicas, Storage: jetstream.FileStorage,
	}
	if err := b.ensureObjects(ctx, config, chosen.elastic(Webhooks)); err != nil {
		return err
	}
	config.Bucket, config.Description = b.Bucket(deadBodies), "large bodies of webhooks that were given up on"
	config.TTL, config.MaxBytes = t.EvidenceMaxAge+time.Hour, t.EvidenceMaxBytes/4
	return b.ensureObjects(ctx, config, chosen.elastic(Dead))
}

// ensureObjects makes an object store. Its size gives way like that of a stream:
// an elastic one takes what room there is, and is not touched after that. Where
// there is none at all, it is not made, and large bodies are [ErrUnavailable].
func (b *Bus) ensureObjects(ctx context.Context, config jetstream.ObjectStoreConfig, elastic bool) error {
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
	return b.putBody(ctx, b.Bucket(bodies), name, body)
}

func (b *Bus) putBody(ctx context.Context, bucket, name string, body []byte) (ref string, err error) {
	ctx, cancel := context.WithTimeout(ctx, objectPatience)
	defer cancel()
	store, err := b.js.ObjectStore(ctx, bucket)
	if err != nil {
		return "", unavailable(err)
	}
	if _, err := store.PutBytes(ctx, name, body); err != nil {
		return "", unavailable(err)
	}
	return dataRefStart + bucket + "/" + name, nil
}

// locate finds the object that a message names.
func (b *Bus) locate(ref string) (bucket, name string, ok bool) {
	ref, ok = strings.CutPrefix(ref, dataRefStart)
	bucket, name, _ = strings.Cut(ref, "/")
	return bucket, name, ok && name != "" && (bucket == b.Bucket(bodies) || bucket == b.Bucket(deadBodies))
}

// outlive copies the body that a message names to where it lives as long as dead
// letters do, and returns the copy's name. What cannot be had, or has no room
// there, is named as it was: it lives as long as it lives.
func (b *Bus) outlive(ctx context.Context, d *Delivery) (ref string) {
	ref = readableAttribute(d.Header, ExtDataRef)
	_, name, ok := b.locate(ref)
	if !ok {
		return ref
	}
	body, err := b.Body(ctx, d)
	if err != nil {
		return ref
	}
	// One that is there already, of an earlier burial, is replaced, and young again.
	longer, err := b.putBody(ctx, b.Bucket(deadBodies), name, body)
	if err != nil {
		return ref
	}
	return longer
}

// Body returns the data of a message, wherever it lies. [ErrNotFound] if the
// object is gone.
func (b *Bus) Body(ctx context.Context, d *Delivery) ([]byte, error) {
	ref := readableAttribute(d.Header, ExtDataRef)
	if ref == "" {
		return d.Data, nil
	}
	bucket, name, ok := b.locate(ref)
	if !ok {
		return nil, fmt.Errorf("%w: the event's data lies elsewhere", ErrNotFound)
	}
	ctx, cancel := context.WithTimeout(ctx, objectPatience)
	defer cancel()
	store, err := b.js.ObjectStore(ctx, bucket)
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
