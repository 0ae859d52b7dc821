package ingress

import (
	"context"
	"net/http"

	"github.com/hawser-io/hawser/internal/oauth"
)

// operation is a control operation: by HTTP on its method and path, by NATS on
// hawser.api.<name>.
type operation struct {
	name   string
	method string
	path   string // below the base path
	status int    // of a success
	run    func(*Ingress, context.Context, params) (any, error)
}

const onConnection = "/scopes/{scope}/{identity}/connections/{connector}"

// operations is the table.
func operations() []operation {
	const (
		ok      = http.StatusOK
		created = http.StatusCreated
		none    = http.StatusNoContent
	)
	return []operation{
		{"connectors.list", "GET", "/connectors", ok, (*Ingress).listConnectors},
		{"connectors.get", "GET", "/connectors/{connector}", ok, (*Ingress).getConnector},
		{"connections.list", "GET", "/scopes/{scope}/{identity}/connections", ok, (*Ingress).listConnections},
		{"connections.count", "GET", "/scopes/{scope}/{identity}/connections/count", ok, (*Ingress).countConnections},
		{"connections.get", "GET", onConnection, ok, (*Ingress).getConnection},
		{"connections.connect", "PUT", onConnection, created, (*Ingress).connect},
		{"connections.update", "PATCH", onConnection, ok, (*Ingress).updateConnection},
		{"connections.disconnect", "DELETE", onConnection, none, (*Ingress).disconnect},
		{"connections.toggle", "POST", onConnection + "/toggle", ok, (*Ingress).toggle},
		{"connections.rotate-webhook", "POST", onConnection + "/rotate-webhook", ok, (*Ingress).rotateWebhook},
		{"connections.resolve", "POST", onConnection + "/resolve", ok, (*Ingress).resolve},
		{"connections.refresh", "POST", onConnection + "/refresh", ok, (*Ingress).refresh},
		{"connections.select", "POST", onConnection + "/select", ok, (*Ingress).selectSite},
		{"connect-sessions.create", "POST", "/connect-sessions", created, (*Ingress).createSession},
		{"apps.get", "GET", "/apps/{connector}", ok, (*Ingress).getApp},
		{"apps.set", "PUT", "/apps/{connector}", ok, (*Ingress).setApp},
		{"apps.delete", "DELETE", "/apps/{connector}", none, (*Ingress).deleteApp},
	}
}

// overHTTP is the operation as an HTTP handler.
func (i *Ingress) overHTTP(op operation) http.HandlerFunc {
	return i.authenticated(func(w http.ResponseWriter, r *http.Request) {
		p, err := requestParams(w, r)
		var reply any
		if err == nil {
			reply, err = op.run(i, r.Context(), p)
		}
		if err != nil {
			writeProblem(w, asError(err))
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
		writeJSON(w, status, "application/json", reply)
	})
}
