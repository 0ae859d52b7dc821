// Package connection keeps the records of tenants' connections and offers the
// operations on them that HTTP and NATS share.
//
//	record.go       what is stored, and under which key
//	state.go        the states and the transitions between them
//	scope.go        which tenants there are
//	store.go        the typed store: the only code that touches the buckets
//	seal.go         the only place where records are sealed and opened
//	cache.go        records by key, bounded, sealed, kept fresh by a watch
//	webhookurl.go   which connection a webhook URL belongs to
//	definitions.go  the connectors that executors have published
//	service.go      the operations: read, disconnect, announce
//	connect.go      connect and replace
//	change.go       update, toggle, rotate
//	mergepatch.go   what a change of the config is
//	validate.go     the provider's word on a config, by way of an executor
//	list.go         lists and counts
//	view.go         what callers see: secrets masked
//	resolve.go      what a caller of the provider needs
//	status.go       health, apart from credentials
//	claims.go       who calls the provider for a request
//	authorize.go    connections whose credentials come from OAuth
//	grant.go        the tokens of a provider's account, shared by connections
//	flow.go         authorisations under way
//	session.go      links with which end users connect
//	app.go          the operator's OAuth clients
//	lease.go        what one process at a time does
//	signkey.go      the key that signs what browsers are given
//	tokens.go       the bearer tokens of the management API
//	keycheck.go     whether the keyset is the one of these records
//	routes.go       which connections a provider's account has
//	capture.go      a webhook secret that the provider hands over
//	evidence.go     sealing what lies in quarantine
//
// Writes are by revision. A lost race reads again and tries again.
package connection
