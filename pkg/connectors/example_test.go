package connectors_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

// A connector with one typed action: the schemas of config, input and output come
// from the structs, and the call's HTTP client already carries the key.
func Example() {
	type Config struct {
		BaseURL string            `json:"baseUrl" jsonschema:"format=uri"`
		APIKey  connectors.Secret `json:"apiKey" jsonschema:"description=From your account's page"`
	}
	type Input struct {
		City  string `json:"city" jsonschema:"minLength=2"`
		Units string `json:"units" jsonschema:"enum=metric,enum=imperial,default=metric"`
	}
	type Output struct {
		Degrees float64 `json:"degrees"`
	}
	weather := connectors.Connector{
		Key:      "weather",
		Metadata: connectors.Metadata{Name: "Weather"},
		Config:   schema.For[Config](),
		BaseURL:  "${config.baseUrl}/v1",
		Auth:     connectors.Auth{Kind: connectors.AuthAPIKey, Headers: map[string]string{"X-Key": "${config.apiKey}"}},
		Actions: []connectors.Action{
			connectors.NewAction("now", func(ctx context.Context, call *connectors.Call, in Input) (Output, error) {
				var out Output
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, call.BaseURL+"/"+in.City+"?units="+in.Units, nil)
				if err != nil {
					return out, connectors.Permanent(err)
				}
				response, err := call.HTTP.Do(request)
				if err != nil {
					return out, err
				}
				defer func() { _ = response.Body.Close() }()
				if response.StatusCode != http.StatusOK {
					return out, call.ResponseError(response, nil)
				}
				return out, json.NewDecoder(response.Body).Decode(&out)
			}, &connectors.ActionOptions{Idempotent: true}),
		},
	}
	registry := connectors.NewRegistry()
	if err := registry.Register(weather); err != nil {
		fmt.Println(err)
		return
	}

	// What an executor does with it:
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") != "k-123" || r.URL.Query().Get("units") != "metric" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		fmt.Fprint(w, `{"degrees": 21.5}`)
	}))
	defer provider.Close()
	connector, _ := registry.Get("weather")
	config, wrong := connector.Config.Validate([]byte(`{"baseUrl":"` + provider.URL + `","apiKey":"k-123"}`))
	if wrong != nil {
		fmt.Println(wrong)
		return
	}
	runtime, err := connector.Resolve(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	call := &connectors.Call{
		Connector: "weather", Action: "now", Config: config, BaseURL: runtime.BaseURL,
		HTTP: &http.Client{Transport: connectors.NewTransport(nil, runtime)}, Secrets: connector.ConfigSecrets(config),
	}
	now, _ := connector.Action("now")
	output, err := now.Run(context.Background(), call, json.RawMessage(`{"city":"Oslo"}`))
	fmt.Println(string(output), err)
	_, err = now.Run(context.Background(), call, json.RawMessage(`{"city":"X"}`))
	fmt.Println(err, connectors.AsError(err).Errors)
	// Output:
	// {"degrees":21.5} <nil>
	// CONNECTOR_ACTION_INPUT_INVALID: the input is invalid [{city must have at least 2 characters}]
}

// A connector whose authorisation gives a bot's token and a user's. Its action searches
// as the user, and does without where nobody has granted that.
func ExampleCall_WithCompanion() {
	found := func(ctx context.Context, call *connectors.Call) (string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, call.BaseURL+"/search", nil)
		if err != nil {
			return "", err
		}
		response, err := call.HTTP.Do(request)
		if err != nil {
			return "", err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		return string(body), err
	}
	search := connectors.NewAction("search", func(ctx context.Context, call *connectors.Call, _ struct{}) (string, error) {
		user, err := call.WithCompanion(ctx, "user")
		if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthRefreshFailed}) {
			return found(ctx, call) // as the bot
		}
		if err != nil {
			return "", err
		}
		return found(ctx, user)
	}, &connectors.ActionOptions{Idempotent: true})

	// What an executor does with it:
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "for ", r.Header.Get("Authorization"))
	}))
	defer provider.Close()
	as := func(token string) *http.Client {
		return &http.Client{Transport: connectors.NewTransport(nil, connectors.Runtime{
			BaseURL: provider.URL, Headers: map[string]connectors.Secret{"Authorization": secret.New("Bearer " + token)},
		})}
	}
	granted := true
	call := &connectors.Call{BaseURL: provider.URL, HTTP: as("bot"), Companions: connectors.NewCompanions(
		func(context.Context, string) (*connectors.Access, error) {
			if !granted {
				return nil, connectors.Errorf(connectors.CodeConnectorOAuthRefreshFailed, "connect again, and grant it")
			}
			return &connectors.Access{BaseURL: provider.URL, HTTP: as("user")}, nil
		})}
	for _, granted = range []bool{true, false} {
		output, err := search.Run(context.Background(), call, nil)
		fmt.Println(string(output), err)
	}
	// Output:
	// "for Bearer user" <nil>
	// "for Bearer bot" <nil>
}
