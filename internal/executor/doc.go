// Package executor is the role that runs actions.
//
//	executor.go  what an executor is made of, and its life
//	perform.go   one delivery of one request, from parsing to ack
//	handler.go   calling the connector's handler: config, auth, deadline, claim
//	outcome.go   what becomes of a result or a failure: answer, park, bury
//	claim.go     requests that may not be repeated blindly
//	service.go   hawser.call.> and hawser.validate.<connector>
//	sweep.go     requests that nobody serves, and deliveries that ran out
//	received.go  webhooks: the lifecycle event, the memory of deliveries
//	delivery.go  calling a webhook's handler: again later, or a dead letter
//	silence.go   connections that usually hear webhooks, and hear none
//	metrics.go   what is counted
//
// Any number of executors run side by side and need to know nothing of each
// other: durable consumers share the work, the subject of a result admits one
// result, and a claim stands between a call and its repetition.
package executor
