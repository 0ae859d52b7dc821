package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

const (
	demoAPIKey        = "demo_story-0123456789"
	demoWebhookSecret = "story-signing-secret"
)

func storySteps() []step {
	return []step{
		{"connect by key", (*story).connectByKey},
		{"record is sealed", (*story).recordIsSealed},
		{"action over HTTP", (*story).actionOverHTTP},
		{"action over NATS", (*story).actionOverNATS},
		{"action by request-reply", (*story).actionByCall},
		{"signed webhook", (*story).signedWebhook},
		{"forged webhook", (*story).forgedWebhook},
		{"disconnect", (*story).disconnect},
		{"OAuth consent", (*story).consent},
		{"action with the token", (*story).actionWithToken},
		{"refresh", (*story).refreshToken},
		{"OAuth disconnect", (*story).leaveOAuth},
	}
}

func (s *story) connectByKey(ctx context.Context) (string, error) {
	var view struct {
		State      string          `json:"state"`
		Config     json.RawMessage `json:"config"`
		WebhookURL string          `json:"webhook_url"`
	}
	body := map[string]any{"config": map[string]string{"apiKey": demoAPIKey, "webhookSecret": demoWebhookSecret}}
	if err := s.api(ctx, request{method: http.MethodPut, url: s.connection(), body: body, want: http.StatusCreated, reply: &view}); err != nil {
		return "", err
	}
	s.webhookURL = secret.New(view.WebhookURL)
	if _, err := s.await(ctx, "event", ".connector.connected"); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, config %s, event connector.connected", view.State, view.Config), nil
}

func (s *story) recordIsSealed(ctx context.Context) (string, error) {
	bucket, err := s.bus.JetStream().KeyValue(ctx, s.bus.Subjects.Bucket("connections"))
	if err != nil {
		return "", err
	}
	record, err := bucket.Get(ctx, s.tenant.Tokens()+".demo-key.default")
	if err != nil {
		return "", err
	}
	if bytes.Contains(record.Value(), []byte(demoAPIKey)) || bytes.Contains(record.Value(), []byte(demoWebhookSecret)) {
		return "", fmt.Errorf("%w: the record in JetStream KV holds a secret in the clear", errUnexpected)
	}
	return fmt.Sprintf("%d envelopes in JetStream KV, no secret in the clear", strings.Count(string(record.Value()), `"enc:v1:`)), nil
}

func (s *story) actionOverHTTP(ctx context.Context) (string, error) {
	var reply struct{ Data json.RawMessage }
	body := map[string]string{"text": "hi over HTTP"}
	if err := s.api(ctx, request{method: http.MethodPost, url: s.connection() + "/actions/postMessage", body: body, want: http.StatusOK, reply: &reply}); err != nil {
		return "", err
	}
	if _, err := s.await(ctx, "event", ".action.completed"); err != nil {
		return "", err
	}
	return string(reply.Data), nil
}

func (s *story) actionOverNATS(ctx context.Context) (string, error) {
	subject := "hawser.action." + s.tenant.Tokens() + ".demo-key.postMessage"
	if err := s.nc.Publish(subject, []byte(`{"text":"hi over NATS"}`)); err != nil {
		return "", err
	}
	if _, err := s.await(ctx, "event", ".action.started"); err != nil {
		return "", err
	}
	result, err := s.await(ctx, "result", "")
	if err != nil {
		return "", err
	}
	if _, err := s.await(ctx, "event", ".action.completed"); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, events action.started, action.completed", result.Data), nil
}

func (s *story) actionByCall(ctx context.Context) (string, error) {
	reply, err := s.nc.RequestWithContext(ctx, "hawser.call."+s.tenant.Tokens()+".demo-key.postMessage", []byte(`{"text":"hi by call"}`))
	if err != nil {
		return "", err
	}
	if code := reply.Header.Get(events.HeaderErrorCode); code != "" {
		return "", fmt.Errorf("%w: %s", errUnexpected, code)
	}
	return string(reply.Data), nil
}

func (s *story) signedWebhook(ctx context.Context) (string, error) {
	sent, err := s.sendWebhook(ctx, demoWebhookSecret)
	if err != nil || sent != http.StatusAccepted {
		return "", fmt.Errorf("%w: the provider got %d (%v)", errUnexpected, sent, err)
	}
	msg, err := s.await(ctx, "webhook", ".message=2Ecreated.")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("202, then %s on %s", msg.Data, msg.Subject), nil
}

func (s *story) forgedWebhook(ctx context.Context) (string, error) {
	sent, err := s.sendWebhook(ctx, "not the secret")
	if err != nil || sent != http.StatusUnauthorized {
		return "", fmt.Errorf("%w: the forger got %d (%v), not 401", errUnexpected, sent, err)
	}
	if _, err := s.await(ctx, "event", ".webhook.rejected"); err != nil {
		return "", err
	}
	return "401, event webhook.rejected, nothing stored", nil
}

func (s *story) disconnect(ctx context.Context) (string, error) {
	if err := s.api(ctx, request{method: http.MethodDelete, url: s.connection(), want: http.StatusNoContent}); err != nil {
		return "", err
	}
	if _, err := s.await(ctx, "event", ".connector.disconnected"); err != nil {
		return "", err
	}
	if err := s.api(ctx, request{method: http.MethodGet, url: s.connection(), want: http.StatusNotFound}); err != nil {
		return "", err
	}
	return "204, then 404, event connector.disconnected", nil
}

// sendWebhook has the demo provider send a webhook, and returns what it got.
func (s *story) sendWebhook(ctx context.Context, key string) (int, error) {
	body := map[string]any{"url": s.webhookURL.Reveal(), "secret": key, "type": "message.created", "body": map[string]string{"text": "hello"}}
	var sent struct{ Status int }
	err := s.call(ctx, request{method: http.MethodPost, url: s.command.Provider + "/_webhook", body: body, want: http.StatusOK, reply: &sent})
	return sent.Status, err
}

// connection is the path of the story's own connection.
func (s *story) connection() string {
	return "/scopes/" + url.PathEscape(s.tenant.Scope) + "/" + url.PathEscape(s.tenant.Identity) + "/connections/demo-key"
}

// request is one HTTP call of the story.
type request struct {
	method, url string
	token       secret.Text // bearer token, if any
	body        any         // JSON; nil: none
	want        int         // status
	reply       any         // where to decode the reply; nil: ignored
}

// api calls the management API; r.url is a path below its base path.
func (s *story) api(ctx context.Context, r request) error {
	r.url, r.token = s.command.URL+s.command.BasePath+r.url, s.token
	return s.call(ctx, r)
}

func (s *story) call(ctx context.Context, r request) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var payload io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return err
		}
		payload = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, r.url, payload)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if !r.token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+r.token.Reveal())
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode != r.want {
		return fmt.Errorf("%w: %s %s gave %d, want %d: %s", errUnexpected, r.method, req.URL.Path, resp.StatusCode, r.want, data)
	}
	if r.reply == nil {
		return nil
	}
	return json.Unmarshal(data, r.reply)
}
