package app

import (
	"context"
	"fmt"
	"io"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// Run is one of the mains inside another program: a test, or a process that
// plays several roles. role is ingress, executor, refresher or hawser, args what
// the command line would be, and own the connectors that the role brings. It
// returns the exit status: after the drain, once ctx ends. Everything that the
// role writes goes to out, from several goroutines; the line that begins with
// "hawser is ready" tells when it serves.
func Run(ctx context.Context, role string, args []string, out io.Writer, own ...connectors.Connector) int {
	commands, known := map[string]any{
		"ingress": &ingressCommand{}, "executor": &executorCommand{}, "refresher": &refresherCommand{}, "hawser": &hawserCommands{},
	}[role]
	if !known {
		fmt.Fprintf(out, "no role %q: ingress, executor, refresher and hawser are the roles\n", role)
		return 2
	}
	return program{own: own, stdout: out, stderr: out}.run(ctx, role, commands, args)
}
