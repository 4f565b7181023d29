// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/nearside/nearside/console"
)

// eventsCommand prints stored events as JSON lines, oldest first: from the
// running node if there is one, else from the data directory.
func eventsCommand(ctx context.Context, args []string, io stdio) error {
	if len(args) > 0 && args[0] == "import" {
		return importEventsCommand(ctx, args[1:], io)
	}
	cfg := defaults()
	fs := cfg.flags("events [settings]", io.out, clientSettings...)
	var query console.EventQuery
	var since time.Duration
	fs.StringVar(&query.Site, "site", "", "only this `site`'s events")
	fs.Var((*span)(&since), "since", "only events stored within this `duration` until now, like 1h; 0s is all")
	fs.StringVar(&query.Visitor, "visitor", "", "only events of the site's visitor with this `id`, as they happened")
	fs.StringVar(&query.Profile, "profile", "", "only events of the customer that the site knows by this `id`, and of the browsers linked to it, as they happened")
	fs.BoolVar(&query.Follow, "follow", false, "go on with events as they are stored")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	switch {
	case query.Visitor != "" && query.Profile != "":
		return usagef("give --visitor or --profile")
	case (query.Visitor != "" || query.Profile != "") && query.Site == "":
		return usagef("--site is missing: a visitor or a customer is one of a site's")
	}
	if since > 0 {
		query.Since = time.Now().Add(-since)
	}
	node, err := openClient(&cfg, io)
	if err != nil {
		return err
	}
	if query.Follow && node.files != "" {
		err = fmt.Errorf("no node is running on %s: there is nothing to follow", cfg.Data)
	} else {
		err = node.events(ctx, query, io.out)
	}
	return errors.Join(err, node.Close())
}

// eventsLine is the command line that prints the node's events.
func (c *Config) eventsLine() string {
	path, _ := os.Executable() // unknown is as good as installed
	return programAt(path) + " events --data " + c.Data
}

// programAt is how somebody calls the program that is at path.
func programAt(path string) string {
	if goRunPattern.MatchString(path) {
		return "go run ."
	}
	return "nearside"
}

// goRunPattern finds where go run puts a program: a folder of its own the first
// time, its build cache, which may have any name, from then on.
var goRunPattern = regexp.MustCompile(`/go-build[0-9]*/|/[0-9a-f]{2}/[0-9a-f]{64}-d/`)

// healthCommand asks a node whether it is ready, for a container without other
// tools.
func healthCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("health [settings]", io.out, "addr", "config", "tls.cert", "tls.key")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := checkReady(ctx, scheme(len(cfg.Door.TLSCerts) > 0)+cfg.Addr); err != nil {
		return err
	}
	fmt.Fprintln(io.out, "ready")
	return nil
}

// readyClient asks a node of this machine's operator one question, whose answer
// is no secret; a certificate is of the name that visitors know, not of the
// address that is asked.
var readyClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}

// checkReady asks a node once whether it is ready.
func checkReady(ctx context.Context, base string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
	if err != nil {
		return err
	}
	res, err := readyClient.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s/readyz: %w", base, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s/readyz answers %s", base, res.Status)
	}
	return nil
}

// awaitReady waits until a node is ready or ctx ends, which is no error.
func awaitReady(ctx context.Context, base string) error {
	for ctx.Err() == nil {
		if checkReady(ctx, base) == nil {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	return ctx.Err()
}
