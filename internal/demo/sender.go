package demo

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/hawser-io/hawser/pkg/secret"
)

const (
	maxWebhookBody  = 32 << 20
	webhookDeadline = 10 * time.Second
)

// sender sends webhooks where reach allows.
type sender struct {
	store *store
	http  *http.Client
	reach reach
	now   func() time.Time
}

func newSender(store *store, reach reach, now func() time.Time) *sender {
	// No proxy from the environment: it could carry a webhook out of reach.
	return &sender{store: store, reach: reach, now: now, http: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// order is the body of POST /_webhook.
type order struct {
	URL    string          `json:"url"`
	Secret secret.Text     `json:"secret"` // absent: sent without a signature
	Type   string          `json:"type"`   // absent: sent without X-Demo-Event
	Body   json.RawMessage `json:"body"`   // a string is sent verbatim, anything else as this JSON
	// To try duplicates and old deliveries:
	Delivery  string `json:"delivery"`  // default: a new UUID
	Timestamp int64  `json:"timestamp"` // unix seconds; default: now
}

// send is POST /_webhook. It answers {status, delivery} with the status that
// the receiver gave, or 502 if it gave none within 10 s.
func (s *sender) send(r *http.Request) (reply, error) {
	var o order
	if err := readJSON(r, &o); err != nil {
		return nil, err
	}
	if o.Delivery == "" {
		o.Delivery = newID()
	}
	if o.Timestamp == 0 {
		o.Timestamp = s.now().Unix()
	}
	if _, ok := s.reach.allows(o.URL); !ok {
		return nil, badInput("url must be on loopback or below the base URL of Hawser")
	}
	if !isHeaderText(o.Type) || !isHeaderText(o.Delivery) {
		return nil, badInput("type and delivery are printable ASCII, up to 200 bytes")
	}
	ctx, cancel := context.WithTimeout(r.Context(), webhookDeadline)
	defer cancel()
	status, err := s.post(ctx, o)
	if err != nil {
		// The error would repeat the URL, whose path is a secret.
		return nil, refuse(http.StatusBadGateway, "no_answer", "the receiver gave no answer")
	}
	err = s.store.update(func(st *state) { st.Stats.WebhooksSent++ })
	return map[string]any{"status": status, "delivery": o.Delivery}, err
}

func (s *sender) post(ctx context.Context, o order) (status int, err error) {
	body, kind := o.payload()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	stamp := strconv.FormatInt(o.Timestamp, 10)
	req.Header.Set("Content-Type", kind)
	req.Header.Set("User-Agent", "hawser-demo")
	req.Header.Set("X-Demo-Delivery", o.Delivery)
	req.Header.Set("X-Demo-Timestamp", stamp)
	if o.Type != "" {
		req.Header.Set("X-Demo-Event", o.Type)
	}
	if !o.Secret.IsZero() {
		req.Header.Set("X-Demo-Signature", sign(o.Secret, stamp, body))
	}
	res, err := s.http.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	return res.StatusCode, err
}

// payload returns the bytes to send and their media type.
func (o order) payload() (body []byte, kind string) {
	var text string
	if len(o.Body) == 0 || json.Unmarshal(o.Body, &text) != nil || o.Body[0] != '"' {
		return o.Body, "application/json"
	}
	if !json.Valid([]byte(text)) {
		return []byte(text), "text/plain; charset=utf-8"
	}
	return []byte(text), "application/json"
}

// sign returns sha256=<hex HMAC-SHA256 of "<stamp>.<body>">.
func sign(key secret.Text, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func isHeaderText(s string) bool {
	return len(s) <= maxName && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
