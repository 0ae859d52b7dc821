// Package records stores Hawser's records in key-value buckets, one type per kind of record. It is the only package
// that seals and opens secret fields.
//
//	buckets.go      the buckets
//	sealer.go       sealing: keyset, bindings, single texts
//	record.go       Connection: what is stored, and under which key
//	state.go        its states and the transitions between them
//	connections.go  Connections: reads, writes, the indexes kept with them
//	seal.go         sealing and opening a connection's config
//	signing.go      webhook secrets, present and replaced
//	webhookurl.go   webhook URL → connection
//	routes.go       provider account → connections
//	status.go       health of connections, apart from credentials
//	cache.go        bounded cache, invalidated by a watch of the bucket
//	definitions.go  the connectors that executors have published
//	claims.go       which executor calls the provider for a request
//	lease.go        tasks of one process at a time
//	grant.go        OAuth tokens of a provider account, shared by connections
//	reference.go    which connections use a grant
//	flow.go         pending OAuth authorisations
//	session.go      connect sessions of end users
//	document.go     what flows and sessions share
//	app.go          the operator's OAuth clients
//	appsecrets.go   client secrets as operators write them
//	apitoken.go     bearer tokens of the management API
//	apitokens.go    making, listing and revoking them
//	signingkey.go   the key that signs OAuth states and links
//	keycheck.go     whether the keyset is the one of these records
//
// Writes are by revision. A lost race is [ErrConflict] or [ErrExists]: read again and try again.
package records
