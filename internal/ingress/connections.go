package ingress

import (
	"context"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/pkg/connectors"
)

func (i *Ingress) listConnections(ctx context.Context, p params) (any, error) {
	return i.Service.List(ctx, p.tenant(), p.filter())
}

func (i *Ingress) countConnections(ctx context.Context, p params) (any, error) {
	n, err := i.Service.Count(ctx, p.tenant(), p.filter())
	return map[string]int{"count": n}, err
}

func (i *Ingress) getConnection(ctx context.Context, p params) (any, error) {
	return i.Service.Get(ctx, p.ref())
}

func (i *Ingress) connect(ctx context.Context, p params) (any, error) {
	return i.Service.Connect(ctx, p.ref(), connection.ConnectInput{
		Config: p.Config, Account: p.Account, Tags: p.Tags, Replace: p.Replace,
	})
}

func (i *Ingress) updateConnection(ctx context.Context, p params) (any, error) {
	return i.Service.Update(ctx, p.ref(), connection.UpdateInput{Enabled: p.Enabled, Config: p.Config, Tags: p.Tags})
}

func (i *Ingress) disconnect(ctx context.Context, p params) (any, error) {
	_, err := i.Service.Disconnect(ctx, p.ref())
	return nil, err
}

func (i *Ingress) toggle(ctx context.Context, p params) (any, error) {
	return i.Service.Toggle(ctx, p.ref())
}

func (i *Ingress) rotateWebhook(ctx context.Context, p params) (any, error) {
	return i.Service.RotateWebhook(ctx, p.ref())
}

func (i *Ingress) resolve(ctx context.Context, p params) (any, error) {
	return i.Service.Resolve(ctx, p.ref())
}

// refresh and select belong to OAuth connections.
func (i *Ingress) refresh(ctx context.Context, p params) (any, error) {
	return nil, i.notOAuth(ctx, p)
}

func (i *Ingress) selectSite(ctx context.Context, p params) (any, error) {
	return nil, i.notOAuth(ctx, p)
}

func (i *Ingress) notOAuth(ctx context.Context, p params) error {
	if _, err := i.Service.Get(ctx, p.ref()); err != nil {
		return err
	}
	return connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "%s is not connected by OAuth", p.Connector)
}
