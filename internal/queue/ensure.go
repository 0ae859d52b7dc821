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
type Drift struct {
	Stream, Setting, Was, Is string
	Why                      string // "" if the setting was chosen
}

func (d Drift) String() string {
	text := fmt.Sprintf("stream %s: %s was %s, is %s", d.Stream, d.Setting, d.Was, d.Is)
	if d.Why != "" {
		text += ": " + d.Why
	}
	return text
}

// Ensure creates the streams that do not exist, and updates those whose settings
// differ from what was chosen. It returns the settings that it changed; each is reported
// to [Options.OnChange] before it is changed. Any number of processes may call it at
// once, and repeatedly. It is an error if the server is too old or accepts only smaller
// messages.
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
	limit, err := q.checkServer(ctx, t.withDefaults().MinServerAPILevel)
	if err != nil {
		return out, err
	}
	t.StoreBytes = cmp.Or(limit, t.StoreBytes)
	for _, want := range t.streams(q.Bus.Subjects) {
		created, drift, err := q.ensureStream(ctx, want)
		if err != nil {
			return out, err
		}
		if created {
			out.created = append(out.created, want.Name)
		}
		out.drift = append(out.drift, drift...)
	}
	drift, err := q.ensureBodies(ctx, t)
	out.drift = append(out.drift, drift...)
	return out, err
}

// checkServer returns an error if the server is too old or accepts too small messages,
// and the bytes that the account may store, 0 if it has no limit.
func (q *Queue) checkServer(ctx context.Context, minAPILevel int) (limit int64, err error) {
	js := q.Bus.JetStream()
	info, err := js.AccountInfo(ctx)
	if err != nil {
		return 0, fmt.Errorf("queue: ask the server for JetStream: %w", refused(err))
	}
	if info.API.Level < minAPILevel {
		return 0, fmt.Errorf("queue: the NATS server %s offers JetStream API level %d, and level %d is needed: run nats-server 2.14 or newer",
			js.Conn().ConnectedServerVersion(), info.API.Level, minAPILevel)
	}
	if limit := js.Conn().MaxPayload(); limit < minPayload {
		return 0, fmt.Errorf("queue: the NATS server accepts messages of at most %d bytes, and %d are needed: raise its max_payload", limit, minPayload)
	}
	return max(info.Limits.MaxStore, 0), nil
}

func (q *Queue) ensureStream(ctx context.Context, want definition) (created bool, drift []Drift, err error) {
	existing, err := q.Bus.JetStream().Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err = q.createStream(ctx, want); err == nil {
			return true, nil, nil
		}
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return false, nil, q.createError(want, err)
		}
		// Another process has just created it, perhaps with other settings.
		existing, err = q.Bus.JetStream().Stream(ctx, want.Name)
	}
	if err != nil {
		return false, nil, fmt.Errorf("queue: look up stream %s: %w", want.Name, refused(err))
	}
	config := existing.CachedInfo().Config
	target := want.MaxBytes
	want.asItIs(config)
	drift = update(&config, want.StreamConfig)
	drift, err = q.updateStream(ctx, config, drift)
	if err != nil {
		return false, nil, fmt.Errorf("%w%s", err, want.sizeHint(err))
	}
	grown, err := q.growStream(ctx, want, config, target)
	return false, append(drift, grown...), err
}

// asItIs sets what was not chosen to what the stream has.
func (want *definition) asItIs(have jetstream.StreamConfig) {
	want.Replicas = cmp.Or(want.Replicas, have.Replicas)
	if want.chosen.maxBytes == 0 && want.MaxBytes > 0 {
		want.MaxBytes = have.MaxBytes
	}
	if want.chosen.maxAge == 0 && want.MaxAge > 0 {
		want.MaxAge = have.MaxAge
	}
	if want.chosen.maxMsgs == 0 && want.MaxMsgs > 0 {
		want.MaxMsgs = have.MaxMsgs
	}
}

// updateStream reports the changes, and then makes them.
func (q *Queue) updateStream(ctx context.Context, config jetstream.StreamConfig, drift []Drift) ([]Drift, error) {
	if len(drift) == 0 {
		return nil, nil
	}
	for _, d := range drift {
		q.onChange(d)
	}
	if _, err := q.Bus.JetStream().UpdateStream(ctx, config); err != nil {
		return nil, fmt.Errorf("queue: update stream %s (%v): %w", config.Name, drift, refused(err))
	}
	return drift, nil
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
	if len(want.Sources) == 0 { // with one, zero means none
		want.Duplicates = cmp.Or(want.Duplicates, config.Duplicates)
	}
	var out []Drift
	for _, name := range decided {
		field, _ := reflect.TypeFor[jetstream.StreamConfig]().FieldByName(name)
		was, is := reflect.ValueOf(config).Elem().FieldByIndex(field.Index), reflect.ValueOf(want).FieldByIndex(field.Index)
		if reflect.DeepEqual(was.Interface(), is.Interface()) {
			continue
		}
		setting, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		out = append(out, Drift{Stream: want.Name, Setting: setting, Was: text(was), Is: text(is)})
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
