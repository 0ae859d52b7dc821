package oauth_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
)

func machine(url string, alter func(*connectors.OAuth2)) connectors.Connector {
	c := oauthConnector("machine", url, func(o *connectors.OAuth2) {
		o.AuthorizationURL, o.UserInfoURL, o.ClientAuth = "", "", connectors.ClientAuthBasic
		if alter != nil {
			alter(o)
		}
	})
	c.Auth.Kind = connectors.AuthClientCredentials
	return c
}

// Two concurrent connects, as after a timeout, leave one working connection: the slower
// must not remove the grant of the faster.
func TestConcurrentConnectsLeaveOneWorkingConnection(t *testing.T) {
	t.Parallel()
	p := startDemo(t)
	in := installWithApp(t, nil, machine(p.URL(), nil))
	for round := range 20 {
		path := fmt.Sprintf("/scopes/organization/acme/connections/machine?account=%d", round)
		var both sync.WaitGroup
		statuses := make([]int, 2)
		for i := range statuses {
			both.Go(func() { statuses[i], _ = in.call(http.MethodPut, path, map[string]any{}, nil) })
		}
		both.Wait()
		c, err := in.front.Service.Latest(t.Context(), records.NewRef(acme, "machine", fmt.Sprint(round)))
		must(t, err)
		if g, err := in.front.Grants.Latest(t.Context(), c.Grant); err != nil || len(g.References) != 1 {
			t.Fatalf("round %d, answers %v: the grant of the connection that is there: %v", round, statuses, err)
		}
	}
}

// A panic would end the process.
func TestAPanicInTokenCodeIsAnError(t *testing.T) {
	t.Parallel()
	p := startDemo(t)
	const canary = "c4n4ry-token"
	in := installWithApp(t, nil, machine(p.URL(), func(o *connectors.OAuth2) {
		o.ParseToken = func(int, http.Header, []byte) (json.RawMessage, error) { panic(canary) }
	}))
	status, problem := in.call(http.MethodPut, "/scopes/organization/acme/connections/machine", map[string]any{}, nil)
	if status != http.StatusBadGateway || problem.Code != connectors.CodeConnectorOAuthParseTokenFailed {
		t.Errorf("got %d %s, want 502 CONNECTOR_OAUTH_PARSE_TOKEN_FAILED", status, problem.Code)
	}
	if strings.Contains(problem.Message+in.front.Log.String(), canary) {
		t.Error("the panic's value is in the error or the log")
	}
}
