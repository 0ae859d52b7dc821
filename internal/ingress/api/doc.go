// Package api is the management API: control operations over HTTP and NATS from one
// table, and the HTTP endpoints for actions, events, provider calls and streams.
//
//	api.go         the API: its routes and its NATS service
//	operation.go   the table of control operations
//	params.go      parameters of an operation, from JSON
//	query.go       parameters of an operation, from an HTTP request
//	path.go        paths in one form, and the identity in them
//	auth.go        who asks: bearer tokens
//	access.go      who may do what
//	guard.go       let operations through, and write the audit trail
//	audit.go       the audit trail: list and export
//	tokens.go      operations on API tokens
//	http.go        operations over HTTP
//	nats.go        operations over NATS: hawser.api.<operation>
//	catalogue.go   operations on connectors
//	connections.go operations on connections, apps and connect sessions
//	actions.go     running actions, and their results
//	proxy.go       calls of a provider's API
//	feed.go        lifecycle events as server-sent events
//	page.go        messages of a stream, a page at a time
//	quarantine.go  the quarantine: list and redrive
//	deadletters.go dead letters: list and redrive
//	replay.go      publishing stored webhooks again
package api
