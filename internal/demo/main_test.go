package demo_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/hawser-io/hawser/internal/demo"
)

// childData, if set, makes the test binary a provider on that folder that says
// its URL and then waits to be killed.
const childData = "HAWSER_TEST_DEMO_DATA"

func TestMain(m *testing.M) {
	if folder := os.Getenv(childData); folder != "" {
		p, err := demo.Start(context.Background(), demo.Options{Addr: "127.0.0.1:0", DataDir: folder})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(p.URL())
		select {}
	}
	goleak.VerifyTestMain(m)
}
