package client_test

import (
	"testing"

	"github.com/hawser-io/hawser/pkg/client"
)

// One call after the other: publish, run, publish the result, hear it.
func BenchmarkCall(b *testing.B) {
	org := connected(b, startSystem(b).client(b, nil).Scope("organization", "bench"))
	say := org.Action("echo", "say")
	for b.Loop() {
		if _, err := client.Call[heard](b.Context(), say, said{"hi"}); err != nil {
			b.Fatal(err)
		}
	}
}

// Sixty-four calls at once.
func BenchmarkCallInParallel(b *testing.B) {
	org := connected(b, startSystem(b).client(b, nil).Scope("organization", "bench"))
	say := org.Action("echo", "say")
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := say.Call(b.Context(), said{"hi"}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	org := connected(b, startSystem(b).client(b, nil).Scope("organization", "bench"))
	for b.Loop() {
		if _, err := org.Get(b.Context(), "echo"); err != nil {
			b.Fatal(err)
		}
	}
}
