// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nearside/nearside/collector"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/consent/packed"
)

// consentExplainCommand tells what a request's signals grant, and why. It decides
// nothing: the evaluation that a node runs tells what it had in hand.
func consentExplainCommand(_ context.Context, args []string, std stdio) error {
	c := newFilesCall("consent explain FILE (- reads it from standard input)", std, localSettings...)
	var r explained
	c.fs.BoolVar(&c.json, "json", false, "print JSON")
	c.fs.BoolVar(&r.gpc, "gpc", false, "the request has the header Sec-GPC: 1")
	c.fs.StringVar(&r.where.Country, "country", "", "the `country` of the visitor's address, like FR (ISO 3166-1); without it the place is unknown")
	c.fs.StringVar(&r.where.Subdivision, "region", "", "the `state` of it in the US, like CA (ISO 3166-2 after the dash)")
	page := c.fs.String("policy", "", "the page's `data-policy`: strict, uk or us-optout (default what FILE has)")
	dir := c.fs.String("rules", "", "the `directory` of site files whose consent policy counts (default the policy as shipped)")
	date := c.fs.String("date", "", "the `day` of the request, like 2026-11-27 (default today)")
	if err := c.cfg.parse(c.fs, args, "FILE"); err != nil {
		return err
	}
	r.where.Country, r.where.Subdivision = strings.ToUpper(r.where.Country), strings.ToUpper(r.where.Subdivision)
	if err := r.at(*date); err != nil {
		return err
	}
	if err := r.read(c.fs.Arg(0), *page); err != nil {
		return err
	}
	if *dir != "" {
		site, err := c.readSite(*dir, std, nil)
		if err != nil {
			return err
		}
		r.policy = site.doc.Settings.Consent
	}
	e := consent.Explain(&r.signals, &r.policy, r.where, r.now)
	if c.json {
		return printJSON(std, explanationOf(&e))
	}
	return printExplanation(std, &e)
}

// explained is what a request says of consent, and what else decides.
type explained struct {
	signals consent.Signals
	policy  consent.Policy
	where   consent.Region
	gpc     bool // by header
	now     time.Time
}

func (r *explained) at(date string) (err error) {
	if r.now = time.Now(); date == "" {
		return nil
	}
	if r.now, err = time.Parse(time.DateOnly, date); err != nil {
		return usagef("--date %q is not a day like 2026-11-27", date)
	}
	return nil
}

// read reads a beacon's or a server's consent object as the collector does. A
// beacon's claim is its ceiling; without one everything is claimed.
func (r *explained) read(name, page string) error {
	text, err := fileOrInput(name, edge.MaxBeaconBytes)
	if err != nil {
		return err
	}
	var d collector.Decoder
	if err := d.DecodeConsent(text, &r.signals); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if page != "" {
		policy, ok := consent.ParsePagePolicy([]byte(page))
		if !ok {
			return usagef("--policy is %q, want strict, uk or us-optout", page)
		}
		r.signals.PagePolicy = policy
	}
	r.signals.GPC = r.signals.GPC || r.gpc
	return nil
}

