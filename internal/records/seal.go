package records

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Where secrets lie in a record, as JSON pointers.
const (
	pointerConfig        = "/config"
	pointerWebhookSecret = "/webhook/secret"
	pointerRetired       = "/retired_secrets"
)

// Draft is a change of a record before it is sealed. What a draft does not replace stays as it was
// sealed, unopened: a connection can be disabled also when its secrets cannot be opened any more.
type Draft struct {
	Record *Connection
	// Definition is the connector as it is now; nil if it is not registered.
	Definition *connectors.Connector
	// Config is a new config in the clear; nil keeps what is stored.
	Config json.RawMessage

	newURL     secret.Text // a new secret of the webhook URL; zero keeps what is stored
	retiring   secret.Text // the secret of the entry retiringID of Retired; zero keeps what is stored
	retiringID string
}

// Sealed is a record as it is stored, with every secret field an envelope.
type Sealed struct {
	Text   []byte
	record *Connection
	newURL bool // the webhook URL has to be added to the index
}

// SecretPaths returns the secret places of the draft's config, as JSON pointers: those that the definition
// marks now, and those that the record had sealed before. What was given as a secret stays one when a
// newer definition no longer marks it.
func (d *Draft) SecretPaths() []string {
	pointers := configPointers(d.Record.Sealed)
	if d.Definition != nil {
		pointers = append(pointers, d.Definition.Config.SecretPaths()...)
	}
	slices.Sort(pointers)
	return slices.Compact(pointers)
}

// Seal returns the record as it is to be stored, and sets d.Record to what would be read back from that.
// What a newer definition marks in addition is sealed whatever the change is about.
func (s *Connections) Seal(d *Draft) (*Sealed, error) {
	places := d.SecretPaths()
	config := d.Config
	if config == nil && len(places) > len(configPointers(d.Record.Sealed)) {
		var err error
		if config, err = s.OpenConfig(d.Record); err != nil {
			return nil, err
		}
	}
	c := *d.Record
	c.Sealed = under(pointerConfig, places)
	var clear []string // places that are in the clear until they are sealed here
	if config != nil {
		c.Config, clear = config, slices.Clone(c.Sealed)
	}
	if c.Webhook != nil {
		c.Sealed = append(c.Sealed, pointerWebhookSecret)
		if !d.newURL.IsZero() {
			webhook := *c.Webhook // the draft's stays without the secret
			webhook.Secret, c.Webhook = d.newURL.Reveal(), &webhook
			clear = append(clear, pointerWebhookSecret)
		}
	}
	if c.Retired = unexpired(c.Retired, s.now()); len(c.Retired) > 0 {
		c.Sealed = append(c.Sealed, retiredPointer("*"))
	}
	if !d.retiring.IsZero() {
		c.Retired[d.retiringID] = RetiredSecret{Secret: d.retiring.Reveal(), Until: c.Retired[d.retiringID].Until}
		clear = append(clear, retiredPointer(d.retiringID))
	}
	doc, err := Marshal(&c)
	if err != nil {
		return nil, EncryptError(err)
	}
	text, err := s.sealer.keys.SealFields(doc, clear, s.sealer.bindingOf(&c))
	if err != nil {
		return nil, EncryptError(err)
	}
	// A last check that every secret place is an envelope, whatever happened above.
	if _, err := crypto.FieldKeyIDs(text, c.Sealed); err != nil {
		return nil, EncryptError(err)
	}
	if len(text) > maxRecord {
		return nil, errRecordTooLarge()
	}
	stored, err := parseConnection(kvstore.Entry{Key: c.Ref().Key(), Value: text, Revision: c.revision})
	if err != nil {
		return nil, EncryptError(err)
	}
	stored.indexed = c.indexed
	*d.Record = *stored
	return &Sealed{Text: text, record: d.Record, newURL: !d.newURL.IsZero()}, nil
}

func (s *Sealer) bindingOf(c *Connection) crypto.Binding {
	return s.binding(bucketConnections, c.Ref().Key())
}

