package manifest

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/template"
	"github.com/hawser-io/hawser/pkg/secret"
)

// registrar is a compiled [connectors.Subscription].
type registrar struct {
	definition *connectors.Subscription
	headers    map[string]template.Template // of the connector
	rules      []rule

	create       *request
	id           *program
	expiresAt    *program // nil: by the lifetime
	secret       *program // nil: the provider chooses none
	values       map[string]*program
	renew        *request // nil: it is made anew
	renewedUntil *program
	remove       *request // nil: it cannot be removed
	list         *request // nil: there is none
	items        *program
	itemURL      *program
	itemID       *program
}

// DeletesByURL implements [connectors.Registrar].
func (r *registrar) DeletesByURL() bool { return r.remove != nil && r.remove.names("webhook.url") }

// NeedsSecret implements [connectors.Registrar].
func (r *registrar) NeedsSecret() bool { return r.create.names("webhook.secret") }

// valuesFor returns what the placeholders stand for.
func (r *registrar) valuesFor(call *connectors.Call, to connectors.WebhookEndpoint, of *connectors.Registration) (values, error) {
	v, err := valuesOf(call, nil)
	if err != nil {
		return values{}, err
	}
	end := time.Now().Add(time.Duration(r.definition.Lifetime)).UTC()
	webhook := map[string]any{
		"url": to.URL.Reveal(), "id": to.ID,
		"expires_at": end.Format(time.RFC3339), "expires_at_ms": json.Number(strconv.FormatInt(end.UnixMilli(), 10)),
	}
	if !to.Secret.IsZero() {
		webhook["secret"] = to.Secret.Reveal()
	}
	v.roots["webhook"] = webhook
	if of == nil {
		return v, nil
	}
	subscription := map[string]any{}
	for name, text := range of.Values {
		if subscription[name], err = decode(text); err != nil {
			return values{}, fmt.Errorf("read the value %s of the registration: %w", name, err)
		}
	}
	if subscription["id"], err = decode(of.ID); err != nil {
		return values{}, fmt.Errorf("read the id of the registration: %w", err)
	}
	v.roots["subscription"] = subscription
	return v, nil
}

// ask sends a request and returns the answer.
func (r *registrar) ask(ctx context.Context, call *connectors.Call, request *request, v values) (map[string]any, error) {
	return newExchange(call, r.rules).ask(ctx, request, v, r.headers)
}

// run calls f under the rules of an action: with a deadline, and with errors that have a
// code and none of the secrets.
func run(ctx context.Context, call *connectors.Call, to connectors.WebhookEndpoint, f func(ctx context.Context, call *connectors.Call) error) error {
	asked := *call
	for _, s := range []connectors.Secret{to.URL, to.Secret} {
		if !s.IsZero() {
			asked.Secrets = append(asked.Secrets[:len(asked.Secrets):len(asked.Secrets)], s)
		}
	}
	action := connectors.Action{Handler: func(ctx context.Context, call *connectors.Call, _ json.RawMessage) (json.RawMessage, error) {
		return json.RawMessage("{}"), f(ctx, call)
	}}
	_, err := action.RunChecked(ctx, &asked, json.RawMessage("{}"))
	return err
}

// Fingerprint implements [connectors.Registrar]. Its key is the URL, which nobody can guess: the
// request may contain credentials that somebody can.
func (r *registrar) Fingerprint(call *connectors.Call, to connectors.WebhookEndpoint) (string, error) {
	to.ID = ""
	v, err := r.valuesFor(call, to, nil)
	if err != nil {
		return "", err
	}
	webhook, _ := v.roots["webhook"].(map[string]any)
	webhook["expires_at"], webhook["expires_at_ms"] = "", ""
	if r.secret != nil {
		webhook["secret"] = "" // it follows from the registration
	}
	filled, err := r.create.fill(call.BaseURL, v, nil)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal([]any{filled.method, filled.url, filled.query, filled.body, filled.form})
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, []byte(to.URL.Reveal()))
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil)), nil
}

// Create implements [connectors.Registrar].
func (r *registrar) Create(ctx context.Context, call *connectors.Call, to connectors.WebhookEndpoint) (made connectors.Registration, err error) {
	err = run(ctx, call, to, func(ctx context.Context, call *connectors.Call) error {
		v, err := r.valuesFor(call, to, nil)
		if err != nil {
			return err
		}
		reply, err := r.ask(ctx, call, r.create, v)
		if err != nil {
			return err
		}
		made, err = r.made(ctx, reply)
		return err
	})
	return made, err
}

