package kvstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"
)

// ErrKeep is what the function of [Modify] returns to leave the key as it is.
var ErrKeep = errors.New("keep the value")

// Lost races are repeated up to raceAttempts times, after random pauses that double from racePause to
// maxRacePause: about two seconds in all, so a write of a contended key fails instead of hanging.
const (
	raceAttempts = 64
	racePause    = time.Millisecond
	maxRacePause = 64 * time.Millisecond
)

// Attempts yields once for every attempt at a write that may lose a race, with random, growing pauses in
// between. It ends after 64 attempts or, after the first, when ctx ends.
func Attempts(ctx context.Context) iter.Seq[int] {
	return func(yield func(int) bool) {
		pause := racePause
		for n := range raceAttempts {
			if !yield(n) || sleep(ctx, rand.N(pause)) != nil {
				return
			}
			pause = min(2*pause, maxRacePause)
		}
	}
}

// Modify replaces the value of key by what fn makes of it: it reads, calls fn,
// and writes under the revision it read; when somebody else was faster it reads
// again and calls fn again. fn gets nil if there is no such key, and Modify
// then creates it, without a ttl. fn may run many times, must not keep or
// change old, and should do nothing but compute.
//
// Modify returns the entry as it is now; Created is zero if it was written by
// this call. If fn returns [ErrKeep], nothing is written and the entry read is
// returned, zero if there is none. Any other error of fn is returned as it is.
//
// Other errors: [ErrConflict] if the race was lost too often, [ErrUnavailable]
// (then the write may have happened), [ErrKey], [ErrTooLarge].
//
// A key with a ttl loses it, as with every Update.
func Modify(ctx context.Context, s Store, key string, fn func(old []byte) ([]byte, error)) (Entry, error) {
	read := s.Get
	for range Attempts(ctx) {
		entry, lost, err := modifyOnce(ctx, s, read, key, fn)
		if !lost {
			return entry, err
		}
		// What Get says may be older than the race just lost.
		if latest, ok := s.(LatestGetter); ok {
			read = latest.GetLatest
		}
	}
	if err := ctx.Err(); err != nil {
		return Entry{}, fmt.Errorf("modify %s: %w: %w", key, ErrUnavailable, err)
	}
	return Entry{}, fmt.Errorf("modify %s: %w: lost %d races", key, ErrConflict, raceAttempts)
}

// modifyOnce makes one attempt; lost means that somebody else was faster.
func modifyOnce(
	ctx context.Context, s Store,
	read func(context.Context, string) (Entry, error),
	key string, fn func([]byte) ([]byte, error),
) (entry Entry, lost bool, err error) {
	entry, err = read(ctx, key)
	absent := errors.Is(err, ErrNotFound)
	if err != nil && !absent {
		return Entry{}, false, err
	}
	old := entry.Value
	if absent {
		entry, old = Entry{}, nil
	} else if old == nil {
		old = []byte{} // an empty value is not an absent one
	}

	value, err := fn(old)
	if errors.Is(err, ErrKeep) {
		return entry, false, nil
	}
	if err != nil {
		return Entry{}, false, err
	}

	var revision uint64
	if absent {
		revision, err = s.Create(ctx, key, value, 0)
	} else {
		revision, err = s.Update(ctx, key, value, entry.Revision)
	}
	if errors.Is(err, ErrExists) || errors.Is(err, ErrConflict) {
		return Entry{}, true, nil
	}
	if err != nil {
		return Entry{}, false, err
	}
	return Entry{Key: key, Value: value, Revision: revision}, false, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
