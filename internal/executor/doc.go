// Package executor is the role that runs actions.
//
//	executor.go  what an executor is made of, and its life
//	perform.go   one delivery of one request, from parsing to ack
//	attempt.go   one call of the handler, and who may make it when
//	gate.go      places for handlers, divided between tenants
//	overtake.go  requests that are let pass by a backlog of others
//	singleflight.go  one message of a request at a time
//	handler.go   calling the connector's code: config, auth, deadline
//	crew.go      goroutines for foreign code
//	claim.go     requests that may not be repeated blindly
//	witness.go   whether a provider may have done something
//	outcome.go   what becomes of a failure: park, postpone, bury
//	result.go    the one result, and the events about it
//	service.go   hawser.call.>
//	validate.go  hawser.validate.<connector>
//	sweep.go     requests that nobody serves
//	ranout.go    messages whose deliveries ran out
//	received.go  webhooks: the lifecycle event, then the handler
//	delivery.go  calling a webhook's handler: again later, or a dead letter
//	silence.go   connections that usually hear webhooks, and hear none
//	metrics.go   what is counted
//
// Any number of executors run side by side and need to know nothing of each
// other: durable consumers share the work, the subject of a result admits one
// result, and a claim stands between a call and its repetition.
package executor
