package app

import (
	"fmt"
	"math"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/hawser-io/hawser/internal/queue"
)

// sizes are the limits of the streams, as text for people: 512MiB, 8GiB. Empty and zero
// mean: as it is, and of a new stream the default of [queue.Topology].
type sizes struct {
	ActionsMaxBytes    string        `help:"What requests that wait may take; when full, they are refused. Default: as it is; at first 1GiB or a sixteenth of the store, where that is known." placeholder:"SIZE"`
	TenantRequests     uint64        `help:"Requests of one tenant that wait at once." default:"100000"`
	TenantRequestBytes string        `help:"What they may take. Default: a quarter of all." placeholder:"SIZE"`
	WebhooksMaxBytes   string        `help:"What webhooks may take; when full, providers get 503. Default: as it is; at first 8GiB or three eighths of the store." placeholder:"SIZE"`
	WebhooksMaxAge     time.Duration `help:"How long webhooks are kept. Default: as it is; at first 72h." placeholder:"TIME"`
	ResultsMaxBytes    string        `help:"What results may take. Default: as it is; at first 2GiB or an eighth of the store." placeholder:"SIZE"`
	ResultsMaxAge      time.Duration `help:"How long results are kept. Default: as it is; at first 24h." placeholder:"TIME"`
	EventsMaxBytes     string        `help:"What lifecycle events may take. Default: as it is; at first 2GiB or an eighth of the store." placeholder:"SIZE"`
	EventsMaxAge       time.Duration `help:"How long lifecycle events are kept. Default: as it is; at first 168h." placeholder:"TIME"`
	EvidenceMaxBytes   string        `help:"What quarantine and dead letters may take each. Default: as it is; at first 1GiB or a sixteenth of the store." placeholder:"SIZE"`
	EvidenceMaxAge     time.Duration `help:"How long quarantine and dead letters are kept. Default: as it is; at first 720h." placeholder:"TIME"`
}

// topology returns the streams that the settings ask for. [shared.check] has accepted them.
func (s *shared) topology() queue.Topology {
	t := queue.Topology{
		Replicas: s.Replicas, WebhooksMaxAge: s.WebhooksMaxAge, ResultsMaxAge: s.ResultsMaxAge,
		EventsMaxAge: s.EventsMaxAge, EvidenceMaxAge: s.EvidenceMaxAge,
	}
	t.ActionsMaxBytes, _ = parseSize(s.ActionsMaxBytes)
	t.WebhooksMaxBytes, _ = parseSize(s.WebhooksMaxBytes)
	t.ResultsMaxBytes, _ = parseSize(s.ResultsMaxBytes)
	t.EventsMaxBytes, _ = parseSize(s.EventsMaxBytes)
	t.EvidenceMaxBytes, _ = parseSize(s.EvidenceMaxBytes)
	return t
}

// quota returns what one tenant's requests may take.
func (s *shared) quota() queue.Quota {
	size, _ := parseSize(s.TenantRequestBytes)
	return queue.Quota{Messages: s.TenantRequests, Bytes: uint64(max(size, 0))}
}

func (s *shared) checkSizes() error {
	if s.Replicas < 0 || s.Replicas > 5 {
		return fmt.Errorf("--replicas %d: give 1 to 5", s.Replicas)
	}
	for _, size := range []struct{ flag, text string }{
		{"--actions-max-bytes", s.ActionsMaxBytes}, {"--tenant-request-bytes", s.TenantRequestBytes},
		{"--webhooks-max-bytes", s.WebhooksMaxBytes}, {"--results-max-bytes", s.ResultsMaxBytes},
		{"--events-max-bytes", s.EventsMaxBytes}, {"--evidence-max-bytes", s.EvidenceMaxBytes},
	} {
		if n, err := parseSize(size.text); err != nil || size.text != "" && n < 1<<20 {
			return fmt.Errorf("%s %q: give a size of at least 1MiB, such as 512MiB or 8GiB", size.flag, size.text)
		}
	}
	for flag, age := range map[string]time.Duration{
		"--webhooks-max-age": s.WebhooksMaxAge, "--results-max-age": s.ResultsMaxAge,
		"--events-max-age": s.EventsMaxAge, "--evidence-max-age": s.EvidenceMaxAge,
	} {
		if age != 0 && age < time.Minute {
			return fmt.Errorf("%s %v: give at least 1m", flag, age)
		}
	}
	return nil
}

// parseSize returns the bytes of a size such as 8GiB, and 0 of "".
func parseSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := humanize.ParseBytes(text)
	if err != nil || n > math.MaxInt64 {
		return 0, fmt.Errorf("%q is no size", text)
	}
	return int64(n), nil
}
