package webhook_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

// withHandshake is plain with that handshake.
func withHandshake(h webhooks.Handshake) *webhooks.Descriptor {
	w := plain()
	h.Name = "test"
	w.Handshakes = []webhooks.Handshake{h}
	return w
}

func bare(method, query, body string) webhook.Request {
	q, _ := url.ParseQuery(query)
	return webhook.Request{Method: method, PublicURL: "https://hawser.example/x?" + query, Header: http.Header{}, Query: q, Body: []byte(body), Now: now}
}

func TestADeliveryIsNoHandshake(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, withHandshake(webhooks.Handshake{
		When: []webhooks.Match{{From: "body.type", Equals: "url_verification"}}, Respond: webhooks.Response{Text: "{body.challenge}"},
	}))
	for _, body := range []string{"", "{}", `{"type":"event"}`, `{"type":["url_verification"]}`, `{"type":"url_verification"`, "null"} {
		if reply, err := e.Handshake(t.Context(), bare("POST", "", body), texts(key), nil); reply != nil || err != nil {
			t.Errorf("body %s: Handshake = %v, %v, want neither", body, reply, err)
		}
	}
	if reply, err := e.Handshake(t.Context(), bare("GET", "", `{"type":"url_verification","challenge":"c"}`), texts(key), nil); reply != nil || err != nil {
		t.Errorf("GET: Handshake = %v, %v, want neither", reply, err)
	}
}

func TestEchoedChallengesAreTextAndNeverHTML(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, withHandshake(webhooks.Handshake{
		Methods: []string{"GET"}, When: []webhooks.Match{{From: "query.challenge", Present: true}},
		Respond: webhooks.Response{Text: "{query.challenge}"},
	}))
	for _, challenge := range []string{"c4", "<script>alert(1)</script>", "ünïcode"} {
		reply, err := e.Handshake(t.Context(), bare("GET", "challenge="+url.QueryEscape(challenge), ""), nil, nil)
		if err != nil {
			t.Fatalf("%q: %v", challenge, err)
		}
		if string(reply.Body) != challenge || reply.Status != 200 || reply.Header.Get("Content-Type") != "text/plain; charset=utf-8" ||
			reply.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q: reply %d %v %q", challenge, reply.Status, reply.Header, reply.Body)
		}
	}
	_, err := e.Handshake(t.Context(), bare("GET", "challenge="+strings.Repeat("x", 1<<20), ""), nil, nil)
	assertReason(t, "1 MB", reasonOf(t, err), webhook.ReasonBadHandshake)
	_, err = e.Handshake(t.Context(), bare("GET", "challenge=a&challenge=b", ""), nil, nil)
	assertReason(t, "two challenges", reasonOf(t, err), webhook.ReasonBadHandshake)
	if reply, err := e.Handshake(t.Context(), bare("GET", "challenge=", ""), nil, nil); reply != nil || err != nil {
		t.Errorf("empty challenge: %v, %v, want no handshake", reply, err)
	}
}

func TestJSONAnswersEscapeWhatTheyEcho(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, withHandshake(webhooks.Handshake{
		When: []webhooks.Match{{From: "body.challenge", Present: true}}, Respond: webhooks.Response{JSON: map[string]string{"challenge": "{body.challenge}"}},
	}))
	reply, err := e.Handshake(t.Context(), bare("POST", "", `{"challenge":"a\"b</script>"}`), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(reply.Body), `{"challenge":"a\"b\u003c/script\u003e"}`; got != want || reply.Header.Get("Content-Type") != "application/json" {
		t.Errorf("reply %v %s, want %s", reply.Header, got, want)
	}
}

func TestVerifyTokens(t *testing.T) {
	t.Parallel()
	w := withHandshake(webhooks.Handshake{
		Methods: []string{"GET"}, When: []webhooks.Match{{From: "query.hub.mode", Equals: "subscribe"}},
		Token: webhooks.Source{From: "query.hub.verify_token"}, Respond: webhooks.Response{Text: "{query.hub.challenge}"},
	})
	own := mustCompile(t, w)
	w.TokenField = "verifyToken"
	separate := mustCompile(t, w)
	for _, tc := range []struct {
		name   string
		engine *webhook.Engine
		query  string
		want   webhook.Reason
	}{
		{"the secret", own, "hub.verify_token=" + key, ""},
		{"the token", separate, "hub.verify_token=tok", ""},
		{"the secret for a token", separate, "hub.verify_token=" + key, webhook.ReasonWrongToken},
		{"wrong", own, "hub.verify_token=nope", webhook.ReasonWrongToken},
		{"missing", own, "", webhook.ReasonWrongToken},
		{"empty", own, "hub.verify_token=", webhook.ReasonWrongToken},
		{"repeated", own, "hub.verify_token=" + key + "&hub.verify_token=x", webhook.ReasonWrongToken},
		{"a megabyte", own, "hub.verify_token=" + strings.Repeat("x", 1<<20), webhook.ReasonWrongToken},
	} {
		reply, err := tc.engine.Handshake(t.Context(), bare("GET", "hub.mode=subscribe&hub.challenge=42&"+tc.query, ""), texts(key), texts("tok"))
		if tc.want == "" {
			if err != nil || string(reply.Body) != "42" {
				t.Errorf("%s: %v, %v, want 42", tc.name, reply, err)
			}
			continue
		}
		if got := reasonOf(t, err); got != tc.want || reply != nil {
			t.Errorf("%s: reason = %q, want %q", tc.name, got, tc.want)
		}
	}
	if _, err := separate.Handshake(t.Context(), bare("GET", "hub.mode=subscribe&hub.challenge=4&hub.verify_token=", ""), texts(key), texts("")); err == nil {
		t.Error("an empty token matched an absent one")
	}
}

