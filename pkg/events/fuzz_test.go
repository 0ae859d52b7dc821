package events_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/events"
)

// headers makes headers of lines "name: value"; what has no colon is left out.
func headers(lines string) events.Header {
	h := events.Header{}
	for line := range strings.SplitSeq(lines, "\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			h[name] = append(h[name], value)
		}
	}
	return h
}

// FuzzDecode holds that no message makes Decode panic, and that whatever it
// accepts is the same event after being written and read again, in both modes.
func FuzzDecode(f *testing.F) {
	const binary = "ce-specversion: 1.0\nce-id: 1\nce-source: /s\nce-type: t\n"
	const head = `{"specversion":"1.0","id":"1","source":"/s","type":"t"`
	for _, seed := range []struct{ h, data string }{
		{binary, "x"},
		{binary + "ce-time: 2026-11-21T22:00:00.5+01:00\nce-subject: %E2%82%AC\nContent-Type: text/plain", "\xff"},
		{binary + "ce-dataschema: https://a/b?c=%20d\nCE-Ext: \"a\\\"b\"\nce-datacontenttype: application/json;%20charset=utf-8", "{}"},
		{"ce-specversion: 1.0\nce-id: %20a\nce-source: //[::1%2525eth0]/a%252Fb?#\nce-type: t", ""},
		{"content-type: application/cloudevents+json", head + `,"data":{"a":[1,2]},"ext":true,"n":-7}`},
		{"content-type: application/cloudevents+json", head + `,"data_base64":"AAH\/","datacontenttype":"image/png","time":"2026-11-21T22:00:00Z"}`},
		{"content-type: application/cloudevents+json", `{"data_base64":1,"specversion":"1.0"}`},
		{"content-type: application/cloudevents+json", head + `,"Data":"0"}`},
		{"content-type: application/cloudevents", head + `,"datacontenttype":"text/plain","data":"\ud800"}`},
	} {
		f.Add(seed.h, []byte(seed.data))
	}
	f.Fuzz(func(t *testing.T, lines string, data []byte) {
		e, err := events.Decode(headers(lines), data)
		if err != nil {
			return
		}
		m := events.Encode(e)
		again, err := events.Decode(m.Header, m.Data)
		if err != nil {
			t.Fatalf("binary mode cannot be read again: %v\n%v", err, m.Header)
		}
		if diff := cmp.Diff(attributes(e), attributes(again)); diff != "" {
			t.Fatalf("binary mode (-want +got):\n%s", diff)
		}
		h, body, err := events.EncodeStructured(e)
		if err != nil {
			t.Fatalf("structured mode: %v", err)
		}
		if again, err = events.Decode(h, body); err != nil {
			t.Fatalf("structured mode cannot be read again: %v\n%s", err, body)
		}
		want, got := attributes(e), attributes(again)
		if e.DataContentType() == "" && len(e.Data()) > 0 && got["datacontenttype"] == "application/json" {
			want["datacontenttype"] = "application/json" // which was implied
		}
		if got["datacontenttype"] == "application/json" {
			want["data"] = strings.Trim(want["data"], " \t\r\n") // which is no part of a JSON value
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("structured mode (-want +got):\n%s", diff)
		}
	})
}

// FuzzParseSubjects holds that whatever is read from a subject writes that subject.
func FuzzParseSubjects(f *testing.F) {
	for _, s := range []string{
		"hawser.action.o.a=2Eb.c.x", "hawser.action.o.=.c.x", "hawser.call.o.a.c.x", "hawser.result.o.a.c.x.=h00", "hawser.webhook.o.a.c.unknown.d1", "hawser.action.o..c.x", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, subject string) {
		n := mustNames(t, "")
		if ref, err := n.ParseAction(subject); err == nil && n.Action(ref) != subject && n.Call(ref) != subject {
			t.Errorf("ParseAction(%q) = %+v", subject, ref)
		}
		if ref, id, err := n.ParseResult(subject); err == nil && n.Result(ref, "")[:len(n.Result(ref, ""))-1]+id != subject {
			t.Errorf("ParseResult(%q) = %+v, %q", subject, ref, id)
		}
		if ref, err := n.ParseWebhook(subject); err == nil &&
			"hawser.webhook."+ref.Tokens()+"."+events.Token(ref.Connector)+"."+ref.Type+"."+ref.Delivery != subject {
			t.Errorf("ParseWebhook(%q) = %+v", subject, ref)
		}
	})
}

// FuzzAttribute holds that any string survives as a header, as far as it is
// UTF-8, and never breaks out of it.
func FuzzAttribute(f *testing.F) {
	for _, s := range []string{"", "a", "100%", "%41", `"q"`, `\`, "a\r\nNats-Schedule: x", "€", "\xff", " a ", "%%", "%e2%82"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := events.New("r", "t", events.EventContext{Tenant: events.Tenant{Scope: "o", Identity: s}, Connector: "c"}, nil)
		for name, values := range e.Header {
			for _, v := range values {
				for i := range len(v) {
					if v[i] <= ' ' || v[i] >= 0x7f {
						t.Fatalf("header %s: %q", name, v)
					}
				}
			}
		}
		got, err := events.Decode(e.Header, e.Data)
		if want := strings.ToValidUTF8(s, "\uFFFD"); err != nil || events.Extension(got, events.ExtIdentity) != want {
			t.Fatalf("identity %q came back as %q, %v", s, events.Extension(got, events.ExtIdentity), err)
		}
		_, body, err := events.EncodeStructured(got)
		if err != nil || !json.Valid(body) {
			t.Fatalf("structured: %v, %s", err, body)
		}
	})
}