// fileOrInput reads a file, or standard input for `-`, of which no more than most
// bytes and one are read.
func fileOrInput(name string, most int) ([]byte, error) {
	if name == standard {
		text, err := argument(name, most)
		return []byte(text), err
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return readAtMost(file, most+1)
}

// An explanation is a consent.Explanation as JSON has it.
type explanation struct {
	Granted    consent.Set       `json:"granted"`
	Authority  string            `json:"authority"`
	Policy     string            `json:"policy"`
	Unresolved bool              `json:"unresolved"`
	Reason     consent.Reason    `json:"reason,omitempty"`
	Purposes   []purposeOutcome  `json:"purposes"`
	Signals    []explainedSignal `json:"signals"`
	Vetoes     []explainedVeto   `json:"vetoes"`
}

type purposeOutcome struct {
	Name    string          `json:"name"`
	Outcome consent.Outcome `json:"outcome"`
	By      []string        `json:"by"` // the authority; for a veto its sources
}

type explainedSignal struct {
	Name    string         `json:"name"`
	Applies bool           `json:"applies"`
	Grants  consent.Set    `json:"grants"`
	Reason  consent.Reason `json:"reason,omitempty"`
	Code    packed.Code    `json:"code,omitempty"`
	Field   string         `json:"field,omitempty"`
}

type explainedVeto struct {
	By       string      `json:"by"`
	Purposes consent.Set `json:"purposes"`
}

func explanationOf(e *consent.Explanation) explanation {
	v := &e.Verdict
	x := explanation{
		Granted: consent.Set(v.Granted), Authority: v.Authority.String(), Policy: v.Policy.String(),
		Unresolved: v.Unresolved, Reason: v.Reason, Vetoes: []explainedVeto{},
	}
	for _, row := range consent.Rows() {
		x.Purposes = append(x.Purposes, purposeOutcome{row.Name, e.Outcome(row.Bit), deciders(e, row.Bit)})
	}
	for _, r := range e.Readings {
		x.Signals = append(x.Signals, explainedSignal{r.Authority.String(), r.Applies, consent.Set(r.Grants), r.Reason, r.Fault.Code, r.Fault.Field})
	}
	for _, veto := range e.Vetoes {
		x.Vetoes = append(x.Vetoes, explainedVeto{veto.Source(), consent.Set(veto.Purposes)})
	}
	return x
}

// deciders are who brought about the outcome of a purpose.
func deciders(e *consent.Explanation, purpose consent.Purposes) []string {
	if e.Outcome(purpose) != consent.Vetoed {
		return []string{e.Verdict.Authority.String()}
	}
	var by []string
	for _, veto := range e.Vetoes {
		if veto.Purposes.Has(purpose) {
			by = append(by, veto.Source())
		}
	}
	return by
}

// outcomeWords say an outcome; %s is who brought it about.
var outcomeWords = map[consent.Outcome]string{
	consent.Granted:    "granted by %s",
	consent.Unresolved: "%s speaks for the visitor and gave no answer that counts",
	consent.NotGranted: "not granted by %s",
	consent.Vetoed:     "taken away by %s",
	consent.NotClaimed: "granted by %s, but the tag did not claim it",
	consent.NeedsOther: "granted by %s, but what it needs is not: storage for profile and personalise, measure for share",
}

// reasonWords say why a signal gave no answer that counts.
var reasonWords = map[consent.Reason]string{
	consent.NoString:           "it sent no string",
	consent.Malformed:          "its string is malformed",
	consent.OldPolicy:          "its string is of a TCF policy before version 4",
	consent.NotServiceSpecific: "its string is not for this site alone (IsServiceSpecific is 0)",
	consent.NoDisclosedVendors: "its string has no segment of disclosed vendors, which it must have since 28 February 2026",
	consent.NoPublisher:        "its string has no segment of the publisher, which this site reads",
	consent.VendorNotDisclosed: "the visitor was not told of the vendor that this site reads",
	consent.Stale:              "the choice is older than 13 months",
	consent.InFuture:           "the choice is dated more than a day ahead",
	consent.SectionsUnknown:    "the platform has not said which sections are in force",
	consent.SectionMissing:     "a section in force is not in the string",
	consent.SectionNotKnown:    "a section in force cannot be read here",
	consent.NotApplicable:      "the string says that it does not apply",
}

// printExplanation writes it for people.
func printExplanation(std stdio, e *consent.Explanation) error {
	t := &table{tabwriter.NewWriter(std.out, 0, 8, 2, ' ', 0)}
	fmt.Fprintf(t, "Granted: %s, by %s. The defaults of this place and page are those of %q.\n\n", e.Verdict.Granted, e.Verdict.Authority, e.Verdict.Policy)
	t.row("PURPOSE", "GRANTED", "WHY")
	for _, row := range consent.Rows() {
		outcome := e.Outcome(row.Bit)
		t.row(row.Name, yesNo(outcome == consent.Granted), fmt.Sprintf(outcomeWords[outcome], strings.Join(deciders(e, row.Bit), " and ")))
	}
	fmt.Fprintln(t)
	t.row("SIGNAL", "SPEAKS", "GRANTS")
	for _, r := range e.Readings {
		grants := "-"
		switch {
		case r.Reason != "":
			grants = "nothing: " + reasonWords[r.Reason] + faultWords(r.Fault) + " (" + string(r.Reason) + ")"
		case r.Applies:
			grants = r.Grants.String()
		}
		t.row(r.Authority, yesNo(r.Applies), grants)
	}
	if len(e.Vetoes) > 0 {
		fmt.Fprintln(t)
		t.row("VETO", "TAKES AWAY")
		for _, veto := range e.Vetoes {
			t.row(veto.Source(), veto.Purposes)
		}
	}
	return t.Flush()
}

func faultWords(f consent.Fault) string {
	if f.Code == "" {
		return ""
	}
	return ", " + (&packed.Error{Code: f.Code, Field: f.Field}).Error()
}
