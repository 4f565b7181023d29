// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"

	"github.com/nearside/nearside/edge/consent"
)

// Limits of rules without code.
const (
	// MaxCandidates is how many candidates a slot may have.
	MaxCandidates = 255
	// MaxExpressionBytes bounds one condition or score.
	MaxExpressionBytes = 4096
	// MaxEventWindows is how many pairs of an event and a window a release's
	// rules may count; MaxWindowDays is the longest window.
	MaxEventWindows = 16
	MaxWindowDays   = 90

	maxAudiences = 1024
	maxCampaigns = 1024
)

// An Audience is a condition with a name, used as inAudience("name").
type Audience struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// When is the condition, as in RuleSpec.
	When string `json:"when"`
}

// A Campaign owns rules across slots: what is tried, for whom, until when, and
// by which number one will know. It is not the utm campaign, which is the field
// source.campaign.
type Campaign struct {
	Name       string `json:"name"`
	Owner      string `json:"owner,omitempty"`
	Hypothesis string `json:"hypothesis,omitempty"`
	// Goal, Segment, Moment and Tactic are the plan in words.
	Goal    string `json:"goal,omitempty"`
	Segment string `json:"segment,omitempty"`
	Moment  string `json:"moment,omitempty"`
	Tactic  string `json:"tactic,omitempty"`
	// State is draft, review, approved, live or archived; the rules of a campaign
	// that is not live do not take part.
	State string `json:"state"`
	// From and Until bound when its rules take part, as those of a Variant.
	From  string `json:"from,omitempty"`
	Until string `json:"until,omitempty"`
	// Cap bounds how often its variants are shown to one visitor together.
	Cap *Cap `json:"cap,omitempty"`
	// Quiet is when its rules do not take part, in the visitor's own time.
	Quiet *QuietHours `json:"quiet,omitempty"`
	// Transactional campaigns serve what the visitor asked for: they are no
	// promotions, so that neither the site's caps nor an open complaint stop them.
	Transactional bool `json:"transactional,omitempty"`
}

// QuietHours are a time of day as "15:04", from From until Until, which it does not
// include; it may pass midnight.
type QuietHours struct {
	From  string `json:"from"`
	Until string `json:"until"`
}

// A ShowSpec is a variant that a rule without code shows, and to how many.
type ShowSpec struct {
	Variant string `json:"variant"`
	// Weight is the variant's share of the visitors the rule holds for, among the
	// weights of the rule's other variants. A rule with one variant needs none. By
	// weight, as in a roll-out, only a visitor with an id is served.
	Weight int `json:"weight,omitempty"`
}

// A Candidate is one way in which a rule without code may answer: a rule of a
// slot's ladder and one of the variants it shows, all counted from 0.
type Candidate struct{ Rung, Rule, Show int }

// Candidates returns the candidates of the slot's rules without code, in the
// order of rungs, rules and variants. A candidate's place in it is its number.
func (s *SlotSpec) Candidates() []Candidate {
	var out []Candidate
	for i := range s.Ladder {
		for j := range s.Ladder[i].Rules {
			if rule := &s.Ladder[i].Rules[j]; rule.Name != "" {
				for k := range rule.Show {
					out = append(out, Candidate{i, j, k})
				}
			}
		}
	}
	return out
}

// Buckets returns the buckets [from, until) in which variant number show of the
// rule is served, the whole range for a rule with one variant. The bounds of
// neighbours meet, so every bucket is served by one of them.
func (r *RuleSpec) Buckets(show int) (from, until int) {
	if len(r.Show) < 2 {
		return 0, Buckets
	}
	total, below := 0, 0
	for i := range r.Show {
		total += r.Show[i].Weight
		if i < show {
			below += r.Show[i].Weight
		}
	}
	if total == 0 {
		return 0, 0
	}
	return below * Buckets / total, (below + r.Show[show].Weight) * Buckets / total
}

// RolloutSalt and ShowSalt are the salts of the buckets of a rule's roll-out and
// of its weights in a slot. They differ: who is in a small roll-out must not all
// see the same variant.
func RolloutSalt(slot, rule string) string { return slot + "/" + rule }

// ShowSalt is explained at RolloutSalt.
func ShowSalt(slot, rule string) string { return slot + "/" + rule + "/show" }

// Compiled names the module that a release's rules without code were compiled
// to.
type Compiled struct {
	// Hash is the SHA-256 of the module's bytes, lower-case hex.
	Hash string `json:"hash"`
}

