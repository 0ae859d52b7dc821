package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ensureBodies creates the object stores, and updates those whose chosen settings differ.
func (q *Queue) ensureBodies(ctx context.Context, t Topology) (drift []Drift, err error) {
	full := t.withDefaults()
	for _, store := range []struct {
		config jetstream.ObjectStoreConfig
		chosen chosen
	}{
		{jetstream.ObjectStoreConfig{
			Bucket: bodies, Description: "large webhook bodies", TTL: full.WebhooksMaxAge + time.Hour, MaxBytes: full.WebhooksMaxBytes / 4,
		}, chosen{maxAge: t.WebhooksMaxAge, maxBytes: t.WebhooksMaxBytes, setting: "--webhooks-max-bytes"}},
		{jetstream.ObjectStoreConfig{
			Bucket: deadBodies, Description: "large bodies of dead webhooks", TTL: full.EvidenceMaxAge + time.Hour, MaxBytes: full.EvidenceMaxBytes / 4,
		}, chosen{maxAge: t.EvidenceMaxAge, maxBytes: t.EvidenceMaxBytes, setting: "--evidence-max-bytes"}},
	} {
		c := store.config
		c.Bucket, c.Storage = q.Bus.Subjects.Bucket(c.Bucket), jetstream.FileStorage
		c.Replicas = t.Replicas
		changed, err := q.ensureStore(ctx, c, store.chosen)
		if err != nil {
			return drift, err
		}
		drift = append(drift, changed...)
	}
	return drift, nil
}

func (q *Queue) ensureStore(ctx context.Context, want jetstream.ObjectStoreConfig, chosen chosen) ([]Drift, error) {
	definition := definition{chosen: chosen, StreamConfig: jetstream.StreamConfig{Name: "OBJ_" + want.Bucket, MaxBytes: want.MaxBytes, Replicas: want.Replicas}}
	existing, err := q.Bus.JetStream().Stream(ctx, definition.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = q.createStore(ctx, want, chosen)
		if err == nil {
			return nil, nil
		}
		if !errors.Is(err, jetstream.ErrBucketExists) {
			return nil, q.createError(definition, err)
		}
		existing, err = q.Bus.JetStream().Stream(ctx, definition.Name) // another process has just created it
	}
	if err != nil {
		return nil, fmt.Errorf("queue: look up the object store %s: %w", want.Bucket, refused(err))
	}
	config := existing.CachedInfo().Config
	target := config
	if want.Replicas != 0 {
		target.Replicas = want.Replicas
	}
	if chosen.maxAge != 0 {
		target.MaxAge = want.TTL
	}
	if chosen.maxBytes != 0 {
		target.MaxBytes = want.MaxBytes
	}
	drift := update(&config, target)
	if drift, err = q.updateStream(ctx, config, drift); err != nil {
		return nil, fmt.Errorf("%w%s", err, definition.sizeHint(err))
	}
	return drift, nil
}

// createStore creates an object store. A default size is reduced like that of a stream.
// If there is no room at all the object store is not created, and large bodies are
// [events.ErrUnavailable].
func (q *Queue) createStore(ctx context.Context, want jetstream.ObjectStoreConfig, chosen chosen) error {
	want.Replicas = q.newReplicas(want.Replicas)
	for {
		_, err := q.Bus.JetStream().CreateObjectStore(ctx, want)
		if chosen.maxBytes != 0 || !insufficientStorage(err) {
			return err
		}
		if want.MaxBytes /= 2; want.MaxBytes < minStreamBytes {
			q.onChange(Drift{
				Stream: "OBJ_" + want.Bucket, Setting: "max_bytes", Was: "0", Is: "0",
				Why: "there is no room for large bodies, which are refused; give the NATS store more room",
			})
			return nil
		}
	}
}
