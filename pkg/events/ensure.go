package events

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Drift is one setting of a stream that Ensure found different and changed.
type Drift struct{ Stream, Setting, Was, Is string }

func (d Drift) String() string {
	return fmt.Sprintf("stream %s: %s was %s, is %s", d.Stream, d.Setting, d.Was, d.Is)
}

// Ensure creates the streams that are missing and updates those that differ. It
// may be called by any number of processes at once, again and again. It returns
// what it changed in streams that existed. A server that is too old, or takes too
// small messages, is an error that says so.
//
// What the table does not speak of, such as placement and compression, is the
// operator's and stays. What it does not allow, such as rollups on a stream that
// tenants publish to, is taken away; where the server cannot, Ensure fails.
//
// The bus remembers the topology: a stream that is gone later is made again when
// something is published to it or consumed from it, see [ErrStreamLost].
func (b *Bus) Ensure(ctx context.Context, t Topology) ([]Drift, error) {
	_, drift, err := b.ensure(ctx, t)
	if err == nil {
		b.healer.remember(t)
	}
	return drift, err
}

func (b *Bus) ensure(ctx context.Context, t Topology) (made []string, drift []Drift, err error) {
	chosen, t := t, t.withDefaults()
	info, err := b.js.AccountInfo(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("events: ask the server for JetStream: %w", refused(err))
	}
	if info.API.Level < t.MinServerAPILevel {
		return nil, nil, fmt.Errorf("events: the NATS server %s offers JetStream API level %d, and level %d is needed: run nats-server 2.14 or newer",
			b.nc.ConnectedServerVersion(), info.API.Level, t.MinServerAPILevel)
	}
	if most := b.nc.MaxPayload(); most < leastPayload {
		return nil, nil, fmt.Errorf("events: the NATS server takes messages of %d bytes at most, and %d are needed: raise its max_payload", most, leastPayload)
	}
	for _, want := range t.streams(b.Names) {
		want.Name, want.Storage, want.Replicas = b.Stream(want.stream), jetstream.FileStorage, t.Replicas
		isNew, changed, err := b.ensureStream(ctx, want.StreamConfig, chosen.elastic(want.stream))
		if err != nil {
			return made, drift, err
		}
		if isNew {
			made = append(made, want.Name)
		}
		drift = append(drift, changed...)
	}
	return made, drift, b.ensureBodies(ctx, t, chosen)
}

func (b *Bus) ensureStream(ctx context.Context, want jetstream.StreamConfig, elastic bool) (isNew bool, drift []Drift, err error) {
	existing, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err = b.createStream(ctx, want, elastic); err == nil {
			return true, nil, nil
		}
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return false, nil, fmt.Errorf("events: create stream %s: %w", want.Name, refused(err))
		}
		// Another process was quicker, and may be of another mind.
		existing, err = b.js.Stream(ctx, want.Name)
	}
	if err != nil {
		return false, nil, fmt.Errorf("events: look up stream %s: %w", want.Name, refused(err))
	}
	config := existing.CachedInfo().Config
	if elastic {
		want.MaxBytes = config.MaxBytes
	}
	if drift = impose(&config, want); len(drift) == 0 {
		return false, nil, nil
	}
	if _, err = b.js.UpdateStream(ctx, config); err != nil {
		return false, nil, fmt.Errorf("events: update stream %s (%v): %w", want.Name, drift, refused(err))
	}
	return false, drift, nil
}

// smallest is the least that a stream is given to hold.
const smallest = 1 << 20

// createStream makes a stream. An elastic one that has to give way takes at most
// half of the room that is left, since others come after it.
func (b *Bus) createStream(ctx context.Context, want jetstream.StreamConfig, elastic bool) error {
	full := want.MaxBytes
	for {
		_, err := b.js.CreateStream(ctx, want)
		if err == nil && want.MaxBytes < full {
			want.MaxBytes /= 2
			_, err = b.js.UpdateStream(ctx, want)
		}
		api, _ := errors.AsType[*jetstream.APIError](err)
		if !elastic || api == nil || api.ErrorCode != codeNoRoom || want.MaxBytes/8 < smallest {
			return err
		}
		want.MaxBytes /= 8
	}
}

// impose makes config what want says, and returns what differed.
func impose(config *jetstream.StreamConfig, want jetstream.StreamConfig) []Drift {
	var out []Drift
	change := func(setting string, now, to any) {
		was, is := reflect.ValueOf(now).Elem(), reflect.ValueOf(to)
		if reflect.DeepEqual(was.Interface(), to) {
			return
		}
		out = append(out, Drift{want.Name, setting, text(was), text(is)})
		was.Set(is)
	}
	change("description", &config.Description, want.Description)
	change("subjects", &config.Subjects, want.Subjects)
	change("retention", &config.Retention, want.Retention)
	change("storage", &config.Storage, want.Storage)
	change("replicas", &config.Replicas, want.Replicas)
	change("max age", &config.MaxAge, want.MaxAge)
	change("max messages", &config.MaxMsgs, unlimited(want.MaxMsgs))
	change("max bytes", &config.MaxBytes, unlimited(want.MaxBytes))
	change("max messages per subject", &config.MaxMsgsPerSubject, unlimited(want.MaxMsgsPerSubject))
	change("discard", &config.Discard, want.Discard)
	change("discard new per subject", &config.DiscardNewPerSubject, want.DiscardNewPerSubject)
	if want.Duplicates != 0 {
		change("duplicate window", &config.Duplicates, want.Duplicates)
	}
	change("no acknowledgements", &config.NoAck, want.NoAck)
	change("persist mode", &config.PersistMode, want.PersistMode)
	change("schedules", &config.AllowMsgSchedules, want.AllowMsgSchedules)
	change("message TTL", &config.AllowMsgTTL, want.AllowMsgTTL)
	change("rollups", &config.AllowRollup, want.AllowRollup)
	change("counters", &config.AllowMsgCounter, want.AllowMsgCounter)
	change("atomic batches", &config.AllowAtomicPublish, want.AllowAtomicPublish)
	change("fast batches", &config.AllowBatchPublish, want.AllowBatchPublish)
	change("deletion denied", &config.DenyDelete, want.DenyDelete)
	change("direct reads", &config.AllowDirect, want.AllowDirect)
	change("republish", &config.RePublish, want.RePublish)
	change("subject transform", &config.SubjectTransform, want.SubjectTransform)
	change("sources", &config.Sources, want.Sources)
	return out
}

// refused tells the server's answer, which stands, from the want of one.
func refused(err error) error {
	if _, ok := errors.AsType[*jetstream.APIError](err); ok {
		return err
	}
	return unavailable(err)
}

// text is a setting as people read it.
func text(v reflect.Value) string {
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if list, ok := v.Interface().([]string); ok {
		return strings.Join(list, " ")
	}
	return fmt.Sprintf("%v", v.Interface())
}

// unlimited is how the server writes that there is no limit.
func unlimited(v int64) int64 {
	if v == 0 {
		return -1
	}
	return v
}
