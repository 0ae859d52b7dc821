package records

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// App is the operator's OAuth client at a provider, for one connector or for a
// family of them.
type App struct {
	ClientID string
	// ClientSecrets are tried in order: while a secret is rotated, the new one
	// comes first and the old one second.
	ClientSecrets []secret.Text
	// Scopes replace the connector's, if there are any.
	Scopes []string
	// ExtraParams are added to those of the connector.
	ExtraParams map[string]string
	// Extra are further keys of the operator's at the provider, by the names that the
	// connector's templates use: ${app.extra.<name>}.
	Extra map[string]secret.Text
}

// appRecord is a stored app.
type appRecord struct {
	ClientID      string            `json:"client_id"`
	ClientSecrets []string          `json:"client_secrets,omitempty"` // envelopes
	Scopes        []string          `json:"scopes,omitempty"`
	ExtraParams   map[string]string `json:"extra_params,omitempty"`
	Extra         map[string]string `json:"extra,omitempty"` // envelopes
	UpdatedAt     time.Time         `json:"updated_at"`
	Sealed        []string          `json:"sealed"`

	opened *opened
}

// AppView is an app as callers see it: the number of its secrets, not the secrets.
type AppView struct {
	Connector     string            `json:"connector"`
	ClientID      string            `json:"client_id"`
	ClientSecrets int               `json:"client_secrets"`
	Scopes        []string          `json:"scopes,omitempty"`
	ExtraParams   map[string]string `json:"extra_params,omitempty"`
	Extra         []string          `json:"extra,omitempty"` // names
	Source        string            `json:"source"`          // stored or environment
	UpdatedAt     time.Time         `json:"updated_at,omitzero"`
}

// Apps are the operator's OAuth clients: what is stored, and, where nothing is
// stored, what the environment says:
//
//	HAWSER_APP_<CONNECTOR>_CLIENT_ID      upper case, - as _: DEMO_OAUTH
//	HAWSER_APP_<CONNECTOR>_CLIENT_SECRET  several: separated by blanks, newest first; keys in
//	                                      PEM by an empty line
//	HAWSER_APP_<CONNECTOR>_SCOPES         separated by blanks
//	HAWSER_APP_<CONNECTOR>_EXTRA          further keys: a JSON object of strings
//
// Changes take effect at once, in every process. Safe for concurrent use.
type Apps struct {
	bucket kvstore.Store
	sealer *Sealer
	getenv func(string) string
	cache  *cache[*appRecord]
}

// NewApps returns the apps of buckets and, by getenv, of the environment; getenv may be nil.
func NewApps(buckets Buckets, sealer *Sealer, getenv func(string) string) *Apps {
	records := newCache(buckets.Apps, func(e kvstore.Entry) (*appRecord, error) {
		var r appRecord
		if err := json.Unmarshal(e.Value, &r); err != nil {
			return nil, fmt.Errorf("app record %s is malformed", e.Key)
		}
		r.opened = &opened{} // an app's webhooks are verified with its secrets
		return &r, nil
	})
	records.cacheAbsence = true // an app of the environment: each of its webhooks asks
	return &Apps{buckets.Apps, sealer, getenv, records}
}

// Run keeps the cache current until ctx ends.
func (a *Apps) Run(ctx context.Context) error { return a.cache.run(ctx) }

// Get returns the app of a connector: its own, else that of its family. name says
// of the app. CONNECTOR_OAUTH_NOT_CONFIGURED if there is none.
func (a *Apps) Get(ctx context.Context, c *connectors.Connector) (app App, name string, err error) {
	names := []string{c.Key}
	if family := c.GrantFamily(); family != c.Key {
		names = append(names, family)
	}
	for _, name := range names {
		app, found, err := a.Named(ctx, name)
		if err != nil || found {
			return app, name, err
		}
	}
	return App{}, "", connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured,
		"no OAuth app is configured for %s: set it with 'hawser app set %s', or in %s_CLIENT_ID", c.Key, c.Key, environmentName(c.Key))
}

// Named returns the app of exactly this name.
func (a *Apps) Named(ctx context.Context, name string) (App, bool, error) {
	record, err := a.cache.get(ctx, events.Token(name))
	if errors.Is(err, kvstore.ErrNotFound) {
		app := a.fromEnvironment(name)
		return app, app.ClientID != "", nil
	}
	if err != nil {
		return App{}, false, DatabaseError("read the app", err)
	}
	app := App{ClientID: record.ClientID, Scopes: record.Scopes, ExtraParams: record.ExtraParams}
	for i, envelope := range record.ClientSecrets {
		s, err := record.opened.get(secretPointer(i), func() (secret.Text, error) {
			return a.sealer.openText(a.binding(name), secretPointer(i), envelope)
		})
		if err != nil {
			return App{}, false, err
		}
		app.ClientSecrets = append(app.ClientSecrets, s)
	}
	for key, envelope := range record.Extra {
		s, err := record.opened.get(extraPointer(key), func() (secret.Text, error) {
			return a.sealer.openText(a.binding(name), extraPointer(key), envelope)
		})
		if err != nil {
			return App{}, false, err
		}
		if app.Extra == nil {
			app.Extra = map[string]secret.Text{}
		}
		app.Extra[key] = s
	}
	return app, true, nil
}

