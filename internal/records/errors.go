package records

import (
	"errors"
	"fmt"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/kvstore"
)

// Outcomes of reads and writes, for [errors.Is].
var (
	ErrNotFound = kvstore.ErrNotFound
	ErrExists   = kvstore.ErrExists
	ErrConflict = kvstore.ErrConflict
	// ErrUnavailable: the write may have been stored, or may be stored later.
	ErrUnavailable = kvstore.ErrUnavailable
)

// DatabaseError returns CONNECTOR_DATABASE_FAILED for a failed operation of the store, or err
// itself if it has a code already. The driver's text may name hosts, so it is the cause only.
func DatabaseError(operation string, err error) error {
	if e, ok := errors.AsType[*connectors.Error](err); ok {
		return e
	}
	if errors.Is(err, kvstore.ErrTooLarge) {
		e := errRecordTooLarge()
		e.Cause = err
		return e
	}
	e := connectors.Errorf(connectors.CodeConnectorDatabaseFailed, "could not %s: the store did not answer; try again", operation)
	e.Cause = err
	return e
}

// maxRecord bounds a sealed record, in bytes: it has to fit into a message with room to spare, and it
// bounds what the caches use.
const maxRecord = 512 << 10

func errRecordTooLarge() *connectors.Error {
	return connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the config is too large: a sealed record has at most %d bytes", maxRecord)
}

// EncryptError returns CONNECTOR_ENCRYPT_FAILED.
func EncryptError(err error) error {
	e := connectors.Errorf(connectors.CodeConnectorEncryptFailed, "could not seal the record")
	e.Cause = err
	return e
}

// DecryptError returns CONNECTOR_DECRYPT_FAILED for a connection.
func DecryptError(c *Connection, err error) error {
	e := connectors.Errorf(connectors.CodeConnectorDecryptFailed,
		"could not open the secrets of connection %s: the keyset does not contain its key, or the record was altered", c.ID)
	e.Cause = err
	return e
}

// errUnreadable is the error of a record whose stored text is not a connection.
func errUnreadable(err error) error {
	e := connectors.Errorf(connectors.CodeConnectorDecryptFailed,
		"the record of the connection cannot be read: it was altered, or a newer version wrote it; disconnect it, or replace it")
	e.Cause = err
	return e
}

// notConnected returns CONNECTOR_NOT_CONNECTED if err is ErrNotFound, another database error else.
func notConnected(err error, r Ref) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kvstore.ErrNotFound):
		account := ""
		if r.Account != DefaultAccount {
			account = fmt.Sprintf(" account %.64q", r.Account)
		}
		return connectors.Errorf(connectors.CodeConnectorNotConnected, "%s %.64q is not connected to %.64q%s", r.Scope, r.Identity, r.Connector, account)
	}
	return DatabaseError("read the connection", err)
}
