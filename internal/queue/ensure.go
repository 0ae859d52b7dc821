package queue

import (
	"cmp"
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

// Ensure creates the streams that do not exist, and updates those whose settings
// differ. It returns the settings that it changed. Any number of processes may call it
// at once, and repeatedly. It is an error if the server is too old or accepts only
// smaller messages.
//
// Settings that are not in [decided], placement and compression for example, are the
// operator's. If the server cannot change a setting, such as schedules on a stream that
// tenants publish to, Ensure fails.
//
// The queue remembers the topology: a stream that is deleted later is created again
// when a message is published to it or consumed from it, see [ErrStreamRecreated].
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
	var out ensured
	if err := q.checkServer(ctx, t.withDefaults().MinServerAPILevel); err != nil {
		return out, err
	}
	for _, want := range t.streams(q.Bus.Subjects) {
		want.Name, want.Storage, want.Replicas = q.Bus.Subjects.StreamName(want.stream), jetstream.FileStorage, max(t.Replicas, 1)
		created, drift, err := q.ensureStream(ctx, want)
		if err != nil {
			return out, err
		}
		if created {
			out.created = append(out.created, want.Name)
		}
		out.drift = append(out.drift, drift...)
	}
	return out, q.Bodies.ensure(ctx, t)
}

// checkServer returns an error if the server is too old or accepts too small messages.
func (q *Queue) checkServer(ctx context.Context, minAPILevel int) error {
	js := q.Bus.JetStream()
	info, err := js.AccountInfo(ctx)
	if err != nil {
		return fmt.Errorf("queue: ask the server for JetStream: %w", refused(err))
	}
	if info.API.Level < minAPILevel {
		return fmt.Errorf("queue: the NATS server %s offers JetStream API level %d, and level %d is needed: run nats-server 2.14 or newer",
			js.Conn().ConnectedServerVersion(), info.API.Level, minAPILevel)
	}
	if limit := js.Conn().MaxPayload(); limit < minPayload {
		return fmt.Errorf("queue: the NATS server accepts messages of at most %d bytes, and %d are needed: raise its max_payload", limit, minPayload)
	}
	return nil
}

func (q *Queue) ensureStream(ctx context.Context, want definition) (created bool, drift []Drift, err error) {
	js := q.Bus.JetStream()
	existing, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err = createStream(ctx, js, want); err == nil {
			return true, nil, nil
		}
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return false, nil, fmt.Errorf("queue: create stream %s: %w", want.Name, refused(err))
		}
		// Another process has just created it, perhaps with other settings.
		existing, err = js.Stream(ctx, want.Name)
	}
	if err != nil {
		return false, nil, fmt.Errorf("queue: look up stream %s: %w", want.Name, refused(err))
	}
	config := existing.CachedInfo().Config
	if !want.exactMax {
		want.MaxBytes = config.MaxBytes
	}
	if drift = update(&config, want.StreamConfig); len(drift) == 0 {
		return false, nil, nil
	}
	if _, err = js.UpdateStream(ctx, config); err != nil {
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

// createStream creates a stream. A default size that does not fit is reduced to at most
// half of the room that is left, so that the streams after it have room too.
func createStream(ctx context.Context, js jetstream.JetStream, want definition) error {
	full := want.MaxBytes
	for {
		_, err := js.CreateStream(ctx, want.StreamConfig)
		if err == nil && want.MaxBytes < full {
			want.MaxBytes /= 2
			_, err = js.UpdateStream(ctx, want.StreamConfig)
		}
		if want.exactMax || !insufficientStorage(err) || want.MaxBytes/8 < minStreamBytes {
			return err
		}
		want.MaxBytes /= 8
	}
}

func insufficientStorage(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && api.ErrorCode == codeInsufficientStorage
}

// decided are the fields of a stream's config that the table decides.
var decided = []string{
	"Description", "Subjects", "Retention", "Storage", "Replicas", "MaxAge", "MaxMsgs", "MaxBytes", "MaxMsgsPerSubject",
	"Discard", "DiscardNewPerSubject", "Duplicates", "NoAck", "PersistMode", "AllowMsgSchedules", "AllowMsgTTL", "AllowRollup",
	"AllowMsgCounter", "AllowAtomicPublish", "AllowBatchPublish", "DenyDelete", "AllowDirect", "RePublish", "SubjectTransform", "Sources",
}

// update sets the decided fields of config to those of want, and returns the changes.
func update(config *jetstream.StreamConfig, want jetstream.StreamConfig) []Drift {
	// The server fills in these where they are zero.
	want.MaxMsgs, want.MaxBytes = cmp.Or(want.MaxMsgs, -1), cmp.Or(want.MaxBytes, -1)
	want.MaxMsgsPerSubject = cmp.Or(want.MaxMsgsPerSubject, -1)
	want.Duplicates = cmp.Or(want.Duplicates, config.Duplicates)
	var out []Drift
	for _, name := range decided {
		field, _ := reflect.TypeFor[jetstream.StreamConfig]().FieldByName(name)
		was, is := reflect.ValueOf(config).Elem().FieldByIndex(field.Index), reflect.ValueOf(want).FieldByIndex(field.Index)
		if reflect.DeepEqual(was.Interface(), is.Interface()) {
			continue
		}
		setting, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		out = append(out, Drift{want.Name, setting, text(was), text(is)})
		was.Set(is)
	}
	return out
}

func text(setting reflect.Value) string {
	if setting.Kind() == reflect.Pointer && !setting.IsNil() {
		setting = setting.Elem()
	}
	return fmt.Sprint(setting.Interface())
}
