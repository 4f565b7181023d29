// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nearside/nearside/edge"
)

const (
	sinksLine = "sinks status | check FILE | drop NAME [settings]"
	deadLine  = "dead list | show SITE ID | replay SITE ID | drop SITE ID [settings]"
)

// sinksCommand tells how sinks do.
func sinksCommand(ctx context.Context, args []string, io stdio) error {
	return wordOf(ctx, args, io, sinksLine, map[string]subcommand{
		"status": sinksStatusCommand, "check": sinksCheckCommand, "drop": sinksDropCommand,
	})
}

// deadCommand tells of events that a sink could not take.
func deadCommand(ctx context.Context, args []string, io stdio) error {
	return wordOf(ctx, args, io, deadLine, map[string]subcommand{
		"list": deadListCommand, "show": deadShowCommand, "replay": deadReplayCommand, "drop": deadDropCommand,
	})
}

// A subcommand is one word of a command.
type subcommand func(ctx context.Context, args []string, io stdio) error

// wordOf runs the word that a command line begins with.
func wordOf(ctx context.Context, args []string, io stdio, line string, words map[string]subcommand) error {
	switch {
	case len(args) > 0 && isHelp(args[0]):
		name, _, _ := strings.Cut(line, " ")
		fmt.Fprintf(io.out, "Usage: nearside %s\n\nnearside %s WORD --help lists the settings.\n", line, name)
		return nil
	case len(args) == 0 || words[args[0]] == nil:
		return usagef("want nearside %s", line)
	}
	return words[args[0]](ctx, args[1:], io)
}

func sinksStatusCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("sinks status [settings]", io.out, clientSettings...)
	asJSON := fs.Bool("json", false, "print the API's answer as JSON")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	var all []edge.SinkStatus
	if err := callNode(ctx, &cfg, io, apiRequest{method: http.MethodGet, path: "/v1/sinks"}, &all); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(io, all)
	}
	t := &table{tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)}
	t.row("SINK", "KIND", "STATE", "BACKLOG", "OLDEST", "WRITTEN", "SKIPPED", "DEAD", "LOST", "FORGETTING", "PROBLEM")
	for i := range all {
		s := &all[i]
		skipped := uint64(0)
		for _, n := range s.Skipped {
			skipped += n
		}
		age := ""
		if !s.Oldest.IsZero() {
			age = time.Since(s.Oldest).Round(time.Second).String()
		}
		t.row(s.Name, s.Kind, s.State, s.Backlog, age, s.Written, skipped, s.Dead, s.Lost, s.Forgetting, s.Problem)
	}
	return t.Flush()
}

func sinksCheckCommand(_ context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("sinks check FILE", io.out, noSettings)
	if err := cfg.parse(fs, args, "FILE"); err != nil {
		return err
	}
	specs, err := readSinks(fs.Arg(0))
	if err != nil {
		return err
	}
	t := &table{tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)}
	t.row("SINK", "KIND", "NEEDS", "SITES")
	for _, s := range specs {
		sites := "all"
		if len(s.Sites) > 0 {
			sites = strings.Join(s.Sites, " ")
		}
		t.row(s.Name, s.Kind, s.Needs, sites)
	}
	return t.Flush()
}

func sinksDropCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("sinks drop NAME [settings]", io.out, clientSettings...)
	if err := cfg.parse(fs, args, "NAME"); err != nil {
		return err
	}
	return callNode(ctx, &cfg, io, apiRequest{method: http.MethodDelete, path: "/v1/sinks/" + url.PathEscape(fs.Arg(0))}, nil)
}

func deadListCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("dead list [settings]", io.out, clientSettings...)
	query := url.Values{}
	for _, name := range []string{"site", "sink", "limit"} {
		fs.Func(name, map[string]string{"site": "only this `site`'s", "sink": "only this `sink`'s", "limit": "at most this `many` (100, at most 1000)"}[name], func(s string) error {
			query.Set(name, s)
			return nil
		})
	}
	asJSON := fs.Bool("json", false, "print the API's answer as JSON")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	var all []edge.DeadLetter
	if err := callNode(ctx, &cfg, io, apiRequest{method: http.MethodGet, path: "/v1/dead?" + query.Encode()}, &all); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(io, all)
	}
	t := &table{tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)}
	t.row("SITE", "ID", "EVENT", "REASON", "TRIES", "FIRST", "LAST", "EXPIRES", "DETAIL")
	for i := range all {
		d := &all[i]
		t.row(d.Site, d.ID, d.Name, d.Reason, d.Tries, clock(d.First), clock(d.Last), clock(d.Expires), d.Detail)
	}
	return t.Flush()
}

// deadCall asks for what a command line's SITE and ID name.
func deadCall(ctx context.Context, args []string, io stdio, word string, r apiRequest, answer any) error {
	cfg := defaults()
	fs := cfg.flags("dead "+word+" SITE ID [settings]", io.out, clientSettings...)
	if err := cfg.parse(fs, args, "SITE", "ID"); err != nil {
		return err
	}
	r.path = "/v1/sites/" + url.PathEscape(fs.Arg(0)) + "/dead/" + url.PathEscape(fs.Arg(1)) + r.path
	return callNode(ctx, &cfg, io, r, answer)
}

func deadShowCommand(ctx context.Context, args []string, io stdio) error {
	var d edge.DeadLetter
	if err := deadCall(ctx, args, io, "show", apiRequest{method: http.MethodGet}, &d); err != nil {
		return err
	}
	return printJSON(io, d)
}

func deadReplayCommand(ctx context.Context, args []string, io stdio) error {
	if err := deadCall(ctx, args, io, "replay", apiRequest{method: http.MethodPost, path: "/replay"}, nil); err != nil {
		return err
	}
	fmt.Fprintln(io.out, "The sink has it.")
	return nil
}

func deadDropCommand(ctx context.Context, args []string, io stdio) error {
	if err := deadCall(ctx, args, io, "drop", apiRequest{method: http.MethodDelete}, nil); err != nil {
		return err
	}
	fmt.Fprintln(io.out, "Deleted.")
	return nil
}
