package records

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/secret"
)

const (
	// SecretGrace is how long a replaced webhook secret still verifies, unless the
	// change says otherwise: providers sign with the old one for a while, and repeat
	// deliveries that they signed with it.
	SecretGrace = 24 * time.Hour
	// LongestSecretGrace is the longest grace that a change can request.
	LongestSecretGrace = 7 * 24 * time.Hour
	// maxRetired bounds how many replaced secrets verify, since a delivery is compared
	// with each of them. The oldest are dropped.
	maxRetired = 4
)

// RetiredSecret is a webhook secret that was replaced.
type RetiredSecret struct {
	Secret string    `json:"secret"` // an envelope
	Until  time.Time `json:"until"`  // it verifies before that
}

// retiredPointer is where a retired secret lies in a record; id "*" is all.
func retiredPointer(id string) string { return pointerRetired + "/" + id + "/secret" }

// RetireSecret lets the webhook secret in the current config verify for the grace time, if next has another.
// field is the secret's dotted path in the config. If one of both has no secret, or there is no grace,
// no earlier secret verifies any more.
func (d *Draft) RetireSecret(field string, current, next json.RawMessage, grace time.Duration, now time.Time) {
	if field == "" {
		return
	}
	before, _ := TextAt(current, field)
	after, _ := TextAt(next, field)
	if before == after {
		return
	}
	if before == "" || after == "" || grace <= 0 {
		d.Record.Retired = nil
		return
	}
	kept := unexpired(d.Record.Retired, now)
	ids := slices.Sorted(maps.Keys(kept)) // the oldest first: ids are of their time
	for len(ids) >= maxRetired {
		delete(kept, ids[0])
		ids = ids[1:]
	}
	d.retiring, d.retiringID = secret.New(before), events.NewID()
	kept[d.retiringID] = RetiredSecret{Until: now.Add(grace)}
	d.Record.Retired = kept
}

// unexpired returns the retired secrets that still verify.
func unexpired(retired map[string]RetiredSecret, now time.Time) map[string]RetiredSecret {
	kept := map[string]RetiredSecret{}
	for id, r := range retired {
		if now.Before(r.Until) {
			kept[id] = r
		}
	}
	return kept
}

// SigningSecrets returns the secrets that deliveries to the connection may be signed with: that in the
// config field of the dotted path, and the replaced ones whose grace has not ended. None if field is "" or
// has no secret.
func (s *Connections) SigningSecrets(c *Connection, field string) ([]secret.Text, error) {
	if field == "" {
		return nil, nil
	}
	present, err := s.ConfigSecret(c, field)
	if err != nil || present.IsZero() {
		return nil, err
	}
	all := []secret.Text{present}
	for id, retired := range c.Retired {
		if !s.now().Before(retired.Until) {
			continue
		}
		text, err := c.opened.get(retiredPointer(id), func() (secret.Text, error) { return s.openAt(c, retired.Secret, retiredPointer(id)) })
		if err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, nil
}

// ConfigSecret is [Connections.OpenConfigField], which opens each field of a cached
// record once.
func (s *Connections) ConfigSecret(c *Connection, path string) (secret.Text, error) {
	return c.opened.get(path, func() (secret.Text, error) { return s.OpenConfigField(c, path) })
}

// ConfigInUse is [Connections.OpenConfig], which opens the config of a cached record once. The caller must not
// change it.
func (s *Connections) ConfigInUse(c *Connection) (json.RawMessage, error) {
	text, err := c.opened.get(wholeConfig, func() (secret.Text, error) {
		config, err := s.OpenConfig(c)
		return secret.New(string(config)), err
	})
	return json.RawMessage(text.Reveal()), err
}

// wholeConfig is the place of a whole config: no field has an empty path.
const wholeConfig = ""

// opened has the secrets of one record that were opened so far. It has the lifetime of the
// record: in the cache until the record changes, is evicted, or is a minute old. It is smaller
// than twice the record, whose envelopes are longer than their content. Nil opens each time.
type opened struct {
	mu     sync.Mutex
	fields map[string]secret.Text // place in the record → what was in its envelope
}

// get opens at most once what can be opened.
func (o *opened) get(place string, open func() (secret.Text, error)) (secret.Text, error) {
	if o == nil {
		return open()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if text, ok := o.fields[place]; ok {
		return text, nil
	}
	text, err := open()
	if err != nil {
		return text, err
	}
	if o.fields == nil {
		o.fields = map[string]secret.Text{}
	}
	o.fields[place] = text
	return text, nil
}

// openAt opens an envelope of the record.
func (s *Connections) openAt(c *Connection, envelope, pointer string) (secret.Text, error) {
	plain, err := s.sealer.keys.Open(envelope, s.sealer.bindingOf(c), pointer)
	if err != nil {
		return secret.Text{}, DecryptError(c, err)
	}
	var text secret.Text
	if err := json.Unmarshal(plain, &text); err != nil {
		return secret.Text{}, DecryptError(c, err)
	}
	return text, nil
}
