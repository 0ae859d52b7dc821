// Package webhooks describes, as data, how providers call us: their signatures, their
// handshakes, and where a delivery's id, type and account are. [Descriptor.Check] checks a
// description; the engine that verifies requests by it is internal/webhook.
package webhooks

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Descriptor describes, as data, how a provider calls us: how it signs, where a
// delivery's id, type and account are, and which calls are handshakes rather than
// deliveries. The engine verifies over the raw bytes and refuses calls that are not
// described.
//
// Strings that are called templates follow the grammar of [Template].
type Descriptor struct {
	Description string `json:"description,omitempty" yaml:"description,omitempty"`
	// Source is the provider's page that the descriptor was written from.
	Source string `json:"source,omitempty" yaml:"source,omitempty"`
	// Unconfirmed marks a descriptor that was not checked against the
	// provider's own documentation or a published vector.
	Unconfirmed bool `json:"unconfirmed,omitempty" yaml:"unconfirmed,omitempty"`

	// Methods are the methods of deliveries. None means POST.
	Methods []string `json:"methods,omitempty" yaml:"methods,omitempty"`
	// MaxBody is the largest accepted body in bytes. 0 means 1 MiB; at most 25 MiB.
	MaxBody int64 `json:"max_body,omitempty" yaml:"max_body,omitempty"`

	// Decompress means that a body with Content-Encoding gzip is signed, and read, as it is
	// without the compression. It may have MaxBody bytes then, too.
	Decompress bool `json:"decompress,omitempty" yaml:"decompress,omitempty"`

	// SecretField is the dotted path of the config field that contains the
	// verification secret, e.g. "webhookSecret".
	SecretField string `json:"secret_field,omitempty" yaml:"secret_field,omitempty"`
	// AccountField is the dotted path of the config field that contains the
	// provider's account id of a connection, by which app-wide webhooks find it. A
	// connection gets the webhooks of every account that its config names. So with
	// Delivery.Account, registration refuses it unless the account is proven: by a
	// Validate in code that asks the provider with the connection's own credentials (only
	// its presence is checked), or because it is set by Learn, or by OAuth2.Metadata from
	// token., user. or resource.; then nobody can enter or change it. Health proves it if its
	// path contains the field: the provider is asked about the account.
	AccountField string `json:"account_field,omitempty" yaml:"account_field,omitempty"`
	// AppSecret names the secret of the operator's app that signs, where the
	// provider signs with the app's rather than with one per subscription.
	// With SecretField as well, every secret that is present is tried.
	AppSecret AppSecret `json:"app_secret,omitempty" yaml:"app_secret,omitempty"`
	// TokenField is the dotted path of the config field that contains the verify
	// token of handshakes. Empty means the verification secret.
	TokenField string `json:"token_field,omitempty" yaml:"token_field,omitempty"`
	// Verify lists the accepted signatures: one of them has to be valid. At least one
	// is required; a webhook without signatures has the scheme "unsigned".
	Verify []Verification `json:"verify" yaml:"verify"`
	// Hook verifies requests with the scheme "hook", for what data cannot describe. nil
	// accepts, any error refuses. It must not retain the request or the secrets.
	Hook func(ctx context.Context, r *Request, secrets []secret.Text) error `json:"-" yaml:"-"`

	// Payload is the form field that contains the JSON document when the body
	// is form-encoded (e.g. "payload"); body paths then refer to it.
	Payload    string      `json:"payload,omitempty" yaml:"payload,omitempty"`
	Delivery   Extraction  `json:"delivery,omitzero" yaml:"delivery,omitempty"`
	Handshakes []Handshake `json:"handshakes,omitempty" yaml:"handshakes,omitempty"`
	// Answer is the response to an accepted delivery.
	Answer Answer `json:"answer,omitzero" yaml:"answer,omitempty"`
	// Schema, if set, validates the JSON body of deliveries.
	Schema *schema.Schema `json:"schema,omitempty" yaml:"schema,omitempty"`
	// Timeout is the time limit of one attempt of the handler. 0 means 30 s.
	Timeout Duration `json:"timeout,omitempty" yaml:"timeout,omitempty"`
	// MaxAttempts is how often the handler is tried. 0 means 5.
	MaxAttempts int `json:"max_attempts,omitempty" yaml:"max_attempts,omitempty"`
}

// Answer is the response to an accepted delivery. The zero value is 202, or 200 for a
// repeated delivery, without a body, which providers that accept any 2xx take as success.
type Answer struct {
	// Status is set if the provider accepts only certain ones; any 2xx.
	Status int `json:"status,omitempty" yaml:"status,omitempty"`
	// ContentType and Body are set if the provider reads the body.
	ContentType string `json:"content_type,omitempty" yaml:"content_type,omitempty"`
	Body        string `json:"body,omitempty" yaml:"body,omitempty"`
	// Source is the provider's page about it.
	Source string `json:"source,omitempty" yaml:"source,omitempty"`
}

// AppSecret names one of the secrets of the operator's app.
type AppSecret string

// The secrets of an app that providers sign with.
const (
	AppWebhookSecret AppSecret = "webhook" // the signing secret, or public key, shown beside the client id
	AppClientSecret  AppSecret = "client"  // the OAuth client secret
)

// Body limits of a webhook.
const (
	DefaultMaxBody = 1 << 20
	LargestMaxBody = 25 << 20
)

// Request is one call of a provider, as verification gets it. It is read-only.
type Request struct {
	Method string
	// PublicURL is the URL as the provider knows it, with the query string
	// as received: from the configured base URL, never from Host or
	// X-Forwarded-* headers.
	PublicURL string
	Header    http.Header
	Query     url.Values
	Body      []byte // the raw bytes
	Now       time.Time
}

// Extraction is where a verified delivery has its id, type and account. Every field is a
// template; a value whose placeholders are absent is empty.
type Extraction struct {
	// ID is the provider's delivery id: the same on its retries.
	ID string `json:"id,omitempty" yaml:"id,omitempty"`
	// Type is the provider's event type.
	Type string `json:"type,omitempty" yaml:"type,omitempty"`
	// Account is the provider's account id, by which app-wide webhooks find
	// their connection. In a body path the step * stands for every element of
	// an array: a batch may be for several accounts.
	Account string `json:"account,omitempty" yaml:"account,omitempty"`
	// Sequence orders deliveries where the provider numbers or dates them.
	Sequence string `json:"sequence,omitempty" yaml:"sequence,omitempty"`
	// Repeats means that two different deliveries can be equal byte for byte (a ping
	// that only says that something changed). Without an ID they are then never
	// duplicates of each other.
	Repeats bool `json:"repeats,omitempty" yaml:"repeats,omitempty"`
}

// AllowedMethods returns the methods that deliveries and handshakes use, for
// the Allow header of a 405. In the order of first mention, without repeats.
func (d *Descriptor) AllowedMethods() []string {
	var allowed []string
	seen := map[string]bool{}
	add := func(methods []string) {
		if len(methods) == 0 {
			methods = []string{http.MethodPost}
		}
		for _, m := range methods {
			if !seen[m] {
				seen[m] = true
				allowed = append(allowed, m)
			}
		}
	}
	add(d.Methods)
	for i := range d.Handshakes {
		add(d.Handshakes[i].Methods)
	}
	return allowed
}

// BodyLimit returns the largest accepted body in bytes.
func (d *Descriptor) BodyLimit() int64 {
	if d.MaxBody == 0 {
		return DefaultMaxBody
	}
	return d.MaxBody
}
