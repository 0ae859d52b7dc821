package connectors

import (
	"slices"
	"sync"
)

// Registry contains the connectors of a process, in the order of registration.
// Safe for concurrent use.
type Registry struct {
	mu      sync.RWMutex
	byKey   map[string]*Connector // key → connector
	foreign map[string]bool       // keys whose code runs in another process
	order   []*Connector
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{byKey: map[string]*Connector{}, foreign: map[string]bool{}}
}

// Register checks a connector (schemas, default config, auth, templates, actions,
// webhook), sets its defaults and adds it. The error lists everything that is
// wrong. It has the code CONNECTOR_BUILD_CONFIG_REQUIRED without a config schema,
// CONNECTOR_OAUTH_NOT_CONFIGURED for an incomplete OAuth2, CONNECTOR_CONFIG_INVALID
// for a bad default config, and INTERNAL for other mistakes, such as a key
// that is already registered.
//
// The registry copies c and its Actions; the values that they point to must not change
// afterwards.
func (r *Registry) Register(c Connector) error {
	own := c
	own.Actions = slices.Clone(c.Actions)
	if err := checkDefinition(&own, true); err != nil {
		return err
	}
	return r.add(&own, false)
}

// RegisterDefinition adds a connector whose code runs in another process: what
// [ParseDefinition] returned. It replaces an earlier definition with its key. It fails if
// the key is that of a connector that Register added.
func (r *Registry) RegisterDefinition(c *Connector) error {
	own := *c
	own.Actions = slices.Clone(c.Actions)
	if err := checkDefinition(&own, false); err != nil {
		return err
	}
	return r.add(&own, true)
}

func (r *Registry) add(c *Connector, foreign bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, exists := r.byKey[c.Key]
	if !exists {
		r.byKey[c.Key], r.foreign[c.Key] = c, foreign
		r.order = append(r.order, c)
		return nil
	}
	if !foreign || !r.foreign[c.Key] {
		return Errorf(CodeInternal, "connector %q: the key is already registered", c.Key)
	}
	r.byKey[c.Key] = c
	r.order[slices.Index(r.order, old)] = c
	return nil
}

// RemoveDefinition removes a connector that RegisterDefinition has added. It reports whether
// there was one.
func (r *Registry) RemoveDefinition(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.foreign[key] {
		return false
	}
	old := r.byKey[key]
	delete(r.byKey, key)
	delete(r.foreign, key)
	r.order = slices.DeleteFunc(r.order, func(c *Connector) bool { return c == old })
	return true
}

// Get returns the connector with the key.
func (r *Registry) Get(key string) (*Connector, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c, ok := r.byKey[key]
	return c, ok
}

// All returns the connectors, in the order of their first registration.
func (r *Registry) All() []*Connector {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.order)
}
