package events

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
)

// Header is a message's headers. Names are case-sensitive on the wire.
type Header = nats.Header

// The NATS binding of CloudEvents 1.0 (bindings/nats-protocol-binding.md of the
// specification, 1.0.3): in binary mode every attribute is a header with the
// prefix "ce-", percent-encoded, and the data is the payload; in structured
// mode the content type begins with application/cloudevents and the payload is
// the whole event as JSON. datacontenttype is written as ce-datacontenttype, as
// the text says, and as content-type, as several implementations expect.
const (
	attributePrefix   = "ce-"
	contentType       = "content-type"
	structuredType    = "application/cloudevents"
	structuredJSON    = "application/cloudevents+json"
	dataContentType   = attributePrefix + "datacontenttype"
	maxAttributeBytes = 8 << 10
)

// ErrNotCloudEvent is returned for a message in neither mode.
var ErrNotCloudEvent = errors.New("events: not a CloudEvent")

// Encode writes e in binary mode.
func Encode(e Event) (Header, []byte) {
	h := make(Header, 16)
	set := func(name, value string) {
		if value != "" {
			h[attributePrefix+name] = []string{percentEncode(value)}
		}
	}
	set("specversion", e.SpecVersion())
	set("id", e.ID())
	set("source", e.Source())
	set("type", e.Type())
	set("subject", e.Subject())
	if t := e.Time(); !t.IsZero() {
		set("time", t.UTC().Format(time.RFC3339Nano))
	}
	set("dataschema", e.DataSchema())
	if ct := e.DataContentType(); ct != "" {
		set("datacontenttype", ct)
		h[contentType] = []string{ct}
	}
	for name, value := range e.Extensions() {
		if s, ok := value.(string); ok {
			set(name, s)
		} else {
			set(name, fmt.Sprint(value))
		}
	}
	return h, e.Data()
}

// EncodeStructured writes e in structured mode, as JSON.
func EncodeStructured(e Event) (Header, []byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, nil, fmt.Errorf("events: encode: %w", err)
	}
	return Header{contentType: {structuredJSON}}, body, nil
}

// Decode reads an event of either mode. A message in neither is
// [ErrNotCloudEvent]; one that claims to be an event and is not valid is
// another error, which never quotes the payload.
func Decode(h Header, data []byte) (Event, error) {
	if isStructured(h) {
		e := event.New()
		if err := json.Unmarshal(data, &e); err != nil {
			return Event{}, errors.New("events: the structured CloudEvent is not valid JSON of the CloudEvents format")
		}
		return e, validate(e)
	}
	if attribute(h, "specversion") == "" {
		return Event{}, ErrNotCloudEvent
	}
	e := event.New(event.CloudEventsVersionV1)
	for name, values := range h {
		lower := strings.ToLower(name)
		if len(values) == 0 || !strings.HasPrefix(lower, attributePrefix) {
			continue
		}
		value, err := percentDecode(values[0])
		if err != nil {
			return Event{}, fmt.Errorf("events: attribute %s: %w", lower[len(attributePrefix):], err)
		}
		if err := setAttribute(&e, lower[len(attributePrefix):], value); err != nil {
			return Event{}, err
		}
	}
	if e.DataContentType() == "" {
		if ct := headerValue(h, contentType); ct != "" {
			e.SetDataContentType(ct)
		}
	}
	if len(data) > 0 {
		e.DataEncoded = data
	}
	return e, validate(e)
}

func validate(e Event) error {
	if err := e.Validate(); err != nil {
		return fmt.Errorf("events: not a valid CloudEvent: %s", strings.TrimSpace(strings.ReplaceAll(err.Error(), "\n", " ")))
	}
	return nil
}

func setAttribute(e *Event, name, value string) error {
	switch name {
	case "specversion":
		if value != event.CloudEventsVersionV1 {
			return fmt.Errorf("events: attribute specversion: only 1.0 is known")
		}
	case "id":
		e.SetID(value)
	case "source":
		e.SetSource(value)
	case "type":
		e.SetType(value)
	case "subject":
		e.SetSubject(value)
	case "dataschema":
		e.SetDataSchema(value)
	case "datacontenttype":
		e.SetDataContentType(value)
	case "time":
		t, err := time.Parse(time.RFC3339Nano, value)
		if err != nil {
			return fmt.Errorf("events: attribute time: not an RFC 3339 time")
		}
		e.SetTime(t)
	default:
		e.SetExtension(name, value)
	}
	return nil
}

func isStructured(h Header) bool {
	ct := headerValue(h, contentType)
	if ct == "" {
		return false
	}
	media, _, err := mime.ParseMediaType(ct)
	return err == nil && strings.HasPrefix(media, structuredType)
}

// attribute returns the CloudEvents attribute of a binary-mode message, decoded,
// or "" if it is absent or malformed.
func attribute(h Header, name string) string {
	v, err := percentDecode(headerValue(h, attributePrefix+name))
	if err != nil {
		return ""
	}
	return v
}

// headerValue finds a header whatever its case: clients differ.
func headerValue(h Header, name string) string {
	if v, ok := h[name]; ok && len(v) > 0 {
		return v[0]
	}
	for k, v := range h {
		if len(k) == len(name) && len(v) > 0 && strings.EqualFold(k, name) {
			return v[0]
		}
	}
	return ""
}

// percentEncode writes what the HTTP and NATS bindings want in a header:
// printable ASCII without space, double quote and percent.
func percentEncode(s string) string {
	plain := true
	for i := range len(s) {
		plain = plain && isHeaderSafe(s[i])
	}
	if plain {
		return s
	}
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(s)+12)
	for i := range len(s) {
		if c := s[i]; isHeaderSafe(c) {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}

func isHeaderSafe(c byte) bool { return c > ' ' && c < 0x7f && c != '"' && c != '%' }

func percentDecode(s string) (string, error) {
	if len(s) > maxAttributeBytes {
		return "", fmt.Errorf("longer than %d bytes", maxAttributeBytes)
	}
	if !strings.Contains(s, "%") {
		return s, nil
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+2 >= len(s) {
			out = append(out, s[i])
			continue
		}
		high, low := unhex(upper(s[i+1])), unhex(upper(s[i+2]))
		if high < 0 || low < 0 {
			out = append(out, s[i])
			continue
		}
		out = append(out, byte(high<<4|low))
		i += 2
	}
	return string(out), nil
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'f' {
		return c - 'a' + 'A'
	}
	return c
}
