// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

const itemsUsage = `Usage: nearside items COMMAND --site ID [settings]

  import FILE     the site's feed of items: CSV or TSV (our columns or Google's), or JSON lines
  list            the catalogue
  get ID          one item
  delete ID       takes one out at once

nearside items COMMAND --help lists a command's settings.
`

// formatGoogle is CSV or TSV by the names of Google's product data: what formatCSV
// reads anyway.
const formatGoogle = "google"

// itemsCommand works on a site's catalogue.
func itemsCommand(ctx context.Context, args []string, io stdio) error {
	if len(args) == 0 || isHelp(args[0]) {
		fmt.Fprint(io.out, itemsUsage)
		return nil
	}
	run, ok := map[string]func(context.Context, []string, stdio) error{
		"import": importItemsCommand, "list": listItemsCommand, "get": getItemCommand, "delete": deleteItemCommand,
	}[args[0]]
	if !ok {
		return usagef("there is no command %q: import, list, get or delete", args[0])
	}
	return run(ctx, args[1:], io)
}

// newItemsCall prepares the flags of a command; line is how help writes it.
func newItemsCall(line string, io stdio) *siteCall {
	c := &siteCall{cfg: defaults()}
	c.fs = c.cfg.flags("items "+line+" --site ID [settings]", io.out, clientSettings...)
	c.fs.StringVar(&c.site, "site", "", "the `ID` of the site")
	c.fs.BoolVar(&c.json, "json", false, "print the API's answer as JSON")
	return c
}

// importTime bounds the wait for a node that takes a feed.
const importTime = 10 * time.Minute

func importItemsCommand(ctx context.Context, args []string, io stdio) (err error) {
	c := newItemsCall("import FILE", io)
	format := c.fs.String("format", "", "the file's `format`: csv (parted by commas, semicolons or tabs), google (the same), jsonl (default by its name)")
	partial := c.fs.Bool("partial", false, "the file has some of the items: the others stay as they are")
	shrink := c.fs.Bool("shrink", false, "the feed may lack more than half of the items that are there")
	report := c.fs.String("report", "", "a `file` for the lines that are refused, as JSON lines")
	dry := c.fs.Bool("dry-run", false, "only say which lines would be refused")
	if err := c.parse(args, "FILE"); err != nil {
		return err
	}
	if *format == formatGoogle {
		*format = formatCSV
	}
	if *format, err = formatOf(*format, c.fs.Arg(0), formatCSV, formatJSONL); err != nil {
		return err
	}
	feed, err := openFeed(c.fs.Arg(0), *format, io)
	if err != nil {
		return err
	}
	if err := errors.Join(feed.tell(io), writeReport(*report, feed.bad)); err != nil {
		return err
	}
	if *dry {
		fmt.Fprintf(io.out, "%d items could be imported, %d lines would be refused; nothing was sent.\n", feed.items, feed.refused)
		return nil
	}
	if feed.items == 0 {
		return errors.New("no line can be taken; nothing was changed")
	}
	query := url.Values{}
	if !*partial {
		query.Set("full", "true")
	}
	if *shrink {
		query.Set("shrink", "true")
	}
	return c.sendFeed(ctx, io, feed, query)
}

// openFeed reads and checks the file at path.
func openFeed(path, format string, io stdio) (*feedFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	feed, err := readFeed(file, format, func(lines int) { fmt.Fprintf(io.err, "%d lines read\n", lines) })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return feed, nil
}

// toldLines is how many refused lines are printed; a report has all.
const toldLines = 20

// tell prints what of a file is not taken.
func (f *feedFile) tell(io stdio) error {
	for i, bad := range f.bad {
		if i == toldLines {
			fmt.Fprintf(io.err, "... and %d more; --report FILE writes all of them\n", len(f.bad)-toldLines)
			break
		}
		fmt.Fprintln(io.err, bad)
	}
	if len(f.passed) > 0 {
		fmt.Fprintf(io.err, "columns that are not read: %q\n", f.passed)
	}
	return nil
}

