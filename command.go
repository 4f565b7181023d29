// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"regexp"
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

// A usageError is what is wrong with a command line.
type usageError string

func (e usageError) Error() string { return string(e) }

func usagef(format string, args ...any) error {
	return usageError(fmt.Sprintf(format, args...))
}

const usage = `Nearside personalizes a site at its edge, under the visitor's consent.

  nearside demo                        a small shop that shows everything, on 127.0.0.1:8080
  nearside serve                       the collector and edge node
  nearside site add ID --origin URL    a site with first rules; prints the snippet for its pages
  nearside site files ID DIR           the same as files to begin with, for check and apply
  nearside check DIR                   what is wrong with a site's files, and where
  nearside diff DIR                    what applying them would change
  nearside apply DIR                   publishes them, all or nothing
  nearside export --site ID DIR        what is live, written as files
  nearside eval                        decides sample visits by a site's files, without a node
  nearside module                      rule modules: check, upload, publish, roll back
  nearside token                       who may do what on a node
  nearside identity                    the keys by which a site says who has signed in
  nearside profiles                    what is held of a known person: show, erase
  nearside items                       a site's catalogue: import a feed, list, get, delete
  nearside replay DECISION             answers a recorded decision again, and says what it saw
  nearside consent                     consent strings: what they say, and what follows
  nearside sinks                       where events flow on to, and how it does
  nearside dead                        events that a sink could not take: list, show, replay, drop
  nearside keys                        the keys that visitors' states are sealed with: list, rotate, retire
  nearside erasure                     erases a person everywhere, and proves it
  nearside events                      stored events as JSON lines (--follow to go on)
  nearside events import FILE          events of other systems, from CSV or JSON lines
  nearside backup --to FILE            all that a node keeps, in one file, while it runs
  nearside restore --from FILE         a data directory made of it
  nearside doctor URL                  what a page's tag, policy, consent and slots lack, with the next step
  nearside health                      whether a node answers that it is ready
  nearside config                      check a node's settings, or print them with where each comes from
  nearside version                     the version

nearside COMMAND --help lists a command's settings. What configures a node can
also come from the environment: --geo.database from NEARSIDE_GEO_DATABASE, and
so on.
`

// commands are the words of the command line.
var commands = map[string]func(ctx context.Context, args []string, io stdio) error{
	"demo":     demoCommand,
	"serve":    serveCommand,
	"site":     siteCommand,
	"check":    siteCheckCommand,
	"diff":     diffCommand,
	"apply":    applyCommand,
	"export":   exportCommand,
	"eval":     evalCommand,
	"module":   moduleCommand,
	"token":    tokenCommand,
	"replay":   replayCommand,
	"consent":  consentCommand,
	"sinks":    sinksCommand,
	"dead":     deadCommand,
	"keys":     keysCommand,
	"erasure":  erasureCommand,
	"events":   eventsCommand,
	"backup":   backupCommand,
	"restore":  restoreCommand,
	"doctor":   doctorCommand,
	"health":   healthCommand,
	"config":   configCommand,
	"items":    itemsCommand,
	"identity": identityCommand,
	"profiles": profilesCommand,
	"version": func(_ context.Context, _ []string, io stdio) error {
		fmt.Fprintf(io.out, "nearside %s\n", version)
		return nil
	},
}

// command runs one command line and returns the exit code.
func command(ctx context.Context, args []string, io stdio) int {
	if len(args) == 0 || isHelp(args[0]) {
		fmt.Fprint(io.out, usage)
		return exitOK
	}
	run, ok := commands[args[0]]
	if !ok {
		fmt.Fprintf(io.err, "nearside: there is no command %q; nearside --help lists them\n", args[0])
		return exitUsage
	}
	err := run(ctx, args[1:], io)
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	fmt.Fprintf(io.err, "nearside %s: %v\n", args[0], err)
	if _, wrong := errors.AsType[usageError](err); wrong {
		fmt.Fprintf(io.err, "See nearside %s --help\n", args[0])
		return exitUsage
	}
	return exitError
}

func isHelp(word string) bool {
	return word == "help" || word == "--help" || word == "-help" || word == "-h"
}

func demoCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	cfg.Data = "nearside-data/demo"
	cfg.AdminAddr = "127.0.0.1:0"
	fs := cfg.flags("demo [settings]", io.out)
	public := fs.Bool("public", false, "allow an address that others can reach: the demo lets everybody play being somebody else")
	addOrigins(fs, &cfg.DemoOrigins, "another `URL` that the shop is reached at, with --public; may be given several times")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	if !*public && !loopback(cfg.Addr) {
		return usagef("--addr %s can be reached by others, and in the demo everybody may play being somebody else; add --public if that is meant", cfg.Addr)
	}
	io.warnOfStrays()
	cfg.Demo = true
	return run(ctx, cfg, cfg.logger(io.err), func(on listeners, secret string) {
		fmt.Fprintf(io.out, "The demo shop is open: %s/\nIts events: %s\n", on.base(), cfg.eventsLine())
		if on.admin != nil {
			fmt.Fprintf(io.out, "Its console: %s\n  sign in with %s\n", on.console(), secret)
		}
	})
}

// serveConfig is what the command line, the environment and the file say.
func serveConfig(args []string, out io.Writer) (Config, error) {
	cfg := defaults()
	fs := cfg.flags("serve [settings]", out)
	return cfg, cfg.parse(fs, args)
}

func serveCommand(ctx context.Context, args []string, io stdio) error {
	cfg, err := serveConfig(args, io.out)
	if err != nil {
		return err
	}
	cfg.again = func() (Config, error) { return serveConfig(args, io.out) }
	io.warnOfStrays()
	return run(ctx, cfg, cfg.logger(io.err), func(on listeners, _ string) {
		fmt.Fprintf(io.out, "nearside is ready on %s, data in %s\n", on.base(), cfg.Data)
		if on.admin != nil {
			fmt.Fprintf(io.out, "The console is on %s\n", on.console())
		}
	})
}

func (io stdio) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(io.err, &slog.HandlerOptions{Level: slog.LevelInfo}))
}

// warnOfStrays tells which variables of the environment do nothing.
func (io stdio) warnOfStrays() {
	if stray := strayVariables(environment()); len(stray) > 0 {
		fmt.Fprintf(io.err, "nearside: no setting is called %s; the environment's is ignored\n", strings.Join(stray, ", "))
	}
}

// help writes what a command takes.
func help(out io.Writer, fs *flag.FlagSet) {
	fmt.Fprintf(out, "Usage: nearside %s\n", fs.Name())
	settings, client := new(Config).settings(), new(Config).client()
	fs.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		words := strings.TrimSpace("--" + f.Name + " " + value)
		if settings.Lookup(f.Name) != nil || client.Lookup(f.Name) != nil {
			words += ", or " + variable(f.Name)
		}
		if f.DefValue != "" && f.DefValue != "false" {
			text += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(out, "\n  %s\n      %s\n", words, text)
	})
	fmt.Fprint(out, "\nThe command line goes before the environment, and that before a file.\n")
}

// flagName finds the flag in an error of package flag.
var flagName = regexp.MustCompile(`(flag|for|defined:|argument:) -([a-z])`)

// parse reads a command's flags and checks the settings. One plain argument for
// each of words must follow or stand between the flags; they are left in
// fs.Args.
func (c *Config) parse(fs *flag.FlagSet, args []string, words ...string) error {
	show := fs.Usage
	fs.Usage = func() {} // flag would call it for an error too
	var plain []string
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				show()
				return err
			}
			return usageError(flagName.ReplaceAllString(err.Error(), "$1 --$2"))
		}
		if fs.NArg() == 0 {
			break
		}
		plain, args = append(plain, fs.Arg(0)), fs.Args()[1:]
	}
	switch {
	case len(plain) > len(words):
		return usagef("argument %q is one too many", plain[len(words)])
	case len(plain) < len(words):
		return usagef("argument %s is missing", words[len(plain)])
	}
	if err := c.addFile(fs); err != nil {
		return err
	}
	// fs.Args must be the plain words, wherever they stood.
	return errors.Join(fs.Parse(append([]string{"--"}, plain...)), c.Validate())
}

// addOrigins adds the flag --origin, which may be given several times.
func addOrigins(fs *flag.FlagSet, origins *[]string, usage string) {
	fs.Func("origin", usage, func(s string) error {
		*origins = append(*origins, strings.TrimSuffix(s, "/")) // a copied address has it, an origin never
		return nil
	})
}

// split reads a comma-separated list as flags and the environment write it.
func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
