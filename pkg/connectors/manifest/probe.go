package manifest

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/template"
)

// probe asks the provider about a connection: whether its credentials are good, and what
// its config has to contain.
type probe struct {
	headers map[string]template.Template
	rules   []rule
	health  *request // nil: none
	learn   *request // nil: none
	fields  map[string]*program
}

// validate is the connector's Validate. It sets call.Learned.
func (p *probe) validate(ctx context.Context, call *connectors.Call) error {
	v, err := valuesOf(call, nil)
	if err != nil {
		return err
	}
	e := newExchange(call, p.rules)
	if p.health != nil {
		if _, err := e.ask(ctx, p.health, v, p.headers); err != nil {
			return err
		}
	}
	if p.learn == nil {
		return nil
	}
	reply, err := e.ask(ctx, p.learn, v, p.headers)
	if err != nil {
		return err
	}
	call.Learned = map[string]json.RawMessage{}
	for field, program := range p.fields {
		value, err := program.run(ctx, reply)
		if err != nil {
			return outputError("learn.config."+field, err)
		}
		if value == nil {
			return outputError("learn.config."+field, errors.New("yields nothing"))
		}
		if call.Learned[field], err = encode(value); err != nil {
			return outputError("learn.config."+field, err)
		}
	}
	return nil
}
