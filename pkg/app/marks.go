package app

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/records"
)

// markEvery is how often it is recorded how far the streams are.
const markEvery = 30 * time.Second

// checkMarks compares the streams with what was recorded of them, and logs and records
// what is missing.
func (n *node) checkMarks(ctx context.Context) error {
	recorded, err := n.marks.Get(ctx)
	if err != nil {
		return err
	}
	var was map[string]queue.Mark
	if len(recorded.Streams) > 0 && json.Unmarshal(recorded.Streams, &was) != nil {
		was = nil // a newer version wrote it
	}
	now := time.Now()
	is, err := n.queue.Marks(ctx)
	if err != nil {
		return err
	}
	var losses []records.Loss
	for _, what := range queue.Missing(was, is, now) {
		n.log.Error().Str("loss", what).Msg("messages that were acknowledged are missing: restore a backup, or ask the providers to send again")
		losses = append(losses, records.Loss{At: now.UTC(), What: what})
	}
	text, err := json.Marshal(is)
	if err != nil {
		return err
	}
	return n.marks.Put(ctx, text, losses, 0)
}

// recordMarks records now and then how far the streams are, until ctx ends.
func (n *node) recordMarks(ctx context.Context) error {
	tick := time.NewTicker(markEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		marks, err := n.queue.Marks(ctx)
		if err == nil {
			var text []byte
			if text, err = json.Marshal(marks); err == nil {
				err = n.marks.Put(ctx, text, nil, markEvery-time.Second)
			}
		}
		if err != nil && ctx.Err() == nil {
			n.problem(err)
		}
	}
}
