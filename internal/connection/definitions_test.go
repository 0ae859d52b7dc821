package connection_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/kvstore/memkv"
)

// catalogue is the definitions of one process, over a bucket that others write to.
type catalogue struct {
	testing.TB
	bucket *wrapped
	*records.Definitions

	mu       sync.Mutex
	problems []error
}

func newCatalogue(t testing.TB) *catalogue {
	t.Helper()
	c := &catalogue{TB: t, bucket: &wrapped{Store: memkv.New(nil)}}
	c.Definitions = records.NewDefinitions(records.Buckets{Connectors: c.bucket})
	return c
}

func (c *catalogue) run() (stop func()) {
	c.Helper()
	stop = run(c, func(ctx context.Context) error {
		return c.Run(ctx, func(err error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.problems = append(c.problems, err)
		})
	})
	synctest.Wait()
	return stop
}

// another process publishes.
func (c *catalogue) another(own ...connectors.Connector) {
	c.Helper()
	other := records.NewDefinitions(records.Buckets{Connectors: c.bucket})
	registry := connectors.NewRegistry()
	for _, own := range own {
		must(c, registry.Register(own))
	}
	must(c, other.Publish(c.Context(), registry.All()))
}

func (c *catalogue) write(key, value string) {
	c.Helper()
	_, err := kvstore.Modify(c.Context(), c.bucket, key, func([]byte) ([]byte, error) { return []byte(value), nil })
	must(c, err)
}

// version is that of a connector in the catalogue, "" if it is not there.
func (c *catalogue) version(key string) string {
	c.Helper()
	def, err := c.Get(key)
	if err != nil {
		wantCode(c, err, connectors.CodeConnectorNotFound)
		return ""
	}
	return def.Version
}

func (c *catalogue) wantVersion(key, want string) {
	c.Helper()
	synctest.Wait()
	if got := c.version(key); got != want {
		c.Errorf("%s is at version %q, want %q", key, got, want)
	}
}

func TestPublishingAgainWritesNothing(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t)
	writes := 0
	c.bucket.write = func(_, _ string, do func() error) error { writes++; return do() }
	for range 3 {
		c.another(shop("1.0.0", shopSchema), plain("alpha"))
	}
	if writes != 4 {
		t.Errorf("%d writes, want two for each connector: the current definition, and that of the version", writes)
	}
	c.another(shop("1.0.1", shopSchema))
	c.another(shop("1.0.0", shopSchema)) // a rollback is a rollback
	if writes != 7 {
		t.Errorf("%d writes, want 7: the version of the rollback is stored already", writes)
	}
	must(t, c.Load(t.Context()))
	if got := c.version("shop"); got != "1.0.0" {
		t.Errorf("version = %s, want that of the last to start", got)
	}
	if all := c.All(); len(all) != 2 || all[0].Key != "alpha" || all[1].Key != "shop" {
		t.Errorf("all = %v, want alpha and shop", all)
	}
}

func TestAPublishedConnectorIsDataWithoutItsSecrets(t *testing.T) {
	t.Parallel()
	c := newCatalogue(t)
	own := shop("1.0.0", shopSchema)
	own.DefaultConfig, own.Validate = []byte(`{"apiKey":"canary-key"}`), validateElsewhere
	registry := connectors.NewRegistry()
	must(t, registry.Register(own))
	must(t, c.Publish(t.Context(), registry.All()))
	got, err := c.Get("shop")
	must(t, err)
	if !got.HasValidate() || got.Validate != nil || bytes.Contains(got.DefaultConfig, []byte("canary")) || got.DefaultConfig == nil {
		t.Errorf("got %v, want it without code and secrets", got)
	}
}

func TestTheCatalogueFollowsWhatOthersPublish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCatalogue(t)
		c.another(shop("1.0.0", shopSchema))
		c.wantVersion("shop", "")
		stop := c.run()
		c.wantVersion("shop", "1.0.0")
		c.another(shop("2.0.0", shopSchema), plain("alpha"))
		c.wantVersion("shop", "2.0.0")
		c.wantVersion("alpha", "1.0.0")
		must(t, c.bucket.Delete(t.Context(), "alpha", 0))
		c.wantVersion("alpha", "")
		c.another(plain("alpha"))
		c.wantVersion("alpha", "1.0.0")
		if len(c.problems) != 0 {
			t.Errorf("problems: %v", c.problems)
		}
		stop()
	})
}

