package records

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/manifest"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// reloadEvery bounds how long a missed change of a definition can matter.
const reloadEvery = time.Minute

// Definitions is the catalogue: every connector that some program has published,
// data only, kept current by a watch. A definition that cannot be read (a newer
// version wrote it) leaves the last good one in place, and the others alone. Safe
// for concurrent use.
type Definitions struct {
	bucket kvstore.Store

	mu      sync.RWMutex
	byKey   map[string]definition // bucket key → its definition
	changes []chan struct{}       // of Changed
}

// definition is a connector and the text it was read from. While the text is the
// same, so is the connector, to the pointer.
type definition struct {
	connector *connectors.Connector
	text      []byte
}

// NewDefinitions returns the catalogue kept in bucket. It is empty until
// [Definitions.Load] or [Definitions.Run].
func NewDefinitions(buckets Buckets) *Definitions {
	return &Definitions{bucket: buckets.Connectors, byKey: map[string]definition{}}
}

// Get returns the current definition of a connector, or CONNECTOR_NOT_FOUND.
func (d *Definitions) Get(key string) (*connectors.Connector, error) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if known, ok := d.byKey[events.Token(key)]; ok {
		return known.connector, nil
	}
	return nil, connectors.Errorf(connectors.CodeConnectorNotFound, "no connector %.64q is registered", key)
}

// Version returns the definition of a connector that a connection was made with: that of
// the version, if it is stored, else the current one.
func (d *Definitions) Version(key, version string) (*connectors.Connector, error) {
	d.mu.RLock()
	known, ok := d.byKey[versionKey(key, version)]
	d.mu.RUnlock()
	if ok {
		return known.connector, nil
	}
	return d.Get(key)
}

// All returns the current definitions in the order of their keys.
func (d *Definitions) All() []*connectors.Connector {
	d.mu.RLock()
	defer d.mu.RUnlock()
	all := make([]*connectors.Connector, 0, len(d.byKey))
	for key, known := range d.byKey {
		if !strings.Contains(key, ".") {
			all = append(all, known.connector)
		}
	}
	slices.SortFunc(all, func(a, b *connectors.Connector) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// Named returns the definitions whose key or display name is name, all of them for "", in the order of their keys.
func (d *Definitions) Named(name string) []*connectors.Connector {
	return slices.DeleteFunc(d.All(), func(c *connectors.Connector) bool {
		return name != "" && c.Key != name && !strings.EqualFold(c.Metadata.Name, name)
	})
}

// Publish makes connectors known to every role. What is stored already is not
// written again; where versions differ, the last to start wins, so that a
// rollback is a rollback.
func (d *Definitions) Publish(ctx context.Context, all []*connectors.Connector) error {
	for _, c := range all {
		text, err := c.Definition()
		if err != nil {
			return err
		}
		keys := []string{events.Token(c.Key)}
		if c.Declarative() { // the definition alone runs older connections
			keys = []string{versionKey(c.Key, c.Version), keys[0]}
		}
		for _, key := range keys {
			entry, err := kvstore.Modify(ctx, d.bucket, key, func(old []byte) ([]byte, error) {
				if bytes.Equal(old, text) {
					return nil, kvstore.ErrKeep
				}
				return text, nil
			})
			if err != nil {
				return DatabaseError("publish connector "+c.Key, err)
			}
			if err := d.add(entry); err != nil {
				return err
			}
		}
	}
	return nil
}

// Remove deletes a connector's definition in all versions. It reports whether there was one.
func (d *Definitions) Remove(ctx context.Context, key string) (bool, error) {
	if err := d.Load(ctx); err != nil {
		return false, err
	}
	d.mu.RLock()
	var keys []string
	for stored := range d.byKey {
		if connector, _, _ := strings.Cut(stored, "."); connector == events.Token(key) {
			keys = append(keys, stored)
		}
	}
	d.mu.RUnlock()
	slices.Sort(keys) // the current one first
	for _, stored := range keys {
		if err := d.remove(ctx, stored); err != nil {
			return false, err
		}
	}
	return len(keys) > 0, nil
}

func (d *Definitions) remove(ctx context.Context, stored string) error {
	if err := d.bucket.Delete(ctx, stored, 0); err != nil && !errors.Is(err, kvstore.ErrNotFound) {
		return DatabaseError("remove connector "+stored, err)
	}
	d.set(stored, nil)
	return nil
}

// versionKey is the bucket's key of one version of a connector.
func versionKey(key, version string) string { return events.Token(key) + "." + events.Token(version) }

// Changed returns a channel that receives after each change of the catalogue; several
// changes may be one value.
func (d *Definitions) Changed() <-chan struct{} {
	changed := make(chan struct{}, 1)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changes = append(d.changes, changed)
	return changed
}

// set stores a definition in the catalogue, or removes it, and tells who waits for changes.
func (d *Definitions) set(key string, definition *definition) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if definition == nil {
		delete(d.byKey, key)
	} else {
		d.byKey[key] = *definition
	}
	for _, changed := range d.changes {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
}

// Load reads every definition that is stored. Those that cannot be read are left
// out; [Definitions.Run] reports them.
func (d *Definitions) Load(ctx context.Context) error {
	_, err := d.load(ctx)
	return err
}

// load returns what is wrong with definitions, apart from failing to read at all.
// What differs from the catalogue is read from the leader: a list may be old.
func (d *Definitions) load(ctx context.Context) (broken []error, err error) {
	differ := map[string]bool{}
	d.mu.RLock()
	for key := range d.byKey {
		differ[key] = true
	}
	d.mu.RUnlock()
	for entry, err := range d.bucket.List(ctx, ">") {
		if err != nil {
			return broken, DatabaseError("read the connectors", err)
		}
		differ[entry.Key] = !d.has(entry)
	}
	for key, differs := range differ {
		if !differs {
			continue
		}
		if err := d.refresh(ctx, key); errors.Is(err, errDefinition) {
			broken = append(broken, err)
		} else if err != nil {
			return broken, err
		}
	}
	return broken, nil
}

// Run keeps the catalogue current until ctx ends. onError receives the errors of
// definitions that cannot be read; the last good one stays.
func (d *Definitions) Run(ctx context.Context, onError func(error)) error {
	for ctx.Err() == nil {
		watcher, err := d.bucket.Watch(ctx, ">")
		if err != nil {
			report(ctx, onError, DatabaseError("watch the connectors", err))
			pause(ctx, time.Second)
			continue
		}
		d.reload(ctx, onError)
		d.follow(ctx, watcher, onError)
	}
	return nil
}

// follow applies the events of the watcher. It reads everything again every
// reloadEvery, in case that a read failed.
func (d *Definitions) follow(ctx context.Context, w kvstore.Watcher, onError func(error)) {
	defer w.Stop()
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.reload(ctx, onError)
		case event, open := <-w.Events():
			if !open {
				return
			}
			if event.Kind == kvstore.Reset {
				d.reload(ctx, onError)
			} else if err := d.refresh(ctx, event.Key); err != nil {
				report(ctx, onError, err)
			}
		}
	}
}

