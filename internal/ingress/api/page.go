package api

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/events"
)

// page is a part of a stream, oldest first. Next, given as ?after=, continues it;
// it is absent at the end.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

const (
	defaultPage = 50
	largestPage = 200
	// mostScanned bounds the messages that one request looks at.
	mostScanned = 1000
)

// readPage reads ?after= and ?limit=, and collects what pick takes of the stream.
func readPage[T any](streams queue.Streams, r *http.Request, stream events.Stream, filter, takes string, pick func(*events.StoredMessage) (T, bool)) (page[T], error) {
	out := page[T]{Items: []T{}}
	limit, after := defaultPage, uint64(0)
	q, err := knownQuery(r, "limit after "+takes)
	if err != nil {
		return out, err
	}
	if v := q.Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > largestPage {
			return out, problem.Invalid("limit", "must be a whole number from 1 to 200")
		}
	}
	if v := q.Get("after"); v != "" {
		if after, err = strconv.ParseUint(v, 10, 62); err != nil {
			return out, problem.Invalid("after", "must be what an earlier answer gave as next")
		}
	}
	for range mostScanned {
		d, err := streams.First(r.Context(), stream, after+1, filter)
		if errors.Is(err, events.ErrNotFound) {
			return out, nil
		}
		if err != nil {
			return out, problem.OfStream(err)
		}
		after = d.Sequence
		if item, ok := pick(d); ok {
			out.Items = append(out.Items, item)
		}
		if len(out.Items) == limit {
			break
		}
	}
	out.Next = strconv.FormatUint(after, 10)
	return out, nil
}

// messageOf returns the message of a stream that the path's {id} names.
func messageOf(streams queue.Streams, r *http.Request, stream events.Stream, what string) (*events.StoredMessage, error) {
	unknown := problem.NotFoundError("there is no " + what + " with this id")
	sequence, err := strconv.ParseUint(r.PathValue("id"), 10, 62)
	if err != nil || sequence == 0 {
		return nil, unknown
	}
	d, err := streams.Message(r.Context(), stream, sequence)
	if errors.Is(err, events.ErrNotFound) {
		return nil, unknown
	}
	if err != nil {
		return nil, problem.OfStream(err)
	}
	return d, nil
}

// knownQuery reads a query string that may hold the parameters named in takes, each
// once.
func knownQuery(r *http.Request, takes string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem.Invalid("", "the query string is malformed")
	}
	for name, values := range q {
		switch {
		case !slices.Contains(strings.Fields(takes), name):
			return nil, problem.Invalid(name, "is no parameter of this path")
		case len(values) > 1:
			return nil, problem.Invalid(name, "is there more than once")
		}
	}
	return q, nil
}

// token is a query parameter as a subject token, or the wildcard.
func token(r *http.Request, name string) string {
	if v := r.URL.Query().Get(name); v != "" {
		return events.Token(v)
	}
	return "*"
}
