package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/hawser-io/hawser/internal/audit"
	"github.com/hawser-io/hawser/internal/ingress/problem"
)

// auditTrail shows the audit trail.
type auditTrail struct{ trail *audit.Trail }

// auditPage is a page of entries, newest first.
type auditPage struct {
	Items      []audit.Entry `json:"items"`
	NextCursor string        `json:"next_cursor,omitempty"`
}

func (t auditTrail) list(ctx context.Context, p params) (any, error) {
	limit, before := defaultPageSize, uint64(0)
	if p.Limit != nil {
		limit = *p.Limit
	}
	if limit < 1 || limit > maxPageSize {
		return nil, problem.Invalid("limit", "must be a whole number from 1 to 200")
	}
	if p.Cursor != "" {
		var err error
		if before, err = strconv.ParseUint(p.Cursor, 10, 62); err != nil || before == 0 {
			return nil, problem.Invalid("cursor", "must be the next_cursor of an earlier answer")
		}
	}
	matches := func(e audit.Entry) bool {
		for _, pair := range [][2]string{{p.Actor, e.Actor}, {p.Operation, e.Operation}, {p.Outcome, string(e.Outcome)}, {p.Scope, e.Scope}, {p.Identity, e.Identity}} {
			if pair[0] != "" && pair[0] != pair[1] {
				return false
			}
		}
		return true
	}
	found, next, err := t.trail.Before(ctx, before, limit, matches)
	if err != nil {
		return nil, problem.OfStream(err)
	}
	page := auditPage{Items: found}
	if next > 0 {
		page.NextCursor = strconv.FormatUint(next, 10)
	}
	return page, nil
}

// auditLast is the header with the sequence of the newest entry that was appended.
const auditLast = "Hawser-Audit-Last"

// export is GET /audit/export: all entries as they are stored, oldest first, as JSON Lines.
func (t auditTrail) export(w http.ResponseWriter, r *http.Request) {
	last, err := t.trail.Last(r.Context())
	if err != nil {
		problem.Write(w, problem.OfStream(err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/jsonl")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set(auditLast, strconv.FormatUint(last, 10))
	out := http.NewResponseController(w)
	err = t.trail.Export(r.Context(), func(data []byte) bool {
		_ = out.SetWriteDeadline(time.Now().Add(feedWriteTimeout)) // a writer may have no deadlines
		_, err := w.Write(append(slices.Clip(data), '\n'))
		return err == nil
	})
	if err != nil {
		panic(http.ErrAbortHandler) // so that a truncated export is not taken for a whole one
	}
}
