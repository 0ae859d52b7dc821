package catalog_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/catalog"
)

// answerFile is a file of testdata/answers: calls of a connector's actions, what each has to
// send, and answers in the shapes that the provider documents.
type answerFile struct {
	Config map[string]any
	Calls  []answeredCall
}

type answeredCall struct {
	Action  string
	Input   map[string]any
	Sends   []string // method, path and decoded query; after a space the body
	Answers []answer // the last one is repeated
	Output  any
	Error   string // part of the code and message
}

type answer struct {
	Status  int
	Headers map[string]string // "{server}" is the server's origin
	Body    any               // a text is sent as it is
}

func TestActionsSendAndReadWhatProvidersDocument(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/answers/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		key := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var all answerFile
			if err := yaml.Unmarshal(text, &all); err != nil {
				t.Fatal(err)
			}
			connector, err := catalog.Connector(key)
			if err != nil {
				t.Fatal(err)
			}
			for _, call := range all.Calls {
				call.run(t, connector, all.Config)
			}
		})
	}
}

func (c answeredCall) run(t *testing.T, connector *connectors.Connector, config map[string]any) {
	t.Helper()
	action, ok := connector.Action(c.Action)
	if !ok {
		t.Errorf("%s: there is no such action", c.Action)
		return
	}
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, requestLine(r))
		c.Answers[min(len(sent), len(c.Answers))-1].write(w, r)
	}))
	defer server.Close()
	output, err := action.Run(t.Context(), &connectors.Call{
		BaseURL: server.URL, HTTP: server.Client(), Config: encoded(t, config), RateLimit: connector.RateLimit,
	}, encoded(t, c.Input))
	if c.Error != "" {
		if failure, ok := errors.AsType[*connectors.Error](err); !ok || !strings.Contains(string(failure.Code)+" "+failure.Message, c.Error) {
			t.Errorf("%s: error %v, want %q", c.Action, err, c.Error)
		}
	} else if err != nil {
		t.Errorf("%s: %v", c.Action, err)
	} else if !reflect.DeepEqual(decoded(t, output), decoded(t, encoded(t, c.Output))) {
		t.Errorf("%s: output %s, want %s", c.Action, output, encoded(t, c.Output))
	}
	if !slices.Equal(sent, c.Sends) {
		t.Errorf("%s: sent\n%s\nwant\n%s", c.Action, strings.Join(sent, "\n"), strings.Join(c.Sends, "\n"))
	}
}

func requestLine(r *http.Request) string {
	line := r.Method + " " + r.URL.EscapedPath()
	if query, err := url.QueryUnescape(r.URL.RawQuery); err == nil && query != "" {
		line += "?" + query
	}
	if body, err := io.ReadAll(r.Body); err == nil && len(body) > 0 {
		line += " " + string(body)
	}
	return line
}

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	for name, value := range a.Headers {
		w.Header().Set(name, strings.ReplaceAll(value, "{server}", "http://"+r.Host))
	}
	if a.Status != 0 {
		w.WriteHeader(a.Status)
	}
	if text, ok := a.Body.(string); ok {
		_, _ = io.WriteString(w, text)
	} else if a.Body != nil {
		_ = json.NewEncoder(w).Encode(a.Body)
	}
}

// encoded returns a value as JSON; nil as an object.
func encoded[T any](t *testing.T, value T) json.RawMessage {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) == "null" {
		return json.RawMessage("{}")
	}
	return text
}

func decoded(t *testing.T, text json.RawMessage) (value any) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	return value
}
