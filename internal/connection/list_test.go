package connection_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/connection"
	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// hostile are names that have to stay apart, whatever they mean to subjects, keys,
// JSON, URLs or eyes.
func hostile() []string {
	return []string{
		"o", "o:evil", "O", "a.b", "a", "b", "a*", "*", ">", "a.>", "ünï", "u\u0308ni\u0308", "ünı", "日本", "🚢", "=", "=41", "A", " ", "a b", "\x00", "a\nb", "\r\n",
		"...", ".a", "/", "../etc", "%2e%2e", "\"", `\`, "'", "<script>", "enc:v1:AAAA", "${config.apiKey}", "default", "$KV", "null",
		strings.Repeat("x", 128), strings.Repeat("*", 128), strings.Repeat("ü", 64), strings.Repeat("x", 127) + ".",
	}
}

func TestTenantsAreApartWhateverTheirNames(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		tenants := []events.Tenant{{Scope: "system"}}
		for _, identity := range hostile() {
			tenants = append(tenants, events.Tenant{Scope: "organization", Identity: identity}, events.Tenant{Scope: "user", Identity: identity})
		}
		keys := map[string]bool{}
		for i, tenant := range tenants {
			w.connect(shopOf(tenant), fmt.Sprintf(`{"apiKey":"key-%d"}`, i))
			keys[shopOf(tenant).Key()] = true
		}
		if len(keys) != len(tenants) {
			t.Fatalf("%d tenants have %d keys", len(tenants), len(keys))
		}
		for i, tenant := range tenants {
			list, err := w.service.List(t.Context(), tenant, connection.Filter{})
			if err != nil || len(list) != 1 || list[0].Identity != tenant.Identity || list[0].Scope != tenant.Scope {
				t.Errorf("%q lists %+v, %v, want its own connection", tenant, list, err)
			}
			sameJSON(t, w.config(shopOf(tenant)), fmt.Sprintf(`{"apiKey":"key-%d","channel":"general"}`, i))
			if got := w.kinds(tenant); !slices.Equal(got, []string{"connector.connected"}) {
				t.Errorf("%q has the events %v", tenant, got)
			}
		}
		for _, tenant := range tenants[:len(tenants)/2] {
			must(t, ignored(w.service.Disconnect(t.Context(), shopOf(tenant))))
		}
		for i, tenant := range tenants {
			n, err := w.service.Count(t.Context(), tenant, connection.Filter{})
			want := 1
			if i < len(tenants)/2 {
				want = 0
			}
			if err != nil || n != want {
				t.Errorf("%q has %d connections, %v, want %d", tenant, n, err, want)
			}
		}
		n, err := w.service.CountByConnector(t.Context(), "shop")
		if want := len(tenants) - len(tenants)/2; err != nil || n != want {
			t.Errorf("%d connections in all, %v, want %d", n, err, want)
		}
	})
}

func TestAccountsAreApartWhateverTheirNames(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{})
	for i, account := range hostile() {
		w.connect(records.NewRef(acme, "shop", account), fmt.Sprintf(`{"apiKey":"key-%d"}`, i))
	}
	for i, account := range hostile() {
		r := records.NewRef(acme, "shop", account)
		v, err := w.service.Get(t.Context(), r)
		must(t, err)
		if v.Account != account {
			t.Errorf("account = %q, want %q", v.Account, account)
		}
		sameJSON(t, w.config(r), fmt.Sprintf(`{"apiKey":"key-%d","channel":"general"}`, i))
	}
	if n, err := w.service.Count(t.Context(), acme, connection.Filter{}); err != nil || n != len(hostile()) {
		t.Errorf("count = %d, %v, want %d", n, err, len(hostile()))
	}
}

func TestFiltersApplyBeforeThePageIsCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{own: []connectors.Connector{shop("1.0.0", shopSchema), plain("alpha"), plain("beta"), plain("gone")}})
	for _, connector := range []string{"alpha", "beta", "gone"} {
		w.connect(records.NewRef(acme, connector, ""), `{}`)
	}
	for _, account := range []string{"", "eu", "us"} {
		w.connect(records.NewRef(acme, "shop", account), `{"apiKey":"abc"}`)
	}
	_, err := w.service.Toggle(t.Context(), records.NewRef(acme, "beta", ""))
	must(t, err)
	must(t, w.bare["connectors"].Delete(t.Context(), "gone", 0))
	must(t, w.definitions.Load(t.Context()))
	yes, no := true, false
	n := func(n int) *int { return &n }
	for _, c := range []struct {
		filter connection.Filter
		want   string
		count  int
	}{
		{connection.Filter{}, "alpha/default beta/default shop/default shop/eu shop/us", 5},
		{connection.Filter{Enabled: &yes}, "alpha/default shop/default shop/eu shop/us", 4},
		{connection.Filter{Enabled: &no}, "beta/default", 1},
		{connection.Filter{Enabled: &yes, Offset: 1, Limit: n(1)}, "shop/default", 4},
		{connection.Filter{Name: "shop", Offset: 1}, "shop/eu shop/us", 3},
		{connection.Filter{Name: "the shop", Limit: n(1)}, "shop/default", 3},
		{connection.Filter{Name: "gone"}, "", 0},
		{connection.Filter{Limit: n(0)}, "", 5},
		{connection.Filter{Offset: 9, Limit: n(9)}, "", 5},
		{connection.Filter{Offset: 4, Limit: n(1 << 40)}, "shop/us", 5},
	} {
		list, err := w.service.List(t.Context(), acme, c.filter)
		must(t, err)
		var got []string
		for _, v := range list {
			got = append(got, v.Connector+"/"+v.Account)
		}
		if strings.Join(got, " ") != c.want || list == nil {
			t.Errorf("%+v: got %v, want %s", c.filter, got, c.want)
		}
		if count, err := w.service.Count(t.Context(), acme, c.filter); err != nil || count != c.count {
			t.Errorf("%+v: count %d, %v, want %d", c.filter, count, err, c.count)
		}
	}
	_, err = w.service.List(t.Context(), acme, connection.Filter{Offset: -1})
	wantCode(t, err, connectors.CodeRequestInvalid)
	_, err = w.service.Count(t.Context(), acme, connection.Filter{Limit: n(-1)})
	wantCode(t, err, connectors.CodeRequestInvalid)
	_, err = w.service.List(t.Context(), events.Tenant{Scope: "planet"}, connection.Filter{})
	wantCode(t, err, connectors.CodeConnectorScopeInvalid)
}

func TestARecordThatCannotBeOpenedOrReadIsReportedAlone(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		_, stranger := w.process(newKeyring(t))
		_, err := stranger.Connect(t.Context(), records.NewRef(acme, "shop", "lost key"), connection.ConnectInput{Config: json.RawMessage(`{"apiKey":"abc"}`)})
		must(t, err)
		w.connect(records.NewRef(acme, "shop", "good"), `{"apiKey":"abc"}`)
		_, err = w.bare["connections"].Create(t.Context(), records.NewRef(acme, "shop", "not JSON").Key(), []byte("{"), 0)
		must(t, err)
		_, err = w.bare["connections"].Create(t.Context(), "organization.acme.shop.bad=token", []byte("{"), 0)
		must(t, err)
		list, err := w.service.List(t.Context(), acme, connection.Filter{})
		must(t, err)
		got := map[string]connectors.Code{}
		for _, v := range list {
			got[v.Account] = ""
			if v.Error != nil {
				got[v.Account] = v.Error.Code
			}
			if _, err := json.Marshal(v); err != nil {
				t.Error(err)
			}
		}
		want := map[string]connectors.Code{"good": "", "lost key": connectors.CodeConnectorDecryptFailed, "not JSON": connectors.CodeConnectorDecryptFailed}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("errors (-want +got):\n%s", diff)
		}
		if len(w.problems) != 1 {
			t.Errorf("problems = %v, want one: the key that is nobody's", w.problems)
		}
		if n, err := w.service.Count(t.Context(), acme, connection.Filter{}); err != nil || n != 3 {
			t.Errorf("count = %d, %v, want 3", n, err)
		}
		for _, enabled := range []bool{true, false} { // nobody knows of the one that cannot be read
			n, err := w.service.Count(t.Context(), acme, connection.Filter{Enabled: &enabled})
			if want := map[bool]int{true: 2, false: 0}[enabled]; err != nil || n != want {
				t.Errorf("count of enabled %v = %d, %v, want %d", enabled, n, err, want)
			}
		}
	})
}

// twice is a store that lists an entry as it was, and again as it is now.
type twice struct {
	kvstore.Store
	was *kvstore.Entry
}

func (s twice) List(ctx context.Context, filter string) iter.Seq2[kvstore.Entry, error] {
	return func(yield func(kvstore.Entry, error) bool) {
		if s.was.Key != "" && !yield(*s.was, nil) {
			return
		}
		s.Store.List(ctx, filter)(yield)
	}
}

func TestAConnectionThatChangesWhileItIsListedIsListedAsItIsNow(t *testing.T) {
	t.Parallel()
	var was kvstore.Entry
	w := newWorld(t, setup{wrap: func(bucket string, s kvstore.Store) kvstore.Store {
		if bucket == "connections" {
			return twice{s, &was}
		}
		return s
	}})
	r := shopOf(acme)
	w.connect(r, `{"apiKey":"abc"}`)
	before, err := w.bare["connections"].Get(t.Context(), r.Key())
	must(t, err)
	_, err = w.service.Toggle(t.Context(), r)
	must(t, err)
	was = before
	for _, enabled := range []bool{true, false} {
		list, err := w.service.List(t.Context(), acme, connection.Filter{Enabled: &enabled})
		if want := map[bool]int{true: 0, false: 1}[enabled]; err != nil || len(list) != want {
			t.Errorf("enabled %v: %d, %v, want %d", enabled, len(list), err, want)
		}
	}
	if n, err := w.service.CountByConnector(t.Context(), "shop"); err != nil || n != 1 {
		t.Errorf("count = %d, %v, want 1", n, err)
	}
}

func TestTheCountOfAConnectorIsExact(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		w.publish(plain("shop-2"), plain("sho"))
		want := 0
		for i := range 40 {
			tenant := events.Tenant{Scope: "user", Identity: fmt.Sprintf("u%d.x", i)}
			w.connect(shopOf(tenant), `{"apiKey":"abc"}`)
			w.connect(records.NewRef(tenant, "shop-2", ""), `{}`)
			if want++; i%3 == 0 {
				must(t, ignored(w.service.Disconnect(t.Context(), shopOf(tenant))))
				want--
			}
			if i%6 == 0 {
				w.connect(shopOf(tenant), `{"apiKey":"abc"}`)
				want++
			}
			if i%5 == 0 {
				_, err := w.service.Toggle(t.Context(), records.NewRef(tenant, "shop-2", ""))
				must(t, err)
			}
		}
		for connector, want := range map[string]int{"shop": want, "shop-2": 40, "sho": 0, "*": 0, ">": 0, "": 0} {
			if got, err := w.service.CountByConnector(t.Context(), connector); err != nil || got != want {
				t.Errorf("%q has %d connections, %v, want %d", connector, got, err, want)
			}
		}
	})
}

func TestTheCatalogueIsFoundByKeyAndByName(t *testing.T) {
	t.Parallel()
	w := newWorld(t, setup{own: []connectors.Connector{shop("1.0.0", shopSchema), plain("alpha")}})
	for name, want := range map[string][]string{"": {"alpha", "shop"}, "shop": {"shop"}, "the SHOP": {"shop"}, "SHOP": nil, "none": nil} {
		var got []string
		for _, c := range w.service.Connectors(name) {
			got = append(got, c.Key)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", name, got, want)
		}
	}
	_, err := w.service.Connector("none")
	wantCode(t, err, connectors.CodeConnectorNotFound)
}
