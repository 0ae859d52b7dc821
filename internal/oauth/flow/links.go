package flow

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Links makes and verifies the signed texts that browsers carry.
//
// A flow has one random handle of 256 bits, in the URL that opens it in a browser. The
// state for the provider is derived from it by the signing key, so that neither reveals
// the other:
//
//	nonce  = HMAC-SHA-256(key, "flow" | handle)
//	state  = base64url( nonce 32 B | expiry 8 B, unix seconds | HMAC-SHA-256(key, "state" | nonce | expiry) 32 B )
//	record = hex( SHA-256(nonce) )
//
// The handle's text ends in a MAC over it. A forged state or handle is refused before any
// record is read.
type Links struct {
	BaseURL string      // public, with the base path, without a slash at the end
	Key     secret.Text // the same in every process
	Now     func() time.Time
}

const (
	stateBytes  = 32 + 8 + 32
	handleBytes = 32 + 10
)

var encoding = base64.RawURLEncoding.Strict()

func random() []byte {
	b := make([]byte, 32, 64)
	_, _ = rand.Read(b) // never fails
	return b
}

func (l *Links) sign(parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, []byte(l.Key.Reveal()))
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil)
}

// decodeURL accepts one spelling of each value: the decoder alone ignores line breaks.
func decodeURL(text string) ([]byte, error) {
	if at := strings.IndexAny(text, "\r\n"); at >= 0 {
		return nil, base64.CorruptInputError(at)
	}
	return encoding.DecodeString(text)
}

// handle is a flow's or a session's handle, as its URL carries it.
type handle struct{ nonce []byte }

func (l *Links) newHandle() (text string, h handle) {
	raw := random()
	return encoding.EncodeToString(append(raw, l.handleMAC(raw)...)), handle{l.sign([]byte("flow"), raw)}
}

func (l *Links) parseHandle(text string) (h handle, ok bool) {
	raw, err := decodeURL(text)
	if err != nil || len(raw) != handleBytes || !hmac.Equal(raw[32:], l.handleMAC(raw[:32])) {
		return handle{}, false
	}
	return handle{l.sign([]byte("flow"), raw[:32])}, true
}

func (l *Links) handleMAC(raw []byte) []byte {
	return l.sign([]byte("handle"), raw[:32:32])[:handleBytes-32]
}

// record returns the key of the flow's record.
func (h handle) record() string {
	sum := sha256.Sum256(h.nonce)
	return hex.EncodeToString(sum[:])
}

func (l *Links) state(h handle, expires time.Time) string {
	end := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	raw := append(append([]byte{}, h.nonce...), end...)
	return encoding.EncodeToString(append(raw, l.sign([]byte("state"), h.nonce, end)...))
}

// nonce returns a flow's nonce for an ID token (OpenID Connect Core 3.1.2.1).
func (l *Links) nonce(record string) string {
	return encoding.EncodeToString(l.sign([]byte("nonce"), []byte(record)))
}

// parseState checks a state's signature, and returns its flow's handle and its expiry.
func (l *Links) parseState(text string) (handle, time.Time, *connectors.Error) {
	raw, err := decodeURL(text)
	if err != nil || len(raw) != stateBytes {
		return handle{}, time.Time{}, stateInvalid(reasonMalformed)
	}
	nonce, end, mac := raw[:32], raw[32:40], raw[40:]
	if !hmac.Equal(mac, l.sign([]byte("state"), nonce, end)) {
		return handle{}, time.Time{}, stateInvalid(reasonBadSignature)
	}
	return handle{nonce}, time.Unix(int64(binary.BigEndian.Uint64(end)), 0), nil
}

func (l *Links) connectorURL(connector, path string) string {
	return l.BaseURL + "/connectors/" + connector + "/oauth/" + path
}

func (l *Links) redirectURI(connector string) string { return l.connectorURL(connector, "callback") }

// sessionURL returns the URL of a connect session, which is outside the base path.
func (l *Links) sessionURL(token string) string {
	scheme, rest, _ := strings.Cut(l.BaseURL, "://")
	host, _, _ := strings.Cut(rest, "/")
	return scheme + "://" + host + "/connect/" + token
}

// Cookie binds a flow to the browser that opened it.
type Cookie struct {
	Name   string
	Value  string
	MaxAge time.Duration
	Secure bool
	// CrossSite lets the provider's page post a form with the cookie: SameSite=None. The
	// cookie is of one flow, and of use only with that flow's state.
	CrossSite bool
}

// cookie returns the cookie of a record, without its value. Each flow has its own, so
// that flows in several tabs do not interfere. Over https its name has the prefix that
// binds it to the host.
func (l *Links) cookie(record string, expires time.Time) Cookie {
	c := Cookie{Name: "hawser-" + record[:16], MaxAge: max(expires.Sub(l.Now()), time.Second), Secure: strings.HasPrefix(l.BaseURL, "https://")}
	if c.Secure {
		c.Name = "__Host-" + c.Name
	}
	return c
}

func cookieHash(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

func sameHash(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// The reasons of CONNECTOR_OAUTH_STATE_INVALID.
const (
	reasonMalformed    = "malformed"
	reasonBadSignature = "bad_signature"
	reasonExpired      = "expired"
	reasonReplayed     = "replayed"
	reasonWrongBrowser = "wrong_browser"
	reasonMismatch     = "mismatch"
)

var reasonTexts = map[string]string{
	reasonMalformed:    "the state is missing or malformed; start again",
	reasonBadSignature: "the state was not issued by this installation; start again",
	reasonExpired:      "the authorisation took too long; start again",
	reasonReplayed:     "the state was used before; start again",
	reasonWrongBrowser: "the authorisation was started in another browser; start again in this one",
	reasonMismatch:     "the response belongs to another connector, provider or account; start again",
}

func stateInvalid(reason string) *connectors.Error {
	return &connectors.Error{Code: connectors.CodeConnectorOAuthStateInvalid, Message: reasonTexts[reason], Reason: reason}
}
