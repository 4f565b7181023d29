// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// siteReport is a command that asks for something of a site and prints it. flags
// bind what the query may hold; it may be nil.
func siteReport[T any](word, resource string, flags func(*flag.FlagSet) func() url.Values, show func(*table, *T)) func(context.Context, []string, stdio) error {
	return func(ctx context.Context, args []string, io stdio) error {
		c := newSiteCall(word, io)
		query := func() url.Values { return nil }
		if flags != nil {
			query = flags(c.fs)
		}
		if err := c.parse(args); err != nil {
			return err
		}
		r := apiRequest{method: http.MethodGet, path: c.path(resource)}
		if q := query().Encode(); q != "" {
			r.path += "?" + q
		}
		var raw json.RawMessage
		if err := c.ask(ctx, io, r, &raw); err != nil {
			return err
		}
		if c.json {
			return printJSON(io, raw)
		}
		var answer T
		if err := json.Unmarshal(raw, &answer); err != nil {
			return fmt.Errorf("the node's answer: %w", err)
		}
		t := &table{tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)}
		show(t, &answer)
		return t.Flush()
	}
}

// A table lines columns up.
type table struct{ *tabwriter.Writer }

// row writes one line of cells.
func (t *table) row(cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			fmt.Fprint(t, "\t")
		}
		fmt.Fprint(t, cell)
	}
	fmt.Fprintln(t)
}

// short is the beginning of a hash, which is enough to tell one from another.
func short(hash string) string { return hash[:min(len(hash), 12)] }

func clock(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Local().Format("2006-01-02 15:04:05")
}

func printUploads(t *table, uploads *[]publishing.Upload) {
	t.row("MODULE", "BYTES", "HASH", "BY", "AT", "SIGNED")
	for _, u := range *uploads {
		signed := ""
		if u.Signature != "" {
			signed = "yes"
		}
		if u.By == "" {
			t.row(u.Name+"@"+u.Version, "", short(u.Hash), "comes with the node", "", signed)
			continue
		}
		t.row(u.Name+"@"+u.Version, u.Bytes, short(u.Hash), u.By, clock(u.At), signed)
	}
}

func printHistory(t *table, history *[]edge.Published) {
	t.row("RELEASE", "HASH", "LIVE SINCE", "")
	for _, p := range *history {
		live := ""
		if p.Live {
			live = "live"
		}
		t.row(p.Number, short(p.Hash), clock(p.At), live)
	}
}

func printStatus(t *table, s *publishing.Status) {
	t.row("site "+s.Site, "release "+strconv.FormatUint(s.Release, 10), "since "+clock(s.At), short(s.Hash))
	if s.SecondPerson {
		t.row("every change wants a second person;", strconv.Itoa(s.Waiting)+" wait")
	}
	for _, slot := range s.Slots {
		t.row()
		t.row("slot "+slot.Slot, slot.Kind)
		for _, rung := range slot.Rungs {
			for i := range rung.Rules {
				printRule(t, rung.Rung, &rung.Rules[i])
			}
		}
		if slot.Shadow != nil {
			printShadow(t, slot.Shadow)
		}
	}
	if len(s.Health) == 0 {
		return
	}
	t.row()
	t.row("MODULE", "CALLS", "FAULTS", "OUT OF FUEL", "FUEL MEAN/MOST", "BUDGET", "")
	for _, h := range s.Health {
		state := ""
		if h.Quarantined {
			state = "quarantined until " + clock(h.Until) + ": " + h.Reason
		}
		t.row(h.Module, h.Calls, h.Faults, h.Spent, fmt.Sprintf("%d/%d", h.FuelMean, h.FuelMax), h.Budget, state)
	}
}

func printRule(t *table, rung string, r *publishing.RuleStatus) {
	part := share(r.Share)
	reach := part.String()
	if r.Shadow {
		reach = "shadow"
	}
	name := r.Name
	if name == "" {
		name = r.Module + "@" + r.Version
	}
	t.row("  "+rung, name, reach, short(r.Hash), string(r.Settings))
	if r.Before != nil {
		printRule(t, rung, r.Before)
	}
}

func printShadow(t *table, r *edge.ShadowReport) {
	t.row("  in shadow since "+clock(r.Since), strings.Join(r.Rules, " "))
	t.row("  decisions", r.Decisions, "the same", r.Same, "faults", r.Faults)
	for _, c := range r.Changes {
		t.row("    "+shownName(c.From)+" → "+shownName(c.To), c.Count)
	}
}

// shownName is a variant as a reader sees it.
func shownName(variant string) string {
	if variant == "" {
		return "the page's own"
	}
	return variant
}

func countFlags(fs *flag.FlagSet) func() url.Values {
	days := fs.Int("days", 30, "of the last `days`")
	return func() url.Values { return url.Values{"days": {strconv.Itoa(*days)}} }
}

func printCounts(t *table, c *publishing.Counts) {
	t.row("SLOT", "VARIANT", "SHOWN", "CLICKED", "counts, not proof")
	for _, row := range c.Rows {
		t.row(row.Slot, shownName(row.Variant), row.Shown, row.Clicked, "")
	}
}

func auditFlags(fs *flag.FlagSet) func() url.Values {
	limit := fs.Int("limit", 100, "the newest `entries`")
	return func() url.Values { return url.Values{"limit": {strconv.Itoa(*limit)}} }
}

func printAudit(t *table, log *publishing.AuditLog) {
	if log.Broken != "" {
		t.row("THE LOG IS BROKEN: " + log.Broken)
	}
	t.row("AT", "WHO", "ACT", "WHAT", "RELEASE", "BEFORE", "AFTER", "")
	for _, e := range log.Entries {
		what := strings.Join(strings.Fields(e.Slot+" "+e.Module+" "+short(e.ModuleHash)+" "+e.Token+" "+e.Proposal), " ")
		release := ""
		if e.Release != 0 {
			release = strconv.FormatUint(e.Release, 10)
		}
		detail := e.Detail
		if e.Restores != 0 {
			detail = fmt.Sprintf("back to %d", e.Restores)
		}
		if e.Voids != "" {
			detail = "did not happen: " + detail
		}
		t.row(clock(e.At), e.By, e.Act, what, release, short(e.Before), short(e.After), detail)
	}
}

func printProposals(t *table, proposals *[]publishing.Proposal) {
	t.row("PROPOSAL", "STATE", "BY", "AT", "CHANGE", "DECIDED BY", "")
	for _, p := range *proposals {
		change := strings.TrimSpace(p.Change.Act + " " + p.Change.Slot + " " + p.Change.Module)
		if place := p.Change.Placement; place != nil {
			change = p.Change.Act + " " + place.Slot + " " + place.Module.Name + "@" + place.Module.Version
		}
		t.row(p.ID, p.State, p.By, clock(p.At), change, p.Decider, p.Reason)
	}
}
