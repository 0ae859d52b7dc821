package events

import (
	"errors"
	"fmt"
	"mime"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
)

// The NATS binding of CloudEvents 1.0 (bindings/nats-protocol-binding.md of the
// specification, 1.0.3). In binary mode every attribute is a header with the prefix
// "ce-", percent-encoded as in the HTTP binding, and the data is the payload. In
// structured mode the content type begins with application/cloudevents, and the payload
// is the whole event as JSON.
//
// datacontenttype is written as ce-datacontenttype, as specified, and as content-type,
// which several implementations expect, unless the message would then be structured.
const (
	attributePrefix = "ce-"
	contentType     = "content-type"
	structuredType  = "application/cloudevents"
	structuredJSON  = "application/cloudevents+json"
	dataContentType = attributePrefix + "datacontenttype"
)

// ErrNotCloudEvent is returned for a message in neither mode.
var ErrNotCloudEvent = errors.New("events: not a CloudEvent")

// Decode reads an event in either mode. A message in neither mode is
// [ErrNotCloudEvent]. An event that is not valid is another error, which does not quote
// the message; the event returned with it holds the attributes that could be read.
func Decode(h Header, data []byte) (Event, error) {
	if ct := headerValue(h, contentType); isStructuredType(ct) {
		return decodeStructured(ct, data)
	}
	return decodeBinary(h, data)
}

func decodeBinary(h Header, data []byte) (Event, error) {
	version, err := attribute(h, "specversion")
	if version == "" && err == nil {
		return Event{}, ErrNotCloudEvent
	}
	c := &event.EventContextV1{}
	e := Event{Context: c}
	for header, values := range h {
		lower := strings.ToLower(header)
		name, isAttribute := strings.CutPrefix(lower, attributePrefix)
		if len(values) == 0 || !isAttribute {
			continue
		}
		value := values[0]
		if header != lower {
			value = headerValue(h, lower)
		}
		text, err := decodeAttribute(value)
		if err == nil && text != "" {
			err = setAttribute(c, name, text)
		}
		if err != nil {
			return e, fmt.Errorf("events: attribute %.32q: %w", name, err)
		}
	}
	if ct := headerValue(h, contentType); c.DataContentType == nil && ct != "" {
		c.DataContentType = &ct
	}
	if len(data) > 0 {
		e.DataEncoded = data
	}
	return e, validate(e)
}

func validate(e Event) error {
	err := e.Validate()
	if err == nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	slices.Sort(lines)
	return fmt.Errorf("events: not a valid CloudEvent: %s", strings.Join(lines, ", "))
}

// setAttribute sets an attribute from its canonical string. The SDK's setters trim
// strings, which would change an id that ends with a space.
func setAttribute(c *event.EventContextV1, name, value string) error {
	switch name {
	case "specversion":
		if value != event.CloudEventsVersionV1 {
			return errors.New("only 1.0 is supported")
		}
	case "id":
		c.ID = value
	case "source":
		u, err := parseURI(value)
		c.Source = types.URIRef{URL: u}
		return err
	case "type":
		c.Type = value
	case "subject":
		c.Subject = pointer(value)
	case "dataschema":
		u, err := parseURI(value)
		c.DataSchema = &types.URI{URL: u}
		return err
	case "datacontenttype":
		c.DataContentType = pointer(value)
	case "time":
		t, err := parseTime(value)
		c.Time = &types.Timestamp{Time: t}
		return err
	default:
		return setExtension(c, name, value)
	}
	return nil
}

// pointer returns the address of a copy, so that the parameters of setAttribute stay on
// the stack.
func pointer(s string) *string { return &s }

// setExtension sets an extension to a string, a boolean or an int32.
func setExtension(c *event.EventContextV1, name string, value any) error {
	if name == "" || name == "data" || !lowerAlphanumeric.containsAll(name) {
		return errors.New("an extension's name must consist of the letters a to z and digits, and not be data")
	}
	if c.Extensions == nil {
		c.Extensions = make(map[string]any)
	}
	c.Extensions[name] = value
	return nil
}

// parseURI parses a URI. It refuses one that changes when it is written and parsed again.
func parseURI(s string) (url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return url.URL{}, errors.New("not a URI")
	}
	if written := u.String(); written != s {
		again, err := url.Parse(written)
		if err != nil || again.String() != written || written == "" {
			return url.URL{}, errors.New("not a URI")
		}
		return *again, nil
	}
	return *u, nil
}

// ParseTime parses a time of RFC 3339, whose letters may be of either case (section 5.6).
func ParseTime(s string) (time.Time, error) { return time.Parse(time.RFC3339Nano, strings.ToUpper(s)) }

func parseTime(s string) (time.Time, error) {
	t, err := ParseTime(s)
	t = t.UTC()
	if err != nil || t.Year() < 0 || t.Year() > 9999 {
		return time.Time{}, errors.New("not an RFC 3339 time")
	}
	return t, nil
}

func isStructuredType(ct string) bool {
	return len(ct) >= len(structuredType) && strings.EqualFold(ct[:len(structuredType)], structuredType)
}

func isMediaType(ct string) bool {
	if ct == event.ApplicationJSON {
		return true
	}
	_, _, err := mime.ParseMediaType(ct)
	return err == nil
}

// contextOf returns the attributes of e in version 1.0.
func contextOf(e Event) *event.EventContextV1 {
	switch c := e.Context.(type) {
	case nil:
		return &event.EventContextV1{}
	case *event.EventContextV1:
		return c
	default:
		return c.AsV1()
	}
}

// formatted returns the canonical string of an attribute's value.
func formatted(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	s, err := types.Format(value)
	if err != nil {
		return ""
	}
	return s
}
