package flow

import (
	"testing"
	"time"

	"github.com/hawser-io/hawser/pkg/secret"
)

func FuzzState(f *testing.F) {
	links := &Links{Key: secret.New("key")}
	_, h := links.newHandle()
	end := time.Unix(1_800_000_000, 0)
	good := links.state(h, end)
	f.Add(good)
	f.Add(good[:40])
	f.Fuzz(func(t *testing.T, text string) {
		got, expires, refusal := links.parseState(text)
		if refusal != nil {
			return
		}
		// What is accepted was made with the key, and has one spelling.
		if again := links.state(got, expires); again != text {
			t.Errorf("accepted %q, which is written %q", text, again)
		}
	})
}
