// SPDX-License-Identifier: Apache-2.0

// Command nearside runs the edge personalization engine: it serves a site's
// beacons, shows the demo shop, adds a site, and prints stored events. It
// keeps everything below one data directory and calls nobody.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is the release's version, set when it is built.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := command(ctx, os.Args[1:], stdio{out: os.Stdout, err: os.Stderr})
	stop()
	os.Exit(code)
}
