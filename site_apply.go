// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/sitefile"
)

// liveRelease returns a site's live release, nil where it has none.
func (c *apiClient) liveRelease(ctx context.Context, site string) (*edge.ReleaseDocument, error) {
	var doc edge.ReleaseDocument
	err := c.call(ctx, apiRequest{method: http.MethodGet, path: "/v1/releases/" + url.PathEscape(site)}, &doc)
	if refused, ok := errors.AsType[*apiError](err); ok && refused.Code == publishing.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &doc, nil
}

// siteModules returns the modules that a site may publish; none of a site that
// the node does not know.
func (c *apiClient) siteModules(ctx context.Context, site string) ([]edge.ModuleRef, error) {
	var uploads []publishing.Upload
	err := c.call(ctx, apiRequest{method: http.MethodGet, path: "/v1/sites/" + url.PathEscape(site) + "/modules"}, &uploads)
	if refused, ok := errors.AsType[*apiError](err); ok && refused.Code == publishing.CodeNotFound {
		return nil, nil
	}
	refs := make([]edge.ModuleRef, len(uploads))
	for i := range uploads {
		refs[i] = uploads[i].Ref()
	}
	return refs, err
}

// A comparison is site files beside what is live.
type comparison struct {
	*siteDir
	dir  string
	own  bool                  // the release is of the files' own site
	base *sitefile.Base        // nil without one of this site
	live *edge.ReleaseDocument // nil where the site has no release
}

// number is the live release's number, 0 for none.
func (c *comparison) number() uint64 {
	if c.live == nil {
		return 0
	}
	return c.live.Number
}

// changes are what applying the files would change.
func (c *comparison) changes() []sitefile.Change {
	return sitefile.Changes(c.before(), c.doc)
}

// before is the live release; of a new site an empty one.
func (c *comparison) before() *edge.ReleaseDocument {
	if c.live == nil {
		return &edge.ReleaseDocument{}
	}
	return c.live
}

// moved reports why the files may not take the place of what is live, nil if
// they may. over is a release that they may replace all the same.
func (c *comparison) moved(over uint64) error {
	live := c.number()
	switch {
	case over != 0 && over == live:
		return nil
	case over != 0:
		return fmt.Errorf("release %d of site %s is live and not %d", live, c.doc.Site, over)
	case live == 0: // nothing can be lost
		return nil
	case c.base == nil || c.base.Number == 0:
		return fmt.Errorf("release %d of site %s is live, and %s did not begin with it: nearside export writes what is live as files to go on from, nearside diff shows what differs, and --over %[1]d replaces it all the same", live, c.doc.Site, c.dir)
	case c.base.Number == live, c.live != nil && c.base.Hash == sitefile.Hash(c.live):
		return nil
	}
	return fmt.Errorf("release %d of site %s is live, and %s began with release %d: somebody published in between. Nothing was changed. nearside export --site %[2]s NEWDIR writes what is live, to be merged; --over %[1]d replaces it all the same", live, c.doc.Site, c.dir, c.base.Number)
}

// compare reads site files and what is live of their site, or of another.
func (c *filesCall) compare(ctx context.Context, node *apiClient, other string, io stdio) (*comparison, error) {
	dir := c.fs.Arg(0)
	// The site's name tells which modules there are, so it is read before the
	// files are checked; what is wrong with them is told by that.
	var known []edge.ModuleRef
	if site := cmp.Or(other, sitefile.Site(os.DirFS(dir))); site != "" {
		var err error
		if known, err = node.siteModules(ctx, site); err != nil {
			return nil, err
		}
	}
	s, err := c.readSite(dir, io, known)
	if err != nil {
		return nil, err
	}
	out := &comparison{siteDir: s, dir: dir, own: other == "" || other == s.doc.Site}
	s.doc.Site = cmp.Or(other, s.doc.Site)
	if out.base, err = sitefile.ReadBase(dir); err != nil {
		return nil, err
	}
	if out.base != nil && out.base.Site != s.doc.Site {
		out.base = nil
	}
	out.live, err = node.liveRelease(ctx, s.doc.Site)
	return out, err
}

