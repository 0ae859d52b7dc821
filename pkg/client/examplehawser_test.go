package client_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/hawser-io/hawser/pkg/app"
	"github.com/hawser-io/hawser/pkg/client"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

// exampleHawser is what the examples run against: `hawser up`, with a connector.
type exampleHawser struct {
	folder string
	nc     *nats.Conn
	stop   context.CancelFunc
	ended  chan int
	slow   chan struct{} // closed when slow posts may finish
}

// examples is started by the first example, and stopped by TestMain.
var examples struct {
	once   sync.Once
	hawser *exampleHawser
}

func connect() *nats.Conn {
	examples.once.Do(func() { examples.hawser = startExampleHawser() })
	return examples.hawser.nc
}

func startExampleHawser() *exampleHawser {
	h := &exampleHawser{ended: make(chan int, 1), slow: make(chan struct{})}
	var err error
	if h.folder, err = os.MkdirTemp("", "hawser-example-"); err != nil {
		panic(err)
	}
	var ctx context.Context
	ctx, h.stop = context.WithCancel(context.Background())
	out := &output{ready: make(chan struct{})}
	go func() {
		h.ended <- app.Run(ctx, "hawser", []string{"up", "--demo", "--demo-addr", "127.0.0.1:0", "--data", h.folder, "--http", "127.0.0.1:0", "--nats", "127.0.0.1:0", "--sync", "5s", "--log-level", "warn"}, out, h.messenger())
	}()
	select {
	case <-out.ready:
	case <-h.ended:
		panic(out.String())
	}
	address := regexp.MustCompile(`nats://[0-9.:]+`).FindString(out.String())
	if h.nc, err = nats.Connect(address, nats.UserCredentials(filepath.Join(h.folder, "nats.creds"))); err != nil {
		panic(err)
	}
	return h
}

// stopExamples ends what the examples started, if they ran at all.
func stopExamples() {
	h := examples.hawser
	if h == nil {
		return
	}
	h.nc.Close()
	h.stop()
	<-h.ended
	if err := os.RemoveAll(h.folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func exampleClient() *client.Client {
	c, err := client.New(connect(), nil)
	if err != nil {
		panic(err)
	}
	return c
}

func connectMessenger(c *client.Client, organization string) *client.Scope {
	scope := c.Scope("organization", organization)
	if _, err := scope.Connect(context.Background(), "messenger", map[string]string{"token": "t-0123456789"}, nil); err != nil {
		panic(err)
	}
	return scope
}

// approve is an end user's browser: it opens a link, says yes to whatever the provider
// asks, and ends where the last redirect leads.
func approve(link secret.Text) (page string) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	browser := &http.Client{Jar: jar, Transport: transport}
	asked, err := browser.Get(link.Reveal())
	if err != nil {
		panic(err)
	}
	_ = asked.Body.Close()
	answered, err := browser.PostForm(asked.Request.URL.String(), url.Values{"decision": {"approve"}})
	if err != nil {
		panic(err)
	}
	defer func() { _ = answered.Body.Close() }()
	text, err := io.ReadAll(answered.Body)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func finishSlowPosts() { close(examples.hawser.slow) }

type messengerConfig struct {
	Token   connectors.Secret `json:"token"`
	Channel string            `json:"channel,omitempty" jsonschema:"default=general"`
}

type message struct {
	Text string `json:"text" jsonschema:"minLength=1"`
}

type posted struct {
	Text    string `json:"text"`
	Channel string `json:"channel"`
}

func (h *exampleHawser) messenger() connectors.Connector {
	post := func(_ context.Context, call *connectors.Call, in message) (posted, error) {
		config, err := connectors.ConfigAs[messengerConfig](call)
		return posted{in.Text, config.Channel}, err
	}
	postSlowly := func(ctx context.Context, call *connectors.Call, in message) (posted, error) {
		<-h.slow
		return post(ctx, call, in)
	}
	idempotent := &connectors.ActionOptions{Idempotent: true}
	return connectors.Connector{
		Key: "messenger", Metadata: connectors.Metadata{Name: "Messenger"}, Config: schema.For[messengerConfig](),
		Actions: []connectors.Action{connectors.NewAction("post", post, idempotent), connectors.NewAction("postSlowly", postSlowly, idempotent)},
	}
}
