package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// minStreamBytes is the least size that a stream gets.
	minStreamBytes = 1 << 20
	// clusterReplicas are the copies of a new stream in a cluster.
	clusterReplicas = 3
	// reducedMark is the metadata of a stream whose default size was reduced.
	reducedMark = "hawser-reduced"
)

// Error codes of the server that the client has no names for.
const (
	codeNoSuitablePeers     = 10005 // too few servers; the text says what they lack
	codeInsufficientStorage = 10047 // no room for the size of a stream
	codeNotClustered        = 10074 // more than one copy on a single server
)

// newReplicas are the copies of a stream that does not exist yet.
func (q *Queue) newReplicas(chosen int) int {
	switch {
	case chosen != 0:
		return chosen
	case q.Bus.JetStream().Conn().ConnectedClusterName() != "":
		return clusterReplicas
	}
	return 1
}

// createStream creates a stream. A default size that does not fit is reduced to at most
// half of the room that is left, so that the streams after it have room too.
func (q *Queue) createStream(ctx context.Context, want definition) error {
	js := q.Bus.JetStream()
	want.Replicas = q.newReplicas(want.Replicas)
	full := want.MaxBytes
	reduce := func(by int64) {
		want.MaxBytes /= by
		want.Metadata = map[string]string{reducedMark: "true"}
	}
	if want.chosen.maxBytes == 0 && want.MaxBytes < want.full {
		reduce(1)
	}
	for {
		_, err := js.CreateStream(ctx, want.StreamConfig)
		if err == nil && want.MaxBytes < full {
			want.MaxBytes /= 2
			_, err = js.UpdateStream(ctx, want.StreamConfig)
		}
		if err == nil && want.MaxBytes < want.full && want.chosen.maxBytes == 0 {
			q.onChange(want.reduced(want.MaxBytes))
		}
		if want.chosen.maxBytes != 0 || !insufficientStorage(err) || want.MaxBytes/8 < minStreamBytes {
			return err
		}
		reduce(8)
	}
}

func (want definition) reduced(to int64) Drift {
	return Drift{
		Stream: want.Name, Setting: "max_bytes", Was: strconv.FormatInt(want.full, 10), Is: strconv.FormatInt(to, 10),
		Why: "the NATS store has no room for the default; give it more, or set " + want.chosen.setting,
	}
}

// growStream raises a default size that was reduced to target, if there is room now.
func (q *Queue) growStream(ctx context.Context, want definition, config jetstream.StreamConfig, target int64) ([]Drift, error) {
	if config.Metadata[reducedMark] == "" {
		return nil, nil
	}
	config.Metadata = maps.Clone(config.Metadata)
	if want.chosen.maxBytes != 0 || target >= want.full {
		delete(config.Metadata, reducedMark)
	}
	if want.chosen.maxBytes != 0 {
		_, err := q.Bus.JetStream().UpdateStream(ctx, config)
		return nil, err
	}
	q.onChange(want.reduced(config.MaxBytes))
	if target <= config.MaxBytes {
		return nil, nil
	}
	grown := Drift{
		Stream: want.Name, Setting: "max_bytes", Was: strconv.FormatInt(config.MaxBytes, 10), Is: strconv.FormatInt(target, 10),
		Why: "it was reduced, and there may be room now",
	}
	config.MaxBytes = target
	drift, err := q.updateStream(ctx, config, []Drift{grown})
	if insufficientStorage(err) {
		return nil, nil
	}
	return drift, err
}

// createError says what to do about a stream that cannot be created.
func (q *Queue) createError(want definition, err error) error {
	replicas := q.newReplicas(want.Replicas)
	hint := want.sizeHint(err)
	api, _ := errors.AsType[*jetstream.APIError](err)
	switch {
	case hint != "" || api == nil:
	case api.ErrorCode == codeNotClustered:
		hint = ": the NATS system is a single server; leave --replicas out, or run a cluster"
	case api.ErrorCode == codeNoSuitablePeers && want.Replicas == 0:
		hint = ": a stream in a cluster gets 3 replicas; start three servers with JetStream, or set --replicas"
	case api.ErrorCode == codeNoSuitablePeers:
		hint = ": the cluster has too few servers with JetStream for --replicas " + strconv.Itoa(replicas)
	}
	return fmt.Errorf("queue: create stream %s with %d replicas: %w%s", want.Name, replicas, refused(err), hint)
}

// sizeHint says which setting to change if the server has no room, and else nothing.
func (want definition) sizeHint(err error) string {
	switch {
	case !insufficientStorage(err):
		return ""
	case want.chosen.maxBytes != 0:
		return fmt.Sprintf(": the NATS store has no room for %d bytes; set %s lower, or give the store more room", want.MaxBytes, want.chosen.setting)
	}
	return ": the NATS store is full or its limit too low; give it more room"
}

func insufficientStorage(err error) bool {
	api, ok := errors.AsType[*jetstream.APIError](err)
	return ok && (api.ErrorCode == codeInsufficientStorage ||
		api.ErrorCode == codeNoSuitablePeers && strings.Contains(api.Description, "insufficient storage"))
}
