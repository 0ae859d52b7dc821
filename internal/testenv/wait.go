package testenv

import (
	"context"
	"testing"
	"time"
)

// MaxWait bounds every wait of a test. It is far above what anything takes.
const MaxWait = 30 * time.Second

// Eventually polls until the condition holds, and fails the test after [MaxWait].
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	EventuallyWithin(t, MaxWait, what, holds)
}

// EventuallyWithin is [Eventually] with a limit of its own.
func EventuallyWithin(t testing.TB, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not after %v: %s", limit, what)
		}
	}
}

// Must fails the test if err is not nil.
func Must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Bounded returns a context that outlives the test's own and ends after [MaxWait].
func Bounded(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), MaxWait)
	t.Cleanup(cancel)
	return ctx
}
