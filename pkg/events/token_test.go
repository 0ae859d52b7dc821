package events_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/events"
)

func TestTokenIsReadableAndReversible(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                "=",
		"org_1":           "org_1",
		"ava@example.com": "ava=40example=2Ecom",
		"a.b":             "a=2Eb",
		"a*":              "a=2A",
		">":               "=3E",
		"o:evil":          "o=3Aevil",
		"ünï":             "=C3=BCn=C3=AF",
		"=":               "=3D",
		"a b\r\n\x00":     "a=20b=0D=0A=00",
	} {
		if got := events.Token(in); got != want {
			t.Errorf("Token(%q) = %q, want %q", in, got, want)
		}
		back, err := events.ParseToken(want)
		if err != nil || back != in {
			t.Errorf("ParseToken(%q) = %q, %v, want %q", want, back, err, in)
		}
	}
}

func TestTokenOfALongStringIsAHash(t *testing.T) {
	t.Parallel()
	a, b := events.Token(strings.Repeat("a", 129)), events.Token(strings.Repeat("a", 130))
	if a == b || len(a) != 66 {
		t.Errorf("got %q and %q, want two hashes of 66 characters", a, b)
	}
	if _, err := events.ParseToken(a); !errors.Is(err, events.ErrToken) {
		t.Errorf("ParseToken of a hash: err = %v, want ErrToken", err)
	}
}

func TestParseTokenRefusesWhatTokenDoesNotWrite(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "==", "=4", "a=", "=4g", "=2e", "=41", "a.b", "*", ">", "ü", "a b", strings.Repeat("=2E", 129)} {
		if got, err := events.ParseToken(in); err == nil {
			t.Errorf("ParseToken(%q) = %q, want an error", in, got)
		}
	}
}

// FuzzToken holds the two promises that isolation rests on: a token never holds
// anything that is special in a subject, and no two strings share one.
// FuzzToken: every text has a token and comes back from it, and every token is
// that of one text only.
func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "o", "o:evil", "a.b", "a*", "ünï", ">", "=h00", strings.Repeat("x", 200), "=", "a=2Eb", "=41", "==", "=h12"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if text, err := events.ParseToken(s); err == nil && events.Token(text) != s {
			t.Fatalf("ParseToken(%q) = %q, whose token is %q", s, text, events.Token(text))
		}
		token := events.Token(s)
		if token == "" || strings.ContainsAny(token, ".*> \t\r\n\x00") {
			t.Fatalf("Token(%q) = %q", s, token)
		}
		if len(s) > 128 {
			return
		}
		if back, err := events.ParseToken(token); err != nil || back != s {
			t.Fatalf("ParseToken(Token(%q)) = %q, %v", s, back, err)
		}
	})
}
