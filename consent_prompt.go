// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"strings"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/prompt"
)

// maxPromptTexts bounds a file of a prompt's own words.
const maxPromptTexts = 64 << 10

// consentPromptCommand prints what a site puts into its pages to have the consent
// prompt.
func consentPromptCommand(_ context.Context, args []string, std stdio) error {
	cfg := defaults()
	fs := cfg.flags("consent prompt SITE", std.out, "http.prefix")
	lang := fs.String("lang", "en", "the page's `language`: "+strings.Join(prompt.Languages, ", ")+", or another whose texts --texts has all of")
	version := fs.String("version", prompt.DefaultVersion, "the `version` of the texts: raise it when what is asked changes, for answers count for one version only")
	asked := fs.String("purposes", "storage,measure,context,profile,personalise", "the `purposes` to ask for, by name, joined by commas")
	texts := fs.String("texts", "", "a `file` with a JSON object of words in place of ours, by the keys that docs/PROMPT.md lists")
	shown := fs.Bool("shown", false, "the prompt shows before its script runs, for a page that knows that nobody has answered")
	byPage := fs.Bool("page-keeps", false, "the page's own scripts keep the answer, which they hear of by the event near:prompt")
	count := fs.Bool("count", false, "tell the node when the prompt is shown and refused too; the site's settings must list the version to count it")
	if err := cfg.parse(fs, args, "SITE"); err != nil {
		return err
	}
	site := fs.Arg(0)
	if !edge.ValidSite(site) {
		return usagef("%q is no site's id", site)
	}
	if !edge.ValidPrompt(*version) {
		return usagef("--version %q is not lower-case words joined by dashes, at most %d characters", *version, edge.MaxPromptBytes)
	}
	purposes, err := consent.ParsePurposes(strings.Split(*asked, ",")...)
	if err != nil {
		return usagef("--purposes: %v", err)
	}
	own, err := promptTexts(*texts)
	if err != nil {
		return err
	}
	p, err := prompt.New(*lang, *version, purposes.Names(), own)
	if err != nil {
		return err
	}
	p.Shown = *shown
	if *byPage {
		p.Keep = "page"
	}
	counting := ""
	if *count {
		counting = " data-count"
	}
	prefix := html.EscapeString(cfg.Prefix)
	if _, err := fmt.Fprintf(std.out, `<!-- in the page's head -->
<link rel="stylesheet" href="%s/prompt.css">
<script defer src="%s/prompt.js" data-site="%s"%s></script>

<!-- at the beginning of its body -->
`, prefix, prefix, site, counting); err != nil {
		return err
	}
	if err := p.Write(std.out); err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.out, `
<!-- where visitors change their mind, like the foot of every page; the words are yours -->
<button type="button" data-near-reopen>…</button>`)
	return err
}

// promptTexts reads a file of words; "" is none.
func promptTexts(name string) (map[string]string, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := readAtMost(f, maxPromptTexts+1)
	if err != nil {
		return nil, err
	}
	if len(raw) > maxPromptTexts {
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxPromptTexts)
	}
	var own map[string]string
	if err := json.Unmarshal(raw, &own); err != nil {
		return nil, fmt.Errorf("%s is no JSON object of strings: %w", name, err)
	}
	return own, nil
}
