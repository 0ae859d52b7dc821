package ingress_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-io/hawser/internal/ingress"
)

// Deadlines are shared by those who begin together, and nobody's is shorter for it.
func TestEveryDeliveryHasThePatienceOfItsOwn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var p ingress.Patience
		caller, leave := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		began := time.Now()
		for range 100 {
			d := p.From(caller)
			until, ok := d.Deadline()
			if left := time.Until(until); !ok || left < ingress.StorePatience || left > ingress.StorePatience+ingress.Sharing {
				t.Errorf("%v are left after %v, want %v, and %v more at most", left, time.Since(began), ingress.StorePatience, ingress.Sharing)
			}
			if d.Value(key{}) != "value" || d.Err() != nil {
				t.Errorf("value %v, error %v", d.Value(key{}), d.Err())
			}
			time.Sleep(ingress.Sharing / 7)
		}
		last := p.From(caller)
		leave()
		derived, cancel := context.WithTimeout(last, time.Hour)
		defer cancel()
		synctest.Wait()
		if last.Err() != nil || derived.Err() != nil {
			t.Errorf("ended with its caller: %v, %v", last.Err(), derived.Err())
		}
		<-derived.Done()
		if !errors.Is(last.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(derived), context.DeadlineExceeded) {
			t.Errorf("ended by %v, and what derives from it by %v", last.Err(), context.Cause(derived))
		}
	})
}
