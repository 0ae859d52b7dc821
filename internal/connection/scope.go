package connection

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
)

// Scopes says which kinds of tenants there are.
type Scopes struct{ identityOptional map[string]bool }

// DefaultScopes are organization, user and system; only system needs no identity.
const DefaultScopes = "organization,user,system?"

const (
	maxIdentity = 128 // bytes
	maxAccount  = 128
)

var scopePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

// ParseScopes reads a comma-separated list of scopes; a question mark behind one
// says that its identity may be empty.
func ParseScopes(list string) (Scopes, error) {
	s := Scopes{map[string]bool{}}
	for item := range strings.SplitSeq(list, ",") {
		name, optional := strings.CutSuffix(strings.TrimSpace(item), "?")
		if name == "" {
			continue
		}
		if !scopePattern.MatchString(name) {
			return s, fmt.Errorf("scope %q: lower-case letters, digits and - are needed, beginning with a letter", name)
		}
		if name == DefaultConfigTenant.Scope && optional {
			return s, fmt.Errorf("scope %q: its identity cannot be optional, because that tenant is nobody: the one of actions without a connection", name)
		}
		s.identityOptional[name] = optional
	}
	if len(s.identityOptional) == 0 {
		return s, connectors.Errorf(connectors.CodeConnectorBuildScopesRequired, "at least one scope is needed, for example %s", DefaultScopes)
	}
	return s, nil
}

// Check refuses tenants that there cannot be.
func (s Scopes) Check(t events.Tenant) error {
	optional, known := s.identityOptional[t.Scope]
	switch {
	case !known:
		return connectors.Errorf(connectors.CodeConnectorScopeInvalid, "scope %.64q is not one of this installation; the operator sets them (HAWSER_SCOPES)", t.Scope)
	case t.Identity == "" && !optional:
		return connectors.Errorf(connectors.CodeConnectorScopeIdentifierRequired, "scope %s needs an identity", t.Scope)
	case len(t.Identity) > maxIdentity:
		return connectors.Errorf(connectors.CodeConnectorScopeInvalid, "the identity has %d bytes, and %d are the most", len(t.Identity), maxIdentity)
	case t.Identity == "." || t.Identity == "..": // no client sends them in a path (RFC 3986, section 5.2.4)
		return connectors.Errorf(connectors.CodeConnectorScopeInvalid, "the identity %q can be in no URL: use another", t.Identity)
	case !utf8.ValidString(t.Identity):
		return connectors.Errorf(connectors.CodeConnectorScopeInvalid, "the identity is not UTF-8")
	}
	return nil
}

// DefaultConfigTenant is the tenant of actions that run with a connector's default config,
// without a connection.
var DefaultConfigTenant = events.Tenant{Scope: "default"}
