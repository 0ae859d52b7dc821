package oauth_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/secret"
)

const (
	repairGrant  = "urn:test:grant-type:jwt-bearer"
	repairSecret = "a-secret-to-sign-with"
)

// repairServer is a provider with rotation and reuse detection, which issues new tokens
// to a client that authenticates by a JWT.
type repairServer struct {
	mu           sync.Mutex
	n            int
	revokedGrant bool
	drops        int      // answers that are lost after the rotation
	asked        []string // what was asked for
}

func (m *repairServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch grant := r.FormValue("grant_type"); {
	case grant == repairGrant && verified(r.Header.Get("Authorization")):
		m.asked, m.revokedGrant = append(m.asked, "repair"), false
	case grant == "refresh_token" && !m.revokedGrant && r.FormValue("refresh_token") == m.token():
		m.asked = append(m.asked, "refresh")
	default:
		m.asked, m.revokedGrant = append(m.asked, "refused "+grant), true
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":"invalid_grant"}`)
		return
	}
	m.n++
	if m.drops > 0 {
		m.drops--
		panic(http.ErrAbortHandler)
	}
	_, _ = fmt.Fprintf(w, `{"access_token":"a","refresh_token":%q,"expires_in":3600}`, m.token())
}

func (m *repairServer) token() string {
	if m.n == 0 {
		return "old-refresh"
	}
	return fmt.Sprint("refresh-", m.n)
}

func (m *repairServer) requests() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string{}, m.asked...)
}

