package events_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/internal/golden"
	"github.com/hawser-io/hawser/pkg/events"
)

// attributes is what of an event counts: everything as its canonical string.
func attributes(e events.Event) map[string]string {
	out := map[string]string{
		"specversion": e.SpecVersion(), "id": e.ID(), "source": e.Source(), "type": e.Type(), "subject": e.Subject(),
		"dataschema": e.DataSchema(), "datacontenttype": e.DataContentType(), "data": string(e.Data()),
	}
	if !e.Time().IsZero() {
		out["time"] = e.Time().UTC().Format(time.RFC3339Nano)
	}
	for name := range e.Extensions() {
		out[name] = events.Extension(e, name)
	}
	return out
}

// decoded is m as a reader has it.
func decoded(t testing.TB, m *events.Message) events.Event {
	t.Helper()
	e, err := events.Decode(m.Header, m.Data)
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	return e
}

// goldenEvent has every kind of attribute, and values that need escaping.
func goldenEvent(t testing.TB) events.Event {
	t.Helper()
	e := decoded(t, events.New("executor", events.ActionCompleted.Type(), events.EventContext{
		Tenant: events.Tenant{Scope: "organization", Identity: `Ünï "q" 100%`}, Connector: "demo-key", Account: "second",
		ConnectionID: "0199e3a0-7c1d-7b5e-9a52-4b1f5f3c2d10", RequestID: "order 7",
	}, []byte(`{"data":{"id":"<1>"}}`)))
	e.SetID("0199e3a0-7c1d-7b5e-9a52-4b1f5f3c2d11")
	e.SetTime(time.Date(2026, 11, 21, 22, 0, 0, 123456789, time.FixedZone("", 3600)))
	e.SetDataSchema("https://hawser.example/schemas/result")
	e.SetExtension("count", 7)
	e.SetExtension("flag", true)
	e.SetExtension("blob", []byte{0, 1, 0xff})
	e.SetExtension("when", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	e.SetExtension(events.ExtTraceParent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	return e
}

func TestBinaryModeIsWrittenAsAlways(t *testing.T) {
	t.Parallel()
	m := events.Encode(goldenEvent(t))
	var out strings.Builder
	names := make([]string, 0, len(m.Header))
	for name := range m.Header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&out, "%s: %s\n", name, strings.Join(m.Header[name], " | "))
	}
	fmt.Fprintf(&out, "\n%s\n", m.Data)
	golden.Text(t, "binary.golden.txt", []byte(out.String()))
}

