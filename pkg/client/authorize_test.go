package client_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/client"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// Connect by OAuth: the user's browser opens the URL, and an event tells when it is
// done.
func ExampleScope_Authorize() {
	hawser, ctx := exampleClient(), context.Background()
	soylent := hawser.Scope("organization", "soylent")
	done := make(chan string, 1)
	unsubscribe, err := soylent.On(ctx, client.Filter{Name: "connector.connected"}, func(_ context.Context, e *client.Event) error {
		done <- e.Connector
		return nil
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer unsubscribe()
	started, err := soylent.Authorize(ctx, "demo-oauth", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	approve(started.URL) // the user does, in a browser
	fmt.Println("connected:", <-done)

	conn, err := soylent.Get(ctx, "demo-oauth")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(conn.State, conn.User.ID, conn.GrantedScopes)
	me, err := client.Call[struct{ Name string }](ctx, soylent.Action("demo-oauth", "me"), nil)
	fmt.Println(me.Name != "", err)
	// Output:
	// connected: demo-oauth
	// active usr_ava [profile read]
	// true <nil>
}

// Renew a token before its time, for instance after the user has changed something
// at the provider.
func ExampleScope_Refresh() {
	hawser, ctx := exampleClient(), context.Background()
	stark := hawser.Scope("organization", "stark")
	started, err := stark.Authorize(ctx, "demo-oauth", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	approve(started.URL)
	before, err := stark.Get(ctx, "demo-oauth")
	if err != nil {
		fmt.Println(err)
		return
	}
	after, err := stark.Refresh(ctx, "demo-oauth")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(after.State, after.ExpiresAt.After(*before.ExpiresAt))
	// Output:
	// active true
}

// An account with several sites: nothing is chosen silently.
func ExampleScope_Select() {
	hawser, ctx := exampleClient(), context.Background()
	oscorp := hawser.Scope("organization", "oscorp")
	started, err := oscorp.Authorize(ctx, "demo-oauth", &client.AuthorizeOptions{Scopes: []string{"read", "multi"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	approve(started.URL)
	conn, err := oscorp.Get(ctx, "demo-oauth")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(conn.State)
	for _, site := range conn.Resources {
		fmt.Println("-", site.ID)
	}
	conn, err = oscorp.Select(ctx, "demo-oauth", "site-harbour")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(conn.State, conn.Resource.ID)
	// Output:
	// selecting
	// - site-harbour
	// - site-lighthouse
	// - site-shipyard
	// active site-harbour
}

// Let the user choose and connect on Hawser's own pages.
func ExampleScope_ConnectSession() {
	hawser, ctx := exampleClient(), context.Background()
	session, err := hawser.Scope("user", "ava").ConnectSession(ctx, &client.SessionOptions{Connectors: []string{"demo-oauth"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("send the user to", session.URL) // which prints as nothing; Reveal gives it
	fmt.Println(strings.HasSuffix(session.URL.Reveal(), "/connect/"+session.Token.Reveal()))
	// Output:
	// send the user to [redacted]
	// true
}

func TestConnectAndAuthorizeAreNotMixedUp(t *testing.T) {
	t.Parallel()
	hawser := exampleClient()
	scope := hawser.Scope("organization", "mixed")
	_, err := scope.Connect(t.Context(), "demo-oauth", map[string]any{}, nil)
	if !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorConfigInvalid}) || !strings.Contains(err.Error(), "Authorize") {
		t.Errorf("connect to demo-oauth: got %v, want CONNECTOR_CONFIG_INVALID that says what to use", err)
	}
	_, err = scope.Authorize(t.Context(), "messenger", &client.AuthorizeOptions{Config: map[string]string{"token": "t-0123456789"}})
	wantCode(t, err, connectors.CodeConnectorOAuthNotConfigured)
	if _, err := scope.Get(t.Context(), "messenger"); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) {
		t.Errorf("afterwards messenger: got %v, want CONNECTOR_NOT_CONNECTED", err)
	}
	_, err = scope.Authorize(t.Context(), "demo-oauth", &client.AuthorizeOptions{ReturnURL: "https://evil.example"})
	wantCode(t, err, connectors.CodeConnectorConfigInvalid)
	_, err = scope.Authorize(t.Context(), "demo-oauth", &client.AuthorizeOptions{Scopes: []string{"everything"}})
	wantCode(t, err, connectors.CodeConnectorConfigInvalid)
	_, err = scope.Select(t.Context(), "demo-oauth", "site-harbour")
	wantCode(t, err, connectors.CodeConnectorNotConnected)
	_, err = scope.Refresh(t.Context(), "demo-oauth")
	wantCode(t, err, connectors.CodeConnectorNotConnected)
	_, err = scope.ConnectSession(t.Context(), &client.SessionOptions{Connectors: []string{"nobody"}})
	wantCode(t, err, connectors.CodeConnectorNotFound)
}
