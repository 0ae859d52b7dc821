package ingress_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/hawser-io/hawser/internal/testenv"
	"github.com/hawser-io/hawser/pkg/connectors"
	"github.com/hawser-io/hawser/pkg/connectors/schema"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
	"github.com/hawser-io/hawser/pkg/events"
)

func TestASignedDeliveryIsStoredByteForByte(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	heard := s.Listen(t, "hawser.webhook.>")
	for i, body := range []string{`{"a":  1}`, "", "\xef\xbb\xbfnull", "a=1&b=%ff", "\x00\xff\xfe", strings.Repeat("[", 50_000), strings.Repeat("x", 64<<10)} {
		delivery := "d" + string(rune('0'+i))
		r := s.deliver(t, path, delivery, body, "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		if r.status != http.StatusAccepted || r.body != "" {
			t.Fatalf("delivery %d: %d %s, want an empty answer", i, r.status, r.body)
		}
		d := heard.Message(t)
		if string(d.Data) != body {
			t.Errorf("delivery %d: %d bytes are stored, want %d", i, len(d.Data), len(body))
		}
		if want := "hawser.webhook.organization.ava=40example=2Ecom.probe.message=2Ecreated."; !strings.HasPrefix(d.Subject, want) {
			t.Errorf("on %s, want %s", d.Subject, want)
		}
		e, err := events.Decode(d.Header, d.Data)
		if err != nil {
			t.Fatal(err)
		}
		if id := r.header.Get("X-Request-Id"); id != e.ID() || r.header.Get("Hawser-Duplicate") != "" {
			t.Errorf("delivery %d: answered as %q, want %q", i, id, e.ID())
		}
		got := []string{e.Type(), e.DataContentType(), events.Extension(e, events.ExtDelivery), events.Extension(e, events.ExtPath), events.Extension(e, events.ExtScope), events.Extension(e, events.ExtIdentity)}
		want := []string{"hawser.webhook.message.created", "application/json", delivery, "/api/v1/connectors/probe/webhook/***", "organization", "ava@example.com"}
		for k := range want {
			if got[k] != want[k] {
				t.Errorf("delivery %d: got %q, want %q", i, got[k], want[k])
			}
		}
		if trace := events.Extension(e, "traceparent"); !strings.HasPrefix(trace, "00-0af7651916cd43dd8448eb211c80319c-") {
			t.Errorf("the trace is %q", trace)
		}
		if d.Header["X-Probe-Event"][0] != "message.created" || d.Header["X-Probe-Signature"] == nil {
			t.Errorf("the provider's headers are %v", d.Header)
		}
	}
}

func TestARepeatedDeliveryIsOneEvent(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	heard := s.Listen(t, "hawser.webhook.>")
	if r := s.deliver(t, path, "d1", "{}"); r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := s.deliver(t, path, "d1", "{}"); r.status != http.StatusOK || r.body != "" || r.header.Get("Hawser-Duplicate") != "true" {
		t.Errorf("again: %d %s %v", r.status, r.body, r.header)
	}
	// Another process has not seen it; the stream refuses it.
	other := &site{s.Node, s.StartIngress(t, nil)}
	if r := other.deliver(t, path, "d1", "{}"); r.status != http.StatusOK || r.header.Get("Hawser-Duplicate") != "true" {
		t.Errorf("at another ingress: %d %s %v", r.status, r.body, r.header)
	}
	// Another tenant's delivery with the same id is another delivery.
	r := s.do(t, "PUT", ofBob+"/probe", `{"config":`+config+`}`)
	if r := s.deliver(t, webhookPath(t, r), "d1", "{}"); r.status != http.StatusAccepted {
		t.Errorf("another tenant's: %d %s", r.status, r.body)
	}
	if got := s.Count(t, events.Webhooks, ">"); got != 2 {
		t.Errorf("%d webhooks are stored, want 2", got)
	}
	if heard.Left() != 3 { // the first, the other process's, the other tenant's
		t.Errorf("%d were heard, want 3", heard.Left())
	}
}

