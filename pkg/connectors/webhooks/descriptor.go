package webhooks

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Descriptor says, as data, how a provider calls us: how its signature is made,
// where the delivery's id, type and account stand, and which calls are
// handshakes rather than deliveries. The engine that carries it out verifies
// over the raw bytes and refuses whatever is not described.
//
// The strings marked "template" follow the grammar of [Template].
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

	// SecretField is the dotted path of the config field that holds the
	// verification secret, e.g. "webhookSecret".
	SecretField string `json:"secret_field,omitempty" yaml:"secret_field,omitempty"`
	// AccountField is the dotted path of the config field that holds the
	// provider's account id of a connection, by which app-wide webhooks find it:
	// whoever's config names an account gets its webhooks. So with Delivery.Account
	// it is refused at registration unless the account is proven: by a Validate that
	// asks the provider with the connection's own credentials whether it is theirs
	// (that there is one is checked, what it does is its author's word), or by the
	// flow, which fills it by OAuth2.Metadata from token., user. or resource.; then
	// nobody can type or change it.
	AccountField string `json:"account_field,omitempty" yaml:"account_field,omitempty"`
	// AppSecret names the secret of the operator's app that signs, where the
	// provider signs with the app's rather than with one per subscription.
	// With SecretField as well, every secret that is present is tried.
	AppSecret AppSecret `json:"app_secret,omitempty" yaml:"app_secret,omitempty"`
	// TokenField is the dotted path of the config field that holds the verify
	// token of handshakes. Empty means that the verification secret is it.
	TokenField string `json:"token_field,omitempty" yaml:"token_field,omitempty"`
	// Verify lists the accepted ways to sign: one of them has to hold. At
	// least one is needed; a webhook without signatures says so by "unsigned".
	Verify []Verification `json:"verify" yaml:"verify"`
	// Hook is called for the scheme "hook": what data cannot say. nil accepts,
	// any error refuses. It must not keep the request or the secrets.
	Hook func(ctx context.Context, r *Request, secrets []secret.Text) error `json:"-" yaml:"-"`

	// Payload names the form field that holds the JSON document when the body
	// is form-encoded (e.g. "payload"); body paths then look into it.
	Payload    string      `json:"payload,omitempty" yaml:"payload,omitempty"`
	Delivery   Extraction  `json:"delivery,omitzero" yaml:"delivery,omitempty"`
	Handshakes []Handshake `json:"handshakes,omitempty" yaml:"handshakes,omitempty"`
	// Answer is what the provider has to hear of a delivery that was taken.
	Answer Answer `json:"answer,omitzero" yaml:"answer,omitempty"`
	// Schema, if set, is what a delivery's JSON body is checked against.
	Schema *schema.Schema `json:"schema,omitempty" yaml:"schema,omitempty"`

	// Timeout bounds one attempt of the handler. 0 means 30 s.
	Timeout Duration `json:"timeout,omitempty" yaml:"timeout,omitempty"`
	// MaxAttempts is how often the handler is tried. 0 means 5.
	MaxAttempts int `json:"max_attempts,omitempty" yaml:"max_attempts,omitempty"`
}

// Answer to a delivery that was taken. The zero value is 202, or 200 for one that
// was here already, without a body: that is a success for every provider that takes
// any 2xx for one, and says nothing to those that read bodies.
type Answer struct {
	// Status, if the provider takes only certain ones for a success; any 2xx.
	Status int `json:"status,omitempty" yaml:"status,omitempty"`
	// ContentType and Body, if the provider wants to read something.
	ContentType string `json:"content_type,omitempty" yaml:"content_type,omitempty"`
	Body        string `json:"body,omitempty" yaml:"body,omitempty"`
	// Source is the provider's page that says so.
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

// Request is one call of a provider as verification sees it. Nobody
// writes to it.
type Request struct {
	Method string
	// PublicURL is the address as the provider knows it, with the query string
	// as received: from the configured base URL, never from Host or
	// X-Forwarded-* headers.
	PublicURL string
	Header    http.Header
	Query     url.Values
	Body      []byte // the raw bytes
	Now       time.Time
}

// Extraction says where a verified delivery carries what we file it under.
// Every field is a template; a value whose placeholders are absent is empty.
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
	// Repeats says that two different deliveries can be equal byte for byte
	// (a ping that says "something changed"). Without an ID they are then never
	// taken for duplicates of each other.
	Repeats bool `json:"repeats,omitempty" yaml:"repeats,omitempty"`
}

// AllowedMethods lists the methods that deliveries and handshakes use, for
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

// BodyLimit is the largest accepted body in bytes.
func (d *Descriptor) BodyLimit() int64 {
	if d.MaxBody == 0 {
		return DefaultMaxBody
	}
	return d.MaxBody
}
