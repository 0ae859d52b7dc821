package records

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

const (
	// URLGrace is how long the old webhook URL is honoured after a rotation.
	URLGrace = 24 * time.Hour
	// maxPrevious bounds how many replaced URLs are honoured at once, so that a
	// record does not grow with every rotation. The oldest are dropped.
	maxPrevious = 8
)

// WebhookURL is the URL to which a provider sends a connection's webhooks.
type WebhookURL struct {
	// Secret is the last segment of the URL, an envelope.
	Secret string `json:"secret"`
	// Hash is its SHA-256 in hex, by which deliveries are matched.
	Hash string `json:"hash"`
	// Previous are the URLs before it that are still honoured, the newest first.
	Previous []PreviousURL `json:"previous,omitempty"`
}

// PreviousURL is a replaced URL, which is honoured until its time, so that the provider's settings can be changed.
type PreviousURL struct {
	Hash  string    `json:"hash"`
	Until time.Time `json:"until"`
}

const (
	urlRandomBytes = 16
	urlMACBytes    = 8
)

// urlSigner makes the secrets of webhook URLs: 32 hex digits from 128 random bits, and 16 of a
// MAC over them, by which a forged URL is refused without a look-up. Without a key, and in
// URLs of earlier versions, there is no MAC.
type urlSigner struct{ key secret.Text }

func (u urlSigner) newSecret() secret.Text {
	b := make([]byte, urlRandomBytes, urlRandomBytes+urlMACBytes)
	_, _ = rand.Read(b) // never fails
	if !u.key.IsZero() {
		b = append(b, u.mac(b)...)
	}
	return secret.New(hex.EncodeToString(b))
}

func (u urlSigner) mac(random []byte) []byte {
	h := hmac.New(sha256.New, []byte(u.key.Reveal()))
	h.Write([]byte("webhook-url"))
	h.Write(random)
	return h.Sum(nil)[:urlMACBytes]
}

// URLOrigin says what a webhook URL's secret shows without a look-up.
type URLOrigin int

// The origins.
const (
	URLUnsigned URLOrigin = iota // without a MAC
	URLSigned                    // made by this installation
	URLForged                    // with a MAC of somebody else
)

func (u urlSigner) origin(url secret.Text) URLOrigin {
	text := url.Reveal()
	if u.key.IsZero() || len(text) != 2*(urlRandomBytes+urlMACBytes) {
		return URLUnsigned
	}
	b, err := hex.DecodeString(text)
	if err != nil || !hmac.Equal(b[urlRandomBytes:], u.mac(b[:urlRandomBytes])) {
		return URLForged
	}
	return URLSigned
}

// SignWebhookURLs sets the key of the MAC in webhook URLs, the one of [SigningKey]. Call it
// before the connections are used.
func (s *Connections) SignWebhookURLs(key secret.Text) { s.signer = urlSigner{key} }

// WebhookURLOrigin returns the origin of a webhook URL's secret.
func (s *Connections) WebhookURLOrigin(url secret.Text) URLOrigin { return s.signer.origin(url) }

// hashWebhookSecret returns the hash by which a URL's secret is looked up; the index does not contain the secret.
func hashWebhookSecret(s secret.Text) string {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(sum[:])
}

// successor returns the next URL, whose secret is not sealed yet. w becomes a previous
// URL of it; w may be nil.
func (w *WebhookURL) successor(url secret.Text, now time.Time) *WebhookURL {
	next := &WebhookURL{Hash: hashWebhookSecret(url)}
	if w == nil {
		return next
	}
	next.Previous = append(next.Previous, PreviousURL{w.Hash, now.Add(URLGrace)})
	for _, p := range w.Previous {
		if now.Before(p.Until) && len(next.Previous) < maxPrevious {
			next.Previous = append(next.Previous, p)
		}
	}
	return next
}

// hashes returns the hashes of the URL and of the previous ones; w may be nil.
func (w *WebhookURL) hashes() []string {
	if w == nil {
		return nil
	}
	all := []string{w.Hash}
	for _, p := range w.Previous {
		all = append(all, p.Hash)
	}
	return all
}

