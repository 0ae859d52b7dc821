package webhook

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Limits of fetching keys.
const (
	fetchTimeout = 5 * time.Second
	maxKeysBody  = 1 << 20
	maxAddresses = 64               // addresses held; the one longest unused goes first
	keysFresh    = time.Hour        // how long a key set is used without asking
	keysStale    = 24 * time.Hour   // how long it is used while asking fails
	refetchPause = 30 * time.Second // between fetches of one address
	maxFetches   = 20               // in one refetchPause, over all addresses
)

// errBadKeys means that the provider answered, and has no such key.
var errBadKeys = errors.New("webhook: no such key")

// Keys fetches and caches the public keys that providers publish: JSON Web
// Key Sets and certificates. Memory and requests are bounded, whatever
// callers' tokens ask for. Safe for concurrent use.
type Keys struct {
	http *http.Client
	now  func() time.Time

	flights singleflight.Group

	mu        sync.Mutex
	sets      map[string]*keySet // address → what it last gave
	windowEnd time.Time          // of counting fetches
	fetches   int
}

// KeysOptions of a key cache; nil is the same as the zero value.
type KeysOptions struct {
	// HTTP fetches; redirects are not followed. Give one that keeps out of
	// private networks. Nil is a plain client.
	HTTP *http.Client
	// Now is the clock. Nil is time.Now.
	Now func() time.Time
}

// NewKeys returns an empty cache.
func NewKeys(opts *KeysOptions) *Keys {
	k := &Keys{sets: map[string]*keySet{}, http: &http.Client{}, now: time.Now}
	if opts != nil && opts.HTTP != nil {
		client := *opts.HTTP
		k.http = &client
	}
	if opts != nil && opts.Now != nil {
		k.now = opts.Now
	}
	// A redirect would lead past the address that the descriptor allows.
	k.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return k
}

// keySet is the content of one address. It does not change after it was made,
// but for used, which is guarded by Keys.mu.
type keySet struct {
	byID    map[string]*rsa.PublicKey // key id → key, of a key set
	only    crypto.PublicKey          // of a certificate
	fetched time.Time
	used    time.Time
}

// rsaKey returns the key with the id from the key set at the address. Without
// an id it has to be the only one.
func (k *Keys) rsaKey(ctx context.Context, address, id string) (*rsa.PublicKey, error) {
	now := k.now()
	set := k.held(address, now)
	key := set.key(id)
	// A key that is not there yet may have been published since, but asking
	// is rationed: anybody can make up ids.
	if set == nil || now.Sub(set.fetched) > keysFresh || key == nil && now.Sub(set.fetched) > refetchPause {
		fetched, err := k.fetch(ctx, address, parseJWKS)
		switch {
		case err == nil:
			key = fetched.key(id)
		case key != nil && now.Sub(set.fetched) <= keysStale:
			// The set that is held will do until the server is back.
		case errors.Is(err, errBadKeys):
			// A set that is gone says nothing about the token.
			return nil, fmt.Errorf("%w: no key set at the address", ErrKeysUnavailable)
		default:
			return nil, err
		}
	}
	if key == nil {
		return nil, errBadKeys
	}
	return key, nil
}

func (s *keySet) key(id string) *rsa.PublicKey {
	if s == nil {
		return nil
	}
	if id == "" && len(s.byID) == 1 {
		for _, key := range s.byID {
			return key
		}
	}
	return s.byID[id]
}

// certificate returns the public key of the certificate at the address.
func (k *Keys) certificate(ctx context.Context, address string) (crypto.PublicKey, error) {
	now := k.now()
	set := k.held(address, now)
	if set == nil || now.Sub(set.fetched) > keysFresh {
		fetched, err := k.fetch(ctx, address, parseCertificate)
		if err == nil {
			return fetched.only, nil
		}
		if set == nil || errors.Is(err, errBadKeys) || now.Sub(set.fetched) > keysStale {
			return nil, err
		}
	}
	return set.only, nil
}

func (k *Keys) held(address string, now time.Time) *keySet {
	k.mu.Lock()
	defer k.mu.Unlock()
	set := k.sets[address]
	if set != nil {
		set.used = now
	}
	return set
}

type parseKeys func(body []byte, now time.Time) (*keySet, error)

// fetch asks the address once for everybody who waits; each of them keeps its
// own deadline.
func (k *Keys) fetch(ctx context.Context, address string, parse parseKeys) (*keySet, error) {
	result := k.flights.DoChan(address, func() (any, error) {
		if !k.mayFetch() {
			return nil, fmt.Errorf("%w: too many fetches", ErrKeysUnavailable)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		set, err := k.get(ctx, address, parse)
		if err != nil {
			return nil, err
		}
		k.keep(address, set)
		return set, nil
	})
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", ErrKeysUnavailable, ctx.Err())
	case r := <-result:
		if r.Err != nil {
			return nil, r.Err
		}
		return r.Val.(*keySet), nil
	}
}

// mayFetch counts fetches in windows of refetchPause.
func (k *Keys) mayFetch() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.now(); now.After(k.windowEnd) {
		k.windowEnd, k.fetches = now.Add(refetchPause), 0
	}
	k.fetches++
	return k.fetches <= maxFetches
}

// keep stores the set, in place of the one longest unused if there is no room.
func (k *Keys) keep(address string, set *keySet) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.sets[address]; !there && len(k.sets) >= maxAddresses {
		oldest := ""
		for a, s := range k.sets {
			if oldest == "" || s.used.Before(k.sets[oldest].used) {
				oldest = a
			}
		}
		delete(k.sets, oldest)
	}
	k.sets[address] = set
}

func (k *Keys) get(ctx context.Context, address string, parse parseKeys) (*keySet, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errBadKeys
	}
	response, err := k.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: no answer", ErrKeysUnavailable)
	}
	defer func() { _ = response.Body.Close() }()
	switch {
	case response.StatusCode >= 400 && response.StatusCode < 500 && response.StatusCode != http.StatusTooManyRequests:
		return nil, errBadKeys
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w: status %d", ErrKeysUnavailable, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeysBody+1))
	if err != nil || len(body) > maxKeysBody {
		return nil, fmt.Errorf("%w: answer cut off or too large", ErrKeysUnavailable)
	}
	return parse(body, k.now())
}
