package ingress

import (
	"context"
	"net/http"
	"strings"

	"github.com/hawser-io/hawser/internal/oauth"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// operation is a control operation: by HTTP on its method and path, by NATS on
// hawser.api.<name>.
type operation struct {
	name   string
	method string
	path   string // below the base path
	status int    // of a success
	takes  string // names of its parameters beside those of the path
	run    func(*Ingress, context.Context, params) (any, error)
}

const (
	ofTenant     = "/scopes/{scope}/{identity}/connections"
	onConnection = ofTenant + "/{connector}"
	ofApp        = "/apps/{connector}"
)

// operations is the table.
func operations() []operation {
	const (
		ok      = http.StatusOK
		created = http.StatusCreated
		none    = http.StatusNoContent
	)
	return []operation{
		{"connectors.list", "GET", "/connectors", ok, "name limit offset count", (*Ingress).listConnectors},
		{"connectors.get", "GET", "/connectors/{connector}", ok, "count", (*Ingress).getConnector},
		{"connections.list", "GET", ofTenant, ok, "enabled name limit offset", (*Ingress).listConnections},
		{"connections.count", "GET", ofTenant + "/count", ok, "enabled name limit offset", (*Ingress).countConnections},
		{"connections.get", "GET", onConnection, ok, "account", (*Ingress).getConnection},
		{"connections.connect", "PUT", onConnection, created, "account config tags replace scopes return_url", (*Ingress).connect},
		{"connections.update", "PATCH", onConnection, ok, "account enabled config secret_grace tags", (*Ingress).updateConnection},
		{"connections.disconnect", "DELETE", onConnection, none, "account", (*Ingress).disconnect},
		{"connections.toggle", "POST", onConnection + "/toggle", ok, "account", (*Ingress).toggle},
		{"connections.rotate-webhook", "POST", onConnection + "/rotate-webhook", ok, "account", (*Ingress).rotateWebhook},
		{"connections.resolve", "POST", onConnection + "/resolve", ok, "account", (*Ingress).resolve},
		{"connections.refresh", "POST", onConnection + "/refresh", ok, "account", (*Ingress).refresh},
		{"connections.select", "POST", onConnection + "/select", ok, "account resource_id", (*Ingress).selectSite},
		{"connect-sessions.create", "POST", "/connect-sessions", created, "scope identity connectors account return_url", (*Ingress).createSession},
		{"apps.get", "GET", ofApp, ok, "", (*Ingress).getApp},
		{"apps.set", "PUT", ofApp, ok, "client_id client_secret client_secrets scopes extra_params", (*Ingress).setApp},
		{"apps.delete", "DELETE", ofApp, none, "", (*Ingress).deleteApp},
	}
}

// accepts reports whether the operation has a parameter of the name.
func (op operation) accepts(name string) bool {
	for own := range strings.FieldsSeq(op.takes) {
		if own == name {
			return true
		}
	}
	return op.inPath(name)
}

func (op operation) inPath(name string) bool { return strings.Contains(op.path, "{"+name+"}") }

// overHTTP is the operation as an HTTP handler.
func (i *Ingress) overHTTP(op operation) http.HandlerFunc {
	return i.authenticated(func(w http.ResponseWriter, r *http.Request) {
		p, err := i.requestParams(op, w, r)
		var reply any
		if err == nil {
			reply, err = i.perform(r.Context(), op, p)
		}
		if err != nil {
			writeProblem(w, connectors.AsError(err))
			return
		}
		if op.status == http.StatusNoContent {
			w.WriteHeader(op.status)
			return
		}
		status := op.status
		if _, ok := reply.(*oauth.Started); ok {
			status = http.StatusOK // nothing is created before the user has agreed
		}
		writeJSON(w, status, jsonType, reply)
	})
}
