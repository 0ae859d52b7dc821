package connection

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Where secrets lie in a record, as JSON pointers.
const (
	pointerConfig        = "/config"
	pointerWebhookSecret = "/webhook/secret"
	pointerRetired       = "/retired_secrets"
)

// draft is a record on its way into the bucket. What a draft does not replace
// stays as it was sealed, unopened: a connection can be switched off also when
// its secrets cannot be opened any more.
type draft struct {
	*Connection
	// definition is the connector as it is now; nil if it is not registered.
	definition *connectors.Connector
	config     json.RawMessage // a new config, in the clear; nil leaves what is stored
	vouched    bool            // the new config is of the provider, who need not be asked
	url        secret.Text     // a new secret of the webhook URL; none leaves what is stored
	retiring   secret.Text     // the secret of the entry retiringID of Retired; none leaves what is stored
	retiringID string
}

// places are the secret places of the draft's config: those that the definition
// marks now, and those that the record had sealed before. What was given as a
// secret does not come into the open because a newer definition no longer says so.
func (d draft) places() []string {
	pointers := configPointers(d.Sealed)
	if d.definition != nil {
		pointers = append(pointers, d.definition.Config.SecretPaths()...)
	}
	slices.Sort(pointers)
	return slices.Compact(pointers)
}

// seal returns the record as it is stored, and makes d.Connection what is read
// back from that. What a newer definition marks in addition is sealed whatever the
// change is about.
func (s *Connections) seal(d draft) ([]byte, error) {
	places := d.places()
	config := d.config
	if config == nil && len(places) > len(configPointers(d.Sealed)) {
		var err error
		if config, err = s.OpenConfig(d.Connection); err != nil {
			return nil, err
		}
	}
	c := *d.Connection
	c.Sealed = under(pointerConfig, places)
	var clear []string // places that are in the clear until they are sealed here
	if config != nil {
		c.Config, clear = config, slices.Clone(c.Sealed)
	}
	if c.Webhook != nil {
		c.Sealed = append(c.Sealed, pointerWebhookSecret)
		if !d.url.IsZero() {
			own := *c.Webhook // the caller's stays without the secret
			own.Secret, c.Webhook = d.url.Reveal(), &own
			clear = append(clear, pointerWebhookSecret)
		}
	}
	if c.Retired = stillVerifying(c.Retired, s.now()); len(c.Retired) > 0 {
		c.Sealed = append(c.Sealed, retiredPointer("*"))
	}
	if !d.retiring.IsZero() {
		c.Retired[d.retiringID] = RetiredSecret{Secret: d.retiring.Reveal(), Until: c.Retired[d.retiringID].Until}
		clear = append(clear, retiredPointer(d.retiringID))
	}
	key := c.Ref().Key()
	doc, err := marshal(&c)
	if err != nil {
		return nil, encryptError(err)
	}
	sealed, err := s.keys.SealFields(doc, clear, s.binding(bucketConnections, key))
	if err != nil {
		return nil, encryptError(err)
	}
	// Whatever happened above: nothing leaves with a secret place in the clear.
	if _, err := crypto.FieldKeyIDs(sealed, c.Sealed); err != nil {
		return nil, encryptError(err)
	}
	if len(sealed) > maxRecord {
		return nil, recordTooLarge()
	}
	stored, err := parseRecord(sealed, c.revision, key)
	if err != nil {
		return nil, encryptError(err)
	}
	*d.Connection = *stored
	return sealed, nil
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
	doc, err := s.keys.OpenFields(doc, under(pointerConfig, places), s.binding(bucketConnections, c.Ref().Key()))
	if err != nil {
		return nil, decryptError(c, err)
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
		return secret.Text{}, decryptError(c, err)
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
	object, _ := members(p.value)
	p.pointer += "/" + escaped(name)
	p.value = object[name]
	if p.value == nil || isNull(p.value) {
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
		return decryptError(p.record, errors.New("a sealed field is not an envelope"))
	}
	plain, err := p.store.keys.Open(envelope, p.store.binding(bucketConnections, p.record.Ref().Key()), p.pointer)
	if err != nil {
		return decryptError(p.record, err)
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

func (s *Connections) binding(bucket, key string) crypto.Binding {
	return crypto.Binding{Bucket: s.prefix + "-" + bucket, Key: key}
}

// marshal writes JSON without the escapes that are for HTML: what a tenant has
// given stays as it was.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func encryptError(err error) error {
	e := connectors.Errorf(connectors.CodeConnectorEncryptFailed, "could not seal the record")
	e.Cause = err
	return e
}

func decryptError(c *Connection, err error) error {
	e := connectors.Errorf(connectors.CodeConnectorDecryptFailed,
		"could not open the secrets of connection %s: the keyset does not hold its key, or the record was altered", c.ID)
	e.Cause = err
	return e
}
