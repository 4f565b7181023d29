// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// A siteCall is one command line that asks a node about a site.
type siteCall struct {
	cfg  Config
	fs   *flag.FlagSet
	site string
	json bool
}

// newSiteCall prepares the flags of a command; line is how help writes it.
func newSiteCall(line string, io stdio) *siteCall {
	c := &siteCall{cfg: defaults()}
	c.fs = c.cfg.flags("module "+line+" --site ID [settings]", io.out, clientSettings...)
	c.fs.StringVar(&c.site, "site", "", "the `ID` of the site")
	c.fs.BoolVar(&c.json, "json", false, "print the API's answer as JSON")
	return c
}

// parse reads the command line; words are its plain arguments.
func (c *siteCall) parse(args []string, words ...string) error {
	if err := c.cfg.parse(c.fs, args, words...); err != nil {
		return err
	}
	if c.site == "" {
		return usagef("--site is missing: the ID of the site")
	}
	return nil
}

// path is the address of a site's resource in the API.
func (c *siteCall) path(resource string) string {
	return "/v1/sites/" + url.PathEscape(c.site) + resource
}

// ask sends one request of a command to the node, and decodes its answer.
func (c *siteCall) ask(ctx context.Context, io stdio, r apiRequest, answer any) error {
	return callNode(ctx, &c.cfg, io, r, answer)
}

// change posts a change and says what came of it.
func (c *siteCall) change(ctx context.Context, io stdio, resource string, body any, did string) error {
	var out publishing.Outcome
	if err := c.ask(ctx, io, apiRequest{method: http.MethodPost, path: c.path(resource), json: body}, &out); err != nil {
		return err
	}
	if c.json {
		return printJSON(io, out)
	}
	printOutcome(io, &out, did)
	return nil
}

// printOutcome says what came of a change; did is the change in the past.
func printOutcome(io stdio, out *publishing.Outcome, did string) {
	switch {
	case out.Proposal != nil && out.Proposal.State == publishing.StateWaiting:
		fmt.Fprintf(io.out, "Site %s wants a second person: somebody else approves it with\n\n  nearside module approve %s --site %[1]s\n", out.Site, out.Proposal.ID)
	case out.Was == out.Release:
		fmt.Fprintf(io.out, "Nothing to change: release %d of site %s is like that already.\n", out.Release, out.Site)
	case out.Pending:
		fmt.Fprintf(io.out, "%s: release %d of site %s is stored, and the node does not serve it yet; its log says why if that lasts.\n", did, out.Release, out.Site)
	default:
		fmt.Fprintf(io.out, "%s: release %d of site %s is live (before: %d).\n", did, out.Release, out.Site, out.Was)
	}
}

func uploadCommand(ctx context.Context, args []string, io stdio) error {
	c := newSiteCall("upload FILE", io)
	signature := c.fs.String("signature", "", "a signature `file` by nearside module sign or minisign (default FILE.minisig if it is there)")
	if err := c.parse(args, "FILE"); err != nil {
		return err
	}
	file := c.fs.Arg(0)
	wasm, err := readModule(file)
	if err != nil {
		return err
	}
	if *signature == "" {
		if beside := file + ".minisig"; exists(beside) {
			*signature = beside
		}
	}
	header := http.Header{}
	if *signature != "" {
		text, err := readFile(*signature, edge.MaxSignatureBytes)
		if err != nil {
			return err
		}
		header.Set("Near-Signature", base64.StdEncoding.EncodeToString(text))
	}
	var upload publishing.Upload
	if err := c.ask(ctx, io, apiRequest{method: http.MethodPut, path: c.path("/modules"), body: wasm, header: header}, &upload); err != nil {
		return err
	}
	if c.json {
		return printJSON(io, upload)
	}
	fmt.Fprintf(io.out, "%s@%s is at site %s, hash %s.\nShow it with\n\n  nearside module publish %[1]s@%[2]s --site %[3]s --slot SLOT --rung context\n", upload.Name, upload.Version, c.site, upload.Hash)
	return nil
}

// placementFlags bind a placement's flags.
func placementFlags(fs *flag.FlagSet) func(module string) (edge.Placement, error) {
	p := edge.Placement{}
	var settings string
	fs.StringVar(&p.Slot, "slot", "", "the `slot` that it fills")
	fs.StringVar(&p.Rung, "rung", "context", "the `rung` of the slot's ladder: "+strings.Join(edge.Rungs[:], ", "))
	fs.StringVar(&p.Role, "role", "", "the `slot of its manifest` that it plays there (default the slot's own name)")
	fs.StringVar(&settings, "settings", "", "its settings as a `JSON` object, or @FILE")
	fs.IntVar(&p.Priority, "priority", 0, "a `number`: where scores are equal the higher one wins")
	return func(module string) (edge.Placement, error) {
		p.Module = moduleRef(module)
		if p.Slot == "" {
			return p, usagef("--slot is missing: the slot that the module fills")
		}
		if name, isFile := strings.CutPrefix(settings, "@"); isFile {
			text, err := readFile(name, edge.MaxNoteBytes)
			if err != nil {
				return p, err
			}
			settings = string(text)
		}
		if settings != "" && !json.Valid([]byte(settings)) {
			return p, usagef("--settings is not JSON")
		}
		p.Settings = json.RawMessage(settings)
		return p, nil
	}
}

