// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"slices"
	"strings"
	"unicode"
)

// reportVersion is that of the report as JSON. Members are only ever added to it.
const reportVersion = 1

// A Level is how much a finding matters.
type Level string

// The levels, from the least to the most.
const (
	OK      Level = "ok"      // as it should be
	Note    Level = "note"    // worth knowing
	Warning Level = "warning" // works, and mostly not as it is meant
	Error   Level = "error"   // keeps the tag or a slot from working
)

// A Finding is one thing that was seen.
type Finding struct {
	// Code is stable and one of Kinds.
	Code  string `json:"code"`
	Group Group  `json:"group"`
	Level Level  `json:"level"`
	// Seen is what was seen, in a line.
	Seen string `json:"seen"`
	// Next is what to do about it, empty where there is nothing to do.
	Next string `json:"next,omitempty"`
}

// A Report is what came of one page. Its JSON is documented in docs/DOCTOR.md;
// absent members were not seen.
type Report struct {
	Version int `json:"v"`
	// URL is the address that was asked for, Page the one that answered.
	URL  string `json:"url"`
	Page string `json:"page,omitempty"`
	// Browser is the program that opened the page, empty where it was read.
	Browser    string `json:"browser,omitempty"`
	TookMillis int64  `json:"took_millis"`
	// Tag is the address of the script, Site its data-site, Node the address that
	// the collector is looked for below.
	Tag  string `json:"tag,omitempty"`
	Site string `json:"site,omitempty"`
	Node string `json:"node,omitempty"`

	Findings []Finding       `json:"findings"`
	Consent  *ConsentReport  `json:"consent,omitempty"`
	Slots    []SlotReport    `json:"slots"`
	Requests []RequestReport `json:"requests"`
}

// A ConsentReport is what the tag made of the page's signals.
type ConsentReport struct {
	// Sources are the signals that are on the page: tcf, gpp, gcm, gpc, owner,
	// policy, ask.
	Sources []string `json:"sources"`
	// Authority is the signal that could grant, or region where none speaks.
	Authority string `json:"authority"`
	// Resolved is whether somebody entitled to answer has answered.
	Resolved bool `json:"resolved"`
	// Granted are the purposes by name.
	Granted []string `json:"granted"`
	// WaitedMillis is how long the page was watched.
	WaitedMillis int64 `json:"waited_millis"`
}

// A SlotReport is one slot of the page.
type SlotReport struct {
	Name string `json:"name"`
	// Known is whether the node's release has the slot; absent if it did not say.
	Known *bool `json:"known,omitempty"`
	// Asked is whether the page asked for it.
	Asked   bool   `json:"asked"`
	Variant string `json:"variant,omitempty"`
	Kind    string `json:"kind,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Because string `json:"because,omitempty"`
	// Shown is what the tag did: variant, default or late.
	Shown string `json:"shown,omitempty"`
	// AnswerMillis is the time from the request to the whole answer.
	AnswerMillis int64 `json:"answer_millis,omitempty"`
	// Height is the slot's, in CSS pixels.
	Height int `json:"height,omitempty"`
}

// A RequestReport is one request of the page to the node.
type RequestReport struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	// Status is 0 where there was no answer; Error then says why.
	Status int    `json:"status"`
	Millis int64  `json:"millis"`
	Error  string `json:"error,omitempty"`
	// Code is that of a refusal.
	Code string `json:"code,omitempty"`
	// Events are how many were sent, Rejected the codes of those refused.
	Events   int      `json:"events,omitempty"`
	Rejected []string `json:"rejected,omitempty"`
}

// Count returns how many findings are of a level.
func (r *Report) Count(level Level) int {
	n := 0
	for i := range r.Findings {
		if r.Findings[i].Level == level {
			n++
		}
	}
	return n
}

// sort brings findings into the order of the groups; inside one they stay.
func (r *Report) sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return slices.Index(groups, a.Group) - slices.Index(groups, b.Group)
	})
}

// maxFindings bounds a report: a page may have any number of faulty slots.
const maxFindings = 300

// find adds a finding. facts are pairs of a place and its text for this one.
func (x *examination) find(code, seen string, facts ...string) {
	if len(x.report.Findings) == maxFindings {
		return
	}
	kind := kindOf(code)
	var pairs []string
	for place, text := range x.facts {
		pairs = append(pairs, "{"+place+"}", text)
	}
	for i := 0; i+1 < len(facts); i += 2 {
		pairs = append([]string{"{" + facts[i] + "}", facts[i+1]}, pairs...)
	}
	x.report.Findings = append(x.report.Findings, Finding{
		Code: code, Group: kind.Group, Level: kind.Level,
		Seen: line(seen), Next: line(strings.NewReplacer(pairs...).Replace(kind.Next)),
	})
}

// line makes one line of a text that may come from the page, without what could
// steer a terminal, and bounds it.
func line(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			return -1
		}
		return r
	}, text)
	return clip(text, 1000)
}

// clip shortens a text to at most that many bytes, at a character's border.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}