// OpenConfig returns a record's config in the clear, the caller's own copy. Keep
// it no longer than the work that needs it. CONNECTOR_DECRYPT_FAILED.
func (s *Connections) OpenConfig(c *Connection) (json.RawMessage, error) {
	places := configPointers(c.Sealed)
	if len(places) == 0 {
		return bytes.Clone(c.Config), nil
	}
	const before, after = `{"config":`, `}`
	doc := slices.Concat([]byte(before), c.Config, []byte(after))
	doc, err := s.sealer.keys.OpenFields(doc, under(pointerConfig, places), s.sealer.bindingOf(c))
	if err != nil {
		return nil, DecryptError(c, err)
	}
	return doc[len(before) : len(doc)-len(after)], nil // all but the fields stays byte for byte
}

// OpenConfigField opens one string field of a record's config, by its dotted
// path: what verifying a webhook needs, and no more. The absent secret if there
// is none.
func (s *Connections) OpenConfigField(c *Connection, path string) (secret.Text, error) {
	place := sealedPlace{store: s, record: c, pointer: pointerConfig, value: c.Config}
	if err := place.open(); err != nil {
		return secret.Text{}, err
	}
	for name := range strings.SplitSeq(path, ".") {
		if there, err := place.enter(name); err != nil || !there {
			return secret.Text{}, err
		}
	}
	var out secret.Text
	if err := json.Unmarshal(place.value, &out); err != nil {
		return secret.Text{}, DecryptError(c, err)
	}
	return out, nil
}

// sealedPlace is a place in a record's config on the way down to a field.
type sealedPlace struct {
	store   *Connections
	record  *Connection
	pointer string // concrete
	value   json.RawMessage
	opened  bool // it lies in what was an envelope
}

// enter steps into the member called name; false if there is none, or null.
func (p *sealedPlace) enter(name string) (bool, error) {
	p.pointer += "/" + escaped(name)
	p.value = member(p.value, name)
	if p.value == nil || string(p.value) == "null" {
		return false, nil
	}
	return true, p.open()
}

// open opens the value if the record says that it is an envelope. In an envelope
// there are no further ones.
func (p *sealedPlace) open() error {
	leadsHere := func(sealed string) bool { return leadsTo(sealed, p.pointer) }
	if p.opened || !slices.ContainsFunc(p.record.Sealed, leadsHere) {
		return nil
	}
	var envelope string
	if err := json.Unmarshal(p.value, &envelope); err != nil {
		return DecryptError(p.record, errors.New("a sealed field is not an envelope"))
	}
	plain, err := p.store.sealer.keys.Open(envelope, p.store.sealer.bindingOf(p.record), p.pointer)
	if err != nil {
		return DecryptError(p.record, err)
	}
	p.value, p.opened = plain, true
	return nil
}

// escaped is a name as a JSON pointer has it.
func escaped(name string) string {
	if !strings.ContainsAny(name, "~/") {
		return name // nearly every one; the replacer is costly to make
	}
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// leadsTo reports whether a pointer, in which "*" stands for any name, leads to a
// concrete one.
func leadsTo(pointer, concrete string) bool {
	for more := true; more; {
		var token, name string
		var moreNames bool
		token, pointer, more = strings.Cut(pointer, "/")
		name, concrete, moreNames = strings.Cut(concrete, "/")
		if more != moreNames || token != "*" && token != name {
			return false
		}
	}
	return true
}

// configPointers are the sealed places of a record as pointers into its config.
func configPointers(sealed []string) []string {
	var out []string
	for _, p := range sealed {
		if rest, ok := strings.CutPrefix(p, pointerConfig); ok {
			out = append(out, rest)
		}
	}
	return out
}

func under(parent string, pointers []string) []string {
	out := make([]string, len(pointers))
	for i, p := range pointers {
		out[i] = parent + p
	}
	return out
}

// Marshal writes JSON without the escapes that are for HTML: what a tenant has
// given stays as it was.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// FieldAt returns the value at a dotted path of a config, nil if there is none.
func FieldAt(config json.RawMessage, path string) json.RawMessage {
	for name := range strings.SplitSeq(path, ".") {
		config = member(config, name)
	}
	return config
}

// TextAt returns the string at a dotted path of a config; false if there is none.
func TextAt(config json.RawMessage, path string) (string, bool) {
	var text *string
	if json.Unmarshal(FieldAt(config, path), &text) != nil || text == nil {
		return "", false
	}
	return *text, true
}

// member returns a member of an object, nil if value is no object or has no such member.
func member(value json.RawMessage, name string) json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil {
		return nil
	}
	return object[name]
}
