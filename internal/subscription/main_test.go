package subscription_test

import (
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
)

func TestMain(m *testing.M) { testenv.VerifyNoLeaks(m) }
