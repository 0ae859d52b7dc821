// Package hawser_test holds the import table of ARCHITECTURE.md: who may import
// whom, who may import NATS, and which names no folder may have.
package hawser_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/hawser-io/hawser/"

// table says what each room may import of ours; the longest matching room rules.
// "x/..." means x and everything below it. Tests are free.
var table = map[string][]string{
	"cmd":      {"pkg/app", "pkg/client", "pkg/connectors/..."},
	"examples": {"pkg/app", "pkg/client", "pkg/connectors/..."},

	"pkg/app":    {"internal/...", "pkg/...", "deployments/..."},
	"pkg/client": {"pkg/events", "pkg/connectors", "pkg/connectors/schema", "pkg/connectors/webhooks", "pkg/secret"},

	"internal/jsondoc": {}, "internal/golden": {},

	"internal/ingress":         {"internal/audit", "internal/queue", "internal/ingress/...", "internal/connectpage", "internal/console", "internal/oauth/flow", "internal/connection", "internal/records", "pkg/events", "pkg/connectors", "pkg/connectors/manifest"},
	"internal/ingress/api":     {"internal/audit", "internal/queue", "internal/natsmicro", "internal/ingress/receive", "internal/ingress/problem", "internal/oauth/flow", "internal/connection", "internal/records", "internal/safehttp", "pkg/events", "pkg/connectors", "pkg/connectors/schema", "pkg/secret", "pkg/connectors/manifest"},
	"internal/ingress/receive": {"internal/queue", "internal/ingress/problem", "internal/webhook", "internal/connection", "internal/records", "pkg/events", "pkg/connectors", "pkg/connectors/webhooks", "pkg/secret"},
	"internal/ingress/problem": {"pkg/events", "pkg/connectors", "pkg/connectors/schema"},
	"internal/connectpage":     {"internal/ingress/problem", "internal/oauth/flow", "internal/connection", "internal/records", "pkg/connectors", "pkg/connectors/schema"},
	"internal/console":         {},

	"internal/audit":             {"internal/queue", "pkg/events"},
	"internal/executor":          {"internal/executor/fairness", "internal/subscription", "internal/queue", "internal/natsmicro", "internal/oauth/token", "internal/webhook", "internal/connection", "internal/records", "internal/safehttp", "pkg/events", "pkg/connectors"},
	"internal/subscription":      {"internal/queue", "internal/natsmicro", "internal/connection", "internal/records", "pkg/connectors", "pkg/events", "pkg/secret"},
	"internal/executor/fairness": {"internal/queue", "pkg/events"},
	"internal/refresher":         {"internal/queue", "internal/natsmicro", "internal/oauth/token", "internal/records", "pkg/events", "pkg/connectors"},

	"internal/oauth":          {},
	"internal/oauth/flow":     {"internal/oauth/token", "internal/oauth/endpoint", "internal/connection", "internal/records", "pkg/connectors", "pkg/connectors/schema", "pkg/events", "pkg/secret"},
	"internal/oauth/token":    {"internal/oauth/endpoint", "internal/connection", "internal/records", "internal/queue", "internal/safehttp", "pkg/connectors", "pkg/events", "pkg/secret"},
	"internal/oauth/endpoint": {"internal/jsondoc", "internal/records", "internal/safehttp", "pkg/connectors", "pkg/events", "pkg/secret"},

	"internal/webhook": {"internal/jsondoc", "internal/connection", "internal/records", "internal/safehttp", "pkg/connectors", "pkg/connectors/schema", "pkg/connectors/webhooks", "pkg/events", "pkg/secret"},

	"internal/connection": {"internal/records", "pkg/kvstore", "pkg/crypto", "pkg/connectors", "pkg/connectors/schema", "pkg/connectors/webhooks", "pkg/events", "pkg/secret"},
	"internal/records":    {"pkg/kvstore", "pkg/crypto", "pkg/connectors", "pkg/connectors/schema", "pkg/connectors/webhooks", "pkg/events", "pkg/secret", "pkg/connectors/manifest"},

	"internal/queue": {"pkg/events"}, "internal/natsmicro": {"pkg/events"},

	"pkg/kvstore/natskv": {"pkg/kvstore"}, "pkg/kvstore/memkv": {"pkg/kvstore"}, "pkg/kvstore/kvtest": {"pkg/kvstore"},
	"pkg/connectors/catalog": {"pkg/connectors/..."},

	"pkg/events": {"pkg/secret"}, "pkg/kvstore": {}, "pkg/crypto": {"internal/jsondoc", "pkg/secret"}, "pkg/connectors": {"internal/jsondoc", "pkg/connectors/schema", "pkg/connectors/template", "pkg/connectors/webhooks", "pkg/secret"},
	"pkg/connectors/connectortest": {"pkg/connectors", "pkg/secret"}, "pkg/connectors/template": {}, "pkg/connectors/manifest": {"pkg/connectors", "pkg/connectors/schema", "pkg/connectors/template", "pkg/secret"},
	"pkg/connectors/schema": {"internal/jsondoc", "pkg/secret"}, "pkg/connectors/webhooks": {"pkg/connectors/schema", "pkg/secret"},
	"pkg/secret": {},

	"internal/safehttp": {}, "internal/embedded": {"pkg/secret"}, "internal/testenv": {"internal/...", "pkg/..."},
	"internal/demo": {"pkg/connectors", "pkg/connectors/schema", "pkg/connectors/webhooks", "pkg/secret"},
	"e2e":           {}, "deployments": {},
}

