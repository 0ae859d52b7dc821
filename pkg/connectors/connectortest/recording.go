package connectortest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// Recording is a YAML file of calls of a connector's actions, with the answers of its
// provider:
//
//	config: {site: eu}
//	calls:
//	  - action: createContact
//	    input: {email: a@example.com}
//	    sends: ['POST /contacts {"email":"a@example.com"}']
//	    answers: [{status: 201, body: {id: c1}}]
//	    output: {id: c1}
//	  - action: createContact
//	    input: {email: a@example.com}
//	    sends: ['POST /contacts {"email":"a@example.com"}']
//	    answers: [{status: 409, body: {error: taken}}]
//	    error: "CONNECTOR_ACTION_FAILED the provider answered 409: taken"
type Recording struct {
	Config map[string]any
	Calls  []Call
}

// Call is one recorded call.
type Call struct {
	Action string
	Input  map[string]any
	// Sends are the requests: method, path, decoded query, and after a space the body.
	Sends []string
	// Answers are those to the requests, in order; the last one is repeated.
	Answers []Answer
	// Output is what the action returns.
	Output any
	// Error, if set, is part of the failure's code and message.
	Error string
}

// Answer is one answer of the provider.
type Answer struct {
	Status  int               // 0 is 200
	Headers map[string]string // "{server}" stands for the provider's origin
	Body    any               // JSON; a text is sent as it is
}

// ParseRecording parses a recording; nothing is one without calls.
func ParseRecording(text []byte) (*Recording, error) {
	recording := &Recording{}
	if len(bytes.TrimSpace(text)) == 0 {
		return recording, nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(recording); err != nil {
		return nil, fmt.Errorf("recorded answers: %w", err)
	}
	for i, call := range recording.Calls {
		if len(call.Answers) == 0 {
			return nil, fmt.Errorf("recorded answers: call %d of %s has no answers", i+1, call.Action)
		}
	}
	return recording, nil
}

// replay returns what differs from the recording.
func (c Call) replay(ctx context.Context, connector *connectors.Connector, config map[string]any) (failures []string) {
	action, ok := connector.Action(c.Action)
	if !ok {
		return []string{"there is no such action"}
	}
	var sent []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, requestLine(r))
		c.Answers[min(len(sent), len(c.Answers))-1].write(w, r)
	}))
	defer server.Close()
	call, err := newCall(connector, server, config)
	if err != nil {
		return []string{err.Error()}
	}
	input, err := encoded(c.Input)
	if err != nil {
		return []string{err.Error()}
	}
	secrets := slices.Clone(call.Secrets)
	output, err := action.Run(ctx, call, input)
	if contains(err, secrets) {
		failures = append(failures, "fails with an error that contains a secret of the config")
	}
	failure, failed := errors.AsType[*connectors.Error](err)
	switch {
	case c.Error != "" && (!failed || !strings.Contains(string(failure.Code)+" "+failure.Message, c.Error)):
		failures = append(failures, fmt.Sprintf("fails with %v, want %q", err, c.Error))
	case c.Error == "" && err != nil:
		failures = append(failures, "fails with "+err.Error())
	case c.Error == "":
		if want, err := encoded(c.Output); err != nil || !reflect.DeepEqual(decoded(output), decoded(want)) {
			failures = append(failures, fmt.Sprintf("returns %s, want %s", output, want))
		}
	}
	if !slices.Equal(sent, c.Sends) {
		failures = append(failures, fmt.Sprintf("sends\n%s\nwant\n%s", strings.Join(sent, "\n"), strings.Join(c.Sends, "\n")))
	}
	return failures
}

// newCall returns a call of the connection with the config to the server. It has the
// connection's credentials where the config makes some.
func newCall(c *connectors.Connector, server *httptest.Server, config map[string]any) (*connectors.Call, error) {
	document, err := encoded(config)
	if err != nil {
		return nil, err
	}
	call := &connectors.Call{
		Connector: c.Key, BaseURL: server.URL, HTTP: server.Client(), Config: document, RateLimit: c.RateLimit, Secrets: c.ConfigSecrets(document),
	}
	if runtime, err := c.Resolve(document); err == nil {
		runtime.BaseURL = server.URL
		call.HTTP = &http.Client{Transport: connectors.NewTransport(server.Client().Transport, runtime)}
		call.Secrets = append(call.Secrets, runtime.Secrets()...)
	}
	return call, nil
}

// againstEcho runs f against a server that refuses everything and repeats what it was sent,
// with its headers, and reports whether the error that f returns contains a secret.
func againstEcho(c *connectors.Connector, config map[string]any, f func(*connectors.Call) error) (leak bool, err error) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"message": fmt.Sprint(r.Header) + requestLine(r)}})
	}))
	defer server.Close()
	call, err := newCall(c, server, config)
	if err != nil {
		return false, err
	}
	secrets := slices.Clone(call.Secrets)
	return contains(f(call), secrets), nil
}

// contains reports whether the text of an error contains a secret. One of up to three bytes
// occurs inside ordinary words.
func contains(failure error, secrets []connectors.Secret) bool {
	return failure != nil && slices.ContainsFunc(secrets, func(s connectors.Secret) bool {
		return len(s.Reveal()) > 3 && strings.Contains(failure.Error(), s.Reveal())
	})
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

func (a Answer) write(w http.ResponseWriter, r *http.Request) {
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

// encoded returns a value as JSON; nothing as an object.
func encoded(value any) (json.RawMessage, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("recorded answers: %w", err)
	}
	if string(text) == "null" {
		return json.RawMessage("{}"), nil
	}
	return text, nil
}

func decoded(text json.RawMessage) (value any) {
	if json.Unmarshal(text, &value) != nil {
		return string(text)
	}
	return value
}
