// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// stdio is where a command writes: results to out, everything else to err.
type stdio struct{ out, err io.Writer }

// Exit codes.
const (
	exitOK    = 0
	exitError = 1 // the command could not do its work
	exitUsage = 2 // the command line is wrong
)

// errUsage reports a command line that is wrong in a way flag does not see.
var errUsage = errors.New("usage")

const usage = `Nearside personalizes a site at its edge, under the visitor's consent.

  nearside demo                        a small shop that shows everything, on 127.0.0.1:8080
  nearside serve                       the collector and edge node
  nearside site add ID --origin URL    a site with a first rule; prints the snippet for its pages
  nearside events                      stored events as JSON lines (--follow to go on)
  nearside health                      whether a node answers that it is ready
  nearside version                     the version

nearside COMMAND --help lists a command's settings. Every setting can also come
from the environment: --geo.database from NEARSIDE_GEO_DATABASE, and so on.
`

// commands are the words of the command line.
var commands = map[string]func(ctx context.Context, args []string, io stdio) error{
	"demo":   demoCommand,
	"serve":  serveCommand,
	"site":   siteCommand,
	"events": eventsCommand,
	"health": healthCommand,
	"version": func(_ context.Context, _ []string, io stdio) error {
		fmt.Fprintf(io.out, "nearside %s\n", version)
		return nil
	},
}

// command runs one command line and returns the exit code.
func command(ctx context.Context, args []string, io stdio) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		fmt.Fprint(io.out, usage)
		return exitOK
	}
	run, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(io.err, "nearside: there is no command %q; nearside --help lists them\n", args[0])
		return exitUsage
	}
	switch err := run(ctx, args[1:], io); {
	case err == nil, errors.Is(err, context.Canceled):
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprintf(io.err, "nearside %s: %v\n", args[0], err)
		return exitUsage
	default:
		fmt.Fprintf(io.err, "nearside %s: %v\n", args[0], err)
		return exitError
	}
}

func demoCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	cfg.Data = "nearside-data/demo"
	fs := cfg.flags("demo", io.err)
	public := fs.Bool("public", false, "allow an address that others can reach: the demo lets everybody play being somebody else")
	fs.Func("origin", "another `URL` that the shop is reached at, with --public; may be given several times", func(s string) error {
		cfg.DemoOrigins = append(cfg.DemoOrigins, s)
		return nil
	})
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	if !*public && !loopback(cfg.Addr) {
		return fmt.Errorf("%w: --addr %s can be reached by others, and in the demo everybody may play being somebody else; add --public if that is meant", errUsage, cfg.Addr)
	}
	cfg.Demo = true
	return run(ctx, cfg, io.logger(), func(base string) {
		fmt.Fprintf(io.out, "The demo shop is open: %s/\nIts events: nearside events --data %s\n", base, cfg.Data)
	})
}

func serveCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("serve", io.err)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if err := cfg.Validate(); err != nil {
		return err
	}
	return run(ctx, cfg, io.logger(), func(base string) {
		fmt.Fprintf(io.out, "nearside is ready on %s, data in %s\n", base, cfg.Data)
	})
}

func (io stdio) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// parse reads the flags; exactly words other arguments must follow or stand
// between them, and are left in fs.Args.
func parse(fs *flag.FlagSet, args []string, words int) error {
	var plain []string
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return err
			}
			return fmt.Errorf("%w: %v", errUsage, err)
		}
		if fs.NArg() == 0 {
			break
		}
		plain, args = append(plain, fs.Arg(0)), fs.Args()[1:]
	}
	if len(plain) != words {
		return fmt.Errorf("%w: %d arguments, want %d; see nearside %s --help", errUsage, len(plain), words, fs.Name())
	}
	// fs.Args must be the plain words, wherever they stood.
	return fs.Parse(append([]string{"--"}, plain...))
}

// split reads a comma-separated list as flags and the environment write it.
func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
