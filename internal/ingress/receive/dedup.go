package receive

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

// The stream refuses a repeated delivery, because its subject is the same. A refused
// message has already reached live subscribers. So copies that arrive while the first
// is being stored, or up to recentFor later, are answered without being published.

const (
	maxRecent = 16_384
	recentFor = time.Minute
)

// recent holds what this process stored lately, and what it is storing. Safe for
// concurrent use.
type recent struct {
	storing singleflight.Group
	stored  *lru.Cache[string, time.Time] // key → when it was stored
}

func newRecent() *recent {
	stored, err := lru.New[string, time.Time](maxRecent)
	if err != nil {
		panic(err) // the size is a positive constant
	}
	return &recent{stored: stored}
}

func (r *recent) has(key string) bool {
	at, ok := r.stored.Get(key)
	return ok && time.Since(at) < recentFor
}

// once runs store for the first copy with a key. Copies that arrive meanwhile wait for
// it and get its outcome. duplicate is true for them, for a key that was stored lately,
// and where store says so. "" is a key of its own each time.
func (r *recent) once(key string, store func() (bool, error)) (duplicate bool, err error) {
	if key == "" {
		return store()
	}
	first := false
	_, err, _ = r.storing.Do(key, func() (any, error) {
		first = true
		if duplicate = r.has(key); duplicate {
			return nil, nil
		}
		var err error
		if duplicate, err = store(); err == nil {
			r.stored.Add(key, time.Now())
		}
		return nil, err
	})
	return err == nil && (duplicate || !first), err
}
