package connectors

import (
	"slices"
	"sync"
)

// Registry holds the connectors of a process, in the order in which they came.
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
// webhook), fills in its defaults and adds it. The error lists everything that is
// wrong. It has the code CONNECTOR_BUILD_CONFIG_REQUIRED without a config schema,
// CONNECTOR_OAUTH_NOT_CONFIGURED for an incomplete OAuth2, CONNECTOR_CONFIG_INVALID
// for a bad default config, and INTERNAL for other mistakes of the program, such as
// a key that is taken.
//
// The registry keeps its own copy of c and of its Actions; what they point to must
// not change afterwards.
func (r *Registry) Register(c Connector) error {
	own := c
	own.Actions = slices.Clone(c.Actions)
	if err := checkDefinition(&own, true); err != nil {
		return err
	}
	return r.add(&own, false)
}

// RegisterDefinition adds a connector whose code runs in another process: what
// [ParseDefinition] returned. It takes the place of an earlier definition with its
// key (what has fetched the old one keeps it), but never of a registered
// connector: then it fails.
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
	old, taken := r.byKey[c.Key]
	if !taken {
		r.byKey[c.Key], r.foreign[c.Key] = c, foreign
		r.order = append(r.order, c)
		return nil
	}
	if !foreign || !r.foreign[c.Key] {
		return Errorf(CodeInternal, "connector %q: the key is taken", c.Key)
	}
	r.byKey[c.Key] = c
	r.order[slices.Index(r.order, old)] = c
	return nil
}

// RemoveDefinition takes out what RegisterDefinition has added; it reports whether
// there was anything.
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

// All returns the connectors, in the order in which they were first registered.
func (r *Registry) All() []*Connector {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.order)
}
