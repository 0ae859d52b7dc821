package testenv

import (
	"testing"

	"go.uber.org/goleak"
)

// KnownLeaks are goroutines that may be left over: one of the server waits up to 30 s for the
// answer to a request that a stopped server does not answer, and one of the client may start
// after its object store has ended its publisher (nats.go 1.55).
func KnownLeaks() []goleak.Option {
	return []goleak.Option{
		goleak.IgnoreTopFunction("github.com/nats-io/nats-server/v2/server.(*stream).trySetupSourceConsumer.func3"),
		goleak.IgnoreTopFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"),
	}
}

// VerifyNoLeaks runs the tests of a package and fails if goroutines are left over, but for
// KnownLeaks, and more that only this package's tests leave.
func VerifyNoLeaks(m *testing.M, more ...goleak.Option) {
	goleak.VerifyTestMain(m, append(more, KnownLeaks()...)...)
}
