// Package events is the language that Hawser's programs speak with each other:
// subjects, streams, and CloudEvents on NATS JetStream.
//
//	names.go       which subject carries what, and how to read a subject
//	token.go       how a foreign string becomes one subject token, and back
//	topology.go    the streams, as one table
//	ensure.go      making them so, again and again
//	heal.go        streams that are gone are made again
//	event.go       what our CloudEvents carry
//	binding.go     CloudEvent ⇄ NATS message; binary mode
//	structured.go  structured mode: the JSON format
//	header.go      attributes as header values
//	bus.go         a connection, and what its errors mean
//	publish.go     publish and wait for the ack
//	consumer.go    what to take; handlers answer with errors as instructions
//	consume.go     take messages
//	deliver.go     run a handler and carry out its instruction
//	slots.go       a bound on what runs at once
//	action.go      a request for an action, and how its message is read
//	request.go     publish an action and wait for its result
//	park.go        waiting work, as scheduled messages; dead letters
//	peek.go        look into streams
//	service.go     request-reply, as a NATS micro service
//	trace.go       the trace that travels with messages
//
// Everything that is published is acknowledged by the stream before the caller
// is told so; everything that is consumed is acknowledged only after its effect
// is stored.
package events
