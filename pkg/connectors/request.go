package connectors

import (
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// Request describes an HTTP request to the provider, as data. Texts are templates
// (package template): a text that is one placeholder keeps the JSON type of its value, and
// is left out where there is no value.
type Request struct {
	// Method is an HTTP method; "" means GET.
	Method string `json:"method,omitempty" jsonschema:"enum=GET,enum=HEAD,enum=POST,enum=PUT,enum=PATCH,enum=DELETE"`
	// Path is appended to the connector's base URL. Values are percent-encoded, each as one
	// segment. Required, unless URL is set.
	Path string `json:"path,omitempty"`
	// URL is an absolute URL in place of base URL and path. The connection's credentials are
	// added only if its origin is that of the base URL.
	URL string `json:"url,omitempty"`
	// Query are the parameters of the URL. A list is a parameter that is repeated.
	Query map[string]any `json:"query,omitempty"`
	// Headers are added to those of the connector.
	Headers map[string]string `json:"headers,omitempty"`
	// Body is sent as JSON; a text is sent as it is if Headers has a Content-Type that is
	// not JSON.
	Body any `json:"body,omitempty"`
	// BodyForm is sent as application/x-www-form-urlencoded. Members of an object are
	// name[member]; a list is a parameter that is repeated, inside an object name[0].
	BodyForm map[string]any `json:"body_form,omitempty"`
}

// Effect is what an action does at the provider.
type Effect string

// The effects. An action that reads is idempotent.
const (
	EffectRead    Effect = "read"
	EffectWrite   Effect = "write"
	EffectDestroy Effect = "destroy"
)

// IdempotencyKey is where a provider accepts a key by which it recognises the repetition
// of a request: one of the three.
type IdempotencyKey struct {
	Header string `json:"header,omitempty"`
	Query  string `json:"query,omitempty"`
	Body   string `json:"body,omitempty"` // a member of the body, or of the form
}

// Paginate reads the further pages of a list. The pages' items are the list "items" of the
// action's output program; status, headers and body there are those of the last page.
type Paginate struct {
	// By is how the next page is requested:
	//   - link: by the URL of the Link header with rel="next", or by the URL that Next
	//     yields. It has to be of the same origin as the request.
	//   - cursor: by the value that Next yields, in Param.
	//   - offset: by the number of items so far, in Param.
	//   - page: by the number of the page, in Param.
	By string `json:"by" jsonschema:"enum=link,enum=cursor,enum=offset,enum=page"`
	// Next is a jq program over {status, headers, body}. A page is the last one if it
	// yields null, false, "" or nothing. Required by cursor.
	Next string `json:"next,omitempty"`
	// Param is the parameter of the query, or of the body, that asks for the page.
	Param string `json:"param,omitempty"`
	// In is where Param is: "query", or "body" for a member of the body or form (with a
	// dotted path). "" means query.
	In string `json:"in,omitempty" jsonschema:"enum=query,enum=body"`
	// Start is the first offset or page. Default: 0 for offset, 1 for page.
	Start *int `json:"start,omitempty"`
	// Items is a jq program that yields the list of a page. Required.
	Items string `json:"items"`
	// MaxPages bounds the pages of one call. Default 10, at most 1000.
	MaxPages int `json:"max_pages,omitempty" jsonschema:"minimum=0,maximum=1000"`
}

// ErrorRule recognises an answer of the provider as a failure, whatever its status.
type ErrorRule struct {
	// When is a jq program over {status, headers, body}; the rule applies if it yields
	// true. Required.
	When string `json:"when"`
	// Code is the code of the failure. Default CONNECTOR_ACTION_FAILED.
	Code Code `json:"code,omitempty"`
	// Message is a jq program that yields the provider's message.
	Message string `json:"message,omitempty"`
	// Retry says whether a repetition may help. Default: by the status, see [IsRetryable].
	Retry *bool `json:"retry,omitempty"`
	// RetryAfter is a jq program that yields the seconds after which to try again.
	RetryAfter string `json:"retry_after,omitempty"`
}

// Learn is a request after connecting whose answer fills fields of the config.
type Learn struct {
	Request Request `json:"request"`
	// Config has a jq program over {status, headers, body} for each field of the config
	// that it fills.
	Config map[string]string `json:"config"`
}

// Subscription is how webhooks are registered by the provider's API. Templates may contain
//
//	webhook.url, webhook.secret
//	webhook.id              a new id for each registration, where the provider asks for one
//	webhook.expires_at      the end of Lifetime, in RFC 3339 (UTC)
//	webhook.expires_at_ms   the same in milliseconds of the Unix time
//	subscription.id         but for Create; also the names of its Values
//
// A registration that expires and has no Renew is made anew, and the old one removed.
type Subscription struct {
	// Requires are the config fields without which a connection has no registration.
	Requires []string `json:"requires,omitempty"`
	// Lifetime is for how long a registration is requested, where the provider asks.
	Lifetime webhooks.Duration   `json:"lifetime,omitempty"`
	Create   SubscriptionCreate  `json:"create"`
	Renew    *SubscriptionRenew  `json:"renew,omitempty"`
	Delete   *SubscriptionDelete `json:"delete,omitempty"`
	List     *SubscriptionList   `json:"list,omitempty"`
}

// SubscriptionCreate registers a webhook. ID and ExpiresAt are jq programs over {status,
// headers, body}; an expiry is RFC 3339, or seconds or milliseconds of the Unix time.
type SubscriptionCreate struct {
	Request   Request `json:"request"`
	ID        string  `json:"id"`
	ExpiresAt string  `json:"expires_at,omitempty"`
	// Secret yields the signing secret, where the provider chooses it.
	Secret string `json:"secret,omitempty"`
	// Values are jq programs for what else of the reply Renew and Delete need: by a name of
	// their own.
	Values map[string]string `json:"values,omitempty"`
}

// SubscriptionRenew extends a registration before it expires.
type SubscriptionRenew struct {
	Request   Request `json:"request"`
	ExpiresAt string  `json:"expires_at,omitempty"`
	// Before is how long before the expiry. Default: a quarter of the lifetime, at most 24h.
	Before webhooks.Duration `json:"before,omitempty"`
}

// SubscriptionDelete removes a registration.
type SubscriptionDelete struct {
	Request Request `json:"request"`
}

// SubscriptionList lists registrations: Items yields the list, URL and ID are programs over
// one item.
type SubscriptionList struct {
	Request Request `json:"request"`
	Items   string  `json:"items"`
	URL     string  `json:"url"`
	ID      string  `json:"id"`
}