func TestStructuredModeIsWrittenAsAlways(t *testing.T) {
	t.Parallel()
	h, data, err := events.EncodeStructured(goldenEvent(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := h.Get("content-type"); got != "application/cloudevents+json" {
		t.Errorf("content type: got %q", got)
	}
	golden.Text(t, "structured.golden.json", append(data, '\n'))
}

func TestBothModesCarryTheWholeEvent(t *testing.T) {
	t.Parallel()
	want := goldenEvent(t)
	got := decoded(t, events.Encode(want))
	if diff := cmp.Diff(attributes(want), attributes(got)); diff != "" {
		t.Errorf("binary mode (-want +got):\n%s", diff)
	}
	h, data, err := events.EncodeStructured(want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = events.Decode(h, data); err != nil {
		t.Fatalf("Decode structured: %v", err)
	}
	if diff := cmp.Diff(attributes(want), attributes(got)); diff != "" {
		t.Errorf("structured mode (-want +got):\n%s", diff)
	}
}

func TestEveryByteOfDataSurvivesBothModes(t *testing.T) {
	t.Parallel()
	for _, contentType := range []string{"application/json", "application/vnd.api+json; charset=utf-8", "text/plain", "application/octet-stream", "APPLICATION/JSON", ""} {
		for _, data := range []string{`{"a": 1}`, `{"a":`, "plain", "\xff\xfe", "null", `"s"`, " ", "\x00", "{\"a\":\"\xff\"}"} {
			e := events.New("ingress", "hawser.webhook.x", events.EventContext{Tenant: ava, Connector: "demo-key"}, []byte(data))
			e.SetDataContentType(contentType)
			got := decoded(t, e)
			if string(got.Data()) != data {
				t.Errorf("binary, %q: data %q came back as %q", contentType, data, got.Data())
			}
			h, body, err := events.EncodeStructured(got)
			if err != nil {
				t.Errorf("EncodeStructured, %q, data %q: %v", contentType, data, err)
			}
			got, err = events.Decode(h, body)
			if err != nil || string(got.Data()) != data {
				t.Errorf("structured, %q: data %q came back as %q, %v", contentType, data, got.Data(), err)
			}
		}
	}
}

// A provider may send CloudEvents itself. Its body must never be taken for the
// attributes of our event about it.
func TestDataThatIsACloudEventStaysData(t *testing.T) {
	t.Parallel()
	body := `{"specversion":"1.0","id":"evil","source":"/evil","type":"evil","hawseraccount":"victim"}`
	for _, contentType := range []string{"application/cloudevents+json; charset=utf-8", "Application/CloudEvents+JSON", "application/cloudevents-batch+json"} {
		e := events.New("ingress", "hawser.webhook.x", events.EventContext{Tenant: ava, Connector: "demo-key", Account: "mine"}, []byte(body))
		e.SetDataContentType(contentType)
		got, err := events.Decode(e.Header, e.Data)
		if err != nil || got.ID() != e.ID() || events.Extension(got, events.ExtAccount) != "mine" || got.DataContentType() != contentType {
			t.Errorf("%s: got id %q, account %q, content type %q, %v", contentType, got.ID(), events.Extension(got, events.ExtAccount), got.DataContentType(), err)
		}
	}
}

func TestWhatAProviderSentWrongCanStillBeRead(t *testing.T) {
	t.Parallel()
	e := events.New("ingress", "hawser.webhook.\xff\nx ", events.EventContext{Tenant: events.Tenant{Scope: "o", Identity: "\xff"}, Connector: "c"}, []byte("x"))
	e.SetDataContentType("application/json; charset")
	got := decoded(t, e)
	if got.Type() != "hawser.webhook.\uFFFD\nx " || got.DataContentType() != "application/octet-stream" || events.Extension(got, events.ExtIdentity) != "\uFFFD" {
		t.Errorf("got type %q, content type %q, identity %q", got.Type(), got.DataContentType(), events.Extension(got, events.ExtIdentity))
	}
	if raw := e.Header.Get("content-type"); raw != "application/json; charset" {
		t.Errorf("header content-type: got %q, want the provider's", raw)
	}
}

func TestAttributesOfBinaryModeAreReadAsOthersWriteThem(t *testing.T) {
	t.Parallel()
	base := func() events.Header {
		return events.Header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/s"}, "ce-type": {"t"}}
	}
	for header, want := range map[string]string{
		"Euro%20%E2%82%AC%20%F0%9F%98%80": "Euro € 😀",
		"%e2%82%ac":                       "€",
		"%41":                             "A",
		`"quoted \"string\" 100%25"`:      `quoted "string" 100%`,
		`"`:                               `"`,
		"100%":                            "100%",
		"%zz":                             "%zz",
		"€":                               "€",
	} {
		h := base()
		h["ce-subject"] = []string{header}
		e, err := events.Decode(h, nil)
		if err != nil || e.Subject() != want {
			t.Errorf("subject %q: got %q, %v, want %q", header, e.Subject(), err, want)
		}
	}
	h := events.Header{"Ce-Specversion": {"1.0"}, "CE-ID": {"1"}, "ce-Source": {"/s"}, "Ce-Type": {"t"}, "Content-Type": {"text/plain"}, "Ce-Subject": {""}}
	e, err := events.Decode(h, []byte("x"))
	if err != nil || e.ID() != "1" || e.DataContentType() != "text/plain" {
		t.Errorf("headers in any case: got %v, %v", e, err)
	}
}

func TestHeadersThatDifferInCaseOnlyAreReadAlikeEveryTime(t *testing.T) {
	t.Parallel()
	h := events.Header{"ce-specversion": {"1.0"}, "ce-source": {"/s"}, "ce-type": {"t"}, "CE-ID": {"first"}, "Ce-Id": {"second"}, "ce-Id": {"third"}}
	for range 64 {
		if e, err := events.Decode(h, nil); err != nil || e.ID() != "first" {
			t.Fatalf("got id %q, %v, want the first in the order of bytes", e.ID(), err)
		}
	}
	h["ce-id"] = []string{"lower"}
	for range 64 {
		if e, err := events.Decode(h, nil); err != nil || e.ID() != "lower" {
			t.Fatalf("got id %q, %v, want that of the lower-case name", e.ID(), err)
		}
	}
}

func TestInvalidBinaryEventsAreRefusedWithoutQuotingThem(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	for name, change := range map[string]func(events.Header){
		"no id":                func(h events.Header) { delete(h, "ce-id") },
		"blank id":             func(h events.Header) { h["ce-id"] = []string{"%20"} },
		"no type":              func(h events.Header) { delete(h, "ce-type") },
		"no source":            func(h events.Header) { delete(h, "ce-source") },
		"version":              func(h events.Header) { h["ce-specversion"] = []string{"0.3"} },
		"source is no URI":     func(h events.Header) { h["ce-source"] = []string{"%00" + canary} },
		"time":                 func(h events.Header) { h["ce-time"] = []string{canary} },
		"time out of range":    func(h events.Header) { h["ce-time"] = []string{"9999-12-31T23:59:59-23:59"} },
		"not UTF-8":            func(h events.Header) { h["ce-subject"] = []string{canary + "%C0%A0"} },
		"content type":         func(h events.Header) { h["ce-datacontenttype"] = []string{canary + "/"} },
		"schema is relative":   func(h events.Header) { h["ce-dataschema"] = []string{"/" + canary} },
		"extension's name":     func(h events.Header) { h["ce-my_ext"] = []string{canary} },
		"extension named data": func(h events.Header) { h["ce-data"] = []string{canary} },
	} {
		h := events.Header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/s"}, "ce-type": {"t"}}
		change(h)
		_, err := events.Decode(h, []byte(canary))
		if err == nil || errors.Is(err, events.ErrNotCloudEvent) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: got error %v, want one about the attribute, without its value", name, err)
		}
	}
	if _, err := events.Decode(events.Header{"content-type": {"application/json"}}, []byte("{}")); !errors.Is(err, events.ErrNotCloudEvent) {
		t.Errorf("plain JSON: got error %v, want ErrNotCloudEvent", err)
	}
	if _, err := events.Decode(nil, nil); !errors.Is(err, events.ErrNotCloudEvent) {
		t.Errorf("nothing: got error %v, want ErrNotCloudEvent", err)
	}
}

func TestNewEventsAreValidAndSayWhatTheyAreAbout(t *testing.T) {
	t.Parallel()
	e := decoded(t, events.NewLifecycle("executor", events.ActionRetrying, events.EventContext{
		Tenant: ava, Connector: "demo-key", Account: "second", ConnectionID: "c1", RequestID: "r1",
	}, events.Data{Action: "postMessage", Attempt: 2, DurationMs: events.Milliseconds(1500 * time.Microsecond)}))
	got := attributes(e)
	if len(got["id"]) != 36 || got["id"][14] != '7' || time.Since(e.Time()) > time.Minute {
		t.Errorf("id %s, time %s: want a UUIDv7 and now", got["id"], got["time"])
	}
	delete(got, "id")
	delete(got, "time")
	want := map[string]string{
		"specversion": "1.0", "source": "/hawser/executor", "type": "hawser.action.retrying", "dataschema": "",
		"subject": "organization/ava@example.com/demo-key/second", "datacontenttype": "application/json",
		"hawserscope": "organization", "hawseridentity": "ava@example.com", "hawserconnector": "demo-key",
		"hawseraccount": "second", "hawserconnection": "c1", "hawserrequest": "r1",
		"data": `{"action":"postMessage","durationMs":1.5,"attempt":2}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	if e := decoded(t, events.New("ingress", "t", events.EventContext{Tenant: ava, Connector: "c", Account: "default"}, nil)); e.Subject() != "organization/ava@example.com/c" {
		t.Errorf("subject with the default account: got %q", e.Subject())
	}
}
