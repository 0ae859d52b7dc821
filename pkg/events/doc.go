// Package events is the language that Hawser's programs speak with each other:
// subjects, streams, and CloudEvents on NATS JetStream.
//
//	names.go     which subject carries what, and how to read a subject
//	token.go     how a foreign string becomes one subject token, and back
//	topology.go  the streams, as one table
//	event.go     what our CloudEvents carry
//	binding.go   CloudEvent ⇄ NATS message, binary and structured mode
//	publish.go   publish and wait for the ack
//	consume.go   take messages; handlers answer with errors as instructions
//	park.go      waiting work, as scheduled messages
//	request.go   publish an action and wait for its result
//	service.go   request-reply, as a NATS micro service
//
// Everything that is published is acknowledged by the stream before the caller
// is told so; everything that is consumed is acknowledged only after its effect
// is stored.
package events
