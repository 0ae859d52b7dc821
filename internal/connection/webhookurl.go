package connection

import (
	"context"
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
	// mostPrevious bounds how many old URLs are honoured at once. Beyond it, the
	// oldest are not: a record does not grow with every rotation.
	mostPrevious = 8
)

// WebhookURL is the address at which a provider reaches a connection.
type WebhookURL struct {
	// Secret is the last segment of the URL, an envelope.
	Secret string `json:"secret"`
	// Hash is its SHA-256 in hex, by which deliveries are matched.
	Hash string `json:"hash"`
	// Previous are the URLs before it that are still honoured, the newest first.
	Previous []PreviousURL `json:"previous,omitempty"`
}

// PreviousURL is honoured until its time, so that a provider can be told the new.
type PreviousURL struct {
	Hash  string    `json:"hash"`
	Until time.Time `json:"until"`
}

// newWebhookSecret returns 32 hex digits from 128 random bits.
func newWebhookSecret() secret.Text {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return secret.New(hex.EncodeToString(b[:]))
}

// hashWebhookSecret is how a URL's secret is looked up: the index never holds it.
func hashWebhookSecret(s secret.Text) string {
	sum := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(sum[:])
}

// successor is the next URL, whose secret is yet to be sealed. w becomes its
// predecessor, for the grace time; w may be nil.
func (w *WebhookURL) successor(url secret.Text, now time.Time) *WebhookURL {
	next := &WebhookURL{Hash: hashWebhookSecret(url)}
	if w == nil {
		return next
	}
	next.Previous = append(next.Previous, PreviousURL{w.Hash, now.Add(URLGrace)})
	for _, p := range w.Previous {
		if now.Before(p.Until) && len(next.Previous) < mostPrevious {
			next.Previous = append(next.Previous, p)
		}
	}
	return next
}

// hashes are those of the URL and of the ones before it; w may be nil.
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

// ByWebhookURL returns the connection whose URL ends in url. The record has the
// last word: the index only says where to look. An unknown secret is
// CONNECTOR_WEBHOOK_VERIFICATION_FAILED, whatever the reason.
func (s *Connections) ByWebhookURL(ctx context.Context, connector string, url secret.Text) (*Connection, error) {
	hash := hashWebhookSecret(url)
	key, err := s.urls.get(ctx, hash)
	if err != nil {
		return nil, unknownURL(err)
	}
	answers := func(c *Connection) bool {
		return c.Connector == connector && c.Webhook != nil && c.Webhook.matches(hash, s.now())
	}
	c, err := s.records.get(ctx, key)
	if err == nil && !answers(c) {
		// Providers take a refusal as final, and the record may just have got this
		// URL: the index is written first, and the watch tells a little later.
		c, err = s.records.read(ctx, key)
	}
	if err != nil {
		return nil, unknownURL(err)
	}
	if !answers(c) {
		return nil, unknownURL(nil)
	}
	return c, nil
}

// IsWebhookURLCached reports whether a URL is one that was used lately, without asking anybody.
func (s *Connections) IsWebhookURLCached(url secret.Text) bool {
	return s.urls.holds(hashWebhookSecret(url))
}

func unknownURL(err error) error {
	if err == nil || errors.Is(err, kvstore.ErrNotFound) {
		return connectors.Errorf(connectors.CodeConnectorWebhookVerificationFailed, "this webhook URL is not known here")
	}
	return databaseError("look up the webhook URL", err)
}

// addURL makes the index find the record of r by a URL. It comes before the
// record, so that a crash in between leaves an entry that matches nothing. An
// entry that is there is left.
func (s *Connections) addURL(ctx context.Context, r Ref, hash string) error {
	_, err := s.buckets.Webhooks.Create(ctx, hash, []byte(r.Key()), 0)
	if err != nil && !errors.Is(err, kvstore.ErrExists) {
		return databaseError("store the webhook URL", err)
	}
	return nil
}

// removeURLs takes URLs that no record has any more out of the index. What cannot
// be removed matches nothing, so a failure is no error; and it goes on when the
// caller has gone.
func (s *Connections) removeURLs(ctx context.Context, hashes ...string) {
	if len(hashes) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	for _, hash := range hashes {
		_ = s.buckets.Webhooks.Delete(ctx, hash, 0)
	}
}

// openURL returns the secret of the connection's URL, which it has.
func (s *Connections) openURL(c *Connection) (secret.Text, error) {
	return s.openAt(c, c.Webhook.Secret, pointerWebhookSecret)
}
