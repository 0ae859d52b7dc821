package webhook_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/internal/webhook"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

func TestMalformedSignaturesAreRefused(t *testing.T) {
	t.Parallel()
	e := mustCompile(t, timestamped())
	good := signed(key, []byte("{}")).Header.Get("X-Demo-Signature")
	digest := strings.TrimPrefix(good, "sha256=")
	raw, _ := hex.DecodeString(digest)
	for _, tc := range []struct {
		name  string
		value []string
		want  webhook.Reason
	}{
		{"missing", nil, webhook.ReasonMissingSignature},
		{"empty", []string{""}, webhook.ReasonMissingSignature},
		{"repeated", []string{good, good}, webhook.ReasonMalformedSignature},
		{"prefix only", []string{"sha256="}, webhook.ReasonMalformedSignature},
		{"no prefix", []string{digest}, webhook.ReasonMalformedSignature},
		{"downgraded prefix", []string{"sha1=" + digest[:40]}, webhook.ReasonMalformedSignature},
		{"other version", []string{"v0=" + digest}, webhook.ReasonMalformedSignature},
		{"prefix in upper case", []string{"SHA256=" + digest}, webhook.ReasonMalformedSignature},
		{"digest in upper case", []string{"sha256=" + strings.ToUpper(digest)}, webhook.ReasonMalformedSignature},
		{"base64", []string{"sha256=" + base64.StdEncoding.EncodeToString(raw)}, webhook.ReasonMalformedSignature},
		{"space before", []string{" " + good}, webhook.ReasonMalformedSignature},
		{"space after", []string{good + " "}, webhook.ReasonMalformedSignature},
		{"line end after", []string{good + "\n"}, webhook.ReasonMalformedSignature},
		{"list", []string{good + "," + good}, webhook.ReasonMalformedSignature},
		{"truncated", []string{good[:len(good)-2]}, webhook.ReasonMalformedSignature},
		{"odd length", []string{good[:len(good)-1]}, webhook.ReasonMalformedSignature},
		{"too long", []string{good + "00"}, webhook.ReasonMalformedSignature},
		{"a megabyte", []string{"sha256=" + strings.Repeat("ab", 1<<19)}, webhook.ReasonMalformedSignature},
		{"one bit off", []string{"sha256=" + flip(digest)}, webhook.ReasonBadSignature},
		{"of zeros", []string{"sha256=" + strings.Repeat("0", 64)}, webhook.ReasonBadSignature},
	} {
		r := signed(key, []byte("{}"))
		r.Header["X-Demo-Signature"] = tc.value
		assertReason(t, tc.name, reason(t, e, r, key), tc.want)
	}
}

// flip changes the last hexadecimal digit.
func flip(digest string) string {
	last := "0"
	if strings.HasSuffix(digest, "0") {
		last = "1"
	}
	return digest[:len(digest)-1] + last
}

func TestBase64SignaturesHaveOneForm(t *testing.T) {
	t.Parallel()
	w := plain()
	w.Verify[0].Encoding = webhooks.EncodingBase64
	e := mustCompile(t, w)
	// The digest of this body has + and / in it, and ends in =.
	body, digest := bodyWhoseDigestHasPlusAndSlash(t)
	good := base64.StdEncoding.EncodeToString(digest)
	assertReason(t, "the documented form is refused", reason(t, e, request("X-Signature", good, body), key), "")
	for name, value := range map[string]string{
		"url-safe":        base64.URLEncoding.EncodeToString(digest),
		"without padding": base64.RawStdEncoding.EncodeToString(digest),
		"double padding":  good + "=",
		"line end inside": good[:20] + "\r\n" + good[20:],
		"line end after":  good + "\n",
		"space":           good + " ",
		"stray bits":      strayBits(good),
		"hex":             hex.EncodeToString(digest),
		"another length":  base64.StdEncoding.EncodeToString(digest[:31]) + "    ",
	} {
		assertReason(t, name, reason(t, e, request("X-Signature", value, body), key), webhook.ReasonMalformedSignature)
	}
}