// without returns what is in all and not in others.
func without(all, others []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool { return slices.Contains(others, s) })
}

// matches reports whether a delivery to the URL with this hash is the connection's.
func (w *WebhookURL) matches(hash string, now time.Time) bool {
	is := func(known string) bool { return subtle.ConstantTimeCompare([]byte(known), []byte(hash)) == 1 }
	return is(w.Hash) || slices.ContainsFunc(w.Previous, func(p PreviousURL) bool { return now.Before(p.Until) && is(p.Hash) })
}

// RenewWebhookURL gives the draft a new webhook URL, whose secret it returns. The present one is honoured for
// [URLGrace].
func (s *Connections) RenewWebhookURL(d *Draft, now time.Time) secret.Text {
	d.newURL = s.signer.newSecret()
	d.Record.Webhook = d.Record.Webhook.successor(d.newURL, now.UTC())
	return d.newURL
}

// EnsureWebhookURL returns the secret of the record's webhook URL. It sets a new one if there is none, or if
// the present one cannot be opened and so cannot be shown.
func (s *Connections) EnsureWebhookURL(d *Draft) secret.Text {
	if c := d.Record; c.Webhook != nil {
		if url, err := s.openAt(c, c.Webhook.Secret, pointerWebhookSecret); err == nil {
			d.newURL = url // indexed again: that repairs an index that was lost
			return url
		}
	}
	return s.RenewWebhookURL(d, s.now())
}

// ByWebhookURL returns the connection whose webhook URL ends in url. The index says where to look, the
// record decides. An unknown URL is CONNECTOR_WEBHOOK_VERIFICATION_FAILED, whatever the reason.
func (s *Connections) ByWebhookURL(ctx context.Context, connector string, url secret.Text) (*Connection, error) {
	hash := hashWebhookSecret(url)
	key, err := s.urls.cache.get(ctx, hash)
	if err != nil {
		return nil, errUnknownURL(err)
	}
	matches := func(c *Connection) bool {
		return c.Connector == connector && c.Webhook != nil && c.Webhook.matches(hash, s.now())
	}
	c, err := s.cache.get(ctx, key)
	if err == nil && !matches(c) {
		// Providers do not retry after a refusal, and the record may have got this URL a moment ago: the
		// index is written first, and the watch reports the record a little later.
		c, err = s.cache.read(ctx, key)
	}
	if err != nil {
		return nil, errUnknownURL(err)
	}
	if !matches(c) {
		return nil, errUnknownURL(nil)
	}
	return c, nil
}

// IsWebhookURLCached reports whether a webhook URL was looked up lately, without asking the store.
func (s *Connections) IsWebhookURLCached(url secret.Text) bool {
	return s.urls.cache.has(hashWebhookSecret(url))
}

func errUnknownURL(err error) error {
	if err == nil || errors.Is(err, kvstore.ErrNotFound) {
		return connectors.Errorf(connectors.CodeConnectorWebhookVerificationFailed, "this webhook URL is not known here")
	}
	return DatabaseError("look up the webhook URL", err)
}

// urlIndex leads from the hash of a webhook URL's secret to the key of the record.
type urlIndex struct {
	bucket kvstore.Store
	cache  *cache[string]
}

func newURLIndex(bucket kvstore.Store) *urlIndex {
	return &urlIndex{bucket, newCache(bucket, func(e kvstore.Entry) (string, error) { return string(e.Value), nil })}
}

// add adds an entry; one that is there stays.
func (x *urlIndex) add(ctx context.Context, hash, key string) error {
	_, err := x.bucket.Create(ctx, hash, []byte(key), 0)
	if err != nil && !errors.Is(err, kvstore.ErrExists) {
		return DatabaseError("store the webhook URL", err)
	}
	return nil
}

// remove removes entries that no record has any more. An entry that remains matches no record, so a failure
// is ignored.
func (x *urlIndex) remove(ctx context.Context, hashes []string) {
	if len(hashes) == 0 {
		return
	}
	ctx, cancel := cleanup(ctx)
	defer cancel()
	for _, hash := range hashes {
		_ = x.bucket.Delete(ctx, hash, 0)
	}
}
