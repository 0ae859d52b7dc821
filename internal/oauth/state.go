package oauth

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

// A flow has one random handle of 256 bits, in the URL that opens it in a browser.
// What goes to the provider is made of it by the signing key, so that neither tells
// the other:
//
//	nonce  = HMAC-SHA-256(key, "flow" | handle)
//	state  = base64url( nonce 32 B | expiry 8 B, unix seconds | HMAC-SHA-256(key, "state" | nonce | expiry) 32 B )
//	record = hex( SHA-256(nonce) )
//
// A forged state fails before anything is looked up.
const stateBytes = 32 + 8 + 32

var encoding = base64.RawURLEncoding.Strict()

func random() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	return b
}

func sign(key secret.Text, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	for _, p := range parts {
		mac.Write(p)
	}
	return mac.Sum(nil)
}

// handle of a flow, as the URL carries it.
type handle struct{ nonce []byte }

// decodeURL takes one spelling of each value: the decoder itself passes over line breaks.
func decodeURL(text string) ([]byte, error) {
	if at := strings.IndexAny(text, "\r\n"); at >= 0 {
		return nil, base64.CorruptInputError(at)
	}
	return encoding.DecodeString(text)
}

func newHandle(key secret.Text) (text string, h handle) {
	raw := random()
	return encoding.EncodeToString(raw), handle{sign(key, []byte("flow"), raw)}
}

func parseHandle(key secret.Text, text string) (handle, bool) {
	raw, err := decodeURL(text)
	if err != nil || len(raw) != 32 {
		return handle{}, false
	}
	return handle{sign(key, []byte("flow"), raw)}, true
}

// record is the key under which the flow lies.
func (h handle) record() string {
	sum := sha256.Sum256(h.nonce)
	return hex.EncodeToString(sum[:])
}

func (h handle) state(key secret.Text, expires time.Time) string {
	end := binary.BigEndian.AppendUint64(nil, uint64(expires.Unix()))
	raw := append(append([]byte{}, h.nonce...), end...)
	return encoding.EncodeToString(append(raw, sign(key, []byte("state"), h.nonce, end)...))
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
	reasonMalformed:    "the state is missing or malformed; begin again",
	reasonBadSignature: "the state was not made here; begin again",
	reasonExpired:      "the authorisation took too long; begin again",
	reasonReplayed:     "the state was used before; begin again",
	reasonWrongBrowser: "the authorisation was begun in another browser; begin again in this one",
	reasonMismatch:     "the answer belongs to another connector, provider or account; begin again",
}

func stateInvalid(reason string) *connectors.Error {
	return &connectors.Error{Code: connectors.CodeConnectorOAuthStateInvalid, Message: reasonTexts[reason], Reason: reason}
}

// parseState checks a state's signature.
func parseState(key secret.Text, text string) (handle, time.Time, *connectors.Error) {
	raw, err := decodeURL(text)
	if err != nil || len(raw) != stateBytes {
		return handle{}, time.Time{}, stateInvalid(reasonMalformed)
	}
	nonce, end, mac := raw[:32], raw[32:40], raw[40:]
	if !hmac.Equal(mac, sign(key, []byte("state"), nonce, end)) {
		return handle{}, time.Time{}, stateInvalid(reasonBadSignature)
	}
	return handle{nonce}, time.Unix(int64(binary.BigEndian.Uint64(end)), 0), nil
}

// Cookie is what binds a flow to the browser that opened it.
type Cookie struct {
	Name   string
	Value  string
	MaxAge time.Duration
	Secure bool
}

// cookieName is a flow's own, so that flows in several tabs do not disturb each
// other. Over https it has the prefix with which browsers guard it.
func cookieName(secure bool, record string) string {
	name := "hawser-" + record[:16]
	if secure {
		return "__Host-" + name
	}
	return name
}

func cookieHash(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

func sameHash(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// reconnectLife is how long a reconnect link may be used.
const reconnectLife = 30 * 24 * time.Hour

// reconnect is what a reconnect link says, signed.
type reconnect struct {
	Key     string `json:"k"` // of the connection's record
	ID      string `json:"i"` // of the connection
	Expires int64  `json:"e"` // unix seconds
}

// ReconnectURL is a link that lets a user authorise the connection again. It is
// good only while the connection needs it, and keeps the connection's id.
func (t *Tokens) ReconnectURL(c *records.Connection) string {
	body, err := json.Marshal(reconnect{c.Ref().Key(), c.ID, t.opts.Now().Add(reconnectLife).Unix()})
	if err != nil {
		return ""
	}
	token := encoding.EncodeToString(body) + "." + encoding.EncodeToString(sign(t.Key, []byte("reconnect"), body))
	return t.opts.BaseURL + "/connectors/" + c.Connector + "/oauth/reconnect/" + token
}
