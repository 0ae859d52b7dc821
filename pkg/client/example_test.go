package client_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hawser-io/hawser/pkg/client"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Connect a tenant's account at a provider, and run an action with it.
func Example() {
	ctx := context.Background()
	nc := connect() // nats.Connect(url, nats.UserCredentials("hawser-data/nats.creds"))
	hawser, err := client.New(nc, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	acme := hawser.Scope("organization", "acme")
	conn, err := acme.Connect(ctx, "messenger", map[string]any{"token": secret.New("t-0123456789")}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(conn.Connector, "is", conn.State, string(conn.Config))

	type posted struct{ Text, Channel string }
	out, err := client.Call[posted](ctx, acme.Action("messenger", "post"), map[string]string{"text": "hello"})
	fmt.Println(out, err)
	// Output:
	// messenger is active {"channel":"general","token":"***"}
	// {hello general} <nil>
}

// A failure is a typed error: act on its code, not on its text.
func ExampleAction_Call_failure() {
	hawser, ctx := exampleClient(), context.Background()
	globex := connectMessenger(hawser, "globex")
	_, err := globex.Action("messenger", "post").Call(ctx, map[string]any{"text": "", "colour": "red"})
	if failure, ok := errors.AsType[*connectors.Error](err); ok {
		fmt.Println(failure.Code, failure.Code.Retryable())
		for _, field := range failure.Errors {
			fmt.Println("-", field.Path)
		}
	}
	// Output:
	// CONNECTOR_ACTION_INPUT_INVALID false
	// - colour
	// - text
}

// Who cannot wait gives up; the request goes on, and its result is found by its id.
func ExamplePendingError() {
	hawser := exampleClient()
	post := connectMessenger(hawser, "initech").Action("messenger", "postSlowly")
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err := post.Call(ctx, map[string]string{"text": "at last"})
	pending, ok := errors.AsType[*client.PendingError](err)
	if !ok {
		fmt.Println(err)
		return
	}
	fmt.Println("stored:", pending.Stored)
	finishSlowPosts()
	for {
		out, err := post.Result(context.Background(), pending.ID)
		if errors.Is(err, client.ErrNoResult) {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		fmt.Println(string(out), err)
		return
	}
	// Output:
	// stored: true
	// {"text":"at last","channel":"general"} <nil>
}

// Publish a request and let somebody else hear of its result. Repeating it with
// its ID changes nothing.
func ExampleAction_Publish() {
	hawser, ctx := exampleClient(), context.Background()
	hooli := connectMessenger(hawser, "hooli")
	results := make(chan *client.Event)
	unsubscribe, err := hooli.On(ctx, client.Filter{Topic: client.Results, Connector: "messenger"}, func(_ context.Context, e *client.Event) error {
		results <- e
		return nil
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer unsubscribe()
	id, err := hooli.Action("messenger", "post").Publish(ctx, map[string]string{"text": "hello"}, &client.PublishOptions{
		ID: "order-4711-shipped", Deadline: time.Now().Add(time.Hour), Priority: client.High,
	})
	fmt.Println(id, err)
	e := <-results
	out, err := e.Result()
	fmt.Println(e.RequestID, e.Name, string(out), err)
	// Output:
	// order-4711-shipped <nil>
	// order-4711-shipped post {"text":"hello","channel":"general"} <nil>
}

// Hear what happens to the connections of all tenants, live.
func ExampleClient_On() {
	hawser, ctx := exampleClient(), context.Background()
	heard := make(chan string)
	unsubscribe, err := hawser.On(ctx, client.Filter{Name: "connector.connected"}, func(_ context.Context, e *client.Event) error {
		heard <- fmt.Sprintf("%s: %s to %s", e.Tenant.Identity, e.Name, e.Connector)
		return nil
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	connectMessenger(hawser, "umbrella")
	fmt.Println(<-heard)
	unsubscribe() // returns when the last handler has
	// Output:
	// umbrella: connector.connected to messenger
}

// Miss nothing: a durable subscription remembers, also while nobody is there, and
// hands an event out again until its handler has done its work.
func ExampleScope_On_durable() {
	hawser, ctx := exampleClient(), context.Background()
	cyberdyne := hawser.Scope("organization", "cyberdyne")
	connectMessenger(hawser, "cyberdyne")
	done := make(chan struct{})
	unsubscribe, err := cyberdyne.On(ctx, client.Filter{Name: "connector"}, func(_ context.Context, e *client.Event) error {
		fmt.Println(e.Name, "attempt", e.Attempt)
		if e.Attempt == 1 {
			return events.RetryIn(10*time.Millisecond, errors.New("the database is away"))
		}
		close(done)
		return nil
	}, &client.OnOptions{Durable: "billing"})
	if err != nil {
		fmt.Println(err)
		return
	}
	<-done
	unsubscribe()
	// Output:
	// connector.connected attempt 1
	// connector.connected attempt 2
}

// Catch up on what is stored, then go on live.
func ExampleScope_On_since() {
	hawser, ctx := exampleClient(), context.Background()
	tyrell := connectMessenger(hawser, "tyrell")
	if _, err := tyrell.Toggle(ctx, "messenger"); err != nil {
		fmt.Println(err)
		return
	}
	heard := make(chan string)
	unsubscribe, err := tyrell.On(ctx, client.Filter{}, func(_ context.Context, e *client.Event) error {
		heard <- e.Name
		return nil
	}, &client.OnOptions{Since: time.Now().Add(-time.Hour)})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer unsubscribe()
	fmt.Println(<-heard)
	fmt.Println(<-heard)
	// Output:
	// connector.connected
	// connector.disabled
}

// A tenant may have several accounts at one connector.
func ExampleScope_Account() {
	hawser, ctx := exampleClient(), context.Background()
	wayne := connectMessenger(hawser, "wayne")
	_, err := wayne.Account("support").Connect(ctx, "messenger", map[string]string{"token": "t-9876543210", "channel": "help"}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	all, err := wayne.List(ctx, nil)
	for _, conn := range all {
		fmt.Println(conn.Account, conn.Enabled)
	}
	fmt.Println(err)
	out, err := wayne.Account("support").Action("messenger", "post").Call(ctx, map[string]string{"text": "hello"})
	fmt.Println(string(out), err)
	// Output:
	// default true
	// support true
	// <nil>
	// {"text":"hello","channel":"help"} <nil>
}

// Ask what there is, and what its forms look like.
func ExampleClient_Connector() {
	hawser, ctx := exampleClient(), context.Background()
	messenger, err := hawser.Connector(ctx, "messenger")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, field := range messenger.Fields {
		fmt.Println(field.Name, field.Type, "required:", field.Required, "secret:", field.Secret)
	}
	// Output:
	// token string required: true secret: true
	// channel string required: false secret: false
}
