package api

import (
	"context"
	"net/http"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// rule is what an operation asks of its caller.
type rule struct {
	role  records.Role // the least role
	about about
}

// about is what an operation is about, which says what a token that is bound to a tenant
// may do with it.
type about int

const (
	// theInstallation: such a token may not use the operation.
	theInstallation about = iota
	// aTenant: the tenant is in the path or in the parameters, and has to be the token's.
	aTenant
	// aThing: the handler finds the tenant of what an id names, or lists what is of the
	// token's tenant; it asks [caller.reaches].
	aThing
	// theCatalogue: every token may use the operation.
	theCatalogue
)

// access is the table of who may do what. An operation that is not here is refused.
var access = map[string]rule{
	"connectors.list":    {records.RoleRead, theCatalogue},
	"connectors.get":     {records.RoleRead, theCatalogue},
	"connectors.apply":   {records.RoleOperator, theInstallation},
	"connectors.remove":  {records.RoleOperator, theInstallation},
	"connectors.migrate": {records.RoleOperator, theInstallation},

	"connections.list":            {records.RoleRead, aTenant},
	"connections.count":           {records.RoleRead, aTenant},
	"connections.get":             {records.RoleRead, aTenant},
	"connections.connect":         {records.RoleOperator, aTenant},
	"connections.update":          {records.RoleOperator, aTenant},
	"connections.disconnect":      {records.RoleOperator, aTenant},
	"connections.toggle":          {records.RoleOperator, aTenant},
	"connections.rotate-webhook":  {records.RoleOperator, aTenant},
	"connections.refresh":         {records.RoleOperator, aTenant},
	"connections.select":          {records.RoleOperator, aTenant},
	"connections.resolve":         {records.RoleAdmin, aTenant},
	"connections.captured-secret": {records.RoleAdmin, aTenant},
	"connections.proxy":           {records.RoleOperator, aTenant},
	"connections.replay":          {records.RoleOperator, aTenant},
	"connect-sessions.create":     {records.RoleOperator, aTenant},

	"apps.get":    {records.RoleRead, theInstallation},
	"apps.set":    {records.RoleOperator, theInstallation},
	"apps.delete": {records.RoleOperator, theInstallation},

	"tokens.list":   {records.RoleRead, theInstallation},
	"tokens.create": {records.RoleAdmin, theInstallation},
	"tokens.revoke": {records.RoleAdmin, theInstallation},

	"actions.run":         {records.RoleOperator, aTenant},
	"actions.run-default": {records.RoleOperator, theInstallation},
	"results.get":         {records.RoleAdmin, aThing},
	"events.read":         {records.RoleRead, aThing},

	"quarantine.list":      {records.RoleRead, aThing},
	"quarantine.redrive":   {records.RoleOperator, aThing},
	"dead-letters.list":    {records.RoleRead, aThing},
	"dead-letters.redrive": {records.RoleOperator, aThing},
	"webhooks.replay":      {records.RoleOperator, aThing},
	"webhooks.body":        {records.RoleAdmin, aTenant},

	"audit.list":   {records.RoleRead, theInstallation},
	"audit.export": {records.RoleRead, theInstallation},
}

// recorded reports whether the audit trail has the operation when it is let through: one
// that changes something or shows a secret or a payload. An action is not: its request and
// its result are stored.
func recorded(operation string) bool {
	return access[operation].role != records.RoleRead && operation != "actions.run" && operation != "actions.run-default"
}

// caller is who asks for an operation.
type caller struct {
	name   string
	role   records.Role
	tenant *events.Tenant // nil: bound to none
	token  secret.Text    // none by NATS without one
}

func callerWith(token records.APIToken, bearer secret.Text) caller {
	c := caller{name: token.Name, role: token.Role, token: bearer}
	if tenant, bound := token.Tenant(); bound {
		c.tenant = &tenant
	}
	return c
}

// rank orders the roles. An unknown role is below all.
func rank(r records.Role) int {
	switch r {
	case records.RoleRead:
		return 1
	case records.RoleOperator:
		return 2
	case records.RoleAdmin:
		return 3
	}
	return 0
}

// may returns nil if the caller's role allows the operation, FORBIDDEN else. Whether it is
// about the caller's tenant is for [caller.reaches] to say.
func (c caller) may(operation string) error {
	rule, known := access[operation]
	switch {
	case !known:
		return connectors.Errorf(connectors.CodeForbidden, "no role may use %s", operation)
	case rank(c.role) < rank(rule.role):
		return connectors.Errorf(connectors.CodeForbidden, "%s needs a token with the role %s, and %q has the role %s", operation, rule.role, c.name, c.role)
	case c.tenant != nil && rule.about == theInstallation:
		return connectors.Errorf(connectors.CodeForbidden, "%s needs a token of the whole installation, and %q is bound to one tenant", operation, c.name)
	}
	return nil
}

// errOtherTenant does not say whether the tenant has anything.
const errOtherTenant = problem.NotFoundError("there is nothing at this path for this token")

// reaches reports whether the caller may see what belongs to a tenant.
func (c caller) reaches(t events.Tenant) bool { return c.tenant == nil || *c.tenant == t }

// mayAsk refuses a query for another tenant than the one that the caller is bound to.
func (c caller) mayAsk(r *http.Request) error {
	if c.tenant == nil {
		return nil
	}
	query := r.URL.Query()
	for name, own := range map[string]string{"scope": c.tenant.Scope, "identity": c.tenant.Identity} {
		if given := query.Get(name); given != "" && given != own {
			return errOtherTenant
		}
	}
	return nil
}

type callerKey struct{}

// callerOf returns who asks. Without [API.identify] it is nobody, who may do nothing.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}
