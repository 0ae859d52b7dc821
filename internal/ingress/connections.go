package ingress

import (
	"context"

	"github.com/hawser-io/hawser/internal/connection"
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

func (i *Ingress) updateConnection(ctx context.Context, p params) (any, error) {
	grace, err := p.secretGrace()
	if err != nil {
		return nil, err
	}
	return i.Service.Update(ctx, p.ref(), connection.UpdateInput{Enabled: p.Enabled, Config: p.Config, SecretGrace: grace, Tags: p.Tags})
}

func (i *Ingress) toggle(ctx context.Context, p params) (any, error) {
	return i.Service.Toggle(ctx, p.ref())
}

func (i *Ingress) rotateWebhook(ctx context.Context, p params) (any, error) {
	return i.Service.RotateWebhook(ctx, p.ref())
}
