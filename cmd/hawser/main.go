// Command hawser: see `hawser --help`.
package main

import (
	"os"

	"github.com/hawser-io/hawser/pkg/app"
)

func main() { os.Exit(app.Hawser()) }
