package connection

import (
	"errors"
	"unicode/utf8"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
)

// checker checks the names in a request: tenant, connector, account.
type checker struct {
	scopes      Scopes
	definitions *records.Definitions
}

// check returns an error if there can be no connection with this reference.
func (k *checker) check(r records.Ref) error {
	if err := k.scopes.Check(r.Tenant); err != nil {
		return err
	}
	if problem := AccountProblem(r.Account); problem != "" {
		return invalidConfig("the account cannot be used", "account", problem)
	}
	return nil
}

// connector checks the reference and returns the definition of its connector.
func (k *checker) connector(r records.Ref) (*connectors.Connector, error) {
	if err := k.check(r); err != nil {
		return nil, err
	}
	return k.definitions.Get(r.Connector)
}

// absent returns CONNECTOR_NOT_FOUND if err is CONNECTOR_NOT_CONNECTED and the connector is not registered,
// err itself else.
func (k *checker) absent(err error, r records.Ref) error {
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) {
		if _, unknown := k.definitions.Get(r.Connector); unknown != nil {
			return unknown
		}
	}
	return err
}

// AccountProblem returns what is wrong with the name of an account, or "".
func AccountProblem(account string) string {
	switch {
	case len(account) > maxAccount:
		return "is longer than 128 bytes"
	case !utf8.ValidString(account):
		return "is not UTF-8"
	}
	return ""
}

const (
	maxTags     = 32
	maxTagBytes = 256
)

func checkTags(tags map[string]string) error {
	if len(tags) > maxTags {
		return invalidConfig("the tags cannot be stored", "tags", "at most 32 tags are allowed")
	}
	for name, value := range tags {
		if name == "" || len(name)+len(value) > maxTagBytes {
			return invalidConfig("the tags cannot be stored", "tags", "each tag needs a name, and has at most 256 bytes with its value")
		}
	}
	return nil
}

// invalidConfig returns CONNECTOR_CONFIG_INVALID with one field error.
func invalidConfig(text, path, message string) error {
	e := connectors.Errorf(connectors.CodeConnectorConfigInvalid, "%s", text)
	e.Errors = []schema.FieldError{{Path: path, Message: message}}
	return e
}
