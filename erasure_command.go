// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"text/tabwriter"
	"time"

	"github.com/nearside/nearside/edge"
)

const erasureLine = "erasure request | status | list [settings]"

// erasureCommand erases persons, and proves it.
func erasureCommand(ctx context.Context, args []string, io stdio) error {
	return wordOf(ctx, args, io, erasureLine, map[string]subcommand{
		"request": erasureRequestCommand, "status": erasureStatusCommand, "list": erasureListCommand,
	})
}

// An erasureAsk is who a command line is about.
type erasureAsk struct {
	site string
	body map[string]string
}

func (a *erasureAsk) flags(fs *flag.FlagSet) {
	a.body = map[string]string{}
	fs.StringVar(&a.site, "site", "", "the `ID` of the site")
	for name, help := range map[string]string{
		"person":  "the person's `key`, as sinks' files have it in log.person or person",
		"visitor": "the visitor's `id` in place of the key, as stored events have it in visitor.id",
		"profile": "the customer whom the site knows by this `id`, in place of both",
	} {
		fs.Func(name, help, func(value string) error {
			a.body[name] = value
			return nil
		})
	}
}

func (a *erasureAsk) check() error {
	switch {
	case !edge.ValidSite(a.site):
		return usagef("--site is missing, or no site's ID")
	case len(a.body) != 1:
		return usagef("want one of --person, --visitor and --profile")
	}
	return nil
}

func erasureRequestCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("erasure request --site ID --visitor ID [settings]", io.out, clientSettings...)
	var ask erasureAsk
	ask.flags(fs)
	asJSON := fs.Bool("json", false, "print the receipt as JSON")
	var wait time.Duration
	fs.Var((*span)(&wait), "wait", "how long to wait until it is done, a `duration` like 1m")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	if err := ask.check(); err != nil {
		return err
	}
	client, err := openClient(&cfg, io)
	if err != nil {
		return err
	}
	client.http.Timeout = 0
	var now struct {
		edge.Erasure
		Linked []edge.PersonKey `json:"linked,omitempty"`
		Shared int              `json:"shared,omitempty"`
	}
	err = client.call(ctx, apiRequest{method: http.MethodPost, path: "/v1/sites/" + ask.site + "/erasures", json: ask.body}, &now)
	if err == nil {
		end := time.Now().Add(wait)
		for _, key := range now.Linked {
			linked := edge.Erasure{Person: edge.Person{Site: ask.site, Key: key}}
			err = errors.Join(err, client.awaitErased(ctx, &linked, end))
		}
		err = errors.Join(err, client.awaitErased(ctx, &now.Erasure, end))
	}
	if err := errors.Join(err, client.Close()); err != nil {
		return err
	}
	client.wrote(io)
	if *asJSON {
		return printJSON(io, now)
	}
	for _, key := range now.Linked {
		fmt.Fprintf(io.err, "browser %s is this customer's alone: it is erased too\n", key)
	}
	if now.Shared > 0 {
		fmt.Fprintf(io.err, "%d browsers are other customers' too, and are left alone: erase each by its --visitor\n", now.Shared)
	}
	return printErasure(io, &now.Erasure)
}

// awaitErased asks until no place waits, or the time is over.
func (c *apiClient) awaitErased(ctx context.Context, e *edge.Erasure, end time.Time) error {
	for time.Now().Before(end) && (len(e.Places) == 0 || !e.Done()) {
		now := edge.Erasure{}
		if err := c.call(ctx, apiRequest{method: http.MethodGet, path: "/v1/sites/" + e.Site + "/erasures/" + e.Key.String()}, &now); err != nil {
			return err
		}
		if *e = now; e.Done() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
	return nil
}

// errErasure says by the exit code that a person is not erased.
var errErasure = errors.New("something of the person is there still")

func erasureStatusCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("erasure status --site ID --person KEY [settings]", io.out, clientSettings...)
	var ask erasureAsk
	ask.flags(fs)
	asJSON := fs.Bool("json", false, "print the API's answer as JSON")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	if err := ask.check(); err != nil {
		return err
	}
	client, err := openClient(&cfg, io)
	if err != nil {
		return err
	}
	client.http.Timeout = 0 // all files are read
	var now edge.Erasure
	err = client.call(ctx, apiRequest{method: http.MethodPost, path: "/v1/sites/" + ask.site + "/erasures/find", json: ask.body}, &now)
	if err := errors.Join(err, client.Close()); err != nil {
		return err
	}
	if *asJSON {
		err = printJSON(io, now)
	} else {
		err = printErasure(io, &now)
	}
	if err == nil && !now.Done() {
		err = errErasure
	}
	return err
}

func printErasure(io stdio, e *edge.Erasure) error {
	if !e.At.IsZero() {
		fmt.Fprintf(io.out, "%s at %s, asked for %s\n", e.Key, e.Site, clock(e.At))
	} else {
		fmt.Fprintf(io.out, "%s at %s: nobody asked to erase them\n", e.Key, e.Site)
	}
	t := &table{tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)}
	t.row("PLACE", "STATE", "REMOVED", "FOUND", "PROBLEM")
	for _, p := range e.Places {
		state := p.State
		switch {
		case p.State == edge.ErasureFound:
			state = fmt.Sprintf("found %d", p.Found)
		case !p.Due.IsZero():
			state += " until " + clock(p.Due)
		}
		t.row(p.Place, state, p.Removed, p.Found, p.Problem)
	}
	return t.Flush()
}

func erasureListCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("erasure list [settings]", io.out, clientSettings...)
	asJSON := fs.Bool("json", false, "print them as JSON, for nearside restore --erasures")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	var all []edge.Erasure
	if err := callNode(ctx, &cfg, io, apiRequest{method: http.MethodGet, path: "/v1/erasures"}, &all); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(io, all)
	}
	t := &table{tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)}
	t.row("SITE", "PERSON", "ASKED")
	for i := range all {
		t.row(all[i].Site, all[i].Key, clock(all[i].At))
	}
	return t.Flush()
}

// maxErasuresBytes bounds a file of erasures: half a million.
const maxErasuresBytes = 64 << 20

// readErasures reads what erasure list --json printed.
func readErasures(file string) ([]edge.Erasure, error) {
	content, err := readFile(file, maxErasuresBytes)
	if err != nil {
		return nil, fmt.Errorf("--erasures: %w", err)
	}
	var all []edge.Erasure
	if err := json.Unmarshal(content, &all); err != nil {
		return nil, fmt.Errorf("--erasures: %s: %w", file, err)
	}
	for i, e := range all {
		if !edge.ValidSite(e.Site) || e.Key == (edge.PersonKey{}) || e.At.IsZero() {
			return nil, fmt.Errorf("--erasures: %s: entry %d lacks its site, person or time", file, i+1)
		}
	}
	return all, nil
}
