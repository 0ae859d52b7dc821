package natskv

import (
	"context"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

const (
	// markerSlack is added to the age of the oldest marker that may still be
	// there: removal runs a little after its time.
	markerSlack = 10 * time.Second
	// countTries bounds how often Count starts again because something moved,
	// after pauses that double from countPause: a burst of expiring markers is
	// waited out, writes without end are not.
	countTries = 7
	countPause = time.Millisecond
)

// Count implements [kvstore.Counter] without reading values or names: the
// server knows how many subjects match, and of these the markers are taken
// off. A marker is never older than the marker's TTL, so only the headers of
// what changed in the last minute are looked at, and mostly nothing did: then
// a count is three small requests.
//
// Exactness. The stream keeps one message per subject, so matching messages =
// keys + markers. Markers vanish by themselves between two requests; if the
// total is the same before and after the markers were counted, none did. On a
// cluster, totals come from the leader, and the markers from a replica that
// has reached the newest matching message of the leader.
//
// Markers that other tools leave without a TTL are counted as keys once they
// are older than a minute, until [Store.Sweep]. So are, for less than a
// second, markers that fell due while a server was down.
func (s *Store) Count(ctx context.Context, filter string) (int, error) {
	if err := kvstore.CheckFilter(filter); err != nil {
		return 0, s.wrap("count", filter, err)
	}
	ctx, cancel := s.bound(ctx)
	defer cancel()
	wait := countPause
	for try := 1; ; try++ {
		n, settled, err := s.countOnce(ctx, filter)
		if err != nil {
			return 0, s.wrap("count", filter, err)
		}
		// With writes without end one has to do: it is off by these at most.
		if settled || try == countTries {
			return max(n, 0), nil
		}
		if err := pause(ctx, wait); err != nil {
			return 0, s.wrap("count", filter, unavailable(err))
		}
		wait *= 2
	}
}

// countOnce counts; settled means that nothing relevant moved meanwhile.
func (s *Store) countOnce(ctx context.Context, filter string) (n int, settled bool, err error) {
	// By the server's clock: ours may be an hour off.
	info, err := s.info(ctx, "")
	if err != nil {
		return 0, false, err
	}
	since := info.Time.Add(-s.markerTTL - markerSlack)
	recent, err := s.leaderGet(ctx, leaderGet{NextFor: s.prefix + filter, StartTime: &since})
	if err != nil {
		return 0, false, err
	}
	if recent.seq == 0 {
		n, err = s.total(ctx, filter, info.replicated())
		return n, true, err
	}
	before, err := s.total(ctx, filter, info.replicated())
	if err != nil {
		return 0, false, err
	}
	markers, err := s.markers(ctx, filter, recent.seq, info.replicated())
	if err != nil {
		return 0, false, err
	}
	after, err := s.total(ctx, filter, info.replicated())
	return after - markers, markers == 0 || before == after, err
}

// markers counts the markers from a sequence on.
func (s *Store) markers(ctx context.Context, filter string, from uint64, replicated bool) (int, error) {
	for {
		// The consumer may run on a follower; it has to come up to here.
		var newest uint64
		if replicated {
			r, err := s.leaderGet(ctx, leaderGet{LastFor: s.prefix + filter})
			if err != nil {
				return 0, err
			}
			newest = r.seq
		}
		var seen uint64
		gone := map[string]struct{}{} // keys whose last message is a marker
		err := s.scan(ctx, scan{filter: filter, from: from, headersOnly: true}, func(r record) bool {
			seen = r.seq
			if r.absent() {
				gone[r.key] = struct{}{}
			} else {
				delete(gone, r.key)
			}
			return true
		})
		if err != nil || seen >= newest {
			return len(gone), err
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return 0, unavailable(err)
		}
	}
}

// total returns how many messages match filter. On a cluster it asks the
// leader, which walks the names; a single server answers from its index.
func (s *Store) total(ctx context.Context, filter string, replicated bool) (int, error) {
	if replicated {
		info, err := s.info(ctx, s.prefix+filter)
		return info.Total, err
	}
	request := map[string]any{"seq": 1, "next_by_subj": s.prefix + filter, "batch": 1}
	first, end, err := s.direct(ctx, request, 2)
	return len(first) + end.pending, err
}

// streamInfo is the part of a stream's information that Count needs.
type streamInfo struct {
	Total  int       // how many subjects match
	Time   time.Time `json:"ts"` // by the server's clock
	Config struct {
		Replicas int `json:"num_replicas"`
	}
}

func (i streamInfo) replicated() bool { return i.Config.Replicas > 1 }

// info asks the leader. With a subject, it also counts matching subjects.
func (s *Store) info(ctx context.Context, subject string) (streamInfo, error) {
	request := map[string]any{}
	if subject != "" {
		// An offset beyond the end: the total without a single name.
		request = map[string]any{"subjects_filter": subject, "offset": math.MaxInt32}
	}
	var reply struct {
		streamInfo
		Error *jetstream.APIError
	}
	if err := s.ask(ctx, "STREAM.INFO", request, &reply); err != nil {
		return streamInfo{}, err
	}
	if reply.Error != nil {
		return streamInfo{}, unavailable(reply.Error)
	}
	return reply.streamInfo, nil
}
