package fairness_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/hawser-io/hawser/internal/executor/fairness"
)

func TestALimiterLeavesSlotsForTheNextKey(t *testing.T) {
	t.Parallel()
	l := fairness.NewLimiter[int](64)
	var first []fairness.Slot[int]
	var got []int
	for key := range 6 {
		for slot, ok := l.TryAcquire(key, false); ok; slot, ok = l.TryAcquire(key, false) {
			if key == 0 {
				first = append(first, slot)
			}
		}
		got = append(got, l.Running(key))
	}
	if want := []int{48, 12, 3, 1, 0, 0}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("six keys that take all they can get have %v of 64 slots, want %v", got, want)
	}
	for _, slot := range first[:40] { // the keys with few slots get the released ones
		slot.Release()
		for key := range 6 {
			l.TryAcquire(key, false)
		}
	}
	for key := range 6 {
		if n := l.Running(key); n < 5 {
			t.Errorf("key %d has %d slots", key, n)
		}
	}
}

func TestALimiterServesFloodsEquallyAndUrgentCallsFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const floods, each, slots = 4, 200, 16
		l := fairness.NewLimiter[string](slots)
		served := map[string]int{}
		var mu sync.Mutex
		var order []string
		var all sync.WaitGroup
		call := func(key string, urgent bool) {
			all.Go(func() {
				slot, err := l.Acquire(t.Context(), key, urgent)
				if err != nil {
					return
				}
				defer slot.Release()
				mu.Lock()
				served[key]++
				order = append(order, key)
				mu.Unlock()
				time.Sleep(time.Second)
			})
		}
		for i := range floods {
			for range each {
				call(fmt.Sprint("flood", i), false)
			}
			synctest.Wait()
		}
		call("urgent", true)
		time.Sleep(20 * time.Second)
		mu.Lock()
		for i := range floods {
			if n := served[fmt.Sprint("flood", i)]; n < 40 || n > 100 {
				t.Errorf("flood %d was served %d times of %d, want about a quarter of them", i, n, len(order))
			}
		}
		position := len(order)
		for at, key := range order {
			if key == "urgent" {
				position = at
			}
		}
		if position > 3*slots {
			t.Errorf("the urgent call came as number %d", position)
		}
		mu.Unlock()
		all.Wait()
		for i := range floods {
			if !l.Idle(fmt.Sprint("flood", i)) || l.Waiting() != 0 {
				t.Errorf("flood %d is not forgotten, or %d calls wait at the end", i, l.Waiting())
			}
		}
	})
}

func TestTimesToRetryFollowEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := fairness.NewLimiter[string](4)
		for ok := true; ok; {
			_, ok = l.TryAcquire("busy", false)
		}
		for range 10_000 {
			if wait := time.Until(l.RetryAt("busy")); wait < 250*time.Millisecond || wait > 30*time.Second {
				t.Fatalf("to be retried in %v", wait)
			}
		}
		if l.RetryAt("idle"); !l.Idle("idle") {
			t.Error("a key without calls is remembered")
		}
	})
}

// Whatever happens in whatever order, no slot is lost or given twice.
func TestALimiterLosesNoSlot(t *testing.T) {
	t.Parallel()
	type result struct {
		slot fairness.Slot[string]
		err  error
	}
	rapid.Check(t, func(r *rapid.T) {
		slots := rapid.IntRange(1, 9).Draw(r, "slots")
		l := fairness.NewLimiter[string](slots)
		keys := []string{"a", "b", "c"}
		var held []fairness.Slot[string]
		waiting := map[chan result]context.CancelFunc{}
		done := func(calls chan result, got result) {
			if got.err == nil {
				held = append(held, got.slot)
			}
			waiting[calls]()
			delete(waiting, calls)
		}
		collect := func() {
			for calls := range waiting {
				select {
				case got := <-calls:
					done(calls, got)
				default:
				}
			}
		}
		release := func() {
			held[0].Release()
			held = held[1:]
		}
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			key, urgent := rapid.SampledFrom(keys).Draw(r, "key"), rapid.Bool().Draw(r, "urgent")
			switch rapid.IntRange(0, 3).Draw(r, "step") {
			case 0:
				if slot, ok := l.TryAcquire(key, urgent); ok {
					held = append(held, slot)
				}
			case 1:
				ctx, cancel := context.WithCancel(context.Background())
				calls := make(chan result, 1)
				waiting[calls] = cancel
				before := l.Waiting()
				go func() {
					slot, err := l.Acquire(ctx, key, urgent)
					calls <- result{slot, err}
				}()
				for l.Waiting() == before && len(calls) == 0 {
					runtime.Gosched()
				}
			case 2:
				if len(held) > 0 {
					release()
				}
			case 3:
				for calls, cancel := range waiting {
					cancel()
					done(calls, <-calls)
					break
				}
			}
			collect()
			if len(held) > slots {
				r.Fatalf("%d of %d slots are held", len(held), slots)
			}
		}
		for len(held) > 0 || len(waiting) > 0 {
			if len(held) > 0 {
				release()
			}
			runtime.Gosched()
			collect()
			if len(held) == 0 && len(waiting) > 0 && l.Waiting() == len(waiting) {
				r.Fatalf("%d calls wait although all slots are free", len(waiting))
			}
		}
		for _, key := range keys {
			if !l.Idle(key) {
				r.Fatalf("%s is remembered at the end", key)
			}
		}
	})
}
