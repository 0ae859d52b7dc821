package receive

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors"
)

const (
	handshakesPerSecond = 10
	handshakesBurst     = 50
	// One caller has half of that.
	handshakesPerSecondEach = 5
	handshakesBurstEach     = 25
	// maxHandshakeLimiters bounds the connections and apps whose handshakes are
	// counted; the least recently used is forgotten.
	maxHandshakeLimiters = 10_000

	confirmTimeout       = 10 * time.Second
	maxConfirmationReply = 64 << 10
)

// errUnconfirmed says that a confirmation URL answered, but not with a 2xx.
var errUnconfirmed = errors.New("the confirmation URL did not answer with a success")

// handshakes answers providers' handshakes. They emit no event. Handshakes of each
// connection and of each app are rate-limited by themselves, and those of each caller's
// address, since anybody can call an app's URL.
type handshakes struct {
	service  *connection.Service
	http     *http.Client
	log      zerolog.Logger
	limiters *lru.Cache[string, *rate.Limiter] // connection or connector → limiter
}

func newHandshakes(service *connection.Service, client *http.Client, log zerolog.Logger) *handshakes {
	limiters, err := lru.New[string, *rate.Limiter](maxHandshakeLimiters)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &handshakes{service, client, log, limiters}
}

func (h *handshakes) allow(key string, limit rate.Limit, burst int) bool {
	if limiter, ok := h.limiters.Get(key); ok {
		return limiter.Allow()
	}
	limiter := rate.NewLimiter(limit, burst)
	if known, ok, _ := h.limiters.PeekOrAdd(key, limiter); ok {
		limiter = known
	}
	return limiter.Allow()
}

// answer answers a handshake, after it has stored the secret that the provider sends
// or fetched the URL that confirms.
func (h *handshakes) answer(r *http.Request, w http.ResponseWriter, d *delivery, reply *webhook.Reply) error {
	ctx, owner := r.Context(), d.owner()
	source, _, _ := net.SplitHostPort(r.RemoteAddr)
	if !h.allow(owner+" "+source, handshakesPerSecondEach, handshakesBurstEach) || !h.allow(owner, handshakesPerSecond, handshakesBurst) {
		return problem.RateLimited("too many handshakes")
	}
	if !reply.Capture.IsZero() {
		if d.conn == nil || d.def.Webhook.SecretField == "" {
			return connectors.Errorf(connectors.CodeConnectorWebhookNotConfigured, "the secret of an app is set by its operator, not by a handshake")
		}
		if err := h.service.CaptureSecret(ctx, d.conn.Ref(), d.def.Webhook.SecretField, reply.Capture); err != nil {
			return err
		}
	}
	if reply.Visit != "" {
		if err := h.confirm(ctx, reply.Visit); err != nil {
			h.log.Warn().Str("connector", d.def.Key).Msg("the confirmation URL of a webhook did not answer")
			return connectors.Errorf(connectors.CodeConnectorUnavailable, "the confirmation URL of this webhook could not be fetched; try again")
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