// verified verifies an assertion with code of its own.
func verified(header string) bool {
	parts := strings.Split(strings.TrimPrefix(header, "Bearer "), ".")
	if len(parts) != 3 {
		return false
	}
	mac := hmac.New(sha256.New, []byte(repairSecret))
	mac.Write([]byte(parts[0] + "." + parts[1]))
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims struct {
		Iss, Sub string
		Exp      int64
	}
	left := func() time.Duration { return time.Until(time.Unix(claims.Exp, 0)) }
	return err == nil && json.Unmarshal(payload, &claims) == nil && claims.Iss == "demo-client" && claims.Sub == "demo-client" &&
		left() > 0 && left() <= time.Minute && parts[2] == base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

var repairApp = records.App{ClientID: "demo-client", ClientSecrets: []secret.Text{secret.New(repairSecret)}}

func withRepair(t *testing.T, repair func(*connectors.OAuth2)) (in *installation, m *repairServer, grant string) {
	t.Helper()
	m = &repairServer{}
	in = install(t, &options{CallTimeout: time.Second}, oauthConnector("mend", newServer(t, m), func(o *connectors.OAuth2) {
		o.UserInfoURL, o.RevocationURL = "", ""
		repair(o)
	}))
	in.setApp("mend", repairApp)
	return in, m, in.storeExpired(t, "mend")
}

func byAssertion(o *connectors.OAuth2) { o.Repair = &connectors.Repair{GrantType: repairGrant} }

// A process is killed between the provider's response and the store. The next one finds
// the intent and requests a repair; the spent token is not used again.
func TestAKillIsRepaired(t *testing.T) {
	t.Parallel()
	in, m, grant := withRepair(t, byAssertion)
	killed, _ := in.child(t, childOptions{Grant: grant, Kill: true, Timeout: time.Second})
	if err := killed.Wait(); err == nil {
		t.Fatal("the child was not killed")
	}
	token, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
	must(t, err)
	if diff := cmp.Diff([]string{"refresh", "repair"}, m.requests()); diff != "" || token.Generation != 2 {
		t.Errorf("generation %d; the provider was asked (-want +got):\n%s", token.Generation, diff)
	}
	g := in.grant(grant)
	if last := g.History[len(g.History)-1]; last.Outcome != "repaired" || g.Intent != nil || g.State != records.GrantLive {
		t.Errorf("history ends with %q, intent %v, %s; want repaired, none, live", last.Outcome, g.Intent, g.State)
	}
	in.expire(grant)
	_, err = in.front.OAuth.Source.Fresh(t.Context(), grant) // the token of the repair is rotated like any
	must(t, err)
}

// The responses to a refresh and to its repair are lost. The intent says so until there
// are tokens.
func TestALostRotationIsRecordedUntilItIsRepaired(t *testing.T) {
	t.Parallel()
	in, m, grant := withRepair(t, byAssertion)
	m.drops = 2
	for range 2 {
		if _, err := in.front.OAuth.Source.Fresh(t.Context(), grant); err == nil {
			t.Fatal("a lost answer gave a token")
		}
		in.expire(grant)
	}
	_, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
	must(t, err)
	if diff := cmp.Diff([]string{"refresh", "repair", "repair"}, m.requests()); diff != "" {
		t.Errorf("the provider was asked (-want +got):\n%s", diff)
	}
}

// A token that another party has spent is refused, and the grant repaired before it is
// marked as revoked.
func TestARefusedTokenIsRepairedBeforeTheGrantIsRevoked(t *testing.T) {
	t.Parallel()
	in, m, grant := withRepair(t, byAssertion)
	m.n = 7
	_, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
	must(t, err)
	if diff := cmp.Diff([]string{"refused refresh_token", "repair"}, m.requests()); diff != "" {
		t.Errorf("the provider was asked (-want +got):\n%s", diff)
	}
}

func TestARepairByCode(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		repair func(context.Context, *connectors.LostToken) (json.RawMessage, error)
		code   connectors.Code // "": a token
		asked  []string
		state  records.GrantState
	}{
		{"gives tokens", func(_ context.Context, lost *connectors.LostToken) (json.RawMessage, error) {
			if lost.Refresh.Reveal() != "old-refresh" || lost.ClientSecret.Reveal() != repairSecret || lost.HTTP == nil || lost.URL == "" {
				return nil, errors.New("not all is there")
			}
			return json.RawMessage(`{"access_token":"by-code","expires_in":60}`), nil
		}, "", []string{"refresh"}, records.GrantLive},
		{"has none for this", func(context.Context, *connectors.LostToken) (json.RawMessage, error) { return nil, nil },
			connectors.CodeConnectorOAuthRefreshFailed, []string{"refresh", "refused refresh_token"}, records.GrantRevoked},
		{"is refused", func(context.Context, *connectors.LostToken) (json.RawMessage, error) {
			return nil, connectors.Permanent(errors.New("unknown installation"))
		}, connectors.CodeConnectorOAuthRefreshFailed, []string{"refresh", "refused refresh_token"}, records.GrantRevoked},
		{"fails for now", func(context.Context, *connectors.LostToken) (json.RawMessage, error) {
			return nil, errors.New("away")
		}, connectors.CodeConnectorOAuthTokenFailed, []string{"refresh"}, records.GrantLive},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in, m, grant := withRepair(t, func(o *connectors.OAuth2) { o.RepairToken = tc.repair })
			m.drops = 1
			if _, err := in.front.OAuth.Source.Fresh(t.Context(), grant); err == nil {
				t.Fatal("a lost answer gave a token")
			}
			in.expire(grant)
			in.front.Registry = connectors.NewRegistry()
			if _, err := in.front.Join(t).OAuth.Source.Fresh(t.Context(), grant); !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorOAuthNotConfigured}) {
				t.Errorf("without the code: got %v, want CONNECTOR_OAUTH_NOT_CONFIGURED", err)
			}
			token, err := in.front.OAuth.Source.Fresh(t.Context(), grant)
			if tc.code == "" {
				must(t, err)
				if token.Access.Reveal() != "by-code" {
					t.Error("the token is not the code's")
				}
			} else if !errors.Is(err, &connectors.Error{Code: tc.code}) {
				t.Errorf("got %v, want %s", err, tc.code)
			}
			if diff := cmp.Diff(tc.asked, m.requests()); diff != "" || in.grant(grant).State != tc.state {
				t.Errorf("the grant is %s; the provider was asked (-want +got):\n%s", in.grant(grant).State, diff)
			}
		})
	}
}