func bodyWhoseDigestHasPlusAndSlash(t *testing.T) (string, []byte) {
	t.Helper()
	for n := range 10_000 {
		body := strings.Repeat("x", n)
		digest := sum(sha256.New, key, body)
		if text := base64.StdEncoding.EncodeToString(digest); strings.Contains(text, "+") && strings.Contains(text, "/") {
			return body, digest
		}
	}
	t.Fatal("no such digest")
	return "", nil
}

// strayBits sets bits of the last digit that no byte uses: a lax decoder returns
// the same bytes.
func strayBits(good string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	at := len(good) - 2
	return good[:at] + string(alphabet[strings.IndexByte(alphabet, good[at])+1]) + "="
}

func sum(h func() hash.Hash, key, message string) []byte {
	m := hmac.New(h, []byte(key))
	m.Write([]byte(message))
	return m.Sum(nil)
}

func TestListsOfSignaturesAreLimited(t *testing.T) {
	t.Parallel()
	w := plain()
	w.Verify[0].Signature = webhooks.Source{From: "header.X-Signature", Separator: ",", Prefix: "v1="}
	e := mustCompile(t, w)
	good, wrong := "v1="+hmacHex(key, "b"), "v1="+strings.Repeat("0", 64)
	for _, tc := range []struct {
		name, value string
		want        webhook.Reason
	}{
		{"the last of two", wrong + "," + good, ""},
		{"the last of ten", strings.Repeat(wrong+",", 9) + good, ""},
		{"the eleventh", strings.Repeat(wrong+",", 10) + good, webhook.ReasonMalformedSignature},
		{"a thousand", strings.Repeat(wrong+",", 999) + good, webhook.ReasonMalformedSignature},
		{"a thousand right ones", strings.TrimSuffix(strings.Repeat(good+",", 1000), ","), webhook.ReasonMalformedSignature},
		{"beside another version", "v0=" + strings.Repeat("0", 64) + "," + good, ""},
		{"beside a malformed one", "v1=zz," + good, ""},
		{"only another version", "v0=" + good[3:], webhook.ReasonMalformedSignature},
		{"after a space", wrong + ", " + good, webhook.ReasonBadSignature},
		{"only separators", ",,,,", webhook.ReasonMalformedSignature},
		{"all wrong", wrong + "," + wrong, webhook.ReasonBadSignature},
	} {
		assertReason(t, tc.name, reason(t, e, request("X-Signature", tc.value, "b"), key), tc.want)
	}
}

func TestEveryHashAndEncodingOfHMAC(t *testing.T) {
	t.Parallel()
	for algorithm, h := range map[webhooks.Algorithm]func() hash.Hash{
		webhooks.SHA1: sha1.New, webhooks.SHA256: sha256.New, webhooks.SHA512: sha512.New,
	} {
		for encoding, encode := range map[webhooks.Encoding]func([]byte) string{
			webhooks.EncodingHex:       hex.EncodeToString,
			webhooks.EncodingHexUpper:  func(b []byte) string { return strings.ToUpper(hex.EncodeToString(b)) },
			webhooks.EncodingBase64:    base64.StdEncoding.EncodeToString,
			webhooks.EncodingBase64URL: base64.RawURLEncoding.EncodeToString,
		} {
			w := plain()
			w.Verify[0].Algorithm, w.Verify[0].Encoding = algorithm, encoding
			assertReason(t, fmt.Sprintf("%s in %s", algorithm, encoding), reason(t, mustCompile(t, w), request("X-Signature", encode(sum(h, key, "b")), "b"), key), "")
		}
	}
}

