package webhooks_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

func TestURLPatternMatches(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, address string
		want             bool
	}{
		{"https://sns.*.example.com/S-*.pem", "https://sns.us-east-1.example.com/S-0a.b_c-D.pem", true},
		{"https://sns.*.example.com/S-*.pem", "https://SNS.us-east-1.Example.com/S-1.pem", true},
		{"https://sns.*.example.com/S-*.pem", "https://sns.a.example.com/S-.pem", false},
		{"https://sns.*.example.com/S-*.pem", "https://sns..example.com/S-1.pem", false},
		{"https://sns.*.example.com/S-*.pem", "https://sns.a.b.example.com/S-1.pem", false},
		{"https://sns.*.example.com/S-*.pem", "https://sns.a.example.com./S-1.pem", false},
		{"https://sns.*.example.com/S-*.pem", "https://sns.a.example.com.evil.com/S-1.pem", false},
		{"https://sns.*.example.com/S-*.pem", "https://evil.com/sns.a.example.com/S-1.pem", false},
		{"https://sns.*.example.com/S-*.pem", "https://sns.a.example.com@evil.com/S-1.pem", false},
		{"https://sns.*.example.com/S-*.pem", "https://u@sns.a.example.com/S-1.pem", false},
		{"https://sns.*.example.com/S-*.pem", "https://sns.a.example.com:443/S-1.pem", false},
		{"https://sns.*.example.com/S-*.pem", "http://sns.a.example.com/S-1.pem", false},
		{"https://sns.*.example.com/S-*.pem", "https://sns.a.example.com/S-1.pem?x", false},
		{"https://sns.*.example.com/S-*.pem", "https://sns.a.example.com/S-1.pem#x", false},
		{"https://sns.*.example.com/S-*.pem", "https://sns.a.example.com/x/S-1.pem", false},
		{"https://sns.*.example.com/S-*.pem", "https://sns.a.example.com/S-a/../b.pem", false},
		{"https://sns.*.example.com/S-*.pem", "https://sns.a.example.com/S-%2e.pem", false},
		{"https://sns.*.example.com/S-*.pem", `https://sns.a.example.com\S-1.pem`, false},
		{"https://sns.*.example.com/S-*.pem", "https://sns.a\u3002example.com/S-1.pem", false},
		{"https://sns.*.example.com/S-*.pem", "//sns.a.example.com/S-1.pem", false},
		{"https://sns.*.example.com/S-*.pem", "", false},
		{"https://sns.*.example.com/S-*.pem", "https://sns.a.example.com/S-" + strings.Repeat("a", 5000) + ".pem", false},
		{"https://a.example.com/?*", "https://a.example.com/?Action=x&T=1", true},
		{"https://a.example.com/?*", "https://a.example.com?Action=x", true},
		{"https://a.example.com/?*", "https://a.example.com/", true},
		{"https://a.example.com/?*", "https://a.example.com/x?Action=x", false},
		{"https://a.example.com", "https://a.example.com", true},
	} {
		p, err := webhooks.ParseURLPattern(tc.pattern)
		if err != nil {
			t.Fatalf("%s: %v", tc.pattern, err)
		}
		if got := p.Match(tc.address); got != tc.want {
			t.Errorf("%s matches %.80q: %v, want %v", tc.pattern, tc.address, got, tc.want)
		}
	}
	if (webhooks.URLPattern{}).Match("https://a.example.com/") {
		t.Error("the zero pattern matches")
	}
}

func TestParseURLPatternRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "https://", "http://a.example.com/", "a.example.com/x", "https://localhost/", "https://*.com/", "https://a.*/", "https://a.*m/x",
		"https://a.**.example.com/", "https://u@a.example.com/", "https://a.example.com:8443/", "https://a.example.com/x?y", "https://a.example.com/x#y",
		"https://a.example.com/%2e", "https://a.example.com/*x*", "https://a..com/", "https://[::1]/",
	} {
		if p, err := webhooks.ParseURLPattern(text); err == nil {
			t.Errorf("%q is read as %v", text, p)
		}
	}
}

func FuzzURLPattern(f *testing.F) {
	f.Add("https://sns.*.example.com/S-*.pem", "https://sns.a.example.com/S-1.pem")
	f.Add("https://a.example.com/?*", "https://a.example.com\\@evil.com/?x")
	f.Fuzz(func(t *testing.T, pattern, address string) {
		p, err := webhooks.ParseURLPattern(pattern)
		if err != nil || !p.Match(address) {
			return
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatalf("%q matches and is no address", address)
		}
		labels := strings.Split(strings.ToLower(strings.SplitN(strings.TrimPrefix(pattern, "https://"), "/", 2)[0]), ".")
		domain := strings.Join(labels[len(labels)-2:], ".")
		if host := strings.ToLower(u.Host); u.Scheme != "https" || host != domain && !strings.HasSuffix(host, "."+domain) {
			t.Errorf("%q matches %q, which lies outside of %s", pattern, address, domain)
		}
	})
}