func TestVerifiedHandshakesNeedTheSignature(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, withHandshake(webhooks.Handshake{
		When: []webhooks.Match{{From: "body.type", Equals: "1"}}, Verified: true, Respond: webhooks.Response{Body: `{"type":1}`},
	}))
	const body = `{"type":1}`
	reply, err := e.Handshake(t.Context(), request("X-Signature", hmacHex(key, body), body), texts(key), nil)
	if err != nil || string(reply.Body) != body || reply.Header.Get("Content-Type") != "application/json" {
		t.Errorf("signed: %v, %v, want the answer", reply, err)
	}
	_, err = e.Handshake(t.Context(), request("X-Signature", hmacHex("wrong", body), body), texts(key), nil)
	assertReason(t, "wrongly signed", reasonOf(t, err), webhook.ReasonBadSignature)
	_, err = e.Handshake(t.Context(), bare("POST", "", body), texts(key), nil)
	assertReason(t, "unsigned", reasonOf(t, err), webhook.ReasonMissingSignature)
}

func TestHMACAnswersUseTheSecretThatSigned(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, withHandshake(webhooks.Handshake{
		When: []webhooks.Match{{From: "body.plain", Present: true}}, Verified: true,
		Respond: webhooks.Response{
			HMAC: &webhooks.ResponseHMAC{Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex, Over: "{body.plain}"},
			JSON: map[string]string{"plain": "{body.plain}", "proof": "sha256={hmac}"},
		},
	}))
	const body = `{"plain":"p"}`
	reply, err := e.Handshake(t.Context(), request("X-Signature", hmacHex("new", body), body), texts("old", "new"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(reply.Body), `{"plain":"p","proof":"sha256=`+hmacHex("new", "p")+`"}`; got != want {
		t.Errorf("body = %s, want %s", got, want)
	}
}

func TestSecretsAreCapturedOnlyOnce(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, withHandshake(webhooks.Handshake{
		Capture: webhooks.Source{From: "header.X-Hook-Secret"},
		Respond: webhooks.Response{Headers: map[string]string{"X-Hook-Secret": "{header.X-Hook-Secret}"}},
	}))
	const sent = "b537207f20cbfa02"
	reply, err := e.Handshake(t.Context(), request("X-Hook-Secret", sent, ""), texts(""), nil)
	if err != nil {
		t.Fatal(err)
	}
	if reply.Capture.Reveal() != sent || reply.Header.Get("X-Hook-Secret") != sent || len(reply.Body) != 0 {
		t.Errorf("reply = %+v, want the secret captured and echoed", reply)
	}
	if reply, err := e.Handshake(t.Context(), request("X-Hook-Secret", "attacker", ""), texts(sent), nil); reply != nil || err != nil {
		t.Errorf("with a secret: %v, %v, want no handshake", reply, err)
	}
	if reply, err := e.Handshake(t.Context(), bare("POST", "", ""), nil, nil); reply != nil || err != nil {
		t.Errorf("without the header: %v, %v, want no handshake", reply, err)
	}
	for _, bad := range []string{"0000", " x", strings.Repeat("x", 5000), "a\x01b"} {
		r := request("X", "y", "")
		r.Header["X-Hook-Secret"] = []string{bad}
		_, err := e.Handshake(t.Context(), r, nil, nil)
		assertReason(t, fmt.Sprintf("secret %.20q", bad), reasonOf(t, err), webhook.ReasonBadHandshake)
	}
}

func TestProbesAreAnsweredEmpty(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, withHandshake(webhooks.Handshake{Methods: []string{"HEAD", "GET"}, Respond: webhooks.Response{Status: 204}}))
	for _, method := range []string{"HEAD", "GET"} {
		reply, err := e.Handshake(t.Context(), bare(method, "", ""), nil, nil)
		if err != nil || reply.Status != 204 || reply.Body != nil || reply.Name != "test" {
			t.Errorf("%s: %+v, %v, want an empty 204", method, reply, err)
		}
	}
}

func TestOnlyTheProvidersAddressesAreFetched(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, withHandshake(webhooks.Handshake{
		When: []webhooks.Match{{From: "body.visit", Present: true}}, Verified: true,
		Visit: "{body.visit}", Addresses: []string{"https://sns.*.example.com/?*"},
	}))
	for address, want := range map[string]webhook.Reason{
		"https://sns.us-east-1.example.com/?Action=Confirm": "",
		"https://sns.evil.com/?Action=Confirm":              webhook.ReasonBadHandshake,
		"https://sns.a.example.com.evil.com/?x":             webhook.ReasonBadHandshake,
		"http://sns.a.example.com/?x":                       webhook.ReasonBadHandshake,
		"https://sns.a.example.com@evil.com/?x":             webhook.ReasonBadHandshake,
		"https://sns.a.example.com:444/?x":                  webhook.ReasonBadHandshake,
		"https://sns.a.b.example.com/?x":                    webhook.ReasonBadHandshake,
		"https://sns.a.example.com/etc?x":                   webhook.ReasonBadHandshake,
		"//sns.a.example.com/?x":                            webhook.ReasonBadHandshake,
	} {
		body := `{"visit":"` + address + `"}`
		reply, err := e.Handshake(t.Context(), request("X-Signature", hmacHex(key, body), body), texts(key), nil)
		if want == "" {
			if err != nil || reply.Visit != address {
				t.Errorf("%s: %v, %v, want it visited", address, reply, err)
			}
			continue
		}
		if got := reasonOf(t, err); got != want || reply != nil {
			t.Errorf("%s: reason = %q, want %q", address, got, want)
		}
	}
}
