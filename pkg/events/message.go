package events

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
)

// Message is an event to be published, in binary mode. [New] and [NewLifecycle]
// write its attributes directly as headers; [Encode] converts an [Event]. A publish
// does not change the message, so it can be published again.
type Message struct {
	Header Header
	Data   []byte
}

// New returns an event with a new id (UUIDv7), the current time and the context.
// data is JSON; role (ingress, executor, refresher) becomes the source.
func New(role, eventType string, about EventContext, data []byte) *Message {
	return NewWithID(NewID(), role, eventType, about, data)
}

// usualHeaders is the number of headers of a webhook: those of the event and the
// provider's.
const usualHeaders = 28

// NewWithID is New for an event whose id is derived from something else.
func NewWithID(id, role, eventType string, about EventContext, data []byte) *Message {
	m := &Message{Header: make(Header, usualHeaders), Data: data}
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
func NewLifecycle(role string, kind Kind, about EventContext, data Data) *Message {
	body, err := json.Marshal(data)
	if err != nil {
		panic(fmt.Sprintf("events: %v", err)) // Data holds nothing that cannot be marshalled
	}
	m := New(role, kind.Type(), about, body)
	m.set("ce-"+ExtActor, data.Actor)
	return m
}

// Encode writes e in binary mode. What [Decode] could not read is made readable:
// in attributes, what is not UTF-8 becomes U+FFFD, and a content type that is not a
// media type stands in the header content-type only.
func Encode(e Event) *Message {
	c := contextOf(e)
	m := &Message{Header: make(Header, usualHeaders), Data: e.DataEncoded}
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

// ID returns the event's id.
func (m *Message) ID() string { return Attribute(m.Header, "id") }

// SetID sets the event's id.
func (m *Message) SetID(id string) { m.set("ce-id", id) }

// SetExtension sets an extension; "" is none. name is one of ours, or consists of
// the letters a to z and digits.
func (m *Message) SetExtension(name, value string) { m.set(attributePrefix+name, value) }

// SetDataContentType sets the media type of the data where it is not JSON.
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

func (m *Message) put(header, value string) { m.Header[header] = []string{value} }

// StoredMessage is a message read from a stream, by a consumer or by its sequence.
type StoredMessage struct {
	Subject      string
	Header       Header
	Data         []byte
	Sequence     uint64    // in its stream
	NumDelivered int       // how often a consumer has received it; 1 at the first time
	Stored       time.Time // when the stream stored it
}

// ID returns the id of the event that the message carries, or "".
func (m *StoredMessage) ID() string { return Attribute(m.Header, "id") }
