package connection

import (
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/crypto"
)

const (
	quarantine      = "quarantine"
	pointerEvidence = "/sealed"
)

// SealEvidence seals a refused delivery that is kept under an id.
func (s *Connections) SealEvidence(id string, plain []byte) (string, error) {
	sealed, err := s.keys.Seal(plain, s.evidenceBinding(id), pointerEvidence)
	if err != nil {
		return "", encryptError(err)
	}
	return sealed, nil
}

// OpenEvidence opens what [Connections.SealEvidence] sealed under the id.
func (s *Connections) OpenEvidence(id, sealed string) ([]byte, error) {
	plain, err := s.keys.Open(sealed, s.evidenceBinding(id), pointerEvidence)
	if err != nil {
		e := connectors.Errorf(connectors.CodeConnectorDecryptFailed,
			"could not open the delivery in quarantine: the keyset does not hold its key, or it was altered")
		e.Cause = err
		return nil, e
	}
	return plain, nil
}

func (s *Connections) evidenceBinding(id string) crypto.Binding { return s.binding(quarantine, id) }
