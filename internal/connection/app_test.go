package connection_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/memkv"
	"github.com/hawser-io/hawser/pkg/secret"
)

// countingStore counts the reads that reach the bucket.
type countingStore struct {
	kvstore.Store
	reads atomic.Int64
}

func (s *countingStore) Get(ctx context.Context, key string) (kvstore.Entry, error) {
	s.reads.Add(1)
	return s.Store.Get(ctx, key)
}

// Whether an app is stored is asked for each of its webhooks, and by every stranger
// who calls its address.
func TestAnAppThatIsNotStoredCostsNoReadOfItsOwn(t *testing.T) {
	t.Parallel()
	bucket := &countingStore{Store: memkv.New(nil)}
	apps := records.NewApps(records.Buckets{Apps: bucket}, records.NewSealer(newKeyring(t), prefix), nil)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- apps.Run(ctx) }()
	defer func() { stop(); <-done }()
	known := func(want bool) {
		t.Helper()
		if _, found, err := apps.Named(t.Context(), "shop"); found != want || err != nil {
			t.Fatalf("found %v, %v; want %v", found, err, want)
		}
	}
	for until := time.Now().Add(30 * time.Second); ; {
		reads := bucket.reads.Load()
		if known(false); bucket.reads.Load() == reads {
			break
		}
		if time.Now().After(until) {
			t.Fatal("every question still costs a read")
		}
	}
	for range 10 {
		if err := apps.Set(t.Context(), "shop", records.App{ClientID: "id", ClientSecrets: []secret.Text{secret.New("s")}}); err != nil {
			t.Fatal(err)
		}
		known(true)
		if err := apps.Delete(t.Context(), "shop"); err != nil {
			t.Fatal(err)
		}
		known(false)
		known(false)
	}
}
