// Package ingress is the role that faces the outside: HTTP for providers and
// operators, and the control service on NATS.
//
//	ingress.go     what an ingress is made of, and its life
//	server.go      the HTTP server: routes, limits, deadlines
//	path.go        paths in one spelling, and the identity in them
//	body.go        bodies, whole or not at all
//	operation.go   the control operations, one table for HTTP and NATS
//	params.go      what an operation is asked with, from a URL or from JSON
//	catalogue.go   operations on connectors
//	connections.go operations on connections
//	oauth.go       connecting by OAuth: operations, and the browser's way
//	session.go     connect sessions: pages for end users
//	control.go     hawser.api.<operation>
//	actions.go     running actions over HTTP, and their results
//	webhook.go     the path of a provider's webhook, up to the verdict
//	patience.go    for how long a delivery may wait
//	deliver.go     storing what was verified
//	answer.go      what its provider hears of it
//	headers.go     which of the provider's headers are stored
//	dedup.go       repetitions of a delivery
//	reject.go      what is refused, or set aside
//	quarantine.go  what is kept of those
//	appwide.go     an app's one URL, for all who use the app
//	apps.go        the secrets of apps
//	shake.go       handshakes
//	limits.go      how often each may shake hands
//	redrive.go     quarantine and dead letters, for operators
//	replay.go      stored webhooks once more
//	page.go        parts of a stream
//	auth.go        bearer tokens
//	problem.go     errors as RFC 9457 problem documents
//	observe.go     request ids, traces, log lines, metrics
package ingress
