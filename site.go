// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/tag"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// siteCommand adds a site: its settings, one slot with first rules, and the
// snippet for its pages.
func siteCommand(ctx context.Context, args []string, io stdio) error {
	if len(args) > 0 && args[0] == "files" {
		return siteFilesCommand(args[1:], io)
	}
	cfg := defaults()
	fs := cfg.flags("site add ID --origin URL [settings]", io.out, "data", "http.prefix", "rules.modules")
	var origins, languages []string
	addOrigins(fs, &origins, "`URL` of the site's pages, scheme://host[:port]; may be given several times")
	fs.Func("languages", "the site's `languages`, comma-separated, the first is the fallback (default en)", func(s string) error {
		languages = split(s)
		return nil
	})
	switch {
	case len(args) > 0 && isHelp(args[0]):
		fs.Usage()
		return nil
	case len(args) == 0 || args[0] != "add":
		return usagef("want nearside %s, or nearside site files ID DIR --origin URL", fs.Name())
	}
	if err := cfg.parse(fs, args[1:], "ID"); err != nil {
		return err
	}
	if len(origins) == 0 {
		return usagef("--origin is missing: the site's pages, for example https://shop.example")
	}
	if len(languages) == 0 {
		languages = []string{"en"}
	}
	site := fs.Arg(0)
	document, err := json.Marshal(firstRelease(site, origins, languages))
	if err != nil {
		return err
	}
	if err := addSite(ctx, cfg, site, document, io); err != nil {
		return err
	}
	printNextSteps(io, site, cfg.Prefix)
	return nil
}

// printNextSteps says what a new site's pages need.
func printNextSteps(io stdio, site, prefix string) {
	fmt.Fprintf(io.out, `Site %s is there, with a slot "hero" whose rules choose by device.
Put this into the <head> of its pages, with the node behind %s on the site's own origin:

%s
or, with the node on another origin, with the script's full URL as the last line:

<script async src="https://NODE%[2]s/tag.js" data-site="%[1]s"></script>

and this where the content goes:

<near-slot name="hero">The page's own content, shown to everybody who grants nothing.</near-slot>

Then say what the visitor grants, from your consent prompt:

<script>near('consent', {context: true})</script>

docs/SITE.md tells how to change what the slot shows, add slots and send events.
`, site, prefix, tag.Snippet(tag.SnippetOptions{Src: prefix + "/tag.js", Site: site}))
}

// addSite stores a site's first release, through the running node if there is
// one, else in the data directory itself.
func addSite(ctx context.Context, cfg Config, site string, document []byte, io stdio) error {
	modules := openModules(cfg)
	document, err := fillModules(document, modules)
	if err != nil {
		return err
	}
	rules, err := wasmrules.New(wasmrules.Options{Source: modules})
	if err != nil {
		return fmt.Errorf("open rules: %w", err)
	}
	defer rules.Close()
	// Here first: its words are shorter before a node has passed them on, and a
	// refused release makes no directory.
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(document, &doc); err != nil {
		return err
	}
	if _, err := compileRelease(&doc, rules); err != nil {
		return err
	}
	taken := fmt.Errorf("site %s is there already", site)
	node := dialAdmin(cfg.Data)
	if node == nil {
		if node, err = openFiles(cfg, io); err != nil {
			return err
		}
	}
	err = node.putRelease(ctx, site, 0, document)
	if refused, ok := errors.AsType[*apiError](err); ok && refused.Code == publishing.CodeConflict {
		err = taken
	}
	if err := errors.Join(err, node.Close()); err != nil {
		return err
	}
	node.wrote(io)
	return nil
}

// firstRelease is what a new site begins with, by site add and by site files: a
// hero slot that rules without code fill by device, for every visitor who grants
// context.
func firstRelease(site string, origins, languages []string) edge.ReleaseDocument {
	doc := edge.ReleaseDocument{
		Schema: edge.ReleaseSchema, Site: site,
		Settings: edge.Settings{Origins: origins, Languages: languages, Why: true},
		Modules:  []edge.ModuleRef{},
	}
	var rules []edge.RuleSpec
	for _, device := range []string{"phone", "tablet", "desktop"} {
		html, err := json.Marshal(map[string]string{"html": "<p>Hello from the edge: a " + device + " sees this text.</p>"})
		if err != nil {
			panic(err) // two strings always marshal
		}
		doc.Variants = append(doc.Variants, edge.Variant{
			Slot: "hero", Name: device, State: "live", Content: map[string]json.RawMessage{languages[0]: html},
		})
		rules = append(rules, edge.RuleSpec{
			Name: "for-" + device, When: `device.type == "` + device + `"`, Show: []edge.ShowSpec{{Variant: device}},
			Because: map[string]string{languages[0]: "It is made for your device."},
		})
	}
	doc.Slots = []edge.SlotSpec{{Name: "hero", Kind: "html", Ladder: []edge.RungSpec{{Rung: "context", Rules: rules}}}}
	return doc
}
