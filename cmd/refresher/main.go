// Command refresher: see `refresher --help`.
package main

import (
	"os"

	"github.com/hawser-io/hawser/pkg/app"
)

func main() { os.Exit(app.Refresher()) }
