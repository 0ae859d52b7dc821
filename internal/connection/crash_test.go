package connection_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

// operation is something that writes more than once.
type operation struct {
	begin string // config of the connection that is there before; "" if there is none
	run   func(w *world, r records.Ref) error
	// after is what has to hold whatever became of the operation. url is the one
	// from before; there says whether the record is.
	after func(t *testing.T, w *world, r records.Ref, url secret.Text, there bool)
}

func operations() map[string]operation {
	config := func(text string, replace bool) func(*world, records.Ref) error {
		return func(w *world, r records.Ref) error {
			_, err := w.service.Connect(w.Context(), r, connection.ConnectInput{Config: json.RawMessage(text), Replace: replace})
			return err
		}
	}
	survives := func(t *testing.T, w *world, r records.Ref, url secret.Text, there bool) {
		if !there || !w.reaches(r, url) {
			t.Errorf("the record is there: %v, and the URL from before leads to it: %v", there, there && w.reaches(r, url))
		}
	}
	return map[string]operation{
		"connect": {run: config(`{"apiKey":"new"}`, false)},
		"replace": {begin: `{"apiKey":"old"}`, run: config(`{"apiKey":"new"}`, true), after: survives},
		"update": {begin: `{"apiKey":"old"}`, run: func(w *world, r records.Ref) error {
			_, err := w.service.Update(w.Context(), r, connection.UpdateInput{Config: json.RawMessage(`{"apiKey":"new"}`)})
			return err
		}, after: survives},
		"toggle": {begin: `{"apiKey":"old"}`, run: func(w *world, r records.Ref) error {
			_, err := w.service.Toggle(w.Context(), r)
			return err
		}, after: survives},
		"rotate": {begin: `{"apiKey":"old"}`, run: func(w *world, r records.Ref) error {
			_, err := w.service.RotateWebhook(w.Context(), r)
			return err
		}, after: survives},
		"rotate for the last time": {begin: `{"apiKey":"old"}`, run: func(w *world, r records.Ref) error {
			for range records.MostPrevious {
				if _, err := w.service.RotateWebhook(w.Context(), r); err != nil {
					return err
				}
			}
			return nil
		}, after: survives},
		"disconnect": {begin: `{"apiKey":"old"}`, run: func(w *world, r records.Ref) error {
			return ignored(w.service.Disconnect(w.Context(), r))
		}, after: func(t *testing.T, w *world, r records.Ref, url secret.Text, there bool) {
			if w.reaches(r, url) != there {
				t.Errorf("the record is there: %v, and its URL does not do as it says", there)
			}
		}},
	}
}

// A process may end before or after any write, and any write may get no answer: what
// is there then is whole, the URL that a provider has still works, and everything can
// be done again.
func TestAProcessMayEndBetweenAnyTwoWrites(t *testing.T) {
	t.Parallel()
	for name, op := range operations() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			end := &death{}
			revive := func() { end.left.Store(1 << 60) }
			revive()
			w := newWorld(t, setup{wrap: end.wrap})
			tenants := 0
			try := func(writes int64, late, once bool) int64 {
				tenants++
				r := shopOf(events.Tenant{Scope: "organization", Identity: fmt.Sprintf("%d", tenants)})
				var url secret.Text
				if op.begin != "" {
					url = segment(t, w.connect(r, op.begin))
				}
				end.seen.Store(0)
				end.left.Store(writes)
				end.late, end.once = late, once
				err := op.run(w, r)
				seen := end.seen.Load()
				revive()
				if err != nil {
					wantCode(t, err, connectors.CodeConnectorDatabaseFailed)
				}
				w.checkAfter(t, op, r, url)
				return seen
			}
			writes := try(1<<60, false, false)
			if writes < 1 {
				t.Fatal("the operation writes nothing")
			}
			for n := range writes {
				for _, late := range []bool{true, false} {
					try(n, late, false)
					try(n, late, true)
				}
			}
		})
	}
}

func (w *world) checkAfter(t *testing.T, op operation, r records.Ref, url secret.Text) {
	t.Helper()
	_, err := w.service.Get(t.Context(), r)
	there := err == nil
	if !there && !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) {
		t.Fatal(withCause(err))
	}
	if there {
		c, err := w.store.Latest(t.Context(), r)
		must(t, err)
		hashes := []string{c.Webhook.Hash}
		for _, p := range c.Webhook.Previous {
			hashes = append(hashes, p.Hash)
		}
		for i, hash := range hashes {
			if _, err := w.bare["webhooks"].Get(t.Context(), hash); err != nil {
				t.Errorf("URL %d of the record is not in the index: %v", i, err)
			}
		}
		if got := w.config(r); got != `{"apiKey":"old","channel":"general"}` && got != `{"apiKey":"new","channel":"general"}` {
			t.Errorf("config = %s, want the old or the new", got)
		}
	}
	if op.after != nil {
		op.after(t, w, r, url, there)
	}
	v, err := w.service.Connect(t.Context(), r, connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"again"}`), Replace: true})
	must(t, err)
	if !w.reaches(r, segment(t, v)) {
		t.Error("the URL of a replacement is refused")
	}
	if !there && !url.IsZero() && w.reaches(r, url) {
		t.Error("a URL of the connection that is gone leads to the one that came after it")
	}
	next := w.rotate(r)
	if !w.reaches(r, next) || !w.reaches(r, segment(t, v)) {
		t.Error("after a rotation a URL is refused")
	}
	must(t, ignored(w.service.Disconnect(t.Context(), r)))
}
