package webhooks_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

func TestAWebhookIsTheSameAfterJSON(t *testing.T) {
	t.Parallel()
	want := validWebhook()
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got webhooks.Descriptor
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, &got); diff != "" {
		t.Errorf("after %s (-want +got):\n%s", text, diff)
	}
	for _, name := range []string{`"tolerance":"1m0s"`, `"secret_field"`, `"signature":{"from":"header.X-Signature","separator":",","prefix":"v2="}`} {
		if !strings.Contains(string(text), name) {
			t.Errorf("%s has no %s", text, name)
		}
	}
}

func TestAWebhookIsParsedFromYAML(t *testing.T) {
	t.Parallel()
	const text = `
secret_field: webhookSecret
verify:
  - scheme: hmac
    algorithm: sha256
    encoding: hex
    signature: {from: header.X-Demo-Signature, prefix: "sha256="}
    signed: "{timestamp}.{body}"
    timestamp: {from: header.X-Demo-Timestamp, tolerance: 5m}
delivery:
  id: "{header.X-Demo-Delivery}"
`
	var w webhooks.Descriptor
	if err := yaml.Unmarshal([]byte(text), &w); err != nil {
		t.Fatal(err)
	}
	if err := w.Check(); err != nil {
		t.Error(err)
	}
	if got := time.Duration(w.Verify[0].Timestamp.Tolerance); got != 5*time.Minute || w.Verify[0].Timestamp.From != "header.X-Demo-Timestamp" {
		t.Errorf("timestamp = %+v, want 5 min from the header", w.Verify[0].Timestamp)
	}
}

func TestAllowedMethodsAreThoseOfDeliveriesAndHandshakes(t *testing.T) {
	t.Parallel()
	w := webhooks.Descriptor{Handshakes: []webhooks.Handshake{{}, {Methods: []string{"GET", "HEAD"}}, {Methods: []string{"GET"}}}}
	if diff := cmp.Diff([]string{"POST", "GET", "HEAD"}, w.AllowedMethods()); diff != "" {
		t.Errorf("AllowedMethods (-want +got):\n%s", diff)
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	for set, want := range map[int64]int64{0: 1 << 20, 10: 10} {
		if got := (&webhooks.Descriptor{MaxBody: set}).BodyLimit(); got != want {
			t.Errorf("BodyLimit of %d = %d, want %d", set, got, want)
		}
	}
}

func TestParseTemplateRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"{", "}", "[", "]", "{}", "{body", "[{body}", "{body}]", "[[{body}]]", "[text]", "[]", "{x}", "{body.}", "{body.a..b}", "{header.}",
		"{header.a b}", "{method.x}", "{url.host}", "{query.}", "{form.}", "{each}", "{each.}", "{claim}", "{body|}", "{|body}", "{body~}",
		"{timestamp.x}", "{id.x}", "{secret.x}", strings.Repeat("x", 4097),
	} {
		if parsed, err := webhooks.ParseTemplate(text); err == nil {
			t.Errorf("%.40q is read as %v", text, parsed)
		}
	}
}

func TestParseTemplateReturnsTheParts(t *testing.T) {
	t.Parallel()
	got, err := webhooks.ParseTemplate("v0:{timestamp}:{header.X-A|body.a.b~p-}[, {query.hub.mode}]")
	if err != nil {
		t.Fatal(err)
	}
	ref := func(kind, name string) webhooks.Reference { return webhooks.Reference{Kind: kind, Name: name} }
	want := webhooks.Template{
		{Literal: "v0:"}, {Refs: []webhooks.Reference{ref("timestamp", "")}}, {Literal: ":"},
		{Refs: []webhooks.Reference{ref("header", "X-A"), ref("body", "a.b")}, Strip: "p-"},
		{Group: webhooks.Template{{Literal: ", "}, {Refs: []webhooks.Reference{ref("query", "hub.mode")}}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("template (-want +got):\n%s", diff)
	}
}

func FuzzWebhookTemplate(f *testing.F) {
	for _, seed := range []string{"{body}", "[{a}]", "v0:{timestamp}:{body}", "{header.X|query.y~z}", "[[", "{{}}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := webhooks.ParseTemplate(text)
		if err != nil {
			return
		}
		if written := write(parsed); written != text {
			t.Errorf("%q is written back as %q", text, written)
		}
	})
}

// write is the text of a template.
func write(t webhooks.Template) string {
	var b strings.Builder
	for _, part := range t {
		switch {
		case part.Group != nil:
			fmt.Fprintf(&b, "[%s]", write(part.Group))
		case part.Refs != nil:
			var refs []string
			for _, ref := range part.Refs {
				refs = append(refs, ref.String())
			}
			b.WriteString("{" + strings.Join(refs, "|"))
			if part.Strip != "" {
				b.WriteString("~" + part.Strip)
			}
			b.WriteString("}")
		default:
			b.WriteString(part.Literal)
		}
	}
	return b.String()
}

func ExampleDescriptor() {
	hook := webhooks.Descriptor{
		SecretField: "webhookSecret",
		Verify: []webhooks.Verification{{
			Scheme: webhooks.SchemeHMAC, Algorithm: webhooks.SHA256, Encoding: webhooks.EncodingHex,
			Signature: webhooks.Source{From: "header.X-Demo-Signature", Prefix: "sha256="},
			Signed:    "{timestamp}.{body}",
			Timestamp: &webhooks.Timestamp{Source: webhooks.Source{From: "header.X-Demo-Timestamp"}},
		}},
		Delivery: webhooks.Extraction{ID: "{header.X-Demo-Delivery}", Type: "{header.X-Demo-Event}"},
	}
	fmt.Println(hook.Check())
	hook.Verify[0].Algorithm = "md5"
	fmt.Println(hook.Check())
	// Output:
	// <nil>
	// verify.0.algorithm is unknown: "md5"; use one of sha1, sha256, sha512
}
