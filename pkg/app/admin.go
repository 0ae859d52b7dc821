package app

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/hawser-io/hawser/pkg/crypto"
)

type keysCommands struct {
	Create keysCreateCommand `cmd:"" help:"Make a new keyset, for the roles of a NATS system of your own."`
}

type keysCreateCommand struct {
	File string `arg:"" help:"The new file." type:"path"`
}

// Run writes a new keyset. It replaces no file: records that are sealed with the old
// keyset could not be opened any more.
func (c *keysCreateCommand) Run(p *program) error {
	text, err := crypto.NewKeyset()
	if err != nil {
		return err
	}
	err = crypto.SaveKeyset(c.File, text, nil)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists, and a keyset replaces no file, since records sealed with another could not be opened: give another name", c.File)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stderr, "hawser: made %s; give it to every role, and keep it: without it no record can be opened\n", c.File)
	return err
}
