package records

import (
	"encoding/json"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
	"github.com/hawser-io/hawser/pkg/secret"
)

// Sealer encrypts the secret fields of records, each bound to the bucket, the key and the
// field it is stored in. Safe for concurrent use.
type Sealer struct {
	keys   *crypto.Keyring
	prefix string // of the installation; part of the binding
}

// NewSealer returns a sealer for the buckets of the installation with the prefix.
func NewSealer(keys *crypto.Keyring, prefix string) *Sealer { return &Sealer{keys, prefix} }

func (s *Sealer) binding(bucket, key string) crypto.Binding {
	return crypto.Binding{Bucket: s.prefix + "-" + bucket, Key: key}
}

// sealText seals a text as crypto.SealFields would; the zero Text becomes "".
func (s *Sealer) sealText(at crypto.Binding, pointer string, t secret.Text) (string, error) {
	if t.IsZero() {
		return "", nil
	}
	plain, err := json.Marshal(t.Reveal())
	if err != nil {
		return "", EncryptError(err)
	}
	envelope, err := s.keys.Seal(plain, at, pointer)
	if err != nil {
		return "", EncryptError(err)
	}
	return envelope, nil
}

// openText opens an envelope of sealText. CONNECTOR_DECRYPT_FAILED.
func (s *Sealer) openText(at crypto.Binding, pointer, envelope string) (secret.Text, error) {
	var t secret.Text
	if envelope == "" {
		return t, nil
	}
	plain, err := s.keys.Open(envelope, at, pointer)
	if err == nil {
		err = json.Unmarshal(plain, &t)
	}
	if err != nil {
		e := connectors.Errorf(connectors.CodeConnectorDecryptFailed,
			"could not open the secrets of a record in %s: the keyset does not contain its key, or the record was altered", at.Bucket)
		e.Cause = err
		return t, e
	}
	return t, nil
}

const (
	quarantine        = "quarantine"
	pointerQuarantine = "/sealed"
)

// SealQuarantined seals the evidence of a refused webhook delivery, stored under id.
func (s *Sealer) SealQuarantined(id string, plain []byte) (string, error) {
	sealed, err := s.keys.Seal(plain, s.binding(quarantine, id), pointerQuarantine)
	if err != nil {
		return "", EncryptError(err)
	}
	return sealed, nil
}

// OpenQuarantined opens what [Sealer.SealQuarantined] sealed under the id. CONNECTOR_DECRYPT_FAILED.
func (s *Sealer) OpenQuarantined(id, sealed string) ([]byte, error) {
	plain, err := s.keys.Open(sealed, s.binding(quarantine, id), pointerQuarantine)
	if err != nil {
		e := connectors.Errorf(connectors.CodeConnectorDecryptFailed,
			"could not open the delivery in quarantine: the keyset does not contain its key, or it was altered")
		e.Cause = err
		return nil, e
	}
	return plain, nil
}
