package api

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/pkg/connectors"
)

// requestParams collects the parameters of path, query and body. What the path
// says a body may repeat, and not contradict.
func (a *API) requestParams(op operation, w http.ResponseWriter, r *http.Request) (params, error) {
	body, err := problem.ReadBody(w, r, maxRequestBody, connectors.CodeConnectorConfigInvalid)
	if err != nil {
		return params{}, err
	}
	p, err := op.parse(body)
	if err != nil {
		return p, err
	}
	if err := p.readQuery(op, r.URL.RawQuery); err != nil {
		return p, err
	}
	for _, part := range []struct {
		name, said string
		at         *string
	}{
		{"scope", r.PathValue("scope"), &p.Scope},
		{"identity", a.opts.BasePath.Identity(r), &p.Identity},
		{"connector", r.PathValue("connector"), &p.Connector},
	} {
		if !op.inPath(part.name) {
			continue
		}
		if *part.at != "" && *part.at != part.said {
			return p, problem.Invalid(part.name, "does not agree with the path")
		}
		*part.at = part.said
	}
	return p, nil
}

// readQuery reads the parameters of a query string. One without a value is as if
// it were absent.
func (p *params) readQuery(op operation, raw string) error {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return problem.Invalid("", "the query string is malformed")
	}
	for name, values := range q {
		switch {
		case !op.accepts(name) || op.inPath(name):
			return problem.Invalid(name, "is no parameter of "+op.name)
		case len(values) > 1:
			return problem.Invalid(name, "is there more than once")
		case values[0] == "":
			continue
		}
		if message := p.set(name, values[0]); message != "" {
			return problem.Invalid(name, message)
		}
	}
	return nil
}

// set sets one parameter from its text, or says what is wrong with it.
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
	case "count":
		p.Count = value
	case "enabled":
		b := false
		b, err = strconv.ParseBool(value)
		p.Enabled = &b
	case "replace":
		p.Replace, err = strconv.ParseBool(value)
	case "limit":
		n, ok := wholeNumber(value)
		if !ok {
			return "must be a whole number, 0 or more"
		}
		p.Limit = &n
	case "offset":
		n, ok := wholeNumber(value)
		if !ok {
			return "must be a whole number, 0 or more"
		}
		p.Offset = n
	default:
		return "belongs into the body"
	}
	if err != nil {
		return "must be true or false"
	}
	return ""
}

func wholeNumber(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}
