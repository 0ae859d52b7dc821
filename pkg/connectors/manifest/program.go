package manifest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/itchyny/gojq"

	"github.com/hawser-io/hawser/pkg/connectors"
)

// The bounds of one run of a jq program.
const (
	maxProgramTime   = time.Second
	maxProgramOutput = 8 << 20
	maxProgramSource = 16 << 10
)

// A program is a compiled jq program without access to files and the environment.
type program struct{ code *gojq.Code }

// compileProgram compiles a program; "" is nil.
func compileProgram(source string) (*program, error) {
	if source == "" {
		return nil, nil
	}
	if len(source) > maxProgramSource {
		return nil, fmt.Errorf("has more than %d bytes", maxProgramSource)
	}
	parsed, err := gojq.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("is not a jq program: %w", err)
	}
	code, err := gojq.Compile(parsed)
	if err != nil {
		return nil, fmt.Errorf("is not a jq program: %w", err)
	}
	return &program{code}, nil
}

// run returns the first value that the program yields for the input, which is of the types
// of encoding/json with json.Number; nil if it yields none.
func (p *program) run(ctx context.Context, input any) (any, error) {
	ctx, cancel := context.WithTimeout(ctx, maxProgramTime)
	defer cancel()
	value, ok := p.code.RunWithContext(ctx, input).Next()
	if !ok {
		return nil, nil
	}
	err, failed := value.(error)
	switch {
	case !failed:
		return value, nil
	case errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("did not end within %s", maxProgramTime)
	}
	if halt, ok := errors.AsType[*gojq.HaltError](err); ok && halt.Value() == nil {
		return nil, nil
	}
	// jq's own text quotes values of the reply.
	return nil, errors.New("is not a program for such an answer: jq stopped with an error")
}

// encode returns a program's value as JSON.
func encode(value any) (json.RawMessage, error) {
	text, err := gojq.Marshal(value)
	if err != nil {
		return nil, err
	}
	if len(text) > maxProgramOutput {
		return nil, fmt.Errorf("yields more than %d bytes", maxProgramOutput)
	}
	return text, nil
}

// outputError is the failure of a program of the definition.
func outputError(what string, err error) error {
	return connectors.Errorf(connectors.CodeConnectorActionOutputInvalid, "the answer of the provider does not fit the definition: %s %w", what, err)
}