// diffCommand says what applying files would change.
func diffCommand(ctx context.Context, args []string, io stdio) error {
	c := newFilesCall("diff DIR", io, clientSettings...)
	unified := c.fs.Bool("u", false, "print a unified diff of the files, as an export would write them")
	c.fs.BoolVar(&c.json, "json", false, "print the changes as JSON")
	if err := c.cfg.parse(c.fs, args, "DIR"); err != nil {
		return err
	}
	node, err := openClient(&c.cfg, io)
	if err != nil {
		return err
	}
	with, err := c.compare(ctx, node, "", io)
	if err := errors.Join(err, node.Close()); err != nil {
		return err
	}
	switch {
	case c.json:
		return printJSON(io, append([]sitefile.Change{}, with.changes()...))
	case *unified:
		return printUnified(io, with)
	}
	if moved := with.moved(0); moved != nil {
		fmt.Fprintf(io.err, "nearside diff: %v\n", moved)
	}
	printChanges(io, with.changes(), with.number(), with.doc.Site)
	return nil
}

func printChanges(io stdio, changes []sitefile.Change, number uint64, site string) {
	if len(changes) == 0 {
		fmt.Fprintf(io.out, "The files are release %d of site %s.\n", number, site)
	}
	for _, change := range changes {
		fmt.Fprintln(io.out, change)
	}
}

func printUnified(io stdio, c *comparison) error {
	before := map[string][]byte{}
	if c.live != nil {
		var err error
		if before, err = sitefile.Render(c.live); err != nil {
			return err
		}
	}
	after, err := sitefile.Render(c.doc)
	if err != nil {
		return err
	}
	fmt.Fprint(io.out, sitefile.Unified(before, after))
	return nil
}

// applyOptions say where files are published, if not where they come from.
type applyOptions struct {
	site string
	over uint64
}

// applyCommand publishes site files, all or nothing.
func applyCommand(ctx context.Context, args []string, io stdio) error {
	c := newFilesCall("apply DIR", io, clientSettings...)
	var o applyOptions
	c.fs.StringVar(&o.site, "site", "", "the `ID` of a new site that begins with the files of another (default the files' own)")
	c.fs.Uint64Var(&o.over, "over", 0, "the `number` of the live release that the files replace, though they did not begin with it")
	c.fs.BoolVar(&c.json, "json", false, "print the API's answer as JSON")
	if err := c.cfg.parse(c.fs, args, "DIR"); err != nil {
		return err
	}
	node, err := openForSite(&c.cfg, io)
	if err != nil {
		return err
	}
	err = c.apply(ctx, node, o, io)
	if err := errors.Join(err, node.Close()); err != nil {
		return err
	}
	node.wrote(io)
	return nil
}

// openForSite is openClient for a command that may begin a data directory: a
// site's first release.
func openForSite(cfg *Config, io stdio) (*apiClient, error) {
	if cfg.URL != "" {
		return openClient(cfg, io)
	}
	if node := dialAdmin(cfg.Data); node != nil {
		return node, nil
	}
	return openFiles(*cfg, io)
}

// apply publishes the files if they may take the place of what is live.
func (c *filesCall) apply(ctx context.Context, node *apiClient, o applyOptions, io stdio) error {
	with, err := c.compare(ctx, node, o.site, io)
	if err != nil {
		return err
	}
	changes := with.changes()
	if with.live != nil && len(changes) == 0 {
		if err := with.remember(with.number()); err != nil {
			return err
		}
		if c.json {
			return printJSON(io, publishing.Outcome{Site: with.doc.Site, Was: with.number(), Release: with.number()})
		}
		fmt.Fprintf(io.out, "Nothing to change: release %d of site %s is like that already.\n", with.number(), with.doc.Site)
		return nil
	}
	if err := with.moved(o.over); err != nil {
		return err
	}
	out, err := with.put(ctx, node)
	if refused, ok := errors.AsType[*apiError](err); ok && refused.Code == publishing.CodeConflict {
		if with.live, err = node.liveRelease(ctx, with.doc.Site); err == nil {
			err = with.moved(o.over)
		}
		if err == nil {
			err = refused
		}
	}
	if err != nil {
		return err
	}
	// Where the change waits, out.Release is the live one still. Once somebody
	// approves it, it is known by what it says.
	if err := with.remember(out.Release); err != nil {
		return err
	}
	if c.json {
		return printJSON(io, out)
	}
	for _, change := range changes {
		fmt.Fprintln(io.out, change)
	}
	printOutcome(io, out, "Applied")
	return nil
}

