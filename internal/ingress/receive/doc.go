// Package receive takes in providers' webhooks: it finds the connection, verifies the
// delivery, stores it in the stream, and answers the provider.
//
//	receiver.go    the two routes, and what they share
//	webhook.go     deliveries for one connection
//	appwide.go     deliveries to an app's one URL, for all connections of the app
//	secrets.go     the secrets that deliveries are verified with
//	body.go        bodies of deliveries, within limits
//	handshake.go   handshakes
//	deliver.go     storing verified deliveries
//	dedup.go       repetitions of a delivery
//	headers.go     which of the provider's headers are stored
//	answer.go      answers to providers
//	reject.go      deliveries that are refused
//	quarantine.go  deliveries in quarantine, and evidence of refused ones
//	redrive.go     deliveries out of quarantine
//	metrics.go     counters
package receive
