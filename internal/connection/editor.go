package connection

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/hawser-io/hawser/internal/records"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/events"
	"github.com/hawser-io/hawser/pkg/kvstore"
	"github.com/hawser-io/hawser/pkg/secret"
)

// editor stores new and changed connections, by revision.
type editor struct {
	connections *records.Connections
	names       *checker
	configs     *validator
	views       *viewer
	events      *announcer
	now         func() time.Time
}

// create stores a new connection: the draft that build returns for the record that it replaces, nil for none.
// build may run again after a lost race. CONNECTOR_ALREADY_CONNECTED if there is a connection, unless replace.
func (e *editor) create(ctx context.Context, r records.Ref, replace bool, build func(old *records.Connection) (*records.Draft, error)) (*Authorized, error) {
	for range kvstore.Attempts(ctx) {
		old, err := e.existing(ctx, r)
		if err != nil {
			return nil, err
		}
		if old != nil && !replace {
			return nil, alreadyConnected(r)
		}
		d, err := build(old)
		if err != nil {
			return nil, err
		}
		v, err := e.save(ctx, d)
		if lostRace(err) {
			if !replace {
				return nil, alreadyConnected(r)
			}
			continue // it was changed, created or deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		return &Authorized{v, d.Record, old}, nil
	}
	return nil, records.DatabaseError("replace the connection", records.ErrConflict)
}

// existing returns the record, readable or not, or nil if there is none.
func (e *editor) existing(ctx context.Context, r records.Ref) (*records.Connection, error) {
	c, err := e.connections.LatestOrUnreadable(ctx, r)
	if errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorNotConnected}) {
		return nil, nil
	}
	return c, err
}

// draft returns a new connection that replaces old, if there is one.
func (e *editor) draft(r records.Ref, def *connectors.Connector, config json.RawMessage, old *records.Connection) *records.Draft {
	c := records.NewConnection(r, def.Version, e.now())
	if old != nil {
		c.Replace(old)
	}
	return &records.Draft{Record: c, Definition: def, Config: config}
}

// save validates a draft with the provider, gives it a webhook URL if its connector has webhooks, and stores it.
func (e *editor) save(ctx context.Context, d *records.Draft) (*View, error) {
	var url secret.Text
	if d.Definition.Webhook != nil {
		url = e.connections.EnsureWebhookURL(d)
	}
	if account := providerAccount(d.Definition, d.Config); account != "" {
		d.Record.ProviderAccount = account
	}
	sealed, err := e.connections.Seal(d)
	if err != nil {
		return nil, err
	}
	if sealed, err = e.askProvider(ctx, d, sealed); err != nil {
		return nil, err
	}
	if err := e.connections.Write(ctx, sealed); err != nil {
		return nil, err
	}
	return e.views.view(d.Record, url), nil
}

func lostRace(err error) bool {
	return errors.Is(err, records.ErrExists) || errors.Is(err, records.ErrConflict)
}

func alreadyConnected(r records.Ref) error {
	return connectors.Errorf(connectors.CodeConnectorAlreadyConnected,
		"%s %.64q is already connected to %s; replace it with ?replace=true, or name another account", r.Scope, r.Identity, r.Connector)
}

// edit is a change of a stored connection.
type edit struct {
	records.Draft
	approved bool // the new config comes from the provider, which need not be asked
}

// change calls alter with the newest record, stores the result by revision, and publishes the events that alter
// returns, with data. After a lost race alter runs again, on the newest record. A new config is validated by the
// provider before it is stored. If alter returns no events, nothing is stored.
func (e *editor) change(ctx context.Context, r records.Ref, data func(*records.Connection) events.Data, alter func(*edit) ([]events.Kind, error)) (*View, error) {
	var approved json.RawMessage // by the provider, in an earlier attempt
	for range kvstore.Attempts(ctx) {
		c, err := e.connections.Latest(ctx, r)
		if err != nil {
			return nil, e.names.absent(err, r)
		}
		d := edit{Draft: records.Draft{Record: c}}
		d.Definition, _ = e.names.definitions.Get(r.Connector) // nil: nothing in addition is secret
		kinds, err := alter(&d)
		if err != nil {
			return nil, err
		}
		if len(kinds) == 0 {
			return e.views.view(c, secret.Text{}), nil
		}
		c.UpdatedAt = e.now().UTC()
		sealed, err := e.connections.Seal(&d.Draft)
		if err != nil {
			return nil, err
		}
		if d.Config != nil && !d.approved && !bytes.Equal(d.Config, approved) {
			asked := d.Config
			if sealed, err = e.askProvider(ctx, &d.Draft, sealed); err != nil {
				return nil, err
			}
			if bytes.Equal(asked, d.Config) { // otherwise a lost race has to learn again
				approved = asked
			}
		}
		err = e.connections.Write(ctx, sealed)
		if errors.Is(err, records.ErrConflict) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, kind := range kinds {
			e.events.announce(ctx, kind, c, data(c))
		}
		return e.views.view(c, secret.Text{}), nil
	}
	return nil, records.DatabaseError("change the connection", records.ErrConflict)
}

// noData is the data of events that say only what happened to which connection.
func noData(*records.Connection) events.Data { return events.Data{} }
