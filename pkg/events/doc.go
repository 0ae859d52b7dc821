// Package events is what Hawser's programs and applications exchange over NATS:
// subjects, and CloudEvents in JetStream streams.
//
//	subject.go     subjects: build and parse them
//	token.go       any string as one subject token, and back
//	event.go       kinds and attributes of events
//	message.go     an event to be published; a message read from a stream
//	binding.go     CloudEvent ⇄ NATS message; binary mode
//	structured.go  structured mode: the JSON format
//	header.go      attributes as header values
//	byteset.go     which bytes have to be escaped
//	bus.go         a connection
//	errors.go      what the server's errors mean
//	publish.go     publish and wait for the ack
//	groupcommit.go publish concurrent messages as one atomic batch
//	consumer.go    describe a consumer; errors of handlers as instructions
//	consume.go     run handlers for the messages of a consumer
//	pull.go        pull requests
//	handle.go      run a handler and acknowledge its message
//	action.go      a request for an action
//	readaction.go  read a request from its message
//	request.go     publish a request and wait for its result
//	call.go        request-reply
//	trace.go       the trace that messages carry
//
// A publish returns after the stream has acknowledged the message. A consumed message is
// acknowledged after its handler has returned.
package events
