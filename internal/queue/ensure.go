package queue

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
// The queue remembers the topology: a stream that is deleted later is created again
// when something is published to it or consumed from it, see [ErrStreamRecreated].
func (q *Queue) Ensure(ctx context.Context, t Topology) ([]Drift, error) {
	result, err := q.ensure(ctx, t)
	if err == nil {
		q.mu.Lock()
		q.topology = &t
		q.mu.Unlock()
	}
	return result.drift, err
}

// ensured is what [Queue.ensure] did.
type ensured struct {
	created []string // names of streams
	drift   []Drift
}

func (q *Queue) ensure(ctx context.Context, t Topology) (ensured, error) {
	chosen, t := t, t.withDefaults()
	var out ensured
	if err := q.checkServer(ctx, t); err != nil {
		return out, err
	}
	for _, want := range t.streams(q.Bus.Subjects) {
		want.Name, want.Storage, want.Replicas = q.Bus.Subjects.StreamName(want.stream), jetstream.FileStorage, t.Replicas
		created, drift, err := q.ensureStream(ctx, want.StreamConfig, chosen.elastic(want.stream))
		if err != nil {
			return out, err
		}
		if created {
			out.created = append(out.created, want.Name)
		}
		out.drift = append(out.drift, drift...)
	}
	return out, q.Bodies.ensure(ctx, t, chosen)
}

// checkServer returns an error if the server is too old or accepts too small messages.
func (q *Queue) checkServer(ctx context.Context, t Topology) error {
	js := q.Bus.JetStream()
	info, err := js.AccountInfo(ctx)
	if err != nil {
		return fmt.Errorf("queue: ask the server for JetStream: %w", refused(err))
	}
	if info.API.Level < t.MinServerAPILevel {
		return fmt.Errorf("queue: the NATS server %s offers JetStream API level %d, and level %d is needed: run nats-server 2.14 or newer",
			js.Conn().ConnectedServerVersion(), info.API.Level, t.MinServerAPILevel)
	}
	if limit := js.Conn().MaxPayload(); limit < minPayload {
		return fmt.Errorf("queue: the NATS server accepts messages of at most %d bytes, and %d are needed: raise its max_payload", limit, minPayload)
	}
	return nil
}

func (q *Queue) ensureStream(ctx context.Context, want jetstream.StreamConfig, elastic bool) (created bool, drift []Drift, err error) {
	existing, err := q.Bus.JetStream().Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err = q.createStream(ctx, want, elastic); err == nil {
			return true, nil, nil
		}
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return false, nil, fmt.Errorf("queue: create stream %s: %w", want.Name, refused(err))
		}
		// Another process was quicker, and may be of another mind.
		existing, err = q.Bus.JetStream().Stream(ctx, want.Name)
	}
	if err != nil {
		return false, nil, fmt.Errorf("queue: look up stream %s: %w", want.Name, refused(err))
	}
	config := existing.CachedInfo().Config
	if elastic {
		want.MaxBytes = config.MaxBytes
	}
	if drift = impose(&config, want); len(drift) == 0 {
		return false, nil, nil
	}
	if _, err = q.Bus.JetStream().UpdateStream(ctx, config); err != nil {
		return false, nil, fmt.Errorf("queue: update stream %s (%v): %w", want.Name, drift, refused(err))
	}
	return false, drift, nil
}

const (
	// minStreamBytes is the least size that a stream gets.
	minStreamBytes = 1 << 20
	// codeInsufficientStorage is the server's error code for a stream whose size the
	// store has no room for. The client has no name for it.
	codeInsufficientStorage = 10047
)

// createStream makes a stream. An elastic one that has to give way takes at most
// half of the room that is left, since others come after it.
func (q *Queue) createStream(ctx context.Context, want jetstream.StreamConfig, elastic bool) error {
	full := want.MaxBytes
	for {
		_, err := q.Bus.JetStream().CreateStream(ctx, want)
		if err == nil && want.MaxBytes < full {
			want.MaxBytes /= 2
			_, err = q.Bus.JetStream().UpdateStream(ctx, want)
		}
		api, _ := errors.AsType[*jetstream.APIError](err)
		if !elastic || api == nil || api.ErrorCode != codeInsufficientStorage || want.MaxBytes/8 < minStreamBytes {
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