func (d *Definitions) reload(ctx context.Context, onError func(error)) {
	broken, err := d.load(ctx)
	if err != nil {
		broken = append(broken, err)
	}
	for _, err := range broken {
		report(ctx, onError, err)
	}
}

// report calls onError, unless the error is only that ctx has ended.
func report(ctx context.Context, onError func(error), err error) {
	if ctx.Err() == nil {
		onError(err)
	}
}

// refresh reads one definition from the leader, and removes it from the catalogue if it was deleted.
func (d *Definitions) refresh(ctx context.Context, key string) error {
	entry, err := latest(ctx, d.bucket, key)
	if errors.Is(err, kvstore.ErrNotFound) {
		d.set(key, nil)
		return nil
	}
	if err != nil {
		return DatabaseError("read connector "+key, err)
	}
	return d.add(entry)
}

// errDefinition is wrapped by errors about what a definition says.
var errDefinition = errors.New("unusable definition")

// add adds a definition to the catalogue, or replaces it.
func (d *Definitions) add(entry kvstore.Entry) error {
	if d.has(entry) {
		return nil
	}
	c, err := d.parse(entry)
	if err != nil {
		return fmt.Errorf("%w %s: %w", errDefinition, entry.Key, err)
	}
	// A connector is what its key says, or one could stand in for another.
	if key := events.Token(c.Key); entry.Key != key && entry.Key != versionKey(c.Key, c.Version) {
		return fmt.Errorf("%w %s: its text is the definition of %q", errDefinition, entry.Key, c.Key)
	}
	d.set(entry.Key, &definition{c, entry.Value})
	return nil
}

// parse returns the connector of an entry, ready to run if it needs no code. The current
// version is in the bucket twice, and in memory once.
func (d *Definitions) parse(entry kvstore.Entry) (*connectors.Connector, error) {
	connector, _, _ := strings.Cut(entry.Key, ".")
	d.mu.RLock()
	for key, known := range d.byKey {
		if of, _, _ := strings.Cut(key, "."); of == connector && bytes.Equal(known.text, entry.Value) {
			d.mu.RUnlock()
			return known.connector, nil
		}
	}
	d.mu.RUnlock()
	c, err := connectors.ParseDefinition(entry.Value)
	if err == nil && c.Declarative() {
		err = manifest.Bind(c)
	}
	return c, err
}

// has reports whether the catalogue has this definition with the same text.
func (d *Definitions) has(entry kvstore.Entry) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	known, ok := d.byKey[entry.Key]
	return ok && bytes.Equal(known.text, entry.Value)
}
