// Package executor is the role that runs actions and webhook handlers.
//
//	executor.go       what an executor consists of, and its life
//	consumers.go      the consumers and the NATS service
//
// A request, in the order of its way:
//
//	actions.go        from the message to its ack
//	task.go           the work on one message
//	singleflight.go   one message of a request at a time
//	resolver.go       connector, action and connection of a request
//	attempts.go       one call of the handler, in a concurrency slot
//	callbuilder.go    what the handler gets: config, credentials, HTTP client
//	boundedcode.go    running a connector's code with a deadline
//	workers.go        reused goroutines
//	claims.go         actions that may not be repeated
//	sideeffects.go    whether a call may have changed something at the provider
//	outcomes.go       result, next attempt, or dead letter
//	failure.go        errors, delays
//	results.go        the one result, and its event
//	lifecycle.go      lifecycle events
//
// Webhooks and what runs beside:
//
//	webhooks.go       from a stored webhook to its outcome
//	webhookrunner.go  one call of a webhook handler
//	inactivity.go     connections that receive no webhooks any more
//	service.go        hawser.call.>
//	validator.go      hawser.validate.<connector>
//	subscriptions.go  webhooks that are registered at providers (internal/subscription)
//	sweeper.go        messages to connectors that are not registered
//	unprocessed.go    messages that no consumer processes any more
//	quarantine.go     messages whose subject cannot be read
//	telemetry.go      metrics and log
//
// Any number of executors run side by side without knowledge of each other: durable
// consumers share the work, the subject of a result takes one message, and a claim stands
// between a call and its repetition.
package executor
