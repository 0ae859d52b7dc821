package client_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/pkg/client"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// tenants whose names want to be mistaken for each other.
var tenants = []string{"o", "o:evil", "a.b", "a*", "ünï"}

func aTenantsCredentialsAreEnough(t *testing.T, s *system) {
	operator := s.client(t, nil)
	for _, identity := range tenants {
		connected(t, operator.Scope("user", identity))
	}
	for _, identity := range tenants {
		own := s.tenant(t, "user", identity).Scope("user", identity)
		results := on(t, own, client.Filter{Topic: client.Results}, nil)
		lifecycle := on(t, own, client.Filter{Name: "action.completed"}, nil)
		webhooks := on(t, own, client.Filter{Topic: client.Webhooks}, nil)
		for _, a := range []*client.Action{
			own.Action("echo", "say"), own.Action("echo", "say").With(client.PublishOptions{ID: "mine"}),
		} {
			got, err := client.Call[heard](t.Context(), a, said{identity})
			if err != nil || got.Text != identity {
				t.Errorf("%s: say = %+v, %v", identity, got, err)
			}
			next(t, results)
			next(t, lifecycle)
		}
		_, err := own.Action("echo", "say").With(client.PublishOptions{ID: "mine"}).Call(t.Context(), said{"another input"})
		wantCode(t, err, connectors.CodeConnectorIdempotencyConflict)
		next(t, results)
		id, err := own.Action("echo", "say").Publish(t.Context(), said{"hi"}, nil)
		if err != nil {
			t.Fatalf("%s: publish: %v", identity, err)
		}
		if e := next(t, results); e.RequestID != id || e.Tenant.Identity != identity {
			t.Errorf("%s: heard the result of %s of %q, want of %s", identity, e.RequestID, e.Tenant.Identity, id)
		}
		next(t, lifecycle)
		conn, err := operator.Scope("user", identity).Connect(t.Context(), "echo",
			echoConfig{APIKey: secretText("k-0123456789"), WebhookSecret: secretText("sign")}, &client.ConnectOptions{Replace: true})
		if err != nil {
			t.Fatal(err)
		}
		post(t, conn.WebhookURL.Reveal(), "x", "{}")
		if e := next(t, webhooks); e.Tenant.Identity != identity || e.Name != "x" {
			t.Errorf("%s: heard the webhook %s of %q", identity, e.Name, e.Tenant.Identity)
		}
		if len(results)+len(lifecycle)+len(webhooks) != 0 {
			t.Errorf("%s heard more than its own", identity)
		}
	}
}

func TestWhatATenantMayNotIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := newClient(t, w.TenantConn(t, "organization", "o"), &client.Options{Tenant: true})
	org := c.Scope("organization", "o")
	_, err := org.Get(t.Context(), "echo")
	wantCode(t, err, connectors.CodeForbidden)
	_, err = c.Connectors(t.Context(), nil)
	wantCode(t, err, connectors.CodeForbidden)
	_, err = org.Action("echo", "say").Result(t.Context(), "1")
	wantCode(t, err, connectors.CodeForbidden)
	_, err = c.On(t.Context(), client.Filter{}, nil, nil)
	wantCode(t, err, connectors.CodeForbidden)
	for _, opts := range []*client.OnOptions{{Durable: "d"}, {Since: time.Unix(0, 0)}} {
		_, err = org.On(t.Context(), client.Filter{}, nil, opts)
		wantCode(t, err, connectors.CodeForbidden)
	}
}

func TestATenantsCallToAnotherIsNeverAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.requests(t, func(a *events.Action) error {
		t.Errorf("a request came through: %+v", a)
		return nil
	})
	refused := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}) // it says so elsewhere, too
	c := newClient(t, w.TenantConn(t, "organization", "eve", refused), &client.Options{Tenant: true})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := c.Scope("organization", "bob").Action("echo", "say").Call(ctx, said{"hi"})
	wantCode(t, err, connectors.CodeConnectorDatabaseFailed)
	if pending, ok := errors.AsType[*client.PendingError](err); !ok || pending.Stored {
		t.Errorf("got %v, want a request that is not stored", err)
	}
}
