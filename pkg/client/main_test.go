package client_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/hawser-io/hawser/internal/testenv"
)

func TestMain(m *testing.M) {
	status := m.Run()
	stopExamples()
	if err := goleak.Find(testenv.KnownLeaks()...); err != nil && status == 0 {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}
