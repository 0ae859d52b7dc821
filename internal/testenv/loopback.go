package testenv

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Loopback returns a loopback address of the test's own, such as "127.83.4.170", for
// servers that are restarted on the same port. On 127.0.0.1 the port could be taken
// meanwhile, by another test or as the local port of a client that reconnects. On
// Linux all of 127.0.0.0/8 is loopback; elsewhere the result is 127.0.0.1.
func Loopback(t testing.TB) string {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "127.0.0.1"
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return host
}
