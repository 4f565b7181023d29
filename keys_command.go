// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/stream"
)

const keysLine = "keys list | rotate | retire NUMBER | reset [settings]"

// keysCommand tells of the sealing keys, makes one, ends one, and gives up those
// that nothing opens any more.
func keysCommand(ctx context.Context, args []string, io stdio) error {
	return wordOf(ctx, args, io, keysLine, map[string]subcommand{
		"list": keysListCommand, "rotate": keysRotateCommand, "retire": keysRetireCommand, "reset": keysResetCommand,
	})
}

func keysListCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("keys list [settings]", io.out, clientSettings...)
	asJSON := fs.Bool("json", false, "print the API's answer as JSON")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	var keys []edge.KeyStatus
	if err := callNode(ctx, &cfg, io, apiRequest{method: http.MethodGet, path: "/v1/keys"}, &keys); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(io, keys)
	}
	t := &table{tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)}
	t.row("KEY", "STATE", "MADE", "SEALS FROM", "UNTIL", "RETIRABLE")
	for _, k := range keys {
		t.row(k.Number, k.State, clock(k.Made), clock(k.From), clock(k.Until), clock(k.Retirable))
	}
	return t.Flush()
}

func keysRotateCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("keys rotate [settings]", io.out, clientSettings...)
	notice := edge.KeyNotice
	fs.Var((*span)(&notice), "after", "how long every node has the new key before it seals, a `duration` of whole seconds, 0s to 24h")
	asJSON := fs.Bool("json", false, "print the API's answer as JSON")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	if notice < 0 || notice > edge.MaxKeyNotice || notice%time.Second != 0 {
		return usagef("--after: want whole seconds, 0s to %s", edge.MaxKeyNotice)
	}
	var made edge.KeyStatus
	r := apiRequest{method: http.MethodPost, path: "/v1/keys?seconds=" + strconv.Itoa(int(notice/time.Second))}
	if err := callNode(ctx, &cfg, io, r, &made); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(io, made)
	}
	fmt.Fprintf(io.out, "Key %d opens from now on and seals from %s. What older keys sealed opens as before.\n", made.Number, clock(made.From))
	return nil
}

func keysRetireCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("keys retire NUMBER [settings]", io.out, clientSettings...)
	early := fs.Bool("now", false, "also while states that it sealed count: whoever was not back since another took its place starts fresh, as one who was never there")
	if err := cfg.parse(fs, args, "NUMBER"); err != nil {
		return err
	}
	var was edge.KeyStatus
	r := apiRequest{method: http.MethodDelete, path: "/v1/keys/" + url.PathEscape(fs.Arg(0)) + "?now=" + strconv.FormatBool(*early)}
	if err := callNode(ctx, &cfg, io, r, &was); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Key %d is retired.\n", was.Number)
	if time.Now().Before(was.Retirable) {
		fmt.Fprintf(io.err, "Visitors who were not back since %s start fresh: their history is gone, and they count as new. Impressions and clicks of what was shown before then are rejected, and preview links of before then show nothing.\n",
			clock(was.Until))
	}
	return nil
}

// keysResetCommand gives up the keys of a store that cannot be read any more, which
// no node starts on.
func keysResetCommand(ctx context.Context, args []string, io stdio) (err error) {
	cfg := defaults()
	fs := cfg.flags("keys reset --everybody --data DIR", io.out, "data")
	everybody := fs.Bool("everybody", false, "yes: every visitor whose state a key other than DATA/key sealed starts fresh, and if DATA/key is gone too, everybody does, and each customer gets another id")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	if !*everybody {
		return usagef("--everybody is missing: visitors lose their history by this; put DATA/key back from a backup if you can")
	}
	if !exists(filepath.Join(cfg.Data, "jetstream")) {
		return fmt.Errorf("there is no data directory at %s", cfg.Data)
	}
	events, err := stream.Open(stream.Options{Dir: cfg.Data, Node: cfg.Node, Logger: io.logger()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, events.Close(context.WithoutCancel(ctx))) }()
	desk := publishing.New(publishing.Options{Audits: events})
	err = desk.Noted(ctx, publishing.Operator(), publishing.Admin, publishing.Entry{Act: publishing.ActResetKeys}, func() error {
		return events.DropKeyRing(ctx)
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(io.out, "The keys are given up. The next start goes on with DATA/key alone, and makes it if it is gone.")
	return nil
}
