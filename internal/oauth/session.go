package oauth

import (
	"context"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// closeSession tells the connect session of a flow how it ended.
func (f *Flow) closeSession(ctx context.Context, flow *connection.Flow, status string, failed *connectors.Error) {
	if flow.Session == "" {
		return
	}
	s, err := f.sessions.Latest(ctx, flow.Session)
	if err != nil {
		f.problem(err)
		return
	}
	s.Status, s.Code = status, ""
	if failed != nil {
		s.Code = string(failed.Code)
	}
	if err := f.sessions.Save(ctx, s); err != nil {
		f.problem(err)
	}
}
