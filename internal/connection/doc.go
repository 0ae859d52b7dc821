// Package connection keeps the records of tenants' connections and offers the
// operations on them that HTTP and NATS share.
//
//	record.go       what is stored, and under which key
//	state.go        the states and the transitions between them
//	scope.go        which tenants there are
//	store.go        the typed store: the only code that touches the buckets, and
//	                the only place where records are sealed and opened
//	cache.go        records by key, bounded, sealed, kept fresh by a watch
//	webhookurl.go   which connection a webhook URL belongs to
//	definitions.go  the connectors that executors have published
//	service.go      connect, read, change, disconnect
//	view.go         what callers see: secrets masked
//	status.go       health, apart from credentials
//	routes.go       which connections a provider's account has
//	capture.go      a webhook secret that the provider hands over
//	evidence.go     sealing what lies in quarantine
//	sieve.go        what was certainly not seen before
//	deliveries.go   which deliveries are stored, for days
//
// Writes are by revision. A lost race reads again and tries again.
package connection
