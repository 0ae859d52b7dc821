package events_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/events"
)

func structured(contentType, body string) (events.Event, error) {
	return events.Decode(events.Header{"content-type": {contentType}}, []byte(body))
}

const formatJSON = "application/cloudevents+json"

func TestStructuredDataIsReadAsTheFormatSays(t *testing.T) {
	t.Parallel()
	const head = `{"specversion":"1.0","id":"1","source":"/s","type":"t"`
	for _, c := range []struct{ body, data, contentType string }{
		{head + `}`, ``, ``},
		{head + `,"data":{"a": 1}}`, `{"a": 1}`, `application/json`},
		{head + `,"data":"text"}`, `"text"`, `application/json`},
		{head + `,"data":null}`, `null`, `application/json`},
		{head + `,"datacontenttype":"application/vnd.api+json","data":{"a":1}}`, `{"a":1}`, `application/vnd.api+json`},
		{head + `,"datacontenttype":"Text/JSON; charset=utf-8","data":[1]}`, `[1]`, `Text/JSON; charset=utf-8`},
		{head + `,"datacontenttype":"application/xml","data":"<a b=\"c\"/>"}`, `<a b="c"/>`, `application/xml`},
		{head + `,"data_base64":"AAH/"}`, "\x00\x01\xff", ``},
		{head + `,"data_base64":"AAH\/"}`, "\x00\x01\xff", ``},
		{head + `,"data_base64":null,"data":1}`, "1", `application/json`},
		{`{"data_base64":"AAH\/","datacontenttype":"image/png","type":"t","source":"/s","id":"1","specversion":"1.0"}`, "\x00\x01\xff", `image/png`},
		{head + `,"subject":null,"time":null,"ext":null,"data":{}}`, `{}`, `application/json`},
	} {
		e, err := structured(formatJSON, c.body)
		if err != nil || string(e.Data()) != c.data || e.DataContentType() != c.contentType {
			t.Errorf("%s:\ngot  %q of %q, %v\nwant %q of %q", c.body, e.Data(), e.DataContentType(), err, c.data, c.contentType)
		}
	}
}

func TestStructuredExtensionsKeepTheirTypes(t *testing.T) {
	t.Parallel()
	e, err := structured("Application/CloudEvents+JSON; charset=utf-8",
		`{"specversion":"1.0","id":" 1 ","source":"/s","type":"t","flag":true,"count":-7,"text":"x","hawserverified":false}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"flag": true, "count": int32(-7), "text": "x"} {
		if got := e.Extensions()[name]; got != want {
			t.Errorf("%s: got %v (%T), want %v", name, got, got, want)
		}
	}
	if got := events.Extension(e, events.ExtVerified); got != "false" {
		t.Errorf("Extension of a boolean: got %q, want false", got)
	}
	if e.ID() != " 1 " {
		t.Errorf("id: got %q, want it untrimmed", e.ID())
	}
}

func TestInvalidStructuredEventsAreRefusedWithoutQuotingThem(t *testing.T) {
	t.Parallel()
	const head, canary = `{"specversion":"1.0","id":"1","source":"/s","type":"t"`, "c4n4ry"
	for _, body := range []string{
		``, `null`, `[]`, `"` + canary + `"`, `{`, "\xef\xbb\xbf" + head + `}`, head + `} {}`, `{"` + canary,
		strings.Repeat("[", 20000), head + `,"data":` + strings.Repeat("[", 20000),
		`{"id":"1","source":"/s","type":"t"}`, `{"specversion":"0.3","id":"1","source":"/s","type":"t"}`,
		`{"specversion":"","id":"1","source":"/s","type":"t"}`, `{"specversion":1,"id":"1","source":"/s","type":"t"}`, `{"specversion":null,"id":"1","source":"/s"}`,
		`{"specversion":"1.0","id":7,"source":"/s","type":"t"}`, `{"specversion":"1.0","id":"","source":"/s","type":"t"}`,
		head + `,"time":"` + canary + `"}`, head + `,"time":true}`, head + `,"dataschema":"` + canary + `"}`, head + `,"datacontenttype":"` + canary + `/"}`,
		head + `,"ext":{"a":"` + canary + `"}}`, head + `,"ext":["` + canary + `"]}`, head + `,"ext":1.5}`, head + `,"ext":4294967296}`, head + `,"my_ext":"` + canary + `"}`,
		head + `,"data_base64":1}`, head + `,"data_base64":"` + canary + `*"}`, head + `,"data_base64":{}}`, head + `,"data_base64":""` + canary,
		`{"":1,` + head[1:] + `,"data":{}}`,
		`{"data_base64":1,"specversion":"1.0","id":"1","source":"/s","type":"t"}`,
		head + `,"data":1,"data_base64":"AA=="}`, head + `,"datacontenttype":"text/plain","data":{"a":"` + canary + `"}}`,
	} {
		_, err := structured(formatJSON, body)
		if err == nil || errors.Is(err, events.ErrNotCloudEvent) || strings.Contains(err.Error(), canary) {
			t.Errorf("%.120s: got error %v, want one that does not quote it", body, err)
		}
	}
	for _, contentType := range []string{"application/cloudevents-batch+json", "application/cloudevents+avro", "application/cloudevents+json; x"} {
		if _, err := structured(contentType, head+`}`); err == nil {
			t.Errorf("%s: want an error", contentType)
		}
	}
}

func TestAnInvalidEventIsNotWritten(t *testing.T) {
	t.Parallel()
	e := goldenEvent(t)
	e.SetType("")
	if _, _, err := events.EncodeStructured(e); err == nil {
		t.Error("EncodeStructured of an event without type: want an error")
	}
	if _, _, err := events.EncodeStructured(events.Event{}); err == nil {
		t.Error("EncodeStructured of nothing: want an error")
	}
}