func TestKeysAreDecodedAsDescribed(t *testing.T) {
	t.Parallel()
	raw := "\x01binary\xff"
	for _, tc := range []struct {
		name   string
		key    webhooks.Key
		secret string
		want   webhook.Reason
	}{
		{"hex", webhooks.Key{Encoding: webhooks.EncodingHex}, hex.EncodeToString([]byte(raw)), ""},
		{"hex in upper case", webhooks.Key{Encoding: webhooks.EncodingHex}, strings.ToUpper(hex.EncodeToString([]byte(raw))), ""},
		{"base64", webhooks.Key{Encoding: webhooks.EncodingBase64}, base64.StdEncoding.EncodeToString([]byte(raw)), ""},
		{"prefixed", webhooks.Key{Prefix: "whsec_", Encoding: webhooks.EncodingBase64}, "whsec_" + base64.StdEncoding.EncodeToString([]byte(raw)), ""},
		{"prefix left out", webhooks.Key{Prefix: "whsec_", Encoding: webhooks.EncodingBase64}, base64.StdEncoding.EncodeToString([]byte(raw)), ""},
		{"bad base64", webhooks.Key{Prefix: "whsec_", Encoding: webhooks.EncodingBase64}, "whsec_%%%", webhook.ReasonBadSecret},
		{"nothing after the prefix", webhooks.Key{Prefix: "whsec_", Encoding: webhooks.EncodingBase64}, "whsec_", webhook.ReasonBadSecret},
		{"decodes to zeros", webhooks.Key{Encoding: webhooks.EncodingBase64}, "AAAAAAAA", webhook.ReasonBadSecret},
	} {
		w := plain()
		w.Verify[0].Key = tc.key
		e := mustCompile(t, w)
		r := request("X-Signature", hex.EncodeToString(sum(sha256.New, raw, "b")), "b")
		assertReason(t, tc.name, reason(t, e, r, tc.secret), tc.want)
	}
}

func TestURLSchemesUseTheConfiguredURL(t *testing.T) {
	t.Parallel()
	w := plain()
	w.Verify[0].Signed = "{url}{body}"
	e := mustCompile(t, w)
	r := request("X-Signature", hmacHex(key, "https://hawser.example/xb"), "b")
	assertReason(t, "the configured URL", reason(t, e, r, key), "")
	spoofed := request("X-Signature", hmacHex(key, "https://evil.example/xb"), "b")
	for _, header := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "X-Original-URL", "Host", "Forwarded"} {
		spoofed.Header.Set(header, "evil.example")
	}
	assertReason(t, "spoofed host", reason(t, e, spoofed, key), webhook.ReasonBadSignature)
}

func TestFormsAreSortedAndJoined(t *testing.T) {
	t.Parallel()
	w := plain()
	w.Verify[0].Signed = "{url}{form}"
	e := mustCompile(t, w)
	const address = "https://hawser.example/x"
	for _, tc := range []struct {
		kind, body, signed string
		want               webhook.Reason
	}{
		{"application/x-www-form-urlencoded", "b=2&a=1&c=%C3%A9+x", "a1b2cé x", ""},
		{"Application/X-WWW-Form-URLEncoded; charset=UTF-8", "b=2&a=1", "a1b2", ""},
		{"application/x-www-form-urlencoded", "a=2&a=1&a=2", "a1a2", ""},
		{"application/x-www-form-urlencoded", "", "", ""},
		{"", "", "", ""},
		{"application/x-www-form-urlencoded", "a=1&b=%zz", "a1", webhook.ReasonMissingContent},
		{"application/x-www-form-urlencoded", "a=1;b=2", "a1", webhook.ReasonMissingContent},
		{"application/json", `{"unsigned":true}`, "", webhook.ReasonMissingContent},
		{"", "a=1", "", webhook.ReasonMissingContent},
		{"text/plain, application/x-www-form-urlencoded", "a=1", "", webhook.ReasonMissingContent},
	} {
		r := request("X-Signature", hmacHex(key, address+tc.signed), tc.body)
		r.Header.Set("Content-Type", tc.kind)
		assertReason(t, fmt.Sprintf("%s %q", tc.kind, tc.body), reason(t, e, r, key), tc.want)
	}
}

