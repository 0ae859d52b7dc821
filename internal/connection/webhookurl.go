package connection

import (
	"context"
	"crypto/subtle"
	"errors"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// URLGrace is how long the old webhook URL is honoured after a rotation.
const URLGrace = 24 * time.Hour

// ByWebhookURL returns the connection whose URL ends in url. The record has the
// last word: the index only says where to look. An unknown secret is
// CONNECTOR_WEBHOOK_VERIFICATION_FAILED, whatever the reason.
func (s *Store) ByWebhookURL(ctx context.Context, connector string, url secret.Text) (*Connection, error) {
	hash := hashWebhookSecret(url)
	key, err := s.urls.get(ctx, hash)
	if err != nil {
		return nil, unknownURL(err)
	}
	c, err := s.records.get(ctx, key)
	if err != nil {
		return nil, unknownURL(err)
	}
	if c.Connector != connector || c.Webhook == nil || !c.Webhook.matches(hash, time.Now()) {
		return nil, unknownURL(nil)
	}
	return c, nil
}

func (w *WebhookURL) matches(hash string, now time.Time) bool {
	current := subtle.ConstantTimeCompare([]byte(w.Hash), []byte(hash)) == 1
	p := w.Previous
	return current || p != nil && now.Before(p.Until) && subtle.ConstantTimeCompare([]byte(p.Hash), []byte(hash)) == 1
}

func unknownURL(err error) error {
	if err == nil || errors.Is(err, kvstore.ErrNotFound) {
		return connectors.Errorf(connectors.CodeConnectorWebhookVerificationFailed, "this webhook URL is not known here")
	}
	return databaseError("look up the webhook URL", err)
}

// addURL makes the index find the record of r by the new URL. It comes before
// the record, so that a crash in between leaves an entry that matches nothing.
func (s *Store) addURL(ctx context.Context, r Ref, url secret.Text) error {
	_, err := s.buckets.Webhooks.Create(ctx, hashWebhookSecret(url), []byte(r.Key()), 0)
	if err != nil {
		return databaseError("store the webhook URL", err)
	}
	return nil
}

// removeURLs takes a record's URLs out of the index. What cannot be removed
// matches nothing any more, so a failure is no error.
func (s *Store) removeURLs(ctx context.Context, w *WebhookURL) {
	if w == nil {
		return
	}
	_ = s.buckets.Webhooks.Delete(ctx, w.Hash, 0)
	if w.Previous != nil {
		_ = s.buckets.Webhooks.Delete(ctx, w.Previous.Hash, 0)
	}
}
