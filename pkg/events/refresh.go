package events

import (
	"context"
	"strings"
	"time"
)

// RefreshTimer is the subject on which a grant's timer waits. There is one per
// grant: publishing there again replaces it.
func (n Names) RefreshTimer(grant string) string { return n.prefix + ".timer.refresh." + grant }

// RefreshDue is the subject on which a grant comes due.
func (n Names) RefreshDue(grant string) string { return n.prefix + ".due.refresh." + grant }

// RefreshDues matches every grant that is due.
func (n Names) RefreshDues() string { return n.prefix + ".due.refresh.>" }

// RefreshTimers matches every timer.
func (n Names) RefreshTimers() string { return n.prefix + ".timer.refresh.>" }

// GrantDue returns the grant of a subject of [Names.RefreshDue], or "".
func (n Names) GrantDue(subject string) string {
	grant, ok := strings.CutPrefix(subject, n.prefix+".due.refresh.")
	if !ok {
		return ""
	}
	return grant
}

// ScheduleRefresh has the grant come due at the given time, and no more at any
// other that was set before. It returns when the stream has it.
func (b *Bus) ScheduleRefresh(ctx context.Context, grant string, at time.Time) error {
	return b.publishStored(ctx, b.RefreshTimer(grant), schedule(at, b.RefreshDue(grant)), nil, nil)
}
