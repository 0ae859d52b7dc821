package connection

import (
	"context"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/events"
)

// Migration is what [Service.Migrate] did, or would do, with one connection.
type Migration struct {
	Scope    string `json:"scope"`
	Identity string `json:"identity"`
	Account  string `json:"account"`
	From     string `json:"from"`
	To       string `json:"to"`
	// Code and Errors say why the connection keeps its version.
	Code   connectors.Code     `json:"code,omitempty"`
	Errors []schema.FieldError `json:"errors,omitempty"`
}

// Migrations are those of all connections of another version than the current one.
type Migrations struct {
	Items   []Migration `json:"items"`
	Moved   int         `json:"moved"` // or would be, in a dry run
	Refused int         `json:"refused"`
}

// Migrate moves all connections of a connector to its current version: those whose config
// is valid by its schema and, unless dryRun, by its Validate. The others keep their version.
// With dryRun nothing is changed.
func (s *Service) Migrate(ctx context.Context, connector string, dryRun bool) (*Migrations, error) {
	def, err := s.names.definitions.Get(connector)
	if err != nil {
		return nil, err
	}
	result := &Migrations{Items: []Migration{}}
	for c, err := range s.connections.OfConnector(ctx, connector) {
		if err != nil {
			return nil, err
		}
		if c.Unreadable() != nil || c.ConnectorVersion == def.Version {
			continue
		}
		m := Migration{Scope: c.Scope, Identity: c.Identity, Account: c.Account, From: c.ConnectorVersion, To: def.Version}
		if err := s.migrate(ctx, c, def, dryRun); err != nil {
			e := connectors.AsError(err)
			m.Code, m.Errors = e.Code, e.Errors
			result.Refused++
		} else {
			result.Moved++
		}
		result.Items = append(result.Items, m)
	}
	return result, nil
}

func (s *Service) migrate(ctx context.Context, c *records.Connection, def *connectors.Connector, dryRun bool) error {
	if dryRun {
		config, err := s.connections.OpenConfig(c)
		if err == nil {
			_, err = s.configs.checkSchema(def, config)
		}
		return err
	}
	_, err := s.edits.change(ctx, c.Ref(), noData, func(d *edit) ([]events.Kind, error) {
		d.Definition = def
		config, err := s.connections.OpenConfig(d.Record)
		if err == nil {
			d.Config, err = s.configs.checkSchema(def, config)
		}
		d.Record.ConnectorVersion = def.Version
		return []events.Kind{events.ConnectorUpdated}, err
	})
	return err
}
