package executor_test

import (
	"github.com/hawser-io/hawser/internal/testenv"

	"flag"
	"testing"
)

func TestMain(m *testing.M) {
	// These tests wait for servers, timers and drains; they hardly compute.
	flag.Parse()
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	testenv.VerifyNoLeaks(m)
}