func TestTheAnswerIsTheConnectors(t *testing.T) {
	t.Parallel()
	c := testenv.Probe("probe", "")
	c.Webhook.Answer = webhooks.Answer{Status: 201, ContentType: "text/xml", Body: "<Response/>"}
	s := serve(t, c)
	path := s.connect(t, "probe")
	for _, delivery := range []string{"d1", "d1", "d2"} {
		r := s.deliver(t, path, delivery, "{}")
		if r.status != http.StatusCreated || r.body != "<Response/>" || r.header.Get("Content-Type") != "text/xml" {
			t.Errorf("%s: %d %s %s", delivery, r.status, r.body, r.header.Get("Content-Type"))
		}
	}
}

func TestFiftyConcurrentCopiesAreOneEvent(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	fronts := []*site{s, {s.Node, s.StartIngress(t, nil)}, {s.Node, s.StartIngress(t, nil)}}
	var group sync.WaitGroup
	replies := make([]reply, 50)
	for i := range replies {
		group.Go(func() { replies[i] = fronts[i%3].deliver(t, path, "burst", `{"n":1}`) })
	}
	group.Wait()
	isNew := 0
	for _, r := range replies {
		switch r.status {
		case http.StatusAccepted:
			isNew++
		case http.StatusOK:
		default:
			t.Errorf("%d %s", r.status, r.body)
		}
	}
	if stored := s.Count(t, events.Webhooks, ">"); isNew != 1 || stored != 1 {
		t.Errorf("%d were answered as new and %d are stored, want 1 and 1", isNew, stored)
	}
}

func TestProviderHeadersWithAMeaningInNATSOrCloudEventsAreNotStored(t *testing.T) {
	t.Parallel()
	shared := testenv.Probe("shared", "")
	shared.Webhook.Verify = []webhooks.Verification{{Scheme: webhooks.SchemeSharedSecret, Signature: webhooks.Source{From: "header.X-Shared-Token"}}}
	s := serve(t, testenv.Probe("probe", ""), shared)
	path := s.connect(t, "probe")
	n := s.Node
	n.StartExecutor(t, nil)
	lifecycle := s.Listen(t, "hawser.event.*.*.*.webhook.received")
	reserved := []string{
		"Nats-Msg-Id", "other", "nats-rollup", "all", "NATS-Expected-Last-Sequence", "9999", "Nats-TTL", "1s",
		"Ce-Id", "fake", "ce-hawseridentity", "bob", "CE-Source", "/evil", "Hawser-Attempt", "9",
		"Status", "503", "Description", "No Responders", "Cookie", "session=1", "X-Kept", "yes",
	}
	r := s.deliver(t, path, "d1", "", reserved...)
	if r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	d, err := s.Queue.Streams.First(t.Context(), events.Webhooks, 1, ">")
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range d.Header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "nats-") && name != "Nats-Expected-Last-Subject-Sequence" || lower == "cookie" || lower == "authorization" || lower == "status" || lower == "hawser-attempt" {
			t.Errorf("kept %s: %s", name, values)
		}
	}
	e, err := events.Decode(d.Header, d.Data)
	if err != nil || e.Source() != "/hawser/ingress" || events.Extension(e, events.ExtIdentity) != "ava@example.com" || d.Header["X-Kept"] == nil {
		t.Errorf("stored %v, %v", d.Header, err)
	}
	// A client takes a message without data that has such a header for a status message.
	if e := lifecycle.Event(t); e.ID() != events.DerivedID(events.Extension(e, events.ExtRequest), "received") {
		t.Errorf("received as %s", e.ID())
	}
	// A shared secret is not stored, and a body in the form of an event is stored as a body.
	path = s.connect(t, "shared")
	forged := `{"specversion":"1.0","id":"x","source":"/evil","type":"t","hawseridentity":"bob","data":{}}`
	r = s.do(t, "POST", path, forged, "Authorization", "", "X-Shared-Token", secret, "Content-Type", "application/cloudevents+json")
	if r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if e := lifecycle.Event(t); events.Extension(e, events.ExtIdentity) != "ava@example.com" || events.Extension(e, events.ExtConnector) != "shared" {
		t.Errorf("a body in the form of an event was taken for one: %v", e)
	}
	if d, err = s.Queue.Streams.First(t.Context(), events.Webhooks, d.Sequence+1, ">"); err != nil || d.Header["X-Shared-Token"] != nil || string(d.Data) != forged {
		t.Errorf("stored %v %s, %v", d.Header, d.Data, err)
	}
	if e, err = events.Decode(d.Header, d.Data); err != nil || e.DataContentType() != "application/cloudevents+json" || events.Extension(e, events.ExtIdentity) != "ava@example.com" {
		t.Errorf("reads as %v, %v", e, err)
	}
}