// made reads the provider's answer to the request to create.
func (r *registrar) made(ctx context.Context, reply map[string]any) (made connectors.Registration, err error) {
	if made.ID, err = required(ctx, "subscription.create.id", r.id, reply); err != nil {
		return made, err
	}
	made.Values = make(map[string]json.RawMessage, len(r.values))
	for name, p := range r.values {
		if made.Values[name], err = required(ctx, "subscription.create.values."+name, p, reply); err != nil {
			return made, err
		}
	}
	if r.secret != nil {
		value, err := r.secret.run(ctx, reply)
		if err != nil {
			return made, outputError("subscription.create.secret", err)
		}
		if text := template.TextOf(value); text != "" {
			made.Secret = secret.New(text)
		}
	}
	made.ExpiresAt, err = r.end(ctx, r.expiresAt, reply)
	return made, err
}

// required returns what a program yields, which cannot be null.
func required(ctx context.Context, what string, p *program, reply any) (json.RawMessage, error) {
	value, err := p.run(ctx, reply)
	if err == nil && (value == nil || value == "") {
		err = errors.New("yields nothing")
	}
	if err != nil {
		return nil, outputError(what, err)
	}
	text, err := encode(value)
	if err != nil {
		return nil, outputError(what, err)
	}
	return text, nil
}

// end returns when a registration ends: what the provider has answered, else the end of the lifetime
// that was asked for; zero if it does not end.
func (r *registrar) end(ctx context.Context, p *program, reply map[string]any) (time.Time, error) {
	var value any
	if p != nil {
		var err error
		if value, err = p.run(ctx, reply); err != nil {
			return time.Time{}, outputError("expires_at", err)
		}
	}
	if text := template.TextOf(value); text != "" {
		at, err := parseTime(text)
		if err != nil {
			return time.Time{}, outputError("expires_at", err)
		}
		return at, nil
	}
	if r.definition.Lifetime > 0 {
		return time.Now().Add(time.Duration(r.definition.Lifetime)).UTC(), nil
	}
	return time.Time{}, nil
}

// firstMilliseconds is a number from which on a time is in milliseconds: as seconds it is
// the year 5138.
const firstMilliseconds = 1e11

// parseTime reads RFC 3339, or seconds or milliseconds of the Unix time.
func parseTime(text string) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UTC(), nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(n) || n <= 0 || n > 1e15 {
		return time.Time{}, errors.New("yields neither a time of RFC 3339 nor seconds or milliseconds")
	}
	if n < firstMilliseconds {
		n *= 1000
	}
	return time.UnixMilli(int64(n)).UTC(), nil
}

// Renew implements [connectors.Registrar].
func (r *registrar) Renew(ctx context.Context, call *connectors.Call, to connectors.WebhookEndpoint, of connectors.Registration) (until time.Time, err error) {
	err = run(ctx, call, to, func(ctx context.Context, call *connectors.Call) error {
		v, err := r.valuesFor(call, to, &of)
		if err != nil {
			return err
		}
		reply, err := r.ask(ctx, call, r.renew, v)
		if err != nil {
			return err
		}
		until, err = r.end(ctx, r.renewedUntil, reply)
		return err
	})
	return until, err
}

// Delete implements [connectors.Registrar].
func (r *registrar) Delete(ctx context.Context, call *connectors.Call, to connectors.WebhookEndpoint, of connectors.Registration) error {
	if r.remove == nil {
		return nil
	}
	err := run(ctx, call, to, func(ctx context.Context, call *connectors.Call) error {
		v, err := r.valuesFor(call, to, &of)
		if err == nil {
			_, err = r.ask(ctx, call, r.remove, v)
		}
		return err
	})
	if e, ok := errors.AsType[*connectors.ProviderError](err); ok && (e.Status == http.StatusNotFound || e.Status == http.StatusGone) {
		return nil
	}
	return err
}

// List implements [connectors.Registrar].
func (r *registrar) List(ctx context.Context, call *connectors.Call, to connectors.WebhookEndpoint) (all []connectors.ListedRegistration, err error) {
	err = run(ctx, call, to, func(ctx context.Context, call *connectors.Call) error {
		v, err := r.valuesFor(call, to, nil)
		if err != nil {
			return err
		}
		reply, err := r.ask(ctx, call, r.list, v)
		if err != nil {
			return err
		}
		value, err := r.items.run(ctx, reply)
		if err != nil {
			return outputError("subscription.list.items", err)
		}
		items, ok := value.([]any)
		if !ok && value != nil {
			return outputError("subscription.list.items", errors.New("yields no list"))
		}
		for _, item := range items {
			address, err := r.itemURL.run(ctx, item)
			if err != nil || template.TextOf(address) == "" {
				continue // not a registration of a URL
			}
			id, err := required(ctx, "subscription.list.id", r.itemID, item)
			if err != nil {
				return err
			}
			all = append(all, connectors.ListedRegistration{ID: id, URL: secret.New(template.TextOf(address))})
		}
		return nil
	})
	return all, err
}
