package manifest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/template"
)

// request is a compiled [connectors.Request].
type request struct {
	method  string
	url     template.Template // absolute, or appended to the base URL
	whole   bool              // url is absolute
	headers map[string]template.Template
	query   node
	body    node
	form    node
}

// A node is a JSON value whose texts are templates: a template, a map[string]node, a
// []node, or any other value as it is.
type node any

// values are what the placeholders of one call stand for.
type values struct {
	roots map[string]any
}

func (v values) get(r template.Ref) (any, bool) {
	root, ok := v.roots[r.Root]
	if !ok {
		return nil, false
	}
	return template.Lookup(root, r.Path)
}

// fill returns the node's value; false if it is a template without a value, or no node. A
// null inside an object or a list stays.
func (v values) fill(n node) (any, bool, error) {
	switch n := n.(type) {
	case template.Template:
		return n.Value(v.get)
	case map[string]node:
		object := make(map[string]any, len(n))
		for name, below := range n {
			value, ok, err := v.fill(below)
			if err != nil {
				return nil, false, err
			}
			if ok || below == nil {
				object[name] = value
			}
		}
		return object, true, nil
	case []node:
		list := make([]any, 0, len(n))
		for _, below := range n {
			value, ok, err := v.fill(below)
			if err != nil {
				return nil, false, err
			}
			if ok || below == nil {
				list = append(list, value)
			}
		}
		return list, true, nil
	}
	return n, n != nil, nil
}

// filled is a request with its values, before its page is chosen.
type filled struct {
	method string
	url    string // without Query
	query  url.Values
	header http.Header
	body   any // decoded JSON; nil if there is none
	form   any
}

// fill fills in the templates for one call.
func (r *request) fill(baseURL string, v values, headers map[string]template.Template) (*filled, error) {
	f := &filled{method: r.method, header: http.Header{}}
	address, missing, err := r.url.Text(v.get, pathSegment)
	if missing != nil {
		return nil, missingValue(*missing)
	}
	if err != nil {
		return nil, invalidValue(err)
	}
	f.url = address
	if !r.whole {
		f.url = baseURL + address
	}
	for _, templates := range []map[string]template.Template{headers, r.headers} {
		for name, t := range templates {
			text, missing, err := t.Text(v.get, headerValue)
			if err != nil {
				return nil, invalidValue(err)
			}
			if missing == nil {
				f.header.Set(name, text)
			}
		}
	}
	query, _, err := v.fill(r.query)
	if err != nil {
		return nil, err
	}
	f.query = parameters(query)
	if f.body, _, err = v.fill(r.body); err != nil {
		return nil, err
	}
	f.form, _, err = v.fill(r.form)
	return f, err
}

// build returns the HTTP request.
func (f *filled) build(ctx context.Context) (*http.Request, error) {
	var body io.Reader
	kind := ""
	switch {
	case f.form != nil:
		body, kind = strings.NewReader(parameters(f.form).Encode()), "application/x-www-form-urlencoded"
	case f.body != nil:
		text, plain := f.body.(string)
		if given := f.header.Get("Content-Type"); plain && given != "" && !strings.Contains(given, "json") {
			body = strings.NewReader(text)
			break
		}
		encoded, err := json.Marshal(f.body)
		if err != nil {
			return nil, fmt.Errorf("encode the request: %w", err)
		}
		body, kind = bytes.NewReader(encoded), "application/json"
	}
	r, err := http.NewRequestWithContext(ctx, f.method, f.url, body)
	if err != nil {
		return nil, connectors.Errorf(connectors.CodeConnectorConfigInvalid, "the templates do not make a valid URL")
	}
	r.Header = f.header.Clone()
	if r.Header.Get("Content-Type") == "" && kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "application/json")
	}
	if len(f.query) > 0 {
		r.URL.RawQuery = strings.TrimPrefix(r.URL.RawQuery+"&"+f.query.Encode(), "&")
	}
	return r, nil
}

// set sets a parameter of the query, or a member of the body or form. value is decoded JSON:
// a body keeps its type.
func (f *filled) set(in, name string, value any) {
	if in != "body" {
		f.query.Set(name, template.TextOf(value))
		return
	}
	target := &f.body
	if f.form != nil {
		target = &f.form
	}
	object, ok := (*target).(map[string]any)
	if !ok {
		object = map[string]any{}
		*target = object
	}
	steps := strings.Split(name, ".")
	for _, step := range steps[:len(steps)-1] {
		below, ok := object[step].(map[string]any)
		if !ok {
			below = map[string]any{}
			object[step] = below
		}
		object = below
	}
	object[steps[len(steps)-1]] = value
}

// parameters flattens a decoded object: a.b is a[b], a list is repeated, and below the
// first level a[0].
func parameters(value any) url.Values {
	all := url.Values{}
	object, _ := value.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if list, ok := object[name].([]any); ok {
			for i, item := range list {
				below := name
				if _, single := item.(map[string]any); single {
					below += "[" + strconv.Itoa(i) + "]"
				}
				addParameter(all, below, item)
			}
			continue
		}
		addParameter(all, name, object[name])
	}
	return all
}

func addParameter(all url.Values, name string, value any) {
	switch v := value.(type) {
	case nil:
	case map[string]any:
		for _, member := range slices.Sorted(maps.Keys(v)) {
			addParameter(all, name+"["+member+"]", v[member])
		}
	case []any:
		for i, item := range v {
			addParameter(all, name+"["+strconv.Itoa(i)+"]", item)
		}
	default:
		all.Add(name, template.TextOf(v))
	}
}

// pathSegment encodes a value as one segment of a path.
func pathSegment(text string) (string, error) {
	if text == "" || text == "." || text == ".." {
		return "", errors.New("must be a segment of a path")
	}
	return url.PathEscape(text), nil
}

// headerValue refuses what could begin a new header.
func headerValue(text string) (string, error) {
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("must not contain line breaks or other control characters")
	}
	return text, nil
}

// missingValue is the failure of a request that cannot be sent without the value.
func missingValue(r template.Ref) error {
	code := connectors.CodeConnectorActionInputInvalid
	if r.Root != "input" {
		code = connectors.CodeConnectorConfigInvalid
	}
	return connectors.Errorf(code, "%s is required by the path of the request", r)
}

func invalidValue(err error) error {
	return connectors.Permanent(connectors.Errorf(connectors.CodeConnectorActionInputInvalid, "a value cannot be sent: %w", err))
}
