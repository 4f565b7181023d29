// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// An eventImport is one run of nearside events import.
type eventImport struct {
	path, site, key, url    string
	format, name, zone      string
	mapping                 map[string]string
	granted                 []string
	surface, origin, system string
	checkpointPath, report  string
	restart, dry, json      bool
	patience                time.Duration

	io       stdio
	file     *os.File
	size     int64
	events   *eventFile
	done     checkpoint
	lines    *os.File // the report
	sender   *eventSender
	told     time.Time
	lastLine int // lines that were done when told
}

// importEventsCommand imports a file of events through POST /v1/events.
func importEventsCommand(ctx context.Context, args []string, io stdio) error {
	r := &eventImport{io: io, mapping: make(map[string]string)}
	cfg := defaults()
	fs := cfg.flags("events import FILE --site ID --url URL [settings]", io.out, "url", "key")
	r.flags(fs)
	if err := cfg.parse(fs, args, "FILE"); err != nil {
		return err
	}
	r.path, r.url, r.key = fs.Arg(0), cfg.URL, cfg.Key
	if err := r.check(); err != nil {
		return err
	}
	if err := r.open(); err != nil {
		return errors.Join(err, r.close())
	}
	return errors.Join(r.run(ctx), r.close())
}

func (r *eventImport) flags(fs *flag.FlagSet) {
	fs.StringVar(&r.site, "site", "", "the `ID` of the site")
	if f := fs.Lookup("url"); f != nil {
		f.Usage = "the `URL` of a node's public listener, such as https://near.shop.example"
	}
	fs.StringVar(&r.format, "format", "", "the file's `format`: csv or jsonl (default by its name)")
	fs.Func("map", "`COLUMN=MEMBER` of a CSV file: id, name, at, profile, consent, surface, origin, system, transaction_id, value, currency, item_id, ..., props.NAME, items.NAME, or - for none; may be given several times", func(s string) error {
		column, member, ok := strings.Cut(s, "=")
		if !ok || column == "" || member == "" {
			return errors.New("want COLUMN=MEMBER")
		}
		r.mapping[column] = member
		return nil
	})
	fs.StringVar(&r.name, "name", "", "the `name` of events that have none, such as purchase")
	fs.StringVar(&r.zone, "timezone", "UTC", "the `zone` of times that name none, such as Europe/Paris")
	fs.Func("granted", "the `purposes` that everybody in the file granted, as you have it on file, comma-separated; a column or member consent goes first", func(s string) error {
		r.granted = split(s)
		return nil
	})
	fs.StringVar(&r.surface, "surface", "", "where they happened: `web`, app, mail, search, service (default service)")
	fs.StringVar(&r.origin, "origin", "", "whose data it is: `first`, second, third, zero (default first)")
	fs.StringVar(&r.system, "system", "", "which of your `systems` tells them")
	fs.StringVar(&r.checkpointPath, "checkpoint", "", "the `file` that keeps how far it came (default FILE.checkpoint)")
	fs.StringVar(&r.report, "report", "", "the `file` for lines that are refused, as JSON lines (default FILE.refused.jsonl)")
	fs.BoolVar(&r.restart, "restart", false, "begin anew, whatever the checkpoint says")
	fs.BoolVar(&r.dry, "dry-run", false, "only say which lines would be refused before they are sent")
	fs.BoolVar(&r.json, "json", false, "print the result as JSON")
	fs.Var((*span)(&r.patience), "patience", "for what `duration` the node may take nothing before the import ends")
}

// check looks at what was given before anything is opened.
func (r *eventImport) check() (err error) {
	if r.patience == 0 {
		r.patience = 10 * time.Minute
	}
	if r.site == "" {
		return usagef("--site is missing: the ID of the site")
	}
	if r.format, err = formatOf(r.format, r.path, formatCSV, formatJSONL); err != nil {
		return err
	}
	if _, err := consent.ParsePurposes(r.granted...); err != nil {
		return usagef("--granted: %v", err)
	}
	if _, err := time.LoadLocation(r.zone); err != nil || r.zone == "Local" {
		return usagef("--timezone %q is no time zone", r.zone)
	}
	if r.checkpointPath == "" {
		r.checkpointPath = r.path + ".checkpoint"
	}
	if r.report == "" {
		r.report = r.path + ".refused.jsonl"
	}
	if r.dry {
		return nil
	}
	if r.url == "" {
		return usagef("--url is missing: the node's public listener")
	}
	if name, isFile := strings.CutPrefix(r.key, "@"); isFile {
		text, err := readFile(name, 1<<10)
		if err != nil {
			return err
		}
		r.key = strings.TrimSpace(string(text))
	}
	if r.key == "" {
		return usagef("--key is missing: nearside token create NAME --role server --site %s makes one", r.site)
	}
	return nil
}

