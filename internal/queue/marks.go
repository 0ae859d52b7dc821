package queue

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Mark is how far a stream was at a time. A stream that is behind its mark has lost
// messages that it had acknowledged.
type Mark struct {
	First   uint64        `json:"first"`
	Last    uint64        `json:"last"`
	Deleted uint64        `json:"deleted"` // between first and last
	Oldest  time.Time     `json:"oldest"`  // when the first was stored
	MaxAge  time.Duration `json:"max_age"`
	Full    bool          `json:"full"` // old messages may be removed for new ones
}

// Marks returns the marks of all streams and buckets of the installation, by the name of
// the stream.
func (q *Queue) Marks(ctx context.Context) (map[string]Mark, error) {
	ctx, cancel := q.Bus.Deadline(ctx)
	defer cancel()
	bucket := "KV_" + q.Bus.Subjects.Bucket("")
	stream := strings.TrimSuffix(q.Bus.Subjects.StreamName(Probe), string(Probe))
	marks := map[string]Mark{}
	list := q.Bus.JetStream().ListStreams(ctx)
	for info := range list.Info() {
		name, state := info.Config.Name, info.State
		if !strings.HasPrefix(name, bucket) && !strings.HasPrefix(name, stream) || name == q.Bus.Subjects.StreamName(Probe) {
			continue
		}
		marks[name] = Mark{
			First: state.FirstSeq, Last: state.LastSeq, Deleted: uint64(state.NumDeleted), Oldest: state.FirstTime,
			MaxAge: info.Config.MaxAge, Full: name != q.Bus.Subjects.StreamName("WEBHOOKS"),
		}
	}
	if err := list.Err(); err != nil {
		return nil, unavailable(err)
	}
	return marks, nil
}

// Missing says what streams have lost since the marks were recorded, a sentence for each.
func Missing(recorded, now map[string]Mark, at time.Time) (losses []string) {
	for name, was := range recorded {
		is, exists := now[name]
		switch {
		case !exists:
			losses = append(losses, fmt.Sprintf("stream %s is gone, with %d messages", name, was.Last))
		case is.Last < was.Last:
			losses = append(losses, fmt.Sprintf("stream %s ended at sequence %d and ends at %d now: the messages between are lost", name, was.Last, is.Last))
		case was.Full || was.Oldest.IsZero():
		case is.First > was.First && (is.MaxAge == 0 || was.Oldest.Add(min(was.MaxAge, is.MaxAge)).After(at)):
			losses = append(losses, fmt.Sprintf("stream %s began at sequence %d and begins at %d now: messages between are lost", name, was.First, is.First))
		case is.Deleted > was.Deleted:
			losses = append(losses, fmt.Sprintf("stream %s lacks %d more messages between its first and its last than before; that is right only if a tenant was deleted meanwhile", name, is.Deleted-was.Deleted))
		}
	}
	return losses
}
