package connection

import (
	"encoding/binary"
	"sync"
)

// sieve is a Bloom filter with ages: what it does not know was certainly not
// added in the last horizon. Its memory is fixed; the more it holds, the more
// often it says "perhaps" for nothing: about 1 % at two million keys of a
// generation, 20 % at eight.
type sieve struct {
	mu sync.RWMutex
	// generations, the current first. The last one goes when a new one begins.
	generations [3][]uint64
}

const (
	sieveBits   = 1 << 25 // 4 MiB a generation
	sieveHashes = 4
)

func newSieve() *sieve {
	s := &sieve{}
	s.age()
	return s
}

// age begins a generation. Called every half horizon, it keeps what was added in
// the last one and forgets what is older than one and a half.
func (s *sieve) age() {
	s.mu.Lock()
	defer s.mu.Unlock()
	copy(s.generations[1:], s.generations[:2])
	s.generations[0] = make([]uint64, sieveBits/64)
}

// add takes 16 bytes that are spread evenly.
func (s *sieve) add(key [16]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n := range sieveHashes {
		bit := position(key, n)
		s.generations[0][bit/64] |= 1 << (bit % 64)
	}
}

// mayHold is false for what was certainly not added.
func (s *sieve) mayHold(key [16]byte) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, bits := range s.generations {
		if bits != nil && holds(bits, key) {
			return true
		}
	}
	return false
}

func holds(bits []uint64, key [16]byte) bool {
	for n := range sieveHashes {
		bit := position(key, n)
		if bits[bit/64]&(1<<(bit%64)) == 0 {
			return false
		}
	}
	return true
}

func position(key [16]byte, n int) uint32 {
	return binary.LittleEndian.Uint32(key[4*n:]) % sieveBits
}
