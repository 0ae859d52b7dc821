package connection_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// reaches reports whether deliveries to the URL reach r.
func (w *world) reaches(r records.Ref, url secret.Text) bool {
	w.Helper()
	c, err := w.store.ByWebhookURL(w.Context(), r.Connector, url)
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorWebhookVerificationFailed}) {
		return false
	}
	must(w, err)
	if c.Ref() != r {
		w.Fatalf("the URL leads to %+v, want %+v", c.Ref(), r)
	}
	return true
}

func (w *world) rotate(r records.Ref) secret.Text {
	w.Helper()
	v, err := w.service.RotateWebhook(w.Context(), r)
	must(w, err)
	return segment(w, v)
}

func TestARotatedURLIsHonouredForTheGraceTimeAndNoLonger(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		r := shopOf(acme)
		first := segment(t, w.connect(r, `{"apiKey":"abc"}`))
		w.clock.add(time.Minute)
		second := w.rotate(r)
		until := w.clock.now().Add(records.URLGrace)
		v, err := w.service.Get(t.Context(), r)
		must(t, err)
		if v.PreviousURLUntil == nil || !v.PreviousURLUntil.Equal(until) {
			t.Errorf("the old URL is said to be honoured until %v, want %v", v.PreviousURLUntil, until)
		}
		w.clock.add(records.URLGrace - 1)
		if !w.reaches(r, first) || !w.reaches(r, second) {
			t.Error("within the grace time a URL is refused")
		}
		w.clock.add(1)
		if w.reaches(r, first) || !w.reaches(r, second) {
			t.Error("after the grace time the old URL is honoured, or the new refused")
		}
		if v, err = w.service.Get(t.Context(), r); err != nil || v.PreviousURLUntil != nil {
			t.Errorf("after the grace time the view says %v, %v", v.PreviousURLUntil, err)
		}
	})
}

// A caller whose request timed out rotates again: the URL that the provider knows
// must not die of it.
func TestRotatingTwiceHonoursBothOldURLs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	first := segment(t, w.connect(r, `{"apiKey":"abc"}`))
	second := w.rotate(r)
	w.clock.add(time.Hour)
	third := w.rotate(r)
	for i, url := range []secret.Text{first, second, third} {
		if !w.reaches(r, url) {
			t.Errorf("URL %d is refused", i+1)
		}
	}
	w.clock.add(records.URLGrace - time.Hour)
	if w.reaches(r, first) || !w.reaches(r, second) {
		t.Error("the grace times are not those of each rotation")
	}
	w.rotate(r)
	if n := w.urls(); n != 3 {
		t.Errorf("the index has %d URLs, want 3: those that are honoured", n)
	}
}

func TestOldURLsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	var urls []secret.Text
	urls = append(urls, segment(t, w.connect(r, `{"apiKey":"abc"}`)))
	for range records.MostPrevious + 2 {
		urls = append(urls, w.rotate(r))
	}
	for i, url := range urls {
		if got, want := w.reaches(r, url), i >= 2; got != want {
			t.Errorf("URL %d of %d is honoured: %v, want %v", i+1, len(urls), got, want)
		}
	}
	if n := w.urls(); n != records.MostPrevious+1 {
		t.Errorf("the index has %d URLs, want %d", n, records.MostPrevious+1)
	}
}

// urls is how many entries the index has.
func (w *world) urls() int {
	w.Helper()
	n := 0
	for _, err := range w.bare["webhooks"].List(w.Context(), ">") {
		must(w, err)
		n++
	}
	return n
}

func TestAURLLeadsToNothingButItsConnection(t *testing.T) {
	t.Parallel()
	other := shop("1.0.0", shopSchema)
	other.Key = "other"
	w := newWorld(t, setup{own: []connectors.Connector{shop("1.0.0", shopSchema), other}})
	r, mallory := shopOf(acme), shopOf(events.Tenant{Scope: "organization", Identity: "mallory"})
	url := segment(t, w.connect(r, `{"apiKey":"abc"}`))
	theirs := segment(t, w.connect(mallory, `{"apiKey":"abc"}`))
	_, err := w.store.ByWebhookURL(t.Context(), "other", url)
	wantCode(t, err, connectors.CodeConnectorWebhookVerificationFailed)
	for _, wrong := range []string{"", "x", strings.ToUpper(url.Reveal()), url.Reveal() + " ", url.Reveal()[:31], strings.Repeat("a", 10_000)} {
		_, err := w.store.ByWebhookURL(t.Context(), "shop", secret.New(wrong))
		wantCode(t, err, connectors.CodeConnectorWebhookVerificationFailed)
	}
	// An index entry is a hint: whoever can write one leads nowhere with it.
	for e, err := range w.bare["webhooks"].List(t.Context(), ">") {
		must(t, err)
		if string(e.Value) == mallory.Key() {
			_, err := w.bare["webhooks"].Update(t.Context(), e.Key, []byte(r.Key()), e.Revision)
			must(t, err)
		}
	}
	if w.reaches(r, theirs) {
		t.Error("an index entry alone makes a URL lead to another tenant")
	}
}

func TestAConnectorThatHasGotAWebhookGetsItsURLByRotation(t *testing.T) {
	t.Parallel()
	without := shop("1.0.0", shopSchema)
	without.Webhook = nil
	w := newWorld(t, setup{own: []connectors.Connector{without}})
	r := shopOf(acme)
	if v := w.connect(r, `{"apiKey":"abc"}`); v.WebhookURL != "" {
		t.Errorf("URL of a connector without webhooks: %s", v.WebhookURL)
	}
	w.publish(shop("1.1.0", shopSchema))
	if url := w.rotate(r); !w.reaches(r, url) {
		t.Error("the new URL is refused")
	}
	sameJSON(t, w.config(r), `{"apiKey":"abc","channel":"general"}`)
}

// The record of a new URL may not have reached a cache that holds the one before.
func TestANewURLIsHonouredByAProcessThatHoldsTheOldRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{wrap: withoutNews("connections")})
	r := shopOf(acme)
	first := segment(t, w.connect(r, `{"apiKey":"abc"}`))
	run(t, w.store.Run)
	testenv.Eventually(t, "the record to be cached", func() bool {
		must(t, ignored(w.store.Get(t.Context(), r)))
		n, _ := w.store.CacheUse()
		return n == 1
	})
	second := w.rotate(r)
	if !w.reaches(r, second) || !w.reaches(r, first) {
		t.Error("a URL is refused")
	}
}

func TestAReplacementHealsALostIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	r := shopOf(acme)
	url := segment(t, w.connect(r, `{"apiKey":"abc"}`))
	for e, err := range w.bare["webhooks"].List(t.Context(), ">") {
		must(t, err)
		must(t, w.bare["webhooks"].Delete(t.Context(), e.Key, 0))
	}
	if w.reaches(r, url) {
		t.Fatal("reached without the index")
	}
	v, err := w.service.Connect(t.Context(), r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"abc"}`), Replace: true})
	must(t, err)
	if !segment(t, v).Equal(url) || !w.reaches(r, url) {
		t.Error("the URL is another, or refused")
	}
}