func placeCommand(act string) func(context.Context, []string, stdio) error {
	return func(ctx context.Context, args []string, io stdio) error {
		c := newSiteCall(act+" NAME[@VERSION] --slot SLOT", io)
		placement := placementFlags(c.fs)
		part := share(-1)
		if act == "publish" {
			c.fs.Var(&part, "share", "to how many `visitors` at first, as 12.5% or of 10000 (default all)")
		}
		if err := c.parse(args, "NAME"); err != nil {
			return err
		}
		p, err := placement(c.fs.Arg(0))
		if err != nil {
			return err
		}
		if part == 0 {
			return usagef("--share 0 shows it to nobody: nearside module shadow does that")
		}
		p.Rollout = max(int(part), 0)
		did := map[string]string{"publish": "Published", "shadow": "In shadow; nearside module status tells what it would change"}[act]
		return c.change(ctx, io, "/"+act, p, did)
	}
}

func previewCommand(ctx context.Context, args []string, io stdio) error {
	c := newSiteCall("preview NAME[@VERSION] --slot SLOT", io)
	placement := placementFlags(c.fs)
	var ask struct {
		Placement edge.Placement `json:"placement"`
		Page      string         `json:"page,omitempty"`
		Hours     int            `json:"hours"`
	}
	c.fs.StringVar(&ask.Page, "page", "", "the `URL` of the page to look at (default the site's first origin)")
	c.fs.IntVar(&ask.Hours, "hours", 24, "for how many `hours` the link is good, up to 720")
	if err := c.parse(args, "NAME"); err != nil {
		return err
	}
	var err error
	if ask.Placement, err = placement(c.fs.Arg(0)); err != nil {
		return err
	}
	var preview publishing.Preview
	if err := c.ask(ctx, io, apiRequest{method: http.MethodPost, path: c.path("/preview"), json: ask}, &preview); err != nil {
		return err
	}
	if c.json {
		return printJSON(io, preview)
	}
	fmt.Fprintf(io.out, "%s\nWhoever has this link sees it until %s; what they see is not counted.\n", preview.Link, preview.Until.Local().Format(time.DateTime))
	return nil
}

func rolloutCommand(ctx context.Context, args []string, io stdio) error {
	c := newSiteCall("rollout NAME[@VERSION] --slot SLOT --share SHARE", io)
	slot := c.fs.String("slot", "", "the `slot` that it fills")
	part := share(-1)
	c.fs.Var(&part, "share", "to how many `visitors`, as 12.5% or of 10000: 100% ends the roll-out, 0 takes it back")
	if err := c.parse(args, "NAME"); err != nil {
		return err
	}
	if *slot == "" || part < 0 {
		return usagef("--slot and --share must be given")
	}
	body := map[string]any{"slot": *slot, "module": c.fs.Arg(0), "share": int(part)}
	return c.change(ctx, io, "/rollout", body, "To "+part.String()+" of the visitors")
}

func removeCommand(ctx context.Context, args []string, io stdio) error {
	c := newSiteCall("remove NAME[@VERSION] --slot SLOT", io)
	slot := c.fs.String("slot", "", "the `slot` that it fills")
	if err := c.parse(args, "NAME"); err != nil {
		return err
	}
	if *slot == "" {
		return usagef("--slot is missing: the slot that the module fills")
	}
	return c.change(ctx, io, "/remove", map[string]string{"slot": *slot, "module": c.fs.Arg(0)}, "Removed")
}

func rollbackCommand(ctx context.Context, args []string, io stdio) error {
	c := newSiteCall("rollback", io)
	to := c.fs.Uint64("to", 0, "the `number` of the release to publish again (default the one before the live one)")
	if err := c.parse(args); err != nil {
		return err
	}
	return c.change(ctx, io, "/rollback", map[string]uint64{"to": *to}, "Rolled back")
}

func approveCommand(ctx context.Context, args []string, io stdio) error {
	c := newSiteCall("approve PROPOSAL", io)
	if err := c.parse(args, "PROPOSAL"); err != nil {
		return err
	}
	return c.change(ctx, io, "/proposals/"+url.PathEscape(c.fs.Arg(0))+"/approve", nil, "Approved")
}

func rejectCommand(ctx context.Context, args []string, io stdio) error {
	c := newSiteCall("reject PROPOSAL --reason WORDS", io)
	reason := c.fs.String("reason", "", "`words` that say why")
	if err := c.parse(args, "PROPOSAL"); err != nil {
		return err
	}
	if *reason == "" {
		return usagef("--reason is missing")
	}
	var p publishing.Proposal
	r := apiRequest{method: http.MethodPost, path: c.path("/proposals/" + url.PathEscape(c.fs.Arg(0)) + "/reject"), json: map[string]string{"reason": *reason}}
	if err := c.ask(ctx, io, r, &p); err != nil {
		return err
	}
	if c.json {
		return printJSON(io, p)
	}
	fmt.Fprintf(io.out, "Rejected; nothing was changed.\n")
	return nil
}

// A share is a part of the visitors, of 10,000, as a flag.
type share int

func (s *share) String() string {
	if s == nil || *s < 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*s)/100, 'f', -1, 64) + "%"
}

func (s *share) Set(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(number, 64)
	if percent {
		n *= edge.Buckets / 100
	}
	whole := math.Round(n)
	if err != nil || !(whole >= 0 && whole <= edge.Buckets) || math.Abs(n-whole) > 1e-6 {
		return errors.New("a share is like 12.5%, with two decimals at most, or a whole number of 10000")
	}
	*s = share(whole)
	return nil
}
