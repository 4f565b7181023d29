// SPDX-License-Identifier: Apache-2.0

// Command nearside runs the edge personalization engine: it serves a site's
// beacons and servers, shows the demo shop, adds a site, checks and publishes
// rule modules, hands out tokens, replays decisions, prints and imports events,
// and backs a node up. A node keeps everything below one data directory and calls
// nobody; only the sinks that its operator lists write files elsewhere and call
// the receivers of webhooks.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// version is the release's version, set when it is built.
var version = "dev"

func main() {
	if len(os.Args) > 1 && os.Args[1] == wasmrules.CompileCommand {
		os.Exit(wasmrules.CompileMain(os.Args[2:])) // a node's own, in a process with limits
	}
	os.Exit(command(untilSignal(), os.Args[1:], stdio{out: os.Stdout, err: os.Stderr}))
}

// untilSignal returns a context that ends with the first signal to stop. The
// second one ends the process at once, whatever it is doing, also when it comes
// right after somebody saw what the first one did.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		signal.Stop(signals)
		cancel()
	}()
	return ctx
}
