package api

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/hawser-io/hawser/internal/ingress/problem"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/pkg/events"
)

// page is a page of the messages of a stream, oldest first. Next, given as ?after=, is
// for the next page; it is absent at the end.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

const (
	defaultPageSize = 50
	maxPageSize     = 200
	// maxScanned bounds the messages that one request reads.
	maxScanned = 1000
)

// listing is what a page lists: the messages of a stream on the subjects of filter, as
// far as item returns one.
type listing[T any] struct {
	stream     events.Stream
	filter     string
	parameters string // of the query, beside after and limit
	item       func(*events.StoredMessage) (T, bool)
}

// page reads ?after= and ?limit=, and returns the page.
func (l listing[T]) page(streams queue.Streams, r *http.Request) (page[T], error) {
	out := page[T]{Items: []T{}}
	limit, after := defaultPageSize, uint64(0)
	q, err := readQuery(r.URL.RawQuery, "limit after "+l.parameters, "this path")
	if err != nil {
		return out, err
	}
	if v := q.Get("limit"); v != "" {
		if limit, err = strconv.Atoi(v); err != nil || limit < 1 || limit > maxPageSize {
			return out, problem.Invalid("limit", "must be a whole number from 1 to 200")
		}
	}
	if v := q.Get("after"); v != "" {
		if after, err = strconv.ParseUint(v, 10, 62); err != nil {
			return out, problem.Invalid("after", "must be the next of an earlier answer")
		}
	}
	for range maxScanned {
		d, err := streams.First(r.Context(), l.stream, after+1, l.filter)
		if errors.Is(err, events.ErrNotFound) {
			return out, nil
		}
		if err != nil {
			return out, problem.OfStream(err)
		}
		after = d.Sequence
		if item, ok := l.item(d); ok {
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
	unknown := unknownMessage(what)
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

func unknownMessage(what string) error {
	return problem.NotFoundError("there is no " + what + " with this id")
}

// token is a query parameter as a subject token, or the wildcard.
func token(r *http.Request, name string) string {
	if v := r.URL.Query().Get(name); v != "" {
		return events.Token(v)
	}
	return "*"
}