// open opens the file where the run before ended, and the report.
func (r *eventImport) open() (err error) {
	if r.file, err = os.Open(r.path); err != nil {
		return err
	}
	info, err := r.file.Stat()
	if err != nil {
		return err
	}
	if r.size = info.Size(); !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file: an import must be able to go on where it ended", r.path)
	}
	r.done = checkpoint{V: checkpointVersion, Site: r.site, Format: r.format, Mapping: r.mapping}
	if !r.restart && !r.dry {
		was, err := readCheckpoint(r.checkpointPath, r.file, r.done)
		if err != nil {
			return err
		}
		if was != nil {
			r.done = *was
			fmt.Fprintf(r.io.err, "going on after line %d: %d lines were done before\n", was.Place.Line, was.Lines)
		}
	}
	if _, err := r.file.Seek(r.done.Place.Offset, io.SeekStart); err != nil {
		return err
	}
	if r.events, err = openEvents(r.file, r.format, r.done.Place, r.mapping); err != nil {
		return fmt.Errorf("%s: %w", r.path, err)
	}
	if len(r.events.passed) > 0 {
		fmt.Fprintf(r.io.err, "columns that are not read: %q\n", r.events.passed)
	}
	r.events.site, r.events.name = r.site, r.name
	if r.events.zone, err = time.LoadLocation(r.zone); err != nil {
		return err
	}
	if r.dry {
		return nil
	}
	if r.lines, err = os.OpenFile(r.report, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return err
	}
	if err := r.lines.Truncate(r.done.Report); err != nil {
		return err
	}
	if _, err := r.lines.Seek(r.done.Report, io.SeekStart); err != nil {
		return err
	}
	return r.openSender()
}

// requestTime bounds one message to a node.
const requestTime = time.Minute

func (r *eventImport) openSender() error {
	members := map[string]any{"v": 1, "site": r.site}
	for name, value := range map[string]string{"surface": r.surface, "origin": r.origin, "system": r.system} {
		if value != "" {
			members[name] = value
		}
	}
	if len(r.granted) > 0 {
		members["consent"] = map[string][]string{"granted": r.granted}
	}
	head, err := batchHead(members)
	if err != nil {
		return err
	}
	r.sender = &eventSender{
		http: http.Client{Timeout: requestTime}, url: strings.TrimSuffix(r.url, "/") + "/v1/events", key: r.key, head: head, patience: r.patience,
		tell: func(format string, args ...any) { fmt.Fprintf(r.io.err, format+"\n", args...) },
	}
	return nil
}

func (r *eventImport) close() (err error) {
	for _, f := range []*os.File{r.file, r.lines} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// run imports the file from where it is to its end.
func (r *eventImport) run(ctx context.Context) error {
	r.told, r.lastLine = time.Now(), r.done.Lines
	var b batch
	for {
		e, err := r.events.next()
		if errors.Is(err, io.EOF) {
			if err := r.finish(ctx, &b); err != nil {
				return err
			}
			return r.result()
		}
		if err != nil {
			return errors.Join(r.finish(ctx, &b), fmt.Errorf("%s, after line %d: %w", r.path, r.done.Place.Line, err))
		}
		if !b.add(e) || len(b.refused) >= maxBatchRefused {
			if err := r.finish(ctx, &b); err != nil {
				return err
			}
			if b = (batch{}); !b.add(e) {
				return fmt.Errorf("line %d is larger than a message", e.event.line)
			}
		}
	}
}

// maxBatchRefused bounds the refused lines that wait for a batch.
const maxBatchRefused = 10_000

// finish brings a batch to the node, and notes that it is done: first what was
// refused, then the checkpoint. A run that ends in between does it again, and the
// node knows the events.
func (r *eventImport) finish(ctx context.Context, b *batch) error {
	if b.lines == 0 {
		return nil
	}
	refused := b.refused
	if !r.dry {
		accepted, lines, err := r.sender.send(ctx, b.events)
		if err != nil {
			return fmt.Errorf("after line %d: %w", r.done.Place.Line, err)
		}
		refused = append(refused, lines...)
		r.done.Accepted += accepted
	}
	for i, line := range refused {
		if r.done.Refused+i < toldLines {
			fmt.Fprintln(r.io.err, line)
		}
	}
	r.done.Lines += b.lines
	r.done.Refused += len(refused)
	r.done.Place = b.after
	defer r.progress()
	if r.dry {
		r.done.Accepted += len(b.events)
		return nil
	}
	for _, line := range refused {
		if err := writeJSONLine(r.lines, line); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	if len(refused) > 0 {
		if err := r.lines.Sync(); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	var err error
	if r.done.Report, err = r.lines.Seek(0, io.SeekCurrent); err != nil {
		return err
	}
	if r.done.Proof, err = prove(r.file, r.done.Place.Offset); err != nil {
		return err
	}
	if err := r.done.write(r.checkpointPath); err != nil {
		return fmt.Errorf("write the checkpoint: %w", err)
	}
	return nil
}

// progress tells how far it is, once a second.
func (r *eventImport) progress() {
	since := time.Since(r.told)
	if since < time.Second {
		return
	}
	rate := float64(r.done.Lines-r.lastLine) / since.Seconds()
	r.told, r.lastLine = time.Now(), r.done.Lines
	fmt.Fprintf(r.io.err, "%d of %d bytes (%d %%), %d lines, %.0f a second, %d accepted, %d refused\n",
		r.done.Place.Offset, r.size, 100*r.done.Place.Offset/max(r.size, 1), r.done.Lines, rate, r.done.Accepted, r.done.Refused)
}

// result tells what came of it.
func (r *eventImport) result() error {
	if r.json {
		text, err := json.Marshal(map[string]any{"lines": r.done.Lines, "accepted": r.done.Accepted, "refused": r.done.Refused, "dry": r.dry})
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(r.io.out, "%s\n", text)
		return err
	}
	if r.dry {
		fmt.Fprintf(r.io.out, "%d lines: %d events could be sent, %d lines would be refused; nothing was sent.\n", r.done.Lines, r.done.Accepted, r.done.Refused)
		return nil
	}
	fmt.Fprintf(r.io.out, "%d lines: %d events accepted, %d refused", r.done.Lines, r.done.Accepted, r.done.Refused)
	if r.done.Refused > 0 {
		fmt.Fprintf(r.io.out, ", listed in %s", r.report)
	}
	fmt.Fprintln(r.io.out, ".")
	return nil
}