// String tells people of a refused line.
func (r refusedLine) String() string {
	if r.Field == "" {
		return fmt.Sprintf("line %d: %s", r.Line, r.Code)
	}
	return fmt.Sprintf("line %d: %s: %s", r.Line, r.Field, r.Code)
}

// sendFeed brings a feed to the node.
func (c *siteCall) sendFeed(ctx context.Context, io stdio, feed *feedFile, query url.Values) error {
	node, err := openClient(&c.cfg, io)
	if err != nil {
		return err
	}
	node.http.Timeout = importTime
	var out struct {
		edge.ItemImport
		Refused int `json:"refused"`
	}
	request := apiRequest{method: http.MethodPut, path: c.path("/items?" + query.Encode()), body: feed.body.Bytes()}
	if err := errors.Join(node.call(ctx, request, &out), node.Close()); err != nil {
		return err
	}
	node.wrote(io)
	// What the node refuses beside what was refused here would be a newer node's.
	out.Refused += feed.refused
	if c.json {
		return printJSON(io, out)
	}
	fmt.Fprintf(io.out, "Site %s has %d items, and %d that are gone: %d new, %d changed, %d as before, %d gone with this feed; %d lines refused.\n",
		c.site, out.Items, out.GoneItems, out.Added, out.Changed, out.Unchanged, out.Gone, out.Refused)
	return nil
}

// writeReport writes the refused lines to a file.
func writeReport(path string, lines []refusedLine) error {
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	for _, line := range lines {
		err = errors.Join(err, writeJSONLine(file, line))
	}
	return errors.Join(err, file.Close())
}

func listItemsCommand(ctx context.Context, args []string, io stdio) error {
	c := newItemsCall("list", io)
	gone := c.fs.Bool("gone", false, "only those that are gone")
	if err := c.parse(args); err != nil {
		return err
	}
	node, err := openClient(&c.cfg, io)
	if err != nil {
		return err
	}
	err = c.listItems(ctx, io, node, *gone)
	return errors.Join(err, node.Close())
}

// listItems prints the catalogue page by page: a line an item, or as JSON lines.
func (c *siteCall) listItems(ctx context.Context, io stdio, node *apiClient, gone bool) error {
	for after := ""; ; {
		var page publishing.ItemPage
		query := url.Values{"limit": {"1000"}, "after": {after}}
		if err := node.call(ctx, apiRequest{method: http.MethodGet, path: c.path("/items?" + query.Encode())}, &page); err != nil {
			return err
		}
		for i := range page.List {
			it := &page.List[i]
			if it.Gone.IsZero() == gone {
				continue
			}
			if c.json {
				if err := writeJSONLine(io.out, it); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(io.out, "%s\t%s %s\t%s\t%s\n", it.ID, it.Price, it.Currency, it.Availability, it.Title)
		}
		if after = page.Next; after == "" {
			fmt.Fprintf(io.err, "%d items, %d gone\n", page.Items, page.GoneItems)
			return nil
		}
	}
}

func getItemCommand(ctx context.Context, args []string, io stdio) error {
	c := newItemsCall("get ID", io)
	if err := c.parse(args, "ID"); err != nil {
		return err
	}
	var it edge.StoredItem
	if err := c.ask(ctx, io, apiRequest{method: http.MethodGet, path: c.itemPath()}, &it); err != nil {
		return err
	}
	return printJSON(io, it)
}

func deleteItemCommand(ctx context.Context, args []string, io stdio) error {
	c := newItemsCall("delete ID", io)
	if err := c.parse(args, "ID"); err != nil {
		return err
	}
	if err := c.ask(ctx, io, apiRequest{method: http.MethodDelete, path: c.itemPath()}, nil); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Item %s is taken out of site %s.\n", c.fs.Arg(0), c.site)
	return nil
}

func (c *siteCall) itemPath() string { return c.path("/items/" + url.PathEscape(c.fs.Arg(0))) }

func writeJSONLine(to io.Writer, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	_, err = to.Write(append(text, '\n'))
	return err
}
