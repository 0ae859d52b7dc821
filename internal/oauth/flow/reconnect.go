package flow

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
)

// reconnectLifetime is how long a reconnect link is valid.
const reconnectLifetime = 30 * 24 * time.Hour

// reconnectLink is the content of a reconnect link, which is signed.
type reconnectLink struct {
	Key     string `json:"k"` // of the connection's record
	ID      string `json:"i"` // of the connection
	Expires int64  `json:"e"` // unix seconds
}

// ReconnectURL returns a link by which a user authorises the connection again. It is
// valid only while the connection needs that, and keeps the connection's id.
func (l *Links) ReconnectURL(c *records.Connection) string {
	body, err := json.Marshal(reconnectLink{c.Ref().Key(), c.ID, l.Now().Add(reconnectLifetime).Unix()})
	if err != nil {
		return ""
	}
	token := encoding.EncodeToString(body) + "." + encoding.EncodeToString(l.sign([]byte("reconnect"), body))
	return l.connectorURL(c.Connector, "reconnect/"+token)
}

func (l *Links) parseReconnect(token string) (link reconnectLink, err error) {
	body, signature, _ := strings.Cut(token, ".")
	raw, err := decodeURL(body)
	mac, macErr := decodeURL(signature)
	if err != nil || macErr != nil {
		return link, stateInvalid(reasonMalformed)
	}
	if !hmac.Equal(mac, l.sign([]byte("reconnect"), raw)) {
		return link, stateInvalid(reasonBadSignature)
	}
	if json.Unmarshal(raw, &link) != nil {
		return link, stateInvalid(reasonMalformed)
	}
	if !l.Now().Before(time.Unix(link.Expires, 0)) {
		return link, stateInvalid(reasonExpired)
	}
	return link, nil
}

// Reconnect starts a flow by a reconnect link, and returns the URL to redirect the
// browser to: one of ours, which binds the flow to the browser.
func (s *Starter) Reconnect(ctx context.Context, connector, token string) (string, error) {
	link, err := s.links.parseReconnect(token)
	if err != nil {
		return "", err
	}
	c, err := s.connections.LatestByKey(ctx, link.Key)
	if err != nil {
		return "", err
	}
	switch {
	case c.ID != link.ID || c.Connector != connector:
		return "", stateInvalid(reasonMismatch)
	case c.State != records.NeedsReauth && !s.needsUser(ctx, c):
		return "", stateInvalid(reasonReplayed)
	}
	config, err := s.connections.ConfigOf(c)
	if err != nil {
		return "", err
	}
	started, err := s.Start(ctx, c.Ref(), StartInput{
		ConnectInput: connection.ConnectInput{Config: config, Replace: true}, reconnect: c.ID,
	})
	if err != nil {
		return "", err
	}
	return started.AuthorizationURL, nil
}

// needsUser reports whether one of an active connection's grants is revoked or about to
// expire.
func (s *Starter) needsUser(ctx context.Context, c *records.Connection) bool {
	for _, key := range append(slices.Collect(maps.Values(c.Companions)), c.Grant) {
		g, err := s.grants.Latest(ctx, key)
		if errors.Is(err, records.ErrNotFound) || err == nil && (g.State != records.GrantLive || g.ExpiryWarned) {
			return true
		}
	}
	return false
}
