package app

import (
	"context"
	"errors"
)

type demoCommand struct{}

func (demoCommand) Run(context.Context, *program) error { return errors.New("not yet") }
