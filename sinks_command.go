// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nearside/nearside/edge"
)

const (
	sinksLine = "sinks status | check FILE | forget --site ID --profile CUSTOMER | drop NAME [settings]"
	deadLine  = "dead list | show SITE ID | replay SITE ID | drop SITE ID [settings]"
)

// sinksCommand tells how sinks do, and what they must forget.
func sinksCommand(ctx context.Context, args []string, io stdio) error {
	return wordOf(ctx, args, io, sinksLine, map[string]subcommand{
		"status": sinksStatusCommand, "check": sinksCheckCommand, "forget": sinksForgetCommand, "drop": sinksDropCommand,
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

func sinksForgetCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("sinks forget --site ID --profile CUSTOMER [settings]", io.out, clientSettings...)
	var site, person, id, profile string
	fs.StringVar(&site, "site", "", "the `ID` of the site")
	fs.StringVar(&person, "person", "", "the person's `key`, as sinks' files have it in log.person or person")
	fs.StringVar(&id, "id", "", "the person's `id` in place of the key, as stored events have it in visitor.id or profile")
	fs.StringVar(&profile, "profile", "", "the customer whom the site knows by this `id`, in place of both; a browser linked to it is forgotten by its own id")
	var wait time.Duration
	fs.Var((*span)(&wait), "wait", "how long to wait until every sink has done it, a `duration` like 30s")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	ask := map[string]string{"person": person, "id": id, "profile": profile}
	maps.DeleteFunc(ask, func(_, value string) bool { return value == "" })
	switch {
	case !edge.ValidSite(site):
		return usagef("--site is missing, or no site's ID")
	case len(ask) != 1:
		return usagef("want one of --profile, --person and --id")
	}
	client, err := openClient(&cfg, io)
	if err != nil {
		return err
	}
	var now edge.Forgetting
	err = client.call(ctx, apiRequest{method: http.MethodPost, path: "/v1/sites/" + site + "/forget", json: ask}, &now)
	if err == nil {
		err = client.awaitForgotten(ctx, &now, wait)
	}
	if err := errors.Join(err, client.Close()); err != nil {
		return err
	}
	client.wrote(io)
	t := &table{tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)}
	t.row("SINK", "FORGOTTEN")
	for _, s := range now.Sinks {
		t.row(s.Sink, map[bool]string{true: "yes", false: "waits"}[s.Done])
	}
	return t.Flush()
}

// awaitForgotten asks until every sink has forgotten the person, or the time is
// over.
func (c *apiClient) awaitForgotten(ctx context.Context, now *edge.Forgetting, wait time.Duration) error {
	for end := time.Now().Add(wait); time.Now().Before(end); {
		waits := false
		for _, s := range now.Sinks {
			waits = waits || !s.Done
		}
		if !waits {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
		if err := c.call(ctx, apiRequest{method: http.MethodGet, path: "/v1/sites/" + now.Site + "/forget/" + now.Key.String()}, now); err != nil {
			return err
		}
	}
	return nil
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
