package connectors_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors"
)

func TestWithCompanionReplacesClientAndBaseURL(t *testing.T) {
	t.Parallel()
	client := &http.Client{}
	call := &connectors.Call{Connector: "chat", RequestID: "r1", BaseURL: "https://bot.example", Companions: connectors.NewCompanions(
		func(_ context.Context, name string) (*connectors.Access, error) {
			if name != "user" {
				return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "chat has no token %q", name)
			}
			return &connectors.Access{BaseURL: "https://user.example", HTTP: client, Secrets: []connectors.Secret{newSecret(t, "canary-7f3a")}}, nil
		})}
	user, err := call.WithCompanion(t.Context(), "user")
	if err != nil || user.HTTP != client || user.BaseURL != "https://user.example" || user.RequestID != "r1" {
		t.Errorf("WithCompanion = %v, %v, want the call with the user's client and base URL", user, err)
	}
	if call.BaseURL != "https://bot.example" || call.HTTP != nil {
		t.Errorf("WithCompanion has changed its receiver: %v", call)
	}
	for _, c := range []*connectors.Call{call, {Connector: "chat"}} {
		if _, err := c.WithCompanion(t.Context(), "nobody"); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthNotConfigured}) {
			t.Errorf("WithCompanion of nobody = %v, want CONNECTOR_OAUTH_NOT_CONFIGURED", err)
		}
	}
}

func TestACompanionsTokenIsRemovedFromErrors(t *testing.T) {
	t.Parallel()
	action := connectors.NewAction("leak", func(ctx context.Context, call *connectors.Call, in struct{}) (struct{}, error) {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := call.WithCompanion(ctx, "user"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		return in, errors.New("token canary-7f3a is refused")
	}, nil)
	call := &connectors.Call{Companions: connectors.NewCompanions(func(context.Context, string) (*connectors.Access, error) {
		return &connectors.Access{Secrets: []connectors.Secret{newSecret(t, "canary-7f3a")}}, nil
	})}
	_, err := action.Run(t.Context(), call, nil)
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("Run = %v, want an error without the token", err)
	}
}
