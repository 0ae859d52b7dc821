package kvstore_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hawser-io/hawser/pkg/kvstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestKeysAreTokensJoinedByDots(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("k", kvstore.MaxKeyLength)
	for key, good := range map[string]bool{
		"a": true, "a.b": true, "A-_=/9.z": true, longest: true,
		"": false, ".": false, ".a": false, "a.": false, "a..b": false, "a b": false, "a:b": false,
		"*": false, "a.>": false, "é": false, "a\x00": false, longest + "k": false,
	} {
		err := kvstore.CheckKey(key)
		if (err == nil) != good || err != nil && !errors.Is(err, kvstore.ErrKey) {
			t.Errorf("CheckKey(%q): got %v, want good: %t", key, err, good)
		}
	}
}

func TestFiltersAreKeysWithWildcards(t *testing.T) {
	t.Parallel()
	for filter, good := range map[string]bool{
		"a": true, "a.b": true, "*": true, ">": true, "a.*": true, "*.a.*": true, "a.>": true, "*.>": true,
		"": false, ".>": false, ">.": false, ">.a": false, "a.>.b": false, "a*": false, "a.b>": false, "**": false, "a..*": false,
	} {
		err := kvstore.CheckFilter(filter)
		if (err == nil) != good || err != nil && !errors.Is(err, kvstore.ErrKey) {
			t.Errorf("CheckFilter(%q): got %v, want good: %t", filter, err, good)
		}
	}
}

func TestMatchTakesWholeTokens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter, key string
		want        bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.bc", false}, {"a.b", "a", false}, {"a.b", "a.b.c", false},
		{"a.*", "a.b", true}, {"a.*", "a", false}, {"a.*", "a.b.c", false}, {"*", "a", true}, {"*", "a.b", false},
		{"a.>", "a.b", true}, {"a.>", "a.b.c", true}, {"a.>", "a", false}, {"a.b.>", "a.bc.d", false},
		{">", "a", true}, {">", "a.b", true}, {"*.>", "a", false}, {"*.>", "a.b", true}, {"*.b", "a.b", true},
	} {
		if got := kvstore.Match(c.filter, c.key); got != c.want {
			t.Errorf("Match(%q, %q): got %t, want %t", c.filter, c.key, got, c.want)
		}
	}
}

func TestTTLIsWholeSecondsOrForever(t *testing.T) {
	t.Parallel()
	for ttl, good := range map[time.Duration]bool{
		0: true, time.Second: true, time.Minute: true, 90 * time.Second: true,
		-time.Second: false, time.Millisecond: false, 1500 * time.Millisecond: false, time.Second + 1: false,
	} {
		if err := kvstore.CheckTTL(ttl); (err == nil) != good {
			t.Errorf("CheckTTL(%v): got %v, want good: %t", ttl, err, good)
		}
	}
}

// FuzzKeysAndFilters compares the checks and Match with regular expressions
// that say the same.
func FuzzKeysAndFilters(f *testing.F) {
	for _, s := range []string{"a", "a.b", "a.*", "a.>", ">", "*.b.>", "a..b", ">.a", "a*", "", ".", "a.b.c-_=/"} {
		f.Add(s, "a.b")
	}
	const token = `[-_=/A-Za-z0-9]+`
	key := regexp.MustCompile(`^` + token + `(\.` + token + `)*$`)
	filter := regexp.MustCompile(`^(>|(` + token + `|\*)(\.(` + token + `|\*))*(\.>)?)$`)
	f.Fuzz(func(t *testing.T, a, b string) {
		short := len(a) <= kvstore.MaxKeyLength
		if got, want := kvstore.CheckKey(a) == nil, short && key.MatchString(a); got != want {
			t.Fatalf("CheckKey(%q): got good %t, want %t", a, got, want)
		}
		if got, want := kvstore.CheckFilter(a) == nil, short && filter.MatchString(a); got != want {
			t.Fatalf("CheckFilter(%q): got good %t, want %t", a, got, want)
		}
		if kvstore.CheckFilter(a) != nil || kvstore.CheckKey(b) != nil {
			return
		}
		matches := regexp.MustCompile("^" + strings.NewReplacer(".", `\.`, "*", `[^.]+`, ">", `.+`).Replace(a) + "$")
		if got, want := kvstore.Match(a, b), matches.MatchString(b); got != want {
			t.Fatalf("Match(%q, %q): got %t, want %t", a, b, got, want)
		}
	})
}