func TestLargeHeadersAreStoredUpToALimit(t *testing.T) {
	t.Parallel()
	s := serve(t)
	path := s.connect(t, "probe")
	r := s.deliver(t, path, "d1", "{}", "A-Large", strings.Repeat("x", 15<<10), "B-Large", strings.Repeat("x", 2<<10), "C-Small", "kept")
	if r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	d, err := s.Queue.Streams.First(t.Context(), events.Webhooks, 1, ">")
	if err != nil || d.Header["A-Large"] == nil || d.Header["B-Large"] != nil || d.Header["C-Small"] == nil {
		t.Errorf("%v: kept %d headers", err, len(d.Header))
	}
	if r := s.deliver(t, path, "d2", "{}", "A-Large", strings.Repeat("x", 40<<10)); r.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("40 KiB of headers: %d", r.status)
	}
}

func TestHandshakesUseTheVerifyTokenAndEmitNoEvent(t *testing.T) {
	t.Parallel()
	type handshakeConfig struct {
		WebhookSecret connectors.Secret `json:"webhookSecret"`
		VerifyToken   connectors.Secret `json:"verifyToken"`
	}
	c := testenv.Probe("shaking", "")
	c.Config, c.Auth = schema.For[handshakeConfig](), connectors.Auth{}
	c.Webhook.TokenField = "verifyToken"
	c.Webhook.Handshakes = []webhooks.Handshake{{
		Name: "verify", Methods: []string{"GET"}, When: []webhooks.Match{{From: "query.mode", Equals: "subscribe"}},
		Token: webhooks.Source{From: "query.token"}, Respond: webhooks.Response{Text: "{query.challenge}"},
	}}
	s := serve(t, c)
	r := s.do(t, "PUT", ofAva+"/shaking", `{"config":{"webhookSecret":"`+secret+`","verifyToken":"the-token"}}`)
	path := webhookPath(t, r)
	r = s.do(t, "GET", path+"?mode=subscribe&token=the-token&challenge=%3Cscript%3E", "", "Authorization", "")
	if r.status != http.StatusOK || r.body != "<script>" || !strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") || r.header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %s %v", r.status, r.body, r.header)
	}
	for query, want := range map[string]int{
		"mode=subscribe&token=" + secret + "&challenge=1":                       http.StatusForbidden,
		"mode=subscribe&challenge=1":                                            http.StatusForbidden,
		"mode=subscribe&token=the-token":                                        http.StatusUnauthorized,
		"mode=subscribe&token=the-token&challenge=" + strings.Repeat("x", 5000): http.StatusUnauthorized,
	} {
		if r := s.do(t, "GET", path+"?"+query, "", "Authorization", ""); r.status != want {
			t.Errorf("%.40s: %d %s, want %d", query, r.status, r.body, want)
		}
	}
	if r := s.do(t, "GET", path, "", "Authorization", ""); r.status != http.StatusMethodNotAllowed || r.header.Get("Allow") != "POST, GET, HEAD" {
		t.Errorf("no handshake: %d, Allow %q", r.status, r.header.Get("Allow"))
	}
	if got := s.Count(t, events.Webhooks, ">"); got != 0 {
		t.Errorf("%d webhooks are stored, want none", got)
	}
}

func TestASignedURLIsTheConfiguredOne(t *testing.T) {
	t.Parallel()
	c := testenv.Probe("signed-url", "")
	c.Webhook.Verify[0].Signed, c.Webhook.Verify[0].Timestamp = "{url}{body}", nil
	s := serve(t, c)
	path := s.connect(t, "signed-url")
	for host, want := range map[string]int{"https://hooks.example.test": http.StatusAccepted, "http://evil.test": http.StatusUnauthorized} {
		signature := testenv.HMAC(secret, []byte(host+path+"?a=1{}"))
		r := s.raw(t, "POST "+path+"?a=1 HTTP/1.1\r\nHost: evil.test\r\nX-Forwarded-Host: evil.test\r\nX-Forwarded-Proto: http\r\nX-Probe-Signature: sha256="+signature+
			"\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
		if r.status != want {
			t.Errorf("signed for %s: %d %s, want %d", host, r.status, r.body, want)
		}
	}
}
