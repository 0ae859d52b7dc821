package webhook_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// No request makes the engine panic, or is accepted without the secret.

func FuzzSignature(f *testing.F) {
	digest := hmacHex(key, "b")
	raw, _ := hex.DecodeString(digest)
	coded := base64.StdEncoding.EncodeToString(raw)
	for _, seed := range []string{
		"", "v1=", "v1=" + digest, "v1=" + strings.ToUpper(digest), "t=1,v1=" + digest, strings.Repeat("v1=,", 20), digest, coded, coded + "\n", "====",
	} {
		f.Add(seed)
	}
	listed, in64 := plain(), plain()
	listed.Verify[0].Signature = webhooks.Source{From: "header.X-Signature", Separator: ",", Prefix: "v1="}
	in64.Verify[0].Encoding = webhooks.EncodingBase64
	ofHex, of64 := mustCompile(f, listed), mustCompile(f, in64)
	f.Fuzz(func(t *testing.T, value string) {
		r := request("X", "y", "b")
		r.Header["X-Signature"] = []string{value}
		accepted := false
		for item := range strings.SplitSeq(value, ",") {
			accepted = accepted || item == "v1="+digest
		}
		accepted = accepted && strings.Count(value, ",") < 10
		if got := reason(t, ofHex, r, key); (got == "") != accepted {
			t.Errorf("%q: reason = %q, want accepted = %v", value, got, accepted)
		}
		if got := reason(t, of64, r, key); (got == "") != (value == coded) {
			t.Errorf("%q: reason in base64 = %q, want it accepted only as %q", value, got, coded)
		}
	})
}

func FuzzTimestamp(f *testing.F) {
	engines := map[webhooks.TimeFormat]*webhook.Engine{}
	for _, format := range []webhooks.TimeFormat{webhooks.UnixSeconds, webhooks.UnixMillis, webhooks.RFC3339} {
		w := timestamped()
		w.Verify[0].Timestamp.Format = format
		engines[format] = mustCompile(f, w)
	}
	for _, seed := range []string{"1614265330", "1614265330000", "2021-02-25T15:02:10Z", "-1", "9223372036854775807", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999999+23:59"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for format, e := range engines {
			r := at(text)
			r.Header["X-Demo-Timestamp"] = []string{text}
			verified, err := e.Verify(t.Context(), r, texts(key))
			if err == nil && verified.Timestamp.Sub(now).Abs() > 301*time.Second {
				t.Errorf("%s %q is accepted as %v", format, text, verified.Timestamp)
			}
		}
	})
}

func FuzzToken(f *testing.F) {
	e := mustCompile(f, bearer(strictHS256()))
	f.Add(token(f, hs256Header, valid(), func(string) []byte { return []byte("x") }))
	f.Add(token(f, `{"alg":"none"}`, valid(), func(string) []byte { return nil }))
	f.Add("..")
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, value string) {
		r := request("X", "y", "b")
		r.Header["Authorization"] = []string{"Bearer " + value}
		if reason(t, e, r, "a secret that no corpus knows") == "" {
			t.Errorf("%q is accepted", value)
		}
	})
}

// FuzzDocument compares body paths with encoding/json.
func FuzzDocument(f *testing.F) {
	for _, seed := range []string{`{"a":{"b":"c"}}`, `{"a":1,"a":{"b":2}}`, `[{"a":{"b":true}}]`, `{"a":{"b":"\u0041\""}}`, ` { "a" : { "b" : -1.5e3 } } `, `{"a":{"b":"é"}}`, `{"\u0061":{"b":""}}`, "{\"a\":{\"b\":\"\xff\"}}"} {
		f.Add([]byte(seed))
	}
	w := plain()
	w.Delivery = webhooks.Extraction{Sequence: "{body.a.b}", Type: "{body.0.a.b}", Account: "{body.*.a.b}", Repeats: true}
	e := mustCompile(f, w)
	f.Fuzz(func(t *testing.T, body []byte) {
		got := e.Extract(webhook.Request{Header: http.Header{}, Body: body, Now: now})
		var document any
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.UseNumber()
		if !json.Valid(body) || decoder.Decode(&document) != nil {
			if got.Sequence != "" || got.Type != "" {
				t.Errorf("%q is no document: Metadata = %+v", body, got)
			}
			return
		}
		if want := scalarAt(document, "a", "b"); comparable(want) && got.Sequence != want {
			t.Errorf("a.b of %q = %q, want %q", body, got.Sequence, want)
		}
		if list, ok := document.([]any); ok && len(list) > 0 {
			if want := scalarAt(list[0], "a", "b"); comparable(want) && got.Type != want {
				t.Errorf("0.a.b of %q = %q, want %q", body, got.Type, want)
			}
		}
	})
}

