package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/hawser-io/hawser/internal/audit"
)

type auditCommands struct {
	List   auditListCommand   `cmd:"" help:"The newest entries of the audit trail."`
	Verify auditVerifyCommand `cmd:"" help:"Check that no entry was removed or changed."`
	Export auditExportCommand `cmd:"" help:"Print all entries as JSON Lines, oldest first."`
}

type auditListCommand struct {
	apiClient
	listing
	Limit     int    `help:"How many, at most 200." default:"50"`
	Actor     string `help:"Those of one API token, by its name."`
	Operation string `help:"Those of one operation, for example connections.resolve."`
	Outcome   string `help:"started, done or refused."`
}

// Run prints the newest entries.
func (c *auditListCommand) Run(ctx context.Context, p *program) error {
	query := url.Values{"limit": {strconv.Itoa(c.Limit)}, "actor": {c.Actor}, "operation": {c.Operation}, "outcome": {c.Outcome}}
	var page struct{ Items []audit.Entry }
	if err := c.do(ctx, http.MethodGet, "/audit?"+query.Encode(), nil, &page); err != nil {
		return err
	}
	return c.print(p, page.Items, func(w *tabwriter.Writer) {
		for _, e := range page.Items {
			what := e.Connector
			if e.Scope != "" {
				what = e.Scope + "/" + e.Identity + " " + what
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s %d %s\t%s %s %s\n", e.Sequence, e.At.Format(time.RFC3339), e.Actor, e.Operation, e.Outcome, e.Status, e.Code, what, e.Name, e.ID)
		}
	})
}

type auditExportCommand struct{ apiClient }

// Run prints the entries as they are stored, which 'hawser audit verify FILE' can check later.
func (c *auditExportCommand) Run(ctx context.Context, p *program) error {
	_, err := c.export(ctx, p.stdout)
	return err
}

type auditVerifyCommand struct {
	apiClient
	listing
	File string `arg:"" optional:"" help:"An export. Default: the trail of a running installation." type:"path"`
}

// Run reports what was removed or changed; the exit status is 1 if anything was.
func (c *auditVerifyCommand) Run(ctx context.Context, p *program) error {
	var text bytes.Buffer
	var last uint64
	var err error
	if c.File != "" {
		var data []byte
		data, err = os.ReadFile(c.File)
		text.Write(data)
	} else {
		last, err = c.export(ctx, &text)
	}
	if err != nil {
		return err
	}
	report, err := audit.Verify(&text, last)
	if err != nil {
		return err
	}
	err = c.print(p, report, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "%d entries, from %d to %d\n", report.Entries, report.First, report.Last)
		if report.First > 1 {
			fmt.Fprintf(w, "entries before %d are not there: they made room for later ones, or were removed\n", report.First)
		}
		for _, problem := range report.Problems {
			fmt.Fprintln(w, problem)
		}
	})
	if err == nil && len(report.Problems) > 0 {
		err = errors.New("the audit trail was altered")
	}
	return err
}

// maxExport bounds an export, in bytes; the stream holds less.
const maxExport = 1 << 30

// export writes all entries to w. last is the sequence of the newest that was appended.
func (c *apiClient) export(ctx context.Context, w io.Writer) (last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	response, err := c.send(ctx, http.MethodGet, "/audit/export", nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		return 0, refused(response.StatusCode, answer)
	}
	if last, err = strconv.ParseUint(response.Header.Get("Hawser-Audit-Last"), 10, 64); err != nil {
		return 0, errors.New("the answer is not an export of the audit trail")
	}
	_, err = io.Copy(w, io.LimitReader(response.Body, maxExport))
	return last, err
}