func TestADefinitionThatStaysIsTheSameToThePointer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCatalogue(t)
		c.another(shop("1.0.0", shopSchema), plain("alpha"))
		c.run()
		before, err := c.Get("shop")
		must(t, err)
		c.another(shop("1.0.0", shopSchema), plain("beta"))
		time.Sleep(2 * records.ReloadEvery)
		must(t, c.Load(t.Context()))
		registry := connectors.NewRegistry()
		must(t, registry.Register(shop("1.0.0", shopSchema)))
		must(t, c.Publish(t.Context(), registry.All()))
		if after, err := c.Get("shop"); err != nil || after != before {
			t.Errorf("another pointer, %v: what is compiled from it would be compiled again", err)
		}
	})
}

func TestABrokenDefinitionKeepsTheLastGoodAndHarmsNoOther(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"not JSON": "{", "of a newer version": `{"format":2,"key":"shop"}`, "of another connector": "", "empty": " ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCatalogue(t)
				c.another(shop("1.0.0", shopSchema), plain("alpha"))
				if value == "" {
					e, err := c.bucket.Get(t.Context(), "alpha")
					must(t, err)
					value = string(e.Value)
				}
				c.run()
				c.write("shop", value)
				c.wantVersion("shop", "1.0.0")
				c.wantVersion("alpha", "1.0.0")
				if len(c.problems) != 1 || !strings.Contains(c.problems[0].Error(), "shop") {
					t.Errorf("problems = %v, want one about shop", c.problems)
				}
				c.another(plain("beta"))
				c.wantVersion("beta", "1.0.0")

				// A process that starts now has no last good one, and starts.
				late := newCatalogue(t)
				late.bucket = c.bucket
				late.Definitions = records.NewDefinitions(records.Buckets{Connectors: c.bucket})
				must(t, late.Load(t.Context()))
				late.wantVersion("shop", "")
				late.wantVersion("alpha", "1.0.0")
				late.run()
				if len(late.problems) != 1 {
					t.Errorf("problems of the late = %v, want one", late.problems)
				}
				c.another(shop("3.0.0", shopSchema))
				c.wantVersion("shop", "3.0.0")
				late.wantVersion("shop", "3.0.0")
			})
		})
	}
}

func TestAResetReadsTheCatalogueAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCatalogue(t)
		c.another(shop("1.0.0", shopSchema), plain("gone"))
		watcher := newNews()
		c.bucket.watch = func(context.Context, string) (kvstore.Watcher, error) { return watcher, nil }
		c.run()
		before, err := c.Get("shop")
		must(t, err)
		must(t, c.bucket.Delete(t.Context(), "gone", 0))
		c.another(plain("alpha"))
		c.wantVersion("alpha", "")
		watcher.reset()
		c.wantVersion("alpha", "1.0.0")
		c.wantVersion("gone", "")
		c.another(shop("2.0.0", shopSchema))
		time.Sleep(records.ReloadEvery) // nobody tells
		c.wantVersion("shop", "2.0.0")
		if before.Version != "1.0.0" {
			t.Error("a definition that was handed out has changed")
		}
	})
}

func TestTheCatalogueOutlivesAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCatalogue(t)
		c.another(shop("1.0.0", shopSchema))
		must(t, c.Load(t.Context()))
		var away atomic.Bool
		away.Store(true)
		c.bucket.watch = func(ctx context.Context, filter string) (kvstore.Watcher, error) {
			if away.Load() {
				return nil, kvstore.ErrUnavailable
			}
			return c.bucket.Store.Watch(ctx, filter)
		}
		stop := c.run()
		c.another(shop("2.0.0", shopSchema))
		time.Sleep(5 * time.Second)
		c.wantVersion("shop", "1.0.0")
		if len(c.problems) == 0 || !errors.Is(c.problems[0], kvstore.ErrUnavailable) {
			t.Errorf("problems = %v, want that the store is away", c.problems)
		}
		away.Store(false)
		time.Sleep(2 * time.Second)
		c.wantVersion("shop", "2.0.0")
		stop()
	})
}

func TestPublishersAtOnceAgree(t *testing.T) {
	t.Parallel()
	bothDrivers(t, func(t *testing.T, w *world) {
		registry := connectors.NewRegistry()
		for _, own := range []connectors.Connector{shop("4.0.0", shopSchema), plain("alpha"), plain("beta")} {
			must(t, registry.Register(own))
		}
		for _, err := range atOnce(8, func(int) error { return w.definitions.Publish(t.Context(), registry.All()) }) {
			must(t, err)
		}
		if all := w.definitions.All(); len(all) != 3 {
			t.Errorf("all = %v", all)
		}
	})
}
