// Package connection offers the operations on tenants' connections that HTTP and NATS share.
//
//	service.go      read, disconnect, announce
//	connect.go      connect and replace
//	change.go       update, toggle, rotate the webhook URL
//	mergepatch.go   JSON merge patch of a config
//	capture.go      a webhook secret that the provider hands over
//	validate.go     the connector's Validate, run by an executor
//	authorize.go    connections whose credentials come from OAuth
//	list.go         lists and counts
//	view.go         what callers see: secrets masked
//	resolve.go      base URL and headers for a caller of the provider
//	scope.go        the kinds of tenants
//	actor.go        the API token on whose behalf a change is made
//
// Records are stored by package records. Writes are by revision: after a lost race the operation reads again and
// tries again. An event is published after the change that it is about is stored.
package connection
