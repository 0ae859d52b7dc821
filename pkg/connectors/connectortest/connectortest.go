// Package connectortest proves a connector, of Go or YAML, without its provider: recorded
// answers are replayed to its actions over HTTP, and what it sends, returns and says of
// failures is compared.
//
//	func TestMyConnector(t *testing.T) { connectortest.Run(t, myConnector(), "testdata/answers.yaml") }
//
// `hawser connectors test` does the same for definition files.
package connectortest

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// Run checks the connector, and replays the file of recorded answers; "" is none. Each
// failure of [Check] is an error of the test.
func Run(t *testing.T, c connectors.Connector, answers string) {
	t.Helper()
	registry := connectors.NewRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	registered, _ := registry.Get(c.Key)
	var recorded []byte
	if answers != "" {
		var err error
		if recorded, err = os.ReadFile(answers); err != nil {
			t.Fatal(err)
		}
	}
	failures, err := Check(t.Context(), registered, recorded)
	if err != nil {
		t.Fatal(err)
	}
	for _, failure := range failures {
		t.Error(failure)
	}
}

// Check returns what is wrong with a connector, one sentence each:
//   - its definition has to come back from its JSON;
//   - no error of an action may contain a secret of the config, even if the provider's
//     answer repeats it;
//   - recorded calls have to send, return and fail as recorded: see [Recording].
//
// The error says that the recording cannot be read. It calls servers on loopback only.
func Check(ctx context.Context, c *connectors.Connector, recorded []byte) (failures []string, err error) {
	recording, err := ParseRecording(recorded)
	if err != nil {
		return nil, err
	}
	if failure := survivesItsJSON(c); failure != "" {
		failures = append(failures, failure)
	}
	leaks, err := leaks(ctx, c)
	if err != nil {
		return nil, err
	}
	failures = append(failures, leaks...)
	for i, call := range recording.Calls {
		for _, failure := range call.replay(ctx, c, recording.Config) {
			failures = append(failures, fmt.Sprintf("call %d, %s: %s", i+1, call.Action, failure))
		}
	}
	return failures, nil
}

// survivesItsJSON says what is lost on the way to other processes.
func survivesItsJSON(c *connectors.Connector) string {
	first, err := c.Definition()
	if err != nil {
		return err.Error()
	}
	parsed, err := connectors.ParseDefinition(first)
	if err != nil {
		return "the definition does not come back from its JSON: " + err.Error()
	}
	if second, err := parsed.Definition(); err != nil || string(first) != string(second) {
		return "the definition changes on its way through JSON"
	}
	return ""
}

// canary is the value of every secret in the search for leaks.
const canary = "canary-7f3a9c51d2"

// leaks runs every action that takes an empty input, with secrets, against a server that
// repeats what it was sent, and returns the errors that contain one. Recorded calls search
// theirs.
func leaks(ctx context.Context, c *connectors.Connector) (failures []string, err error) {
	config := map[string]any{}
	for _, field := range c.Config.Fields() {
		if field.Secret && !strings.Contains(field.Name, ".") {
			config[field.Name] = canary
		}
	}
	for i := range c.Actions {
		action := &c.Actions[i]
		if action.Handler == nil {
			continue
		}
		leak, err := againstEcho(c, config, func(call *connectors.Call) error {
			_, err := action.Run(ctx, call, nil)
			return err
		})
		if err != nil {
			return nil, err
		}
		if leak {
			failures = append(failures, "the error of "+action.Key+" contains a secret of the config")
		}
	}
	return failures, nil
}
