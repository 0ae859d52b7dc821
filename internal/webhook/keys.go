package webhook

import (
	"context"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// Limits of fetching keys.
const (
	fetchTimeout  = 5 * time.Second
	maxKeysBody   = 1 << 20          // bytes of an answer
	maxAddresses  = 64               // in the cache
	freshFor      = time.Hour        // how long keys are used without a fetch
	staleFor      = 24 * time.Hour   // how long keys are used while fetches fail
	fetchInterval = 30 * time.Second // between fetches of one address for an unknown key id
	maxFetches    = 20               // in one fetchInterval, over all addresses
)

// errNoKey means that the provider answered and has no such key.
var errNoKey = errors.New("webhook: no such key")

// Keys fetches and caches the public keys that providers publish: JSON Web Key
// Sets and certificates. Memory and requests are bounded, whatever addresses and
// key ids requests name. Safe for concurrent use.
type Keys struct {
	http     *http.Client
	now      func() time.Time
	fetching singleflight.Group
	limit    *rate.Limiter               // of fetches
	sets     *lru.Cache[string, *keySet] // address → its last valid answer
}

// KeysOptions of a key cache. Nil is the same as the zero value.
type KeysOptions struct {
	// HTTP sends the requests; redirects are not followed. Use one that cannot
	// reach private networks. Nil is a plain client.
	HTTP *http.Client
	// Now is the clock. Nil is time.Now.
	Now func() time.Time
}

// NewKeys returns an empty cache.
func NewKeys(opts *KeysOptions) *Keys {
	sets, _ := lru.New[string, *keySet](maxAddresses) // fails only for a size below 1
	k := &Keys{
		http: &http.Client{}, now: time.Now, sets: sets,
		limit: rate.NewLimiter(rate.Every(fetchInterval/maxFetches), maxFetches),
	}
	if opts != nil && opts.HTTP != nil {
		client := *opts.HTTP
		k.http = &client
	}
	if opts != nil && opts.Now != nil {
		k.now = opts.Now
	}
	// A redirect would lead to an address that the descriptor does not allow.
	k.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return k
}

// keySet is the content of one address. It does not change.
type keySet struct {
	byID        map[string]*rsa.PublicKey // key id → key of a key set
	certificate crypto.PublicKey          // of a certificate
	fetched     time.Time
}

// key returns the key with the id; without an id, the only one; nil if there is
// none.
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

// rsaKey returns the key with the id from the key set at the address. The error
// is errNoKey, or wraps [ErrKeysUnavailable].
func (k *Keys) rsaKey(ctx context.Context, address, id string) (*rsa.PublicKey, error) {
	now := k.now()
	set, _ := k.sets.Get(address)
	key := set.key(id)
	// An unknown key may have been published since the last fetch. Fetches for
	// that are limited: anybody can invent key ids.
	if set == nil || now.Sub(set.fetched) > freshFor || key == nil && now.Sub(set.fetched) > fetchInterval {
		fetched, err := k.fetch(ctx, address, parseJWKS)
		switch {
		case err == nil:
			key = fetched.key(id)
		case key != nil && now.Sub(set.fetched) <= staleFor:
			// The cached set is used until the server is back.
		case errors.Is(err, errNoKey):
			// An absent set does not make the token invalid.
			return nil, fmt.Errorf("%w: the address has no key set", ErrKeysUnavailable)
		default:
			return nil, err
		}
	}
	if key == nil {
		return nil, errNoKey
	}
	return key, nil
}

// certificate returns the public key of the certificate at the address. The
// error is errNoKey, or wraps [ErrKeysUnavailable].
func (k *Keys) certificate(ctx context.Context, address string) (crypto.PublicKey, error) {
	now := k.now()
	set, _ := k.sets.Get(address)
	if set == nil || now.Sub(set.fetched) > freshFor {
		fetched, err := k.fetch(ctx, address, parseCertificate)
		if err == nil {
			return fetched.certificate, nil
		}
		if set == nil || errors.Is(err, errNoKey) || now.Sub(set.fetched) > staleFor {
			return nil, err
		}
	}
	return set.certificate, nil
}

type parseKeys func(body []byte, now time.Time) (*keySet, error)

// fetch fetches the address once for all concurrent callers, each of which has
// its own deadline.
func (k *Keys) fetch(ctx context.Context, address string, parse parseKeys) (*keySet, error) {
	result := k.fetching.DoChan(address, func() (any, error) {
		if !k.limit.AllowN(k.now(), 1) {
			return nil, fmt.Errorf("%w: too many fetches", ErrKeysUnavailable)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		set, err := k.get(ctx, address, parse)
		if err != nil {
			return nil, err
		}
		k.sets.Add(address, set)
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

func (k *Keys) get(ctx context.Context, address string, parse parseKeys) (*keySet, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errNoKey
	}
	response, err := k.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%w: no answer", ErrKeysUnavailable)
	}
	defer func() { _ = response.Body.Close() }()
	switch {
	case response.StatusCode >= 400 && response.StatusCode < 500 && response.StatusCode != http.StatusTooManyRequests:
		return nil, errNoKey
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%w: status %d", ErrKeysUnavailable, response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeysBody+1))
	if err != nil || len(body) > maxKeysBody {
		return nil, fmt.Errorf("%w: the answer is incomplete or larger than %d bytes", ErrKeysUnavailable, maxKeysBody)
	}
	return parse(body, k.now())
}
