// Package app has the mains of Hawser's programs, for programs with connectors of their
// own:
//
//	func main() { os.Exit(app.Executor(myConnector())) }
//
//	app.go       the mains
//	settings.go  flags and environment, one struct
//	node.go      what every role is assembled from
//	role.go      ingress, executor, refresher: start, ready, drain
//	up.go        `hawser up`: all roles on an embedded server
//	datafolder.go keys and tokens of `hawser up`
//	command.go   the operator's commands
//	demo.go      `hawser demo`
//	probe.go     /healthz, /readyz, /metrics
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// Ingress is the main of an ingress program. It returns the exit status.
func Ingress(own ...connectors.Connector) int {
	return program{own: own}.main("ingress", &ingressCommand{})
}

// Executor is the main of an executor program that serves the given connectors.
func Executor(own ...connectors.Connector) int {
	return program{own: own}.main("executor", &executorCommand{})
}

// Refresher is the main of a refresher program.
func Refresher(own ...connectors.Connector) int {
	return program{own: own}.main("refresher", &refresherCommand{})
}

// Hawser is the main of the command `hawser`: `hawser up` and the operator's commands.
func Hawser(own ...connectors.Connector) int {
	return program{own: own}.main("hawser", &hawserCommands{})
}

// setGCPercent sets GOGC to 200 where the environment does not set it: 4 to 5 % less CPU
// for at most as much memory again as is in use.
func setGCPercent() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}

// program is one run of a program.
type program struct {
	own            []connectors.Connector
	flags          flagSet
	stdout, stderr io.Writer
}

func (p program) main(name string, commands any) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	p.stdout, p.stderr = os.Stdout, os.Stderr
	setGCPercent()
	return p.run(ctx, name, commands, os.Args[1:])
}

// run parses args and runs the command. It returns 0 for success, 1 for a failure, 2 for
// invalid arguments.
func (p program) run(ctx context.Context, name string, commands any, args []string) int {
	parser, err := kong.New(commands, kong.Name(name), kong.Description("Hawser connects a multi-tenant application to third-party providers."),
		kong.DefaultEnvars("HAWSER"), kong.Writers(p.stdout, p.stderr), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.Exit(func(status int) { panic(exitStatus(status)) }))
	if err != nil {
		fmt.Fprintf(p.stderr, "%s: %v\n", name, err)
		return 1
	}
	chosen, status, err := parse(parser, args)
	if err != nil {
		fmt.Fprintf(p.stderr, "%s: %v\n", name, err)
		return 2
	}
	if chosen == nil {
		return status
	}
	p.flags = setFlags(chosen)
	chosen.BindTo(ctx, (*context.Context)(nil))
	if err := chosen.Run(&p); err != nil {
		fmt.Fprintf(p.stderr, "%s: %s\n", name, withCause(err))
		return 1
	}
	return 0
}

// withCause returns the error's text with its cause, which API clients do not get.
func withCause(err error) string {
	if e, ok := errors.AsType[*connectors.Error](err); ok && e.Cause != nil {
		return err.Error() + " (" + withCause(e.Cause) + ")"
	}
	return err.Error()
}

// exitStatus is the panic by which the parser exits after help and version.
type exitStatus int

func parse(parser *kong.Kong, args []string) (chosen *kong.Context, status int, err error) {
	defer func() {
		if s, ok := recover().(exitStatus); ok {
			chosen, status, err = nil, int(s), nil
		}
	}()
	chosen, err = parser.Parse(args)
	return chosen, 0, err
}
