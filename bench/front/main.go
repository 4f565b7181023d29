// SPDX-License-Identifier: Apache-2.0

// Command front measures whole requests: the node's front door beside a bare
// server and beside what else one might run.
//
//	go run . bench    ratios of one run, turn by turn, then latency at half load
//	go run . soak     ten minutes at four fifths of the limit, and what was kept
//
// The server that is measured has one core and the client another. Every server of
// a run gets the same visitors; answers are looked at, and a wrong one ends the
// run. docs/BENCHMARKS.md says what stands beside what, and what the figures do
// not say.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) == 3 {
		if serve, ok := peers[os.Args[1]]; ok {
			fmt.Fprintln(os.Stderr, serve(os.Args[2]))
			os.Exit(1)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "front:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	what := ""
	if len(args) > 0 {
		what, args = args[0], args[1:]
	}
	fs := flag.NewFlagSet(what, flag.ContinueOnError)
	conns := fs.Int("conns", 256, "`connections` of the client")
	visitors := fs.Int("visitors", 8192, "different `visitors`")
	dir := fs.String("dir", "", "`folder` for data, on the disk to measure (default a temporary one, removed afterwards)")
	program := fs.String("nearside", "", "`program` to measure (default the sources here, built as they are shipped)")
	before := fs.String("before", "", "another `program`, to which ours are compared too, as in decide/decide-before")
	profile := fs.String("profile", "", "`file` to write our node's CPU profile of the turns to")
	turns := fs.Int("turns", 9, "`pairs` of turns of each comparison")
	length := fs.Duration("turn", time.Second, "`duration` of a turn")
	tries := fs.Int("tries", 4, "`times` a turn is run while other processes disturb it")
	only := fs.String("only", "", "`expression` that the comparisons to run match, like decide/raw")
	soak := fs.Duration("for", 10*time.Minute, "`duration` of the soak")
	open := fs.Duration("open", 10*time.Second, "`duration` at half load; 0 for none")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *dir == "" {
		made, err := os.MkdirTemp("", "nearside-bench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(made)
		*dir = made
	}
	switch what {
	case "bench":
		o := benchOptions{program: *program, before: *before, profile: *profile, turns: *turns, conns: *conns, tries: *tries, visitors: *visitors, turn: *length, open: *open, only: *only}
		return runBench(ctx, *dir, o, os.Stdout)
	case "soak":
		return runSoak(ctx, *dir, soakOptions{program: *program, conns: *conns, visitors: *visitors, length: *soak}, os.Stdout)
	default:
		return fmt.Errorf("say bench or soak, not %q", what)
	}
}
