package natskv_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/kvtest"
	"github.com/hawser-io/hawser/pkg/kvstore/natskv"
)

func TestStoreConforms(t *testing.T) {
	t.Parallel()
	const maxValue = 64 << 10
	js := startNode(t).connect()
	var buckets atomic.Int64
	kvtest.Run(t, func(t *testing.T) kvstore.Store {
		name := fmt.Sprintf("conform-%d", buckets.Add(1))
		return mustOpen(t, js, natskv.Bucket{Name: name, MaxValueSize: maxValue}, nil)
	}, kvtest.Features{Latest: true, Count: true, MaxValueSize: maxValue})
}
