package api

import (
	"context"
	"net/http"
	"strings"
)

// operation is a control operation: by HTTP on its method and path, by NATS on
// hawser.api.<name>.
type operation struct {
	name       string
	method     string // "": by NATS only
	path       string // below the base path
	status     int    // of a success
	parameters string // names of those that are not in the path
	run        func(context.Context, params) (any, error)
}

const (
	ofTenant     = "/scopes/{scope}/{identity}/connections"
	onConnection = ofTenant + "/{connector}"
	// ofTenantsWebhook is a stored webhook.
	ofTenantsWebhook = "/scopes/{scope}/{identity}/webhooks/{id}"

	ofApp       = "/apps/{connector}"
	ofConnector = "/connectors/{connector}"
)

// operations is the table.
func operations(parts Parts) []operation {
	const (
		ok      = http.StatusOK
		created = http.StatusCreated
		none    = http.StatusNoContent
	)
	catalogue := catalogue{parts.Service}
	conns := connections{parts.Service, parts.OAuth}
	apps := apps{parts.Apps, parts.Definitions, parts.OAuth}
	bodies := bodies{&replays{queue: parts.Queue}}
	tokens := tokens{parts.Service, parts.Tokens}
	trail := auditTrail{parts.Audit}
	definitions := definitions{parts.Service, parts.Definitions, parts.Bases}
	return []operation{
		{"connectors.list", "GET", "/connectors", ok, "name limit offset count", catalogue.list},
		{"connectors.get", "GET", ofConnector, ok, "count", catalogue.get},
		{"connectors.apply", "PUT", ofConnector, ok, "definition dry_run", definitions.apply},
		{"connectors.remove", "DELETE", ofConnector, none, "", definitions.remove},
		{"connectors.migrate", "POST", ofConnector + "/migrate", ok, "dry_run", definitions.migrate},
		{"connections.list", "GET", ofTenant, ok, "enabled name limit offset", conns.list},
		{"connections.count", "GET", ofTenant + "/count", ok, "enabled name limit offset", conns.count},
		{"connections.get", "GET", onConnection, ok, "account", conns.get},
		{"connections.connect", "PUT", onConnection, created, "account config tags replace scopes return_url", conns.connect},
		{"connections.update", "PATCH", onConnection, ok, "account enabled config secret_grace tags", conns.update},
		{"connections.disconnect", "DELETE", onConnection, none, "account", conns.disconnect},
		{"connections.toggle", "POST", onConnection + "/toggle", ok, "account", conns.toggle},
		{"connections.rotate-webhook", "POST", onConnection + "/rotate-webhook", ok, "account", conns.rotateWebhook},
		{"connections.resolve", "POST", onConnection + "/resolve", ok, "account", conns.resolve},
		{"connections.refresh", "POST", onConnection + "/refresh", ok, "account", conns.refresh},
		{"connections.captured-secret", "POST", onConnection + "/captured-secret", ok, "account", conns.capturedSecret},
		{"webhooks.body", "", ofTenantsWebhook, ok, "offset", bodies.get},
		{"connections.select", "POST", onConnection + "/select", ok, "account resource_id", conns.selectSite},
		{"connect-sessions.create", "POST", "/connect-sessions", created, "scope identity connectors account return_url", conns.createSession},
		{"apps.get", "GET", ofApp, ok, "", apps.get},
		{"apps.set", "PUT", ofApp, ok, "client_id client_secret client_secrets scopes extra_params extra", apps.set},
		{"apps.delete", "DELETE", ofApp, none, "", apps.delete},
		{"audit.list", "GET", "/audit", ok, "limit cursor actor operation outcome scope identity", trail.list},
		{"tokens.list", "GET", "/tokens", ok, "limit cursor", tokens.list},
		{"tokens.create", "POST", "/tokens", created, "name role scope identity expires_in", tokens.create},
		{"tokens.revoke", "DELETE", "/tokens/{name}", none, "", tokens.revoke},
	}
}

// accepts reports whether the operation has a parameter of the name.
func (op operation) accepts(name string) bool {
	for own := range strings.FieldsSeq(op.parameters) {
		if own == name {
			return true
		}
	}
	return op.inPath(name)
}

func (op operation) inPath(name string) bool { return strings.Contains(op.path, "{"+name+"}") }
