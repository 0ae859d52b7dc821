package api

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// requestParams reads the parameters of path, query and body. The body may repeat the
// path's, with the same values.
func (a *API) requestParams(op operation, w http.ResponseWriter, r *http.Request) (params, error) {
	body, err := problem.ReadBody(w, r, maxRequestBody, connectors.CodeRequestInvalid)
	if err != nil {
		return params{}, err
	}
	p, err := op.parse(body)
	if err != nil {
		return p, err
	}
	if err := p.setQuery(op, r.URL.RawQuery); err != nil {
		return p, err
	}
	for _, part := range []struct {
		name, value string
		param       *string
	}{
		{"scope", r.PathValue("scope"), &p.Scope},
		{"identity", a.opts.BasePath.Identity(r), &p.Identity},
		{"connector", r.PathValue("connector"), &p.Connector},
		{"name", r.PathValue("name"), &p.Name},
	} {
		if !op.inPath(part.name) {
			continue
		}
		if *part.param != "" && *part.param != part.value {
			return p, problem.Invalid(part.name, "does not agree with the path")
		}
		*part.param = part.value
	}
	return p, nil
}

// setQuery sets the parameters of a query string. One without a value is ignored.
func (p *params) setQuery(op operation, raw string) error {
	query, err := readQuery(raw, op.parameters, op.name)
	if err != nil {
		return err
	}
	for name := range query {
		if value := query.Get(name); value != "" {
			if message := p.set(name, value); message != "" {
				return problem.Invalid(name, message)
			}
		}
	}
	return nil
}

// readQuery reads a query string with parameters of the names, each once; owner names
// what they are parameters of.
func readQuery(raw, names, owner string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, problem.Invalid("", "the query string is malformed")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(strings.Fields(names), name):
			return nil, problem.Invalid(name, "is no parameter of "+owner)
		case len(values) > 1:
			return nil, problem.Invalid(name, "is given more than once")
		}
	}
	return query, nil
}

// set sets one parameter from its text. message says what is wrong with it.
func (p *params) set(name, value string) (message string) {
	var err error
	switch name {
	case "account":
		if p.Account != "" && p.Account != value {
			return "does not agree with the body"
		}
		p.Account = value
	case "name":
		p.Name = value
	case "cursor":
		p.Cursor = value
	case "actor":
		p.Actor = value
	case "operation":
		p.Operation = value
	case "outcome":
		p.Outcome = value
	case "scope":
		p.Scope = value
	case "identity":
		p.Identity = value
	case "count":
		p.Count = value
	case "enabled":
		b := false
		b, err = strconv.ParseBool(value)
		p.Enabled = &b
	case "replace":
		p.Replace, err = strconv.ParseBool(value)
	case "limit", "offset":
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return "must be a whole number, 0 or more"
		}
		if name == "limit" {
			p.Limit = &n
		} else {
			p.Offset = n
		}
	default:
		return "is a parameter of the body"
	}
	if err != nil {
		return "must be true or false"
	}
	return ""
}
