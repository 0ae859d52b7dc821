package audit_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/hawser-io/hawser/internal/audit"
	"github.com/hawser-io/hawser/internal/queue"
	"github.com/hawser-io/hawser/internal/testenv"
)

func TestMain(m *testing.M) { testenv.VerifyNoLeaks(m) }

func start(t *testing.T) (*queue.Queue, *audit.Trail) {
	t.Helper()
	q := testenv.QueueOn(t, testenv.Start(t, nil).Conn(t))
	testenv.EnsureQueue(t, q, queue.Topology{})
	return q, audit.New(q)
}

func export(t *testing.T, trail *audit.Trail) (lines []string, last uint64) {
	t.Helper()
	testenv.Must(t, trail.Export(t.Context(), func(data []byte) bool {
		lines = append(lines, string(data))
		return true
	}))
	last, err := trail.Last(t.Context())
	testenv.Must(t, err)
	return lines, last
}

func verify(t *testing.T, lines []string, last uint64) audit.Report {
	t.Helper()
	report, err := audit.Verify(strings.NewReader(strings.Join(lines, "\n")), last)
	testenv.Must(t, err)
	return report
}

func TestEntriesOfManyProcessesAreOneChain(t *testing.T) {
	t.Parallel()
	q, first := start(t)
	var g errgroup.Group
	for _, trail := range []*audit.Trail{first, audit.New(q), audit.New(q)} {
		for i := range 20 {
			g.Go(func() error {
				return trail.Append(t.Context(), audit.Entry{Actor: "x", Operation: fmt.Sprint("op", i), Outcome: audit.Done})
			})
		}
	}
	testenv.Must(t, g.Wait())
	lines, last := export(t, first)
	if report := verify(t, lines, last); report.Entries != 60 || report.First != 1 || report.Last != 60 || report.Problems != nil {
		t.Errorf("%+v", report)
	}
}

func TestWhatIsRemovedOrChangedIsFound(t *testing.T) {
	t.Parallel()
	_, trail := start(t)
	for i := range 5 {
		testenv.Must(t, trail.Append(t.Context(), audit.Entry{Actor: fmt.Sprint("actor", i), Operation: "x", Outcome: audit.Done}))
	}
	lines, last := export(t, trail)
	for name, change := range map[string]func([]string) []string{
		"removed":          func(l []string) []string { return slices.Delete(l, 2, 3) },
		"removed last":     func(l []string) []string { return l[:4] },
		"removed all":      func([]string) []string { return nil },
		"changed":          func(l []string) []string { l[2] = strings.Replace(l[2], "actor2", "actor9", 1); return l },
		"changed first":    func(l []string) []string { l[0] = strings.Replace(l[0], "actor0", "actor9", 1); return l },
		"a space more":     func(l []string) []string { l[1] = l[1] + " "; return l },
		"order":            func(l []string) []string { l[1], l[2] = l[2], l[1]; return l },
		"replaced by text": func(l []string) []string { l[3] = "x"; return l },
	} {
		if report := verify(t, change(slices.Clone(lines)), last); len(report.Problems) == 0 {
			t.Errorf("%s: not found: %+v", name, report)
		}
	}
}

func TestAnEntryRemovedFromTheStreamIsFoundAndTheTrailGoesOn(t *testing.T) {
	t.Parallel()
	q, trail := start(t)
	for range 4 {
		testenv.Must(t, trail.Append(t.Context(), audit.Entry{Operation: "x", Outcome: audit.Done}))
	}
	for _, removed := range []uint64{2, 4} {
		testenv.Must(t, q.Streams.Remove(t.Context(), queue.Audit, removed))
	}
	after := audit.New(q) // another process, which does not know the entry that is gone
	testenv.Must(t, after.Append(t.Context(), audit.Entry{Operation: "x", Outcome: audit.Done}))
	lines, last := export(t, after)
	if report := verify(t, lines, last); len(report.Problems) != 2 || report.Last != 5 {
		t.Errorf("%+v", report)
	}
	found, next, err := after.Before(t.Context(), 0, 2, func(audit.Entry) bool { return true })
	if err != nil || len(found) != 2 || found[0].Sequence != 5 || next == 0 {
		t.Errorf("%+v %d %v", found, next, err)
	}
	if found, next, err = after.Before(t.Context(), next, 2, func(audit.Entry) bool { return true }); err != nil || len(found) != 1 || found[0].Sequence != 1 || next != 0 {
		t.Errorf("the rest: %+v %d %v", found, next, err)
	}
}

func TestRefusedAttemptsDoNotFillTheTrail(t *testing.T) {
	t.Parallel()
	_, trail := start(t)
	for range 400 {
		testenv.Must(t, trail.Refuse(t.Context(), audit.Entry{Operation: "x"}))
	}
	lines, _ := export(t, trail)
	if len(lines) < 200 || len(lines) >= 400 {
		t.Errorf("%d entries of 400 attempts", len(lines))
	}
	if !bytes.Contains([]byte(lines[0]), []byte(`"outcome":"refused"`)) {
		t.Errorf("%s", lines[0])
	}
}