// comparable reports whether Metadata has the text itself, not its hash.
func comparable(s string) bool {
	return len(s) <= 128 && strings.TrimSpace(s) == s && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

func scalarAt(document any, path ...string) string {
	for _, step := range path {
		object, _ := document.(map[string]any)
		document = object[step]
	}
	switch v := document.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	return ""
}

func FuzzExtract(f *testing.F) {
	w := timestamped()
	w.Payload = "payload"
	w.Delivery = webhooks.Extraction{
		ID: "{header.X-Id|query.id|form.id|body.id}", Type: "{body.t|form.t}[.{body.u}]", Account: "{body.*.a|body.x.*.y.*|form.a}", Sequence: "{form.a~b}",
	}
	e := mustCompile(f, w)
	f.Add("x", "id=1", "application/x-www-form-urlencoded", []byte("payload=%7B%7D&a=bc"))
	f.Add("x\r\ny", "%zz", "multipart/form-data; boundary=x", []byte(`[{"a":1},{"a":null}]`))
	f.Fuzz(func(t *testing.T, id, query, contentType string, body []byte) {
		values, _ := url.ParseQuery(query)
		r := webhook.Request{Header: http.Header{"X-Id": {id}, "Content-Type": {contentType}}, Query: values, Body: body, Now: now}
		d := e.Extract(r)
		for _, text := range append([]string{d.ID, d.Type, d.Sequence}, d.Accounts...) {
			if !comparable(text) {
				t.Errorf("Metadata = %+v: %q is too long or not printable", d, text)
			}
		}
		if d.ID == "" {
			t.Errorf("Metadata = %+v: no id", d)
		}
	})
}

func FuzzHandshake(f *testing.F) {
	w := plain()
	w.Payload = "payload"
	w.Handshakes = []webhooks.Handshake{
		{Name: "query", Methods: []string{"GET"}, When: []webhooks.Match{{From: "query.c", Present: true}}, Respond: webhooks.Response{Text: "{query.c}", Headers: map[string]string{"X-C": "{query.c}"}}},
		{Name: "body", When: []webhooks.Match{{From: "body.c", Present: true}}, Respond: webhooks.Response{
			HMAC: &webhooks.ResponseHMAC{Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex, Over: "{body.c}"},
			JSON: map[string]string{"c": "{body.c}", "h": "{hmac}"}}},
		{Name: "empty", When: []webhooks.Match{{From: "body.e", Empty: true}}},
		{Name: "capture", Capture: webhooks.Source{From: "header.X-Secret"}, Respond: webhooks.Response{Headers: map[string]string{"X-Secret": "{header.X-Secret}"}}},
	}
	e := mustCompile(f, w)
	f.Add("GET", "c=x", "", "", []byte(nil))
	f.Add("POST", "", "", "", []byte(`{"c":"x"}`))
	f.Add("POST", "", "application/x-www-form-urlencoded", "s3cr3t", []byte(`payload={"e":[]}`))
	f.Fuzz(func(t *testing.T, method, query, contentType, captured string, body []byte) {
		values, _ := url.ParseQuery(query)
		r := webhook.Request{Method: method, Header: http.Header{"Content-Type": {contentType}, "X-Secret": {captured}}, Query: values, Body: body, Now: now}
		for _, secrets := range [][]string{nil, {key}} {
			reply, err := e.Handshake(t.Context(), r, texts(secrets...), nil)
			if reply == nil || err != nil {
				continue
			}
			if len(reply.Body) > 64<<10 || reply.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("reply %v of %d bytes", reply.Header, len(reply.Body))
			}
			if secrets != nil && !reply.Capture.IsZero() {
				t.Error("a secret was replaced")
			}
			for name, values := range reply.Header {
				if strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") {
					t.Errorf("header %q: %q", name, values)
				}
			}
		}
	})
}
