package oauth

import (
	"cmp"
	"context"
	"errors"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// abandon gives back what an authorisation has brought that came to nothing.
func (a *arrival) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*a.opts.CallTimeout)
	defer cancel()
	if a.got.Account == "" && a.user == nil {
		a.user = a.Tokens.user(ctx, a.def, a.urls.UserInfo, a.got.Access)
	}
	old, err := a.Service.Latest(ctx, a.flow.Ref())
	if err != nil {
		old = nil // whose the tokens are is found out without it, or not at all
	}
	key, account := a.grantKey(old)
	a.Tokens.abandon(ctx, key, a.def, a.config, a.app, a.got)
	for name, got := range a.companionReplies() {
		def, _ := a.def.Companion(name)
		a.Tokens.abandon(ctx, a.companionKey(name, cmp.Or(got.Account, account)), def, a.config, a.app, got)
	}
}

// abandon revokes tokens that came to nobody, also when no time is left for it. Not so
// while the tenant has a live grant of the account, which lies at key: some providers
// give the same token again, or end with one all that the account has given.
func (t *Tokens) abandon(ctx context.Context, key string, def *connectors.Connector, config []byte, app records.App, got reply) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.opts.CallTimeout)
	defer cancel()
	switch g, err := t.Grants.Latest(ctx, key); {
	case err == nil && g.State == records.GrantLive:
		return
	case err != nil && !errors.Is(err, records.ErrNotFound):
		t.problem(err)
		return // who cannot look must not harm
	}
	t.revoke(ctx, def, config, app, records.GrantTokens{Access: got.Access, Refresh: got.Refresh})
}

// giveBack revokes tokens that came when their grant was already gone.
func (t *Tokens) giveBack(ctx context.Context, g *records.Grant, config []byte, tokens records.GrantTokens) {
	def, err := t.connectorOf(g)
	if err != nil {
		return
	}
	if app, err := t.appOf(ctx, def, config); err == nil {
		t.revoke(ctx, def, config, app, tokens)
	}
}
