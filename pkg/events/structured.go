package events

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cloudevents/sdk-go/v2/event"
)

// The JSON event format of CloudEvents 1.0 (formats/json-format.md). The SDK's reader
// panics when data_base64 is not a string, stops at an empty member name, and does not
// recognise content types that end with +json; its writer changes data that is not UTF-8.

// EncodeStructured writes e in structured mode, as JSON. It writes the data as a JSON
// value or a string if the content type and the bytes allow, else as data_base64; no byte
// is changed. An event that is not valid is an error.
func EncodeStructured(e Event) (Header, []byte, error) {
	if err := validate(e); err != nil {
		return nil, nil, err
	}
	c := contextOf(e)
	w := memberWriter{}
	w.string("specversion", event.CloudEventsVersionV1)
	w.string("id", c.ID)
	w.string("source", c.GetSource())
	w.string("type", c.Type)
	w.string("subject", c.GetSubject())
	w.string("datacontenttype", c.GetDataContentType())
	w.string("dataschema", c.GetDataSchema())
	if t := c.GetTime(); !t.IsZero() {
		w.string("time", t.UTC().Format(time.RFC3339Nano))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Extensions)) {
		switch value := c.Extensions[name].(type) {
		case bool, int32:
			w.raw(name, []byte(formatted(value)))
		default:
			w.string(name, formatted(value))
		}
	}
	w.data(c.GetDataContentType(), e.DataEncoded)
	w.out.WriteByte('}')
	return Header{contentType: {structuredJSON}}, w.out.Bytes(), nil
}

// memberWriter writes the members of a JSON object, without the closing brace.
type memberWriter struct{ out bytes.Buffer }

func (w *memberWriter) string(name, value string) {
	if value == "" {
		return
	}
	quoted, _ := json.Marshal(value) // a string never fails
	w.raw(name, quoted)
}

func (w *memberWriter) raw(name string, value []byte) {
	opening := byte(',')
	if w.out.Len() == 0 {
		opening = '{'
	}
	w.out.WriteByte(opening)
	quoted, _ := json.Marshal(name) // a string never fails
	w.out.Write(quoted)
	w.out.WriteByte(':')
	w.out.Write(value)
}

func (w *memberWriter) data(ct string, data []byte) {
	switch {
	case len(data) == 0:
	case isJSON(ct) && utf8.Valid(data) && json.Valid(data):
		w.raw("data", data)
	case !isJSON(ct) && utf8.Valid(data):
		w.string("data", string(data))
	default:
		w.string("data_base64", base64.StdEncoding.EncodeToString(data))
	}
}

// decodeStructured reads an event in the JSON format. With an error it returns the event
// with the attributes that could be read.
func decodeStructured(ct string, data []byte) (Event, error) {
	c := &event.EventContextV1{}
	e := Event{Context: c}
	if media, _, err := mime.ParseMediaType(ct); err != nil || media != structuredJSON && media != structuredType {
		return e, errors.New("events: of the structured formats of CloudEvents only application/cloudevents+json is supported")
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil || members == nil {
		return e, errors.New("events: the structured CloudEvent is not a JSON object")
	}
	var failed error
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if name == "data" || name == "data_base64" {
			continue
		}
		if err := setMember(c, name, members[name]); err != nil && failed == nil {
			failed = fmt.Errorf("events: attribute %.32q: %w", name, err)
		}
	}
	if version := members["specversion"]; failed == nil && (len(version) < 3 || version[0] != '"') {
		failed = errors.New("events: the structured CloudEvent has no specversion")
	}
	if err := setData(&e, c, members); err != nil && failed == nil {
		failed = err
	}
	if failed != nil {
		return e, failed
	}
	return e, validate(e)
}

// setMember sets an attribute from its JSON. null and "" count as absent.
func setMember(c *event.EventContextV1, name string, raw json.RawMessage) error {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return errors.New("not JSON")
	}
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		if v == "" {
			return nil
		}
		return setAttribute(c, name, v)
	case bool:
		return setTyped(c, name, v)
	case float64:
		if v != float64(int32(v)) {
			return errors.New("not a 32-bit integer")
		}
		return setTyped(c, name, int32(v))
	}
	return errors.New("neither a string nor a boolean nor an integer")
}

func setTyped(c *event.EventContextV1, name string, value any) error {
	switch name {
	case "specversion", "id", "source", "type", "subject", "dataschema", "datacontenttype", "time":
		return errors.New("not a string")
	}
	return setExtension(c, name, value)
}

func setData(e *Event, c *event.EventContextV1, members map[string]json.RawMessage) error {
	plain, hasPlain := members["data"]
	binary, hasBinary := members["data_base64"]
	hasBinary = hasBinary && string(binary) != "null"
	switch {
	case hasPlain && hasBinary:
		return errors.New("events: the structured CloudEvent has both data and data_base64")
	case hasBinary:
		var text string
		err := json.Unmarshal(binary, &text)
		if err == nil {
			e.DataEncoded, err = base64.StdEncoding.DecodeString(text)
		}
		if err != nil {
			e.DataEncoded = nil
			return errors.New("events: data_base64 of the structured CloudEvent is not base64")
		}
		e.DataBase64 = true
	case hasPlain && isJSON(c.GetDataContentType()):
		e.DataEncoded = plain
		if c.DataContentType == nil {
			// The format implies it here, and binary mode does not.
			implied := event.ApplicationJSON
			c.DataContentType = &implied
		}
	case hasPlain:
		var text string
		if err := json.Unmarshal(plain, &text); err != nil {
			return errors.New("events: data of the structured CloudEvent is not a string, and its content type is not JSON")
		}
		e.DataEncoded = []byte(text)
	}
	return nil
}

// isJSON reports whether a content type is JSON, which the empty one is.
func isJSON(ct string) bool {
	media, _, _ := strings.Cut(ct, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	return media == "" || strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
}
