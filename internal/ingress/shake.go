package ingress

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// shake answers a handshake, after doing what it asks for: keep the secret that
// the provider hands over, or fetch the address that confirms. It emits no
// event. conn is nil for an app's own URL. Handshakes are rate-limited, each
// connection's and each app's by itself: strangers may call an app's URL.
func (i *Ingress) shake(ctx context.Context, w http.ResponseWriter, def *connectors.Connector, conn *connection.Connection, reply *webhook.Reply) (outcome, *connectors.Error) {
	whose := def.Key
	if conn != nil {
		whose = conn.Ref().Key()
	}
	if !i.handshakes.allow(whose) {
		e := connectors.Errorf(connectors.CodeConnectorRateLimited, "too many handshakes; try again")
		e.RetryAfter = time.Second
		return "", e
	}
	if !reply.Capture.IsZero() {
		if conn == nil || def.Webhook.SecretField == "" {
			return "", connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "the secret of an app is set by its operator, not by a handshake")
		}
		if err := i.Service.CaptureSecret(ctx, conn.Ref(), def.Webhook.SecretField, reply.Capture); err != nil {
			return "", connectors.AsError(err)
		}
	}
	if reply.Visit != "" {
		if err := i.visit(ctx, reply.Visit); err != nil {
			i.log.Warn().Str("connector", def.Key).Msg("the address that confirms a webhook did not answer")
			return "", connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "the address that confirms this webhook could not be fetched; try again")
		}
	}
	for name, values := range reply.Header {
		w.Header()[name] = values
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(reply.Status)
	_, _ = w.Write(reply.Body)
	return outcomeHandshake, nil
}

const (
	visitTimeout = 10 * time.Second
	maxVisit     = 64 << 10
)

// errUnconfirmed says that the address of a handshake answered, but not with a 2xx.
var errUnconfirmed = errors.New("the address that confirms did not answer with a success")

// visit fetches an address that matched the descriptor's, without credentials. A
// redirect would lead to one that did not, and is no success.
func (i *Ingress) visit(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	client := *i.opts.HTTP
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxVisit)); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return errUnconfirmed
	}
	return nil
}
