package app

import (
	"context"
	"fmt"
	"io"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// Run runs one of the mains inside another program, such as a test or a process with
// several roles. role is ingress, executor, refresher or hawser; args is the command line;
// own are the connectors of the role. When ctx ends, Run drains and returns the exit
// status. All output goes to out, from several goroutines; the line that begins with
// "hawser is ready" is written once the role serves.
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
