package receive

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
)

const (
	handshakesPerSecond = 10
	handshakesBurst     = 50
	// maxHandshakeLimiters bounds the connections and apps whose handshakes are
	// counted; the least recently used is forgotten.
	maxHandshakeLimiters = 10_000

	confirmTimeout       = 10 * time.Second
	maxConfirmationReply = 64 << 10
)

// errUnconfirmed says that a confirmation URL answered, but not with a 2xx.
var errUnconfirmed = errors.New("the confirmation URL did not answer with a success")

// handshakes answers providers' handshakes. They emit no event. Handshakes of each
// connection and of each app are rate-limited by themselves, since anybody can call
// an app's URL.
type handshakes struct {
	service *connection.Service
	http    *http.Client
	log     zerolog.Logger

	mu       sync.Mutex
	limiters *simplelru.LRU[string, *rate.Limiter] // connection or connector → limiter
}

func newHandshakes(service *connection.Service, client *http.Client, log zerolog.Logger) *handshakes {
	limiters, err := simplelru.NewLRU[string, *rate.Limiter](maxHandshakeLimiters, nil)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &handshakes{service: service, http: client, log: log, limiters: limiters}
}

func (h *handshakes) allow(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	limiter, ok := h.limiters.Get(key)
	if !ok {
		limiter = rate.NewLimiter(handshakesPerSecond, handshakesBurst)
		h.limiters.Add(key, limiter)
	}
	return limiter.Allow()
}

// answer answers a handshake, after it has stored the secret that the provider sends
// or fetched the URL that confirms. conn is nil for an app's URL.
func (h *handshakes) answer(ctx context.Context, w http.ResponseWriter, def *connectors.Connector, conn *records.Connection, reply *webhook.Reply) *connectors.Error {
	key := def.Key
	if conn != nil {
		key = conn.Ref().Key()
	}
	if !h.allow(key) {
		return problem.RateLimited("too many handshakes")
	}
	if !reply.Capture.IsZero() {
		if conn == nil || def.Webhook.SecretField == "" {
			return connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "the secret of an app is set by its operator, not by a handshake")
		}
		if err := h.service.CaptureSecret(ctx, conn.Ref(), def.Webhook.SecretField, reply.Capture); err != nil {
			return connectors.AsError(err)
		}
	}
	if reply.Visit != "" {
		if err := h.confirm(ctx, reply.Visit); err != nil {
			h.log.Warn().Str("connector", def.Key).Msg("the confirmation URL of a webhook did not answer")
			return connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "the confirmation URL of this webhook could not be fetched; try again")
		}
	}
	for name, values := range reply.Header {
		w.Header()[name] = values
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(reply.Status)
	_, _ = w.Write(reply.Body) // the provider may have closed the connection
	return nil
}

// confirm fetches a URL that matched the descriptor's, without credentials. A
// redirect would lead to one that did not, and is no success.
func (h *handshakes) confirm(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := *h.http
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxConfirmationReply)); err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return errUnconfirmed
	}
	return nil
}