// natsUsers may import nats.go. Everyone else speaks pkg/events.
var natsUsers = []string{"pkg/events", "pkg/kvstore/natskv", "internal/queue", "internal/natsmicro", "pkg/client", "pkg/app", "internal/embedded", "internal/testenv"}

// emptyNames say nothing about what is behind them.
var emptyNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "base", "impl", "model", "models", "types", "manager"}

func TestImportsPointDown(t *testing.T) {
	t.Parallel()
	for file, imports := range goFiles(t) {
		room := roomOf(path.Dir(file))
		if room == "" {
			t.Errorf("%s lies in no room of the import table: give %s a row in layers_test.go and in ARCHITECTURE.md", file, path.Dir(file))
			continue
		}
		for _, imported := range imports {
			if ours, ok := strings.CutPrefix(imported, module); ok && !allowed(room, ours) {
				t.Errorf("%s imports %s, which the import table does not allow for %s: move the code to the room that owns it, or argue for the row in ARCHITECTURE.md", file, ours, room)
			}
			if strings.HasPrefix(imported, "github.com/nats-io/nats.go") && !slices.Contains(natsUsers, room) {
				t.Errorf("%s imports nats.go: speak through pkg/events, so that streams and headers have one owner", file)
			}
		}
	}
}

func TestNamesSaySomething(t *testing.T) {
	t.Parallel()
	for file := range goFiles(t) {
		for _, part := range strings.Split(strings.TrimSuffix(file, ".go"), "/") {
			if slices.Contains(emptyNames, part) {
				t.Errorf("%s: %q says nothing; name the idea", file, part)
			}
		}
	}
}

// providers are some whose quirks tempt: they belong into data, in the catalogue.
var providers = regexp.MustCompile(`(?i)\b(slack|stripe|shopify|atlassian|jira|confluence|hubspot|twilio|gitlab|zendesk|pagerduty|salesforce|intercom|sendgrid|dropbox|asana|airtable)\b`)

func TestProvidersAreNamedInTheCatalogueOnly(t *testing.T) {
	t.Parallel()
	for file := range goFiles(t) {
		if strings.HasPrefix(file, "pkg/connectors/catalog/") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(string(text), "\n") {
			if found := providers.FindString(line); found != "" {
				t.Errorf("%s:%d names %s: say what the quirk is, not whose it is", file, i+1, found)
			}
		}
	}
}

func allowed(room, imported string) bool {
	if imported == room || strings.HasPrefix(imported, room+"/") && table[imported] == nil {
		return true
	}
	for _, rule := range table[room] {
		if below, ok := strings.CutSuffix(rule, "/..."); ok && (imported == below || strings.HasPrefix(imported, below+"/")) || rule == imported {
			return true
		}
	}
	return false
}

func roomOf(dir string) string {
	for ; dir != "."; dir = path.Dir(dir) {
		if _, ok := table[dir]; ok {
			return dir
		}
	}
	return ""
}

// goFiles returns every Go file that is not a test, with its imports.
func goFiles(t *testing.T) map[string][]string {
	t.Helper()
	files := map[string][]string{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && name != "." {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || !strings.Contains(name, "/") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		imports := []string{}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			imports = append(imports, imported)
		}
		files[filepath.ToSlash(name)] = imports
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatal("no Go files were found: run the test from the repository's root")
	}
	return files
}