func TestVariantsOfTheURL(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ ref, address, want string }{
		{"url", "https://h.example:8443/a?b=%40", "https://h.example:8443/a?b=%40"},
		{"url.noport", "https://h.example:8443/a?b=1", "https://h.example/a?b=1"},
		{"url.noport", "https://h.example/a", "https://h.example/a"},
		{"url.port", "https://h.example/a?b=1", "https://h.example:443/a?b=1"},
		{"url.port", "http://h.example/a", "http://h.example:80/a"},
		{"url.port", "https://h.example:8443/a", "https://h.example:8443/a"},
		{"url.noport", "https://[::1]:8443/a", "https://[::1]/a"},
		{"url.noport", "::not an address", "::not an address"},
		{"url.decoded", "https://h.example/a%2Fb?c=%40%3a%20%41", "https://h.example/a/b?c=@:%20%41"},
	} {
		w := plain()
		w.Verify[0].Signed = "{" + tc.ref + "}"
		r := request("X-Signature", hmacHex(key, tc.want), "")
		r.PublicURL = tc.address
		assertReason(t, fmt.Sprintf("{%s} of %s", tc.ref, tc.address), reason(t, mustCompile(t, w), r, key), "")
	}
}

func TestSignedPartsThatRepeatAreRefused(t *testing.T) {
	t.Parallel()
	w := plain()
	w.Verify[0].Signed = "{header.X-Id}.{query.a}.{body}"
	e := mustCompile(t, w)
	r := request("X-Signature", hmacHex(key, "1.2.b"), "b")
	r.Header.Set("X-Id", "1")
	r.Query = url.Values{"a": {"2"}}
	assertReason(t, "without repetition", reason(t, e, r, key), "")
	r.Header = http.Header{"X-Signature": r.Header["X-Signature"], "X-Id": {"1", "9"}}
	assertReason(t, "repeated header", reason(t, e, r, key), webhook.ReasonMissingContent)
	r.Header["X-Id"], r.Query = []string{"1"}, url.Values{"a": {"2", "9"}}
	assertReason(t, "repeated parameter", reason(t, e, r, key), webhook.ReasonMissingContent)
}

func TestEachElementNeedsItsOwnSignature(t *testing.T) {
	t.Parallel()
	w := plain()
	w.Verify[0].Each = "items"
	w.Verify[0].Signature = webhooks.Source{From: "each.sig"}
	w.Verify[0].Signed = "{each.a}:[{each.b}]"
	e := mustCompile(t, w)
	one, two := `{"a":1,"sig":"`+hmacHex(key, "1:")+`"}`, `{"a":"2","b":true,"sig":"`+hmacHex(key, "2:true")+`"}`
	for _, tc := range []struct {
		body string
		want webhook.Reason
	}{
		{`{"items":[` + one + `]}`, ""},
		{`{"items":[` + one + `,` + two + `]}`, ""},
		{`{"items":[` + one + `,{"a":3}]}`, webhook.ReasonMissingSignature},
		{`{"items":[` + one + `,` + strings.Replace(two, "true", "false", 1) + `]}`, webhook.ReasonBadSignature},
		{`{"items":[]}`, webhook.ReasonMissingSignature},
		{`{"items":{}}`, webhook.ReasonMissingSignature},
		{`{}`, webhook.ReasonMissingSignature},
		{`not JSON`, webhook.ReasonMissingSignature},
		{`{"items":[` + strings.TrimSuffix(strings.Repeat(one+",", 101), ",") + `]}`, webhook.ReasonMalformedSignature},
	} {
		assertReason(t, fmt.Sprintf("body %.80s", tc.body), reason(t, e, request("X", "y", tc.body), key), tc.want)
	}
}