func (a *Apps) binding(name string) crypto.Binding {
	return a.sealer.binding(bucketApps, events.Token(name))
}

func secretPointer(i int) string { return fmt.Sprintf("/client_secrets/%d", i) }

func extraPointer(name string) string { return "/extra/" + name }

func environmentName(connector string) string {
	return "HAWSER_APP_" + strings.ToUpper(strings.ReplaceAll(connector, "-", "_"))
}

func (a *Apps) fromEnvironment(name string) App {
	if a.getenv == nil {
		return App{}
	}
	prefix := environmentName(name)
	app := App{ClientID: a.getenv(prefix + "_CLIENT_ID"), Scopes: strings.Fields(a.getenv(prefix + "_SCOPES"))}
	for _, s := range SplitSecrets(a.getenv(prefix + "_CLIENT_SECRET")) {
		app.ClientSecrets = append(app.ClientSecrets, secret.New(s))
	}
	if json.Unmarshal([]byte(a.getenv(prefix+"_EXTRA")), &app.Extra) != nil {
		app.Extra = nil
	}
	return app
}

const (
	maxClientSecrets = 4
	maxExtra         = 16
	maxExtraBytes    = 16 << 10
)

// extraName is the name of a further key, as templates can name it.
var extraName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

func blank(s secret.Text) bool { return strings.TrimSpace(s.Reveal()) == "" }

// Set stores an app, or replaces the stored one.
func (a *Apps) Set(ctx context.Context, name string, app App) error {
	e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the app cannot be stored")
	if app.ClientID == "" || len(app.ClientID) > 1024 {
		e.Errors = append(e.Errors, schema.FieldError{Path: "client_id", Message: "is required, and has at most 1024 bytes"})
	}
	if len(app.ClientSecrets) > maxClientSecrets || slices.ContainsFunc(app.ClientSecrets, blank) {
		e.Errors = append(e.Errors, schema.FieldError{Path: "client_secrets", Message: "at most 4, none of them empty"})
	}
	if len(app.Extra) > maxExtra {
		e.Errors = append(e.Errors, schema.FieldError{Path: "extra", Message: fmt.Sprintf("at most %d", maxExtra)})
	}
	for _, key := range slices.Sorted(maps.Keys(app.Extra)) {
		if !extraName.MatchString(key) || app.Extra[key].IsZero() || len(app.Extra[key].Reveal()) > maxExtraBytes {
			e.Errors = append(e.Errors, schema.FieldError{Path: "extra." + key, Message: fmt.Sprintf("has a name of letters, digits, _ and -, and a value of 1 to %d bytes", maxExtraBytes)})
		}
	}
	if len(e.Errors) > 0 {
		return e
	}
	key := events.Token(name)
	record := appRecord{ClientID: app.ClientID, Scopes: app.Scopes, ExtraParams: app.ExtraParams, UpdatedAt: time.Now().UTC(), Sealed: []string{"/client_secrets/*", "/extra/*"}}
	for name, s := range app.Extra {
		envelope, err := a.sealer.sealText(a.sealer.binding(bucketApps, key), extraPointer(name), s)
		if err != nil {
			return err
		}
		if record.Extra == nil {
			record.Extra = map[string]string{}
		}
		record.Extra[name] = envelope
	}
	for i, s := range app.ClientSecrets {
		envelope, err := a.sealer.sealText(a.binding(name), secretPointer(i), s)
		if err != nil {
			return err
		}
		record.ClientSecrets = append(record.ClientSecrets, envelope)
	}
	doc, err := json.Marshal(record)
	if err != nil {
		return EncryptError(err)
	}
	_, err = kvstore.Modify(ctx, a.bucket, key, func([]byte) ([]byte, error) { return doc, nil })
	a.cache.forget(key)
	if err != nil {
		return DatabaseError("store the app", err)
	}
	return nil
}

// Delete removes the stored app; that of the environment, if there is one, is used again.
func (a *Apps) Delete(ctx context.Context, name string) error {
	err := a.bucket.Delete(ctx, events.Token(name), 0)
	a.cache.forget(events.Token(name))
	if err != nil && !errors.Is(err, kvstore.ErrNotFound) {
		return DatabaseError("delete the app", err)
	}
	return nil
}

// View returns what callers see of an app. CONNECTOR_OAUTH_NOT_CONFIGURED if there is none.
func (a *Apps) View(ctx context.Context, name string) (*AppView, error) {
	app, found, err := a.Named(ctx, name)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, connectors.Errorf(connectors.CodeConnectorOAuthNotConfigured, "no OAuth app is configured for %.64q", name)
	}
	v := &AppView{Connector: name, ClientID: app.ClientID, ClientSecrets: len(app.ClientSecrets), Scopes: app.Scopes, ExtraParams: app.ExtraParams, Extra: slices.Sorted(maps.Keys(app.Extra)), Source: "environment"}
	if record, err := a.cache.get(ctx, events.Token(name)); err == nil {
		v.Source, v.UpdatedAt = "stored", record.UpdatedAt
	}
	return v, nil
}