// put sends the files' release to the node, which compiles its rules anew.
func (c *comparison) put(ctx context.Context, node *apiClient) (*publishing.Outcome, error) {
	doc := *c.doc
	doc.Compiled = nil
	document, err := json.Marshal(&doc)
	if err != nil {
		return nil, err
	}
	r := apiRequest{
		method: http.MethodPut, path: "/v1/releases/" + url.PathEscape(doc.Site), body: document,
		header: http.Header{"If-Match": {strconv.FormatUint(c.number(), 10)}},
	}
	var out publishing.Outcome
	return &out, node.call(ctx, r, &out)
}

// remember notes in the directory that its files are a release now.
func (c *comparison) remember(number uint64) error {
	if !c.own {
		return nil
	}
	next := sitefile.Base{Site: c.doc.Site, Number: number, Hash: sitefile.Hash(c.doc)}
	if c.base != nil {
		next.Files = c.base.Files
		if c.base.Number == next.Number && c.base.Hash == next.Hash {
			return nil
		}
	}
	return next.Write(c.dir)
}

// exportCommand writes what is live as site files.
func exportCommand(ctx context.Context, args []string, io stdio) error {
	c := newFilesCall("export --site ID DIR", io, clientSettings...)
	site := c.fs.String("site", "", "the `ID` of the site")
	force := c.fs.Bool("force", false, "overwrite files that were changed since the last export, and remove those that are not of it")
	if err := c.cfg.parse(c.fs, args, "DIR"); err != nil {
		return err
	}
	if *site == "" {
		return usagef("--site is missing: the ID of the site")
	}
	node, err := openClient(&c.cfg, io)
	if err != nil {
		return err
	}
	live, err := node.liveRelease(ctx, *site)
	if err := errors.Join(err, node.Close()); err != nil {
		return err
	}
	if live == nil {
		return fmt.Errorf("site %s has no release", *site)
	}
	dir := c.fs.Arg(0)
	err = sitefile.Export(dir, live, *force)
	if errors.Is(err, sitefile.ErrLayout) {
		fmt.Fprintf(io.out, "Release %d of site %s is in %s already, laid out otherwise than an export would; --force rewrites the files.\n", live.Number, *site, dir)
		return nil
	}
	if _, foreign := errors.AsType[*sitefile.ExportError](err); foreign {
		return fmt.Errorf("%s: %w; --force overwrites and removes them", dir, err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Release %d of site %s is in %s. Change it, then\n\n  nearside check %[4]s%[5]s\n  nearside diff %[4]s%[6]s\n  nearside apply %[4]s%[6]s\n",
		live.Number, *site, dir, shellWord(dir), c.given(localSettings), c.given(clientSettings))
	return nil
}

// given writes the settings of this command line that another command needs as
// well, as it is to be typed: " --data DIR". A secret is not printed.
func (c *filesCall) given(settings []string) string {
	var words strings.Builder
	c.fs.Visit(func(f *flag.Flag) {
		if f.Name != "token" && f.Value.String() != "" && slices.Contains(settings, f.Name) {
			words.WriteString(" --" + f.Name + " " + shellWord(f.Value.String()))
		}
	})
	return words.String()
}

// plainWord is what a shell takes as it stands.
var plainWord = regexp.MustCompile(`^[a-zA-Z0-9_./:@%+,=-]+$`)

// shellWord quotes a word for a shell where it needs that.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
