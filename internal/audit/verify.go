package audit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Report is what [Verify] has found.
type Report struct {
	Entries int    `json:"entries"`
	First   uint64 `json:"first"` // sequence; above 1, earlier entries made room for later ones, or were removed
	Last    uint64 `json:"last"`
	// Problems are entries that were removed or changed, at most 100.
	Problems []string `json:"problems,omitempty"`
}

const (
	maxProblems = 100
	maxEntry    = 1 << 20
)

// Verify checks an export: JSON Lines, one entry a line, each exactly as it is stored. last
// is the sequence of the newest entry that was appended, 0 if that is not known: without it,
// entries that were removed at the end do not show.
func Verify(export io.Reader, last uint64) (Report, error) {
	var r Report
	problem := func(format string, args ...any) {
		if len(r.Problems) < maxProblems {
			r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
		}
	}
	lines := bufio.NewScanner(export)
	lines.Buffer(nil, maxEntry)
	hash := ""
	for lines.Scan() {
		var e Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			problem("what follows entry %d is not an entry", r.Last)
			continue
		}
		switch {
		case r.Entries == 0:
			r.First = e.Sequence
		case e.Sequence != r.Last+1:
			problem("after entry %d comes entry %d: what was between is removed", r.Last, e.Sequence)
		case e.Previous != hash:
			problem("entry %d was changed, or entry %d: its hash is not the one that was noted", r.Last, e.Sequence)
		}
		if e.Sequence == 1 && e.Previous != "" {
			problem("entry 1 was changed: nothing was before it")
		}
		r.Entries, r.Last, hash = r.Entries+1, e.Sequence, Hash(lines.Bytes())
	}
	if last > r.Last {
		problem("entry %d is the newest, and %d were appended: what follows it is removed", r.Last, last)
	}
	return r, lines.Err()
}
