package connectors_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// FuzzParseDefinition: no panic, and what parses is written as the same bytes
// from then on.
func FuzzParseDefinition(f *testing.F) {
	f.Add(string(mustDefine(f, registered(f, chat()))))
	f.Add(`{"format":2,"key":"a","version":"1.0.0","config":{"type":"object"},"default_config":{"a":[1]},"base_url":"https://a.example","auth":{"kind":"oauth2","oauth2":{"authorization_url":"https://a.example","token_url":"https://b.example"}},"actions":{"x":{"input":true,"output_schema":false,"timeout":"1s","request":{"path":"/x"}}}}`)
	f.Fuzz(func(t *testing.T, doc string) {
		c, err := connectors.ParseDefinition([]byte(doc))
		if err != nil {
			return
		}
		once := mustDefine(t, c)
		again, err := connectors.ParseDefinition(once)
		if err != nil {
			t.Fatalf("%s does not parse again: %v", once, err)
		}
		if twice := mustDefine(t, again); !bytes.Equal(once, twice) {
			t.Errorf("%s\nis then\n%s", once, twice)
		}
		if _, err := c.Resolve(c.DefaultConfig); err != nil && !errors.Is(err, &connectors.Error{Code: connectors.CodeConnectorConfigInvalid}) {
			t.Errorf("Resolve = %v", err)
		}
	})
}

// FuzzTemplates: whatever templates and values say, a header holds no control
// characters, and a value cannot move the base URL to another host or up its path.
func FuzzTemplates(f *testing.F) {
	for _, template := range []string{"${config.v}", "Bearer ${config.v}", "${config.v}${config.v}", "$", "${", "${config.", "${config.}", "${config.v.w}", "$${config.v}}", "${x}", "a}b"} {
		for _, value := range []string{"", "x", "a b", "a\nb", "evil.example/", "evil.example#", "a@b", "..", "%2f", "1:2", "ä", "a..b", "a.", "\\", "[::1]", "evil.example:80"} {
			f.Add(template, value)
		}
	}
	f.Fuzz(func(t *testing.T, template, value string) {
		config, err := json.Marshal(map[string]string{"v": value})
		if err != nil {
			t.Fatal(err)
		}
		c := connectors.Connector{BaseURL: "https://${config.v}.a.example/x/${config.v}/y", Auth: connectors.Auth{Headers: map[string]string{"X": template}}}
		header := c
		header.BaseURL = ""
		if rt, err := header.Resolve(config); err == nil {
			got := rt.Headers["X"].Reveal()
			if strings.ContainsFunc(strings.ReplaceAll(got, template, ""), func(r rune) bool { return r < ' ' || r == 0x7f }) && !strings.ContainsFunc(template, func(r rune) bool { return r < ' ' || r == 0x7f }) {
				t.Errorf("template %q, value %q: header %q", template, value, got)
			}
		}
		rt, err := c.Resolve(config)
		if err != nil {
			return
		}
		u, err := url.Parse(rt.BaseURL)
		if err != nil || u.Scheme != "https" || !strings.HasSuffix(u.Host, ".a.example") || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			t.Fatalf("value %q: base URL %q (%v)", value, rt.BaseURL, err)
		}
		if clean := path.Clean(u.EscapedPath()); clean != u.EscapedPath() || strings.Count(clean, "/") != 3 {
			t.Errorf("value %q: path %q", value, u.EscapedPath())
		}
		if c.BaseURL = template; c.BaseURL != "" {
			if rt, err := c.Resolve(config); err == nil && !strings.HasPrefix(rt.BaseURL, "http") && !strings.HasPrefix(rt.BaseURL, "HTTP") {
				t.Errorf("template %q, value %q: base URL %q", template, value, rt.BaseURL)
			}
		}
	})
}

// Whatever template is registered with the operator's client, and whatever is typed: the
// secret stays in one domain.
func FuzzHostsOfTheOperatorsSecret(f *testing.F) {
	for _, template := range []string{
		"https://${config.v}.x.example/token", "https://${config.v}/token", "${config.v}", "${config.v}.x.example", "https://${config.v}x.example", "https://a.${config.v}.${config.v}.x.example:8443",
		"https://x.example/${config.v}", "https://x.example:${config.v}/", "https://${config.v}.x.example:${config.v}/", "https://[${config.v}]/", "https://${config.v}.x.example\\", "https://u@${config.v}.x.example",
	} {
		for _, value := range []string{"x", "evil.example/", "evil.example", "evil.example:80", "evil.example:80:", "a@b", "..", "%2f", "1", "https://evil.example", "\\", "?", "#", "[::1]"} {
			f.Add(template, value)
		}
	}
	schema := mustSchema(f, `{"type":"object","properties":{"v":{"type":"string"}},"additionalProperties":false}`)
	f.Fuzz(func(t *testing.T, template, value string) {
		c := connectors.Connector{Key: "x", BaseURL: "https://x.example", Config: schema, Auth: connectors.Auth{Kind: connectors.AuthOAuth2, OAuth2: &connectors.OAuth2{
			AuthorizationURL: "https://x.example/authorize", TokenURL: template,
		}}}
		if connectors.NewRegistry().Register(c) != nil {
			return
		}
		domain := func(value string) string {
			config, err := json.Marshal(map[string]string{"v": value})
			if err != nil {
				t.Fatal(err)
			}
			urls, err := c.OAuthEndpoints(config)
			if err != nil {
				return ""
			}
			u, err := url.Parse(urls.Token)
			if err != nil {
				t.Fatalf("template %q, value %q: %q: %v", template, value, urls.Token, err)
			}
			if names := strings.Split(u.Hostname(), "."); strings.Contains(template, "${") && len(names) > 2 {
				return strings.Join(names[len(names)-2:], ".")
			}
			return u.Hostname()
		}
		if plain, got := domain("a"), domain(value); plain != "" && got != "" && got != plain {
			t.Errorf("template %q: the value %q leads to %q, and a plain one to %q", template, value, got, plain)
		}
	})
}
