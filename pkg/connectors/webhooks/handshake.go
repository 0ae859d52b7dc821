package webhooks

// Handshake is a call that is answered at once and is not a delivery: it
// is never queued and emits no event. The first one that matches answers.
type Handshake struct {
	// Name identifies the handshake in logs.
	Name string `json:"name" yaml:"name"`
	// Methods it comes with. None means POST.
	Methods []string `json:"methods,omitempty" yaml:"methods,omitempty"`
	// When lists the conditions; all have to hold.
	When []Match `json:"when,omitempty" yaml:"when,omitempty"`
	// Verified requires a valid signature, as for a delivery; without one the call is
	// refused as a delivery is.
	Verified bool `json:"verified,omitempty" yaml:"verified,omitempty"`
	// BareRefusal means that a refusal of this handshake has a status and no body,
	// because the provider requires that.
	BareRefusal bool `json:"bare_refusal,omitempty" yaml:"bare_refusal,omitempty"`
	// Token is the place of a verify token, which has to equal the one of
	// [Descriptor.TokenField] (or a verification secret, if that is not set);
	// another token is refused.
	Token Source `json:"token,omitzero" yaml:"token,omitempty"`
	// Capture is the place of a secret that this call brings, which is stored as the
	// connection's webhook secret. It matches only while there is none, so that nobody
	// can replace one.
	Capture Source `json:"capture,omitzero" yaml:"capture,omitempty"`
	// Visit is the template of a URL that is requested as confirmation.
	Visit string `json:"visit,omitempty" yaml:"visit,omitempty"`
	// Addresses are the patterns that the URL has to match: see [URLPattern].
	Addresses []string `json:"addresses,omitempty" yaml:"addresses,omitempty"`
	Respond   Response `json:"respond,omitzero" yaml:"respond,omitempty"`
}

// Match is a condition on a request: From is a reference as in [Source.From],
// or "method". Exactly one of the others is set.
type Match struct {
	From string `json:"from" yaml:"from"`
	// Equals is the text the value has to have; numbers and booleans of a JSON
	// body compare by their text.
	Equals string `json:"equals,omitempty" yaml:"equals,omitempty"`
	// Prefix is what the value has to begin with.
	Prefix string `json:"prefix,omitempty" yaml:"prefix,omitempty"`
	// Present asks that there is a value that is not empty.
	Present bool `json:"present,omitempty" yaml:"present,omitempty"`
	// Absent asks that there is none.
	Absent bool `json:"absent,omitempty" yaml:"absent,omitempty"`
	// Empty asks for an empty array, object or string.
	Empty bool `json:"empty,omitempty" yaml:"empty,omitempty"`
}

// Response is the answer to a handshake. At most one of Body, Text and JSON is
// set; with none the body is empty.
type Response struct {
	// Status is the HTTP status. 0 means 200.
	Status int `json:"status,omitempty" yaml:"status,omitempty"`
	// Headers are templates by header name.
	Headers map[string]string `json:"headers,omitempty" yaml:"headers,omitempty"`
	// Body is sent as it stands, as application/json.
	Body string `json:"body,omitempty" yaml:"body,omitempty"`
	// Text is a template, sent as text/plain.
	Text string `json:"text,omitempty" yaml:"text,omitempty"`
	// JSON is an object of strings; its values are templates.
	JSON map[string]string `json:"json,omitempty" yaml:"json,omitempty"`
	// HMAC computes what {hmac} stands for, with the first active secret.
	HMAC *ResponseHMAC `json:"hmac,omitempty" yaml:"hmac,omitempty"`
}

// ResponseHMAC is a keyed digest that proves to the provider that we hold the
// secret.
type ResponseHMAC struct {
	Algorithm Algorithm `json:"algorithm" yaml:"algorithm"`
	Encoding  Encoding  `json:"encoding" yaml:"encoding"`
	// Over is the template of its input.
	Over string `json:"over" yaml:"over"`
}
