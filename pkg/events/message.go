package events

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// Message is an event on its way out, in binary mode. [New] and [NewLifecycle]
// write its attributes straight into the headers: each webhook and each action
// makes some, and the SDK's type would be filled only to be read again. [Encode]
// makes one of an [Event]. It is for one goroutine at a time. One whose publish failed
// may be published again, unchanged and with the same context and options. One whose
// publish succeeded is spent: nothing is left of it but the ID.
type Message struct {
	Header Header
	Data   []byte

	id    string
	sheet *sheet
}

// sheet is the memory of a message's headers, most of what a message allocates. So
// it serves many, one after the other.
type sheet struct {
	header Header
	values []string // of the headers, in one piece
}

const (
	// usualAttributes and usualHeaders are what a webhook has: those of the event,
	// and with them the provider's.
	usualAttributes = 20
	usualHeaders    = 28
)

var sheets = sync.Pool{New: func() any {
	return &sheet{make(Header, usualHeaders), make([]string, 0, usualAttributes)}
}}

func blank(data []byte) *Message {
	s := sheets.Get().(*sheet)
	return &Message{Header: s.header, Data: data, sheet: s}
}

// spend ends the message, which a stream has, or the client has written. Its sheet
// goes to a later one.
func (m *Message) spend() {
	s := m.sheet
	m.Header, m.Data, m.sheet = nil, nil, nil
	if s == nil || len(s.header) > usualHeaders {
		return // a map that has grown does not shrink
	}
	clear(s.header)
	clear(s.values)
	s.values = s.values[:0]
	sheets.Put(s)
}

// retain keeps the sheet for this message for good: without an ack the client may be
// reading it still, to send it once more.
func (m *Message) retain() { m.sheet = nil }

// New returns an event with a new id (UUIDv7), the time, and what it is about.
// data is JSON; role (ingress, executor, refresher) becomes the source.
func New(role, eventType string, about About, data []byte) *Message {
	return NewWithID(NewID(), role, eventType, about, data)
}

// NewWithID is New for an event whose id follows from something else.
func NewWithID(id, role, eventType string, about About, data []byte) *Message {
	m := blank(data)
	m.set("ce-specversion", event.CloudEventsVersionV1)
	m.SetID(id)
	m.set("ce-source", "/hawser/"+role)
	m.set("ce-type", eventType)
	m.put("ce-time", time.Now().UTC().Format(time.RFC3339Nano))
	m.set("ce-subject", about.subject())
	m.SetDataContentType(event.ApplicationJSON)
	m.set("ce-"+ExtScope, about.Scope)
	m.set("ce-"+ExtIdentity, about.Identity)
	m.set("ce-"+ExtConnector, about.Connector)
	m.set("ce-"+ExtAccount, about.Account)
	m.set("ce-"+ExtConnection, about.ConnectionID)
	m.set("ce-"+ExtRequest, about.RequestID)
	return m
}

// NewLifecycle returns the lifecycle event of kind.
func NewLifecycle(role string, kind Kind, about About, data Data) *Message {
	body, err := json.Marshal(data)
	if err != nil {
		panic(fmt.Sprintf("events: %v", err)) // Data holds nothing that cannot be marshalled
	}
	m := New(role, kind.Type(), about, body)
	m.set("ce-"+ExtActor, data.Actor)
	return m
}

// Encode writes e in binary mode. What [Decode] could not read is made readable:
// in attributes, what is not UTF-8 becomes U+FFFD, and a content type that is
// none is told in the header content-type only.
func Encode(e Event) *Message {
	c := contextOf(e)
	m := blank(e.DataEncoded)
	m.set("ce-specversion", event.CloudEventsVersionV1)
	m.SetID(c.ID)
	m.set("ce-source", c.GetSource())
	m.set("ce-type", c.Type)
	m.set("ce-subject", c.GetSubject())
	if t := c.GetTime(); !t.IsZero() {
		m.set("ce-time", t.UTC().Format(time.RFC3339Nano))
	}
	m.set("ce-dataschema", c.GetDataSchema())
	m.SetDataContentType(c.GetDataContentType())
	for name, value := range c.Extensions {
		m.SetExtension(name, formatted(value))
	}
	return m
}

// ID is the event's id, which New makes, or SetID sets.
func (m *Message) ID() string { return m.id }

// SetID gives the event an id that follows from something else.
func (m *Message) SetID(id string) {
	m.id = id
	m.set("ce-id", id)
}

// SetExtension sets an extension; "" is none. name is one of ours, or consists of
// the letters a to z and digits.
func (m *Message) SetExtension(name, value string) { m.set(attributePrefix+name, value) }

// SetDataContentType says what the data is, where it is not JSON.
func (m *Message) SetDataContentType(ct string) {
	if ct == "" {
		return
	}
	if !isStructuredType(ct) {
		m.put(contentType, ct)
	} else {
		delete(m.Header, contentType)
	}
	if !isMediaType(ct) {
		ct = "application/octet-stream"
	}
	m.set(dataContentType, ct)
}

func (m *Message) set(header, value string) {
	if value != "" {
		m.put(header, percentEncode(value))
	}
}

func (m *Message) put(header, value string) {
	s := m.sheet
	if s == nil {
		m.Header[header] = []string{value}
		return
	}
	n := len(s.values)
	s.values = append(s.values, value)
	m.Header[header] = s.values[n : n+1 : n+1]
}