// SlotInputs is what a slot's answer depends on: two visits that agree on it get
// the same answer.
type SlotInputs struct {
	// Purposes are those that unlock something of what is read, or without which a
	// module of the slot does not run.
	Purposes consent.Set `json:"purposes"`
	// Reads are fields by wire name, page.lang for the language of the page (the
	// visitor's where the page names none), and parts of fields as an expression spells them: interests["hats"],
	// count("view_item", "7d"), hash("spring"); shown is how often variants of the slot
	// were shown, complaint whether one is open, variations what was seen of rules that
	// choose by weight. Sorted.
	Reads []string `json:"reads"`
}

// An EventWindow is a number of days, today included, in which events of a name
// are counted.
type EventWindow struct {
	Event string `json:"event"`
	Days  int    `json:"days"`
}

// Key returns the window's key in the field counts, for example view_item/7d.
func (w EventWindow) Key() string { return fmt.Sprintf("%s/%dd", w.Event, w.Days) }

// A RuleError says what is wrong with a rule without code or an audience, and
// where.
type RuleError struct {
	// Slot and Rule name the rule; Rule is empty where the slot's rules together
	// are wrong. For an audience Slot is empty and Audience is its name.
	Slot, Rule, Audience string
	// Member is when, score or show; empty for the whole rule.
	Member string
	// Line and Column say where in the expression, from 1; 0 is unknown. Columns
	// count characters.
	Line, Column int
	// Code is stable: syntax, type, unsupported, unknown-name, too-large, shape.
	Code    string
	Message string
	// Hint is the nearest thing that works, possibly empty.
	Hint string
}

// Error implements error: slots: hero: rule spring: when:1:5: message; hint.
func (e *RuleError) Error() string {
	at := "audiences: " + e.Audience
	if e.Audience == "" {
		at = "slots: " + e.Slot
		if e.Rule != "" {
			at += ": rule " + e.Rule
		}
	}
	if e.Member != "" {
		at += ": " + e.Member
	}
	if e.Line > 0 {
		at += fmt.Sprintf(":%d:%d", e.Line, e.Column)
	}
	if e.Hint != "" {
		return at + ": " + e.Message + "; " + e.Hint
	}
	return at + ": " + e.Message
}

// A Condition is what became of a condition of a rule without code, for people.
type Condition struct {
	// Text is the condition as it is written.
	Text string `json:"text"`
	// Words say it in English: "geo.country is one of FR, DE".
	Words string `json:"words"`
	// Op says how Parts are joined, or what a condition without parts is: and,
	// or, not, audience, is, is-not, one-of, at-least, more-than, at-most,
	// less-than, starts-with, ends-with, contains, has, true, share or other. A
	// share is the part of the visitors that the rule's roll-out or weights choose,
	// drawn by lot. What others tell by Words, pages may tell in the reader's
	// language by Op, Field and Values.
	Op string `json:"op"`
	// Field is what a condition without parts is about, as it is written:
	// geo.country, count("view_item", "7d"); empty where that is not one thing.
	Field string `json:"field,omitempty"`
	// Values are what it is compared with; a share's one value is how many per cent
	// of the visitors it is: 12.5.
	Values []string `json:"values,omitempty"`
	// Saw is what Field was, as JSON, where it is known and not drawn by hash.
	Saw string `json:"saw,omitempty"`
	// Verdict is held, failed or unknown.
	Verdict string `json:"verdict"`
	// Unknown says why the verdict is unknown.
	Unknown []UnknownField `json:"unknown,omitempty"`
	Parts   []Condition    `json:"parts,omitempty"`
}

// RuleConditions are the conditions of a document's rules without code and of
// its audiences as they are written, for no page view: without verdicts, and
// without the parts of the audiences that they name.
type RuleConditions struct {
	// Rules are by slot and rule; one that always holds has none.
	Rules     map[string]map[string]Condition
	Audiences map[string]Condition
}

// The verdicts of a Condition.
const (
	VerdictHeld    = "held"
	VerdictFailed  = "failed"
	VerdictUnknown = "unknown"
)

// An UnknownField is why a condition could not be told.
type UnknownField struct {
	// Field is a field's wire name, or as it is written what has no value:
	// interests["hats"], recent[0], count("view_item", "7d"), visitor.visits / 0.
	Field string `json:"field"`
	// Cause is refused (Purpose was), absent (there is no value: no field, no such
	// key in a map, no such place in a list), warming-up (an event is not counted
	// long enough) or error (an overflow, a division by zero).
	Cause   string `json:"cause"`
	Purpose string `json:"purpose,omitempty"`
}
