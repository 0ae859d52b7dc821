package manifest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/peterhellberg/link"

	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/template"
)

// maxItems bounds the items of one call.
const maxItems = 100_000

// pages is a compiled [connectors.Paginate].
type pages struct {
	connectors.Paginate

	next  *program
	items *program
}

// read sends the requests of all pages, one after the other. It returns the last answer and
// the items of all.
func (p *pages) read(ctx context.Context, e *exchange, f *filled) (reply map[string]any, items []any, err error) {
	items = []any{}
	p.first(f)
	for page := 1; ; page++ {
		if reply, err = e.do(ctx, f); err != nil {
			return nil, nil, err
		}
		found, err := p.items.run(ctx, reply)
		if err != nil {
			return nil, nil, outputError("paginate.items", err)
		}
		list, ok := found.([]any)
		if found != nil && !ok {
			return nil, nil, outputError("paginate.items", fmt.Errorf("yields no list"))
		}
		if items = append(items, list...); len(items) > maxItems {
			return nil, nil, outputError("paginate.items", fmt.Errorf("yields more than %d items", maxItems))
		}
		if page >= p.MaxPages {
			return reply, items, nil
		}
		more, err := p.turn(ctx, f, reply, turned{page: page, count: len(items), empty: len(list) == 0})
		if err != nil || !more {
			return reply, items, err
		}
	}
}

// first sets the parameter of the first page where it has a number of its own.
func (p *pages) first(f *filled) {
	if (p.By == "offset" || p.By == "page") && p.Start != nil {
		f.set(p.In, p.Param, number(*p.Start))
	}
}

// turned is how far the pages are.
type turned struct {
	page, count int
	empty       bool // the last page had no items
}

// turn changes the request to that of the next page; false if there is none.
func (p *pages) turn(ctx context.Context, f *filled, reply map[string]any, at turned) (bool, error) {
	var next any
	if p.next != nil {
		value, err := p.next.run(ctx, reply)
		if err != nil {
			return false, outputError("paginate.next", err)
		}
		if value == nil || value == false || value == "" {
			return false, nil
		}
		next = value
	}
	switch p.By {
	case "cursor":
		f.set(p.In, p.Param, next)
	case "offset":
		f.set(p.In, p.Param, number(p.start(0)+at.count))
		return !at.empty, nil
	case "page":
		f.set(p.In, p.Param, number(p.start(1)+at.page))
		return !at.empty, nil
	case "link":
		if p.next == nil {
			headers, _ := reply["headers"].(map[string]any)
			text, _ := headers["link"].(string)
			if next = nextLink(text); next == "" {
				return false, nil
			}
		}
		return true, f.follow(template.TextOf(next))
	}
	return true, nil
}

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

func (p *pages) start(usual int) int {
	if p.Start != nil {
		return *p.Start
	}
	return usual
}

// follow changes the request to another URL of the same origin.
func (f *filled) follow(next string) error {
	here, err := url.Parse(f.url)
	if err != nil {
		return outputError("paginate.next", fmt.Errorf("has no URL to begin from"))
	}
	there, err := here.Parse(next)
	if err != nil || !strings.EqualFold(there.Host, here.Host) || there.Scheme != here.Scheme || there.User != nil {
		return outputError("paginate.next", fmt.Errorf("is not a URL of the same origin"))
	}
	f.url, f.query = there.String(), url.Values{}
	if f.method == http.MethodPost {
		return nil
	}
	f.body, f.form = nil, nil
	return nil
}

// nextLink returns the target with rel="next" of a Link header (RFC 8288); "" if there is
// none, or it says that it has no results.
func nextLink(header string) string {
	next := link.Parse(header)["next"]
	if next == nil || next.Extra["results"] == "false" {
		return ""
	}
	return next.URI
}
