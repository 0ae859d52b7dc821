package catalog_test

import (
	"flag"
	"fmt"
	"html"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hawser-io/hawser/pkg/connectors/catalog"
	"github.com/hawser-io/hawser/pkg/connectors/webhooks"
)

var update = flag.Bool("update", false, "write the table of docs/webhooks.md anew")

// kinds are what a vector can rest on, the best first. Evidence begins with
// one of the patterns; behind it stands what in particular, for a reader.
var kinds = []struct {
	name    string
	pattern *regexp.Regexp
}{
	{"published vector", regexp.MustCompile(`^published: `)},
	{"the provider's library", regexp.MustCompile(`^` + library.String())},
	{"the provider's own code", regexp.MustCompile(`^accepted by the code of the provider's (documentation|samples)`)},
	{"nothing to compute", regexp.MustCompile(`^documented (equality|as unsigned), nothing to compute`)},
	// For want of the others: says what was looked at, and what is not there.
	{"computed", regexp.MustCompile(`^computed: .{40}`)},
}

// library is a package, at the version that testdata/vendors pins.
var library = regexp.MustCompile(`(?:signed|accepted) by (\S+) (\d[\w.-]*\w)`)

// kind is the place of the vector's evidence in kinds, or -1.
func (v *vector) kind() int {
	for i, k := range kinds {
		if k.pattern.MatchString(v.Evidence) {
			return i
		}
	}
	return -1
}

func TestEveryVectorNamesItsEvidence(t *testing.T) {
	t.Parallel()
	for i, v := range vectors(t) {
		if v.kind() < 0 {
			t.Errorf("vector %d (%s): evidence = %q, want one that begins as kinds says", i, v.Provider, v.Evidence)
		}
		if !strings.HasPrefix(v.Source, "https://") {
			t.Errorf("vector %d (%s): source = %q, want the address of what its evidence names", i, v.Provider, v.Source)
		}
	}
}

// What a library says can be asked again: testdata/vendors/accept.mjs and
// accept_test.go do, with the versions that stand there.
func TestEveryLibraryThatIsEvidenceIsPinned(t *testing.T) {
	t.Parallel()
	var pinned string
	for _, file := range []string{"package.json", "go.mod"} {
		text, err := os.ReadFile("testdata/vendors/" + file)
		if err != nil {
			t.Fatal(err)
		}
		pinned += string(text)
	}
	for _, v := range vectors(t) {
		for _, m := range library.FindAllStringSubmatch(v.Evidence, -1) {
			npm, module := fmt.Sprintf("%q: %q", m[1], m[2]), fmt.Sprintf("/%s v%s\n", m[1], m[2])
			if !strings.Contains(pinned, npm) && !strings.Contains(pinned, module) {
				t.Errorf("%s: %s %s is not in testdata/vendors: pin it there, and have it asked", v.Provider, m[1], m[2])
			}
		}
	}
}

func TestTheTableOfEvidenceMatchesTheVectors(t *testing.T) {
	t.Parallel()
	const page, head = "../../../docs/webhooks.md", "| scheme |"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	prose, got, ok := strings.Cut(string(text), head)
	if !ok {
		t.Fatalf("%s has no line that begins with %q", page, head)
	}
	want := evidenceTable(t)
	if *update {
		if err := os.WriteFile(page, []byte(prose+want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, head+got); diff != "" {
		t.Errorf("%s (-want +got; rewrite with -update):\n%s", page, diff)
	}
}

func evidenceTable(t *testing.T) string {
	t.Helper()
	rows := map[string][]string{} // scheme → evidence, as it comes
	best := map[string]int{}      // scheme → place in kinds
	for _, v := range vectors(t) {
		row := fmt.Sprintf("[%s](%s)", v.Evidence, v.Source)
		if slices.Contains(rows[v.Provider], row) {
			continue
		}
		if b, ok := best[v.Provider]; !ok || v.kind() < b {
			best[v.Provider] = v.kind()
		}
		rows[v.Provider] = append(rows[v.Provider], row)
	}
	var b strings.Builder
	b.WriteString("| scheme | rests on | vectors | a delivery is answered |\n| --- | --- | --- | --- |\n")
	for _, scheme := range slices.Sorted(maps.Keys(rows)) {
		kind := "nothing"
		if best[scheme] >= 0 {
			kind = kinds[best[scheme]].name
		}
		w, _ := catalog.Webhook(scheme)
		fmt.Fprintf(&b, "| [%s](%s) | %s | %s | %s |\n", scheme, w.Source, kind, strings.Join(rows[scheme], "<br>"), answered(w.Answer))
	}
	return b.String()
}

func answered(a webhooks.Answer) string {
	if a == (webhooks.Answer{}) {
		return "202"
	}
	text := fmt.Sprintf("%d %s", a.Status, html.EscapeString(a.Body))
	if a.Source == "" {
		return text + "(which statuses count was not found)"
	}
	return fmt.Sprintf("[%s](%s)", strings.TrimSpace(text), a.Source)
}
