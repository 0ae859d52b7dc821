package executor_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// A provider that repeats our credentials in its errors, and handlers that put
// them wherever they can, must not make us store or log them.
func TestSecretsAreInNoResultEventDeadLetterOrLog(t *testing.T) {
	t.Parallel()
	const canary = "canary-0123456789-secret"
	p := newProvider(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(500)
		_, _ = fmt.Fprintf(w, "you sent %s", r.Header.Get("Authorization"))
	})
	handlers := map[string]testenv.Handler{
		"echoes": ask("POST"),
		"tells": func(_ context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
			return nil, fmt.Errorf("with %s: %v", call.Secrets[0].Reveal(), call)
		},
		"coded": func(_ context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
			e := connectors.Errorf(connectors.CodeConnectorActionFailed, "no: %s", call.Config)
			e.Errors = []schema.FieldError{{Path: call.Secrets[0].Reveal(), Message: call.Secrets[0].Reveal()}}
			return nil, e
		},
		"panics": func(_ context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
			panic(string(call.Config))
		},
		"unreachable": func(ctx context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:1/?key="+call.Secrets[0].Reveal(), nil)
			if err != nil {
				return nil, err
			}
			resp, err := call.HTTP.Do(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			return nil, err
		},
	}
	var actions []connectors.Action
	for name, h := range handlers {
		for _, idempotent := range []bool{true, false} {
			actions = append(actions, connectors.Action{Key: fmt.Sprintf("%s-%t", name, idempotent), Idempotent: idempotent, MaxAttempts: 1, Handler: h})
		}
	}
	n := testenv.StartNode(t, &testenv.NodeOptions{Connectors: []connectors.Connector{testenv.Probe("probe", p.URL, actions...)}})
	n.Connect(t, ava, "probe", `{"apiKey":"`+canary+`"}`)
	role := n.StartExecutor(t, nil)
	everything := n.Listen(t, "hawser.>")
	results := n.Listen(t, "hawser.result.>")
	for _, a := range actions {
		n.Publish(t, n.Bus.Subjects.Action(testenv.Ref(ava, "probe", a.Key)), nil, "")
		if got := results.Outcome(t); got.Error == nil {
			t.Errorf("%s: got %s, want a failure", a.Key, got.Data)
		}
	}
	if err := role.Stop(); err != nil {
		t.Fatal(err)
	}
	for everything.Left() > 0 {
		d := everything.Message(t)
		if text := fmt.Sprint(d.Subject, d.Header, string(d.Data)); strings.Contains(text, "canary") {
			t.Errorf("published on %s: %s", d.Subject, text)
		}
	}
	if lines := n.Log.Lines("canary"); len(lines) > 0 {
		t.Errorf("logged: %s", lines)
	}
	if got := n.Count(t, queue.Dead, ">"); got == 0 {
		t.Error("no dead letters were looked at")
	}
	if err := n.Env.Stop(); err != nil {
		t.Fatal(err)
	}
	searchFiles(t, n.Env.DataDir(), canary)
}

// searchFiles looks for text in everything that a server has written.
func searchFiles(t *testing.T, dir, text string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(path)
		if err == nil && contains(data, text) {
			t.Errorf("%s holds the secret in the clear", path)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("looked through %d files: %v", files, err)
	}
}
