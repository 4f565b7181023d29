// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrRecord reports a decision record that is damaged, or is not of the release
// it is replayed with.
var ErrRecord = errors.New("decision record cannot be replayed")

// A Replay is what a beacon's decisions were and are: decided again by the same
// modules on the same bytes.
type Replay struct {
	Site      string             `json:"site"`
	Release   uint64             `json:"release"`
	At        time.Time          `json:"at"`
	Granted   []string           `json:"granted"`
	Same      bool               `json:"same"` // every decision and every try came out the same
	Decisions []ReplayedDecision `json:"decisions"`
}

// A ReplayedDecision is one slot's.
type ReplayedDecision struct {
	// Asked marks the decision whose id was given.
	Asked bool          `json:"asked,omitempty"`
	Slot  string        `json:"slot"`
	Then  ReplayedShown `json:"then"`
	Now   ReplayedShown `json:"now"`
	Same  bool          `json:"same"`
	Tried []ReplayedTry `json:"tried"`
}

// A ReplayedShown is what a slot showed and why.
type ReplayedShown struct {
	Variant string `json:"variant"`
	Reason  string `json:"reason"`
	Rule    string `json:"rule,omitempty"`
}

// A ReplayedTry is one rule's part: what it was, what it saw, what it answered.
type ReplayedTry struct {
	Rule string `json:"rule"`
	// Module and Settings are SHA-256 in hex; Settings is empty without any.
	Module   string         `json:"module"`
	Settings string         `json:"settings,omitempty"`
	Rung     string         `json:"rung"`
	Then     ReplayedAnswer `json:"then"`
	Now      ReplayedAnswer `json:"now"`
	Same     bool           `json:"same"`
	// Saw are the fields that the rule received, in the order of their numbers.
	Saw []Saw `json:"saw"`
}

// A ReplayedAnswer is what a rule answered: a variant's number in its manifest,
// 0 for none.
type ReplayedAnswer struct {
	Reason  string `json:"reason"`
	Variant int    `json:"variant"`
	Score   int64  `json:"score"`
	Fuel    int64  `json:"fuel"`
	// Output is a checksum of the words and items beside the variant.
	Output string `json:"output,omitempty"`
}

// RecordHolds reports whether a record holds the decision with an id.
func RecordHolds(record []byte, id string) bool {
	p, err := parseRecord(record)
	return err == nil && slices.ContainsFunc(p.decisions, func(t recordedDecision) bool { return t.has(id) })
}

// Replay decides a record's beacon again. The release must be the one the
// record names, compiled anew or live. decode reads a record as rules receive
// it, given the types of the site's own fields. id marks the decision that was
// asked for.
func (r *Release) Replay(record []byte, id string, decode func(record []byte, own []Type) ([]Value, error)) (*Replay, error) {
	p, err := parseRecord(record)
	if err != nil {
		return nil, err
	}
	if p.Release != r.Number() {
		return nil, fmt.Errorf("%w: it is of release %d, this is %d", ErrRecord, p.Release, r.Number())
	}
	d := p.decider(r)
	out := &Replay{Site: r.Site(), Release: p.Release, At: p.At.UTC(), Granted: p.Granted.Names(), Same: true}
	for i := range p.decisions {
		then := &p.decisions[i]
		s, ok := r.slots[then.slot]
		if !ok {
			return nil, fmt.Errorf("%w: the release has no slot %q", ErrRecord, then.slot)
		}
		d.slot, d.then = i, then
		from := len(d.tries)
		now := d.walk(s, s.ladder, 0, nil)
		shown := ReplayedDecision{
			Asked: then.has(id), Slot: then.slot,
			Then: ReplayedShown{then.variant, then.reason.String(), then.rule},
			Now:  ReplayedShown{now.Variant, now.Reason.String(), now.Rule},
		}
		if shown.Tried, err = p.compare(d, s, then, d.tries[from:], decode); err != nil {
			return nil, err
		}
		shown.Same = shown.Then == shown.Now && len(shown.Tried) == len(then.tries)
		for _, t := range shown.Tried {
			shown.Same = shown.Same && t.Same
		}
		out.Same = out.Same && shown.Same
		out.Decisions = append(out.Decisions, shown)
	}
	return out, nil
}

// decider returns a work space in which every view is the recorded one.
func (p *parsedRecord) decider(r *Release) *decider {
	d := &decider{tries: []tried{}}
	d.begin(r, p.Granted, false)
	d.visit = Visit{Site: r.Site(), Now: p.At}
	for i := range r.own {
		d.visit.Own = append(d.visit.Own, OwnValue{Purpose: r.own[i].Purpose})
	}
	for _, v := range p.views {
		d.views = append(d.views, View{visit: &d.visit, mask: v.mask, granted: p.Granted, record: v.bytes, encoded: len(v.bytes) > 0})
	}
	return d
}

// try returns what was tried at a place, nil for nothing.
func (t *recordedDecision) try(at ruleAt) *recordedTry {
	for i := range t.tries {
		if t.tries[i].at == at {
			return &t.tries[i]
		}
	}
	return nil
}

// reached reports whether a roll-out reached the visitor when the decision was
// made: at its place the rule itself was tried, and not left out for its share.
func (t *recordedDecision) reached(at ruleAt, rule *boundRule) bool {
	try := t.try(at)
	return try != nil && try.made.id == rule.id && (try.view > 0 || try.reason != ReasonNoAnswer)
}

// notRun reports whether the rule at a place was asked and could not be run: it
// was quarantined or not loaded, which says nothing about the module.
func (t *recordedDecision) notRun(at ruleAt) bool {
	try := t.try(at)
	return try != nil && try.view == 0 && try.reason == ReasonFailed
}

// compare puts what the rules answer beside what they answered.
func (p *parsedRecord) compare(d *decider, s *slot, then *recordedDecision, now []tried, decode func([]byte, []Type) ([]Value, error)) ([]ReplayedTry, error) {
	out := make([]ReplayedTry, 0, len(now))
	for i := range now {
		n := &now[i]
		try := ReplayedTry{
			Rule: n.rule.id, Module: hex.EncodeToString(n.rule.made.module[:]), Rung: s.ladder[n.at.rung].name,
			Now: replayedAnswer(n.reason, &n.answer, outputSum(&n.answer)), Saw: []Saw{},
		}
		if n.rule.made.settings != ([32]byte{}) {
			try.Settings = hex.EncodeToString(n.rule.made.settings[:])
		}
		if i < len(then.tries) {
			old := &then.tries[i]
			try.Then = replayedAnswer(old.reason, &old.answer, old.output)
			try.Same = try.Then == try.Now && old.made == n.rule.made
			saw, err := p.saw(d, old.view, decode)
			if err != nil {
				return nil, err
			}
			try.Saw = saw
		}
		out = append(out, try)
	}
	return out, nil
}

func replayedAnswer(reason Reason, a *Answer, output uint64) ReplayedAnswer {
	r := ReplayedAnswer{Reason: reason.String(), Variant: a.Variant, Score: a.Score, Fuel: a.Fuel}
	if output != 0 {
		r.Output = fmt.Sprintf("%016x", output)
	}
	return r
}

// saw returns the fields of a recorded view that had a value; view is one more
// than its number, 0 for none.
func (p *parsedRecord) saw(d *decider, view int, decode func([]byte, []Type) ([]Value, error)) ([]Saw, error) {
	out := []Saw{}
	if view == 0 || len(p.views[view-1].bytes) == 0 {
		return out, nil
	}
	own := make([]Type, len(d.release.own))
	for i := range own {
		own[i] = d.release.own[i].Type
	}
	values, err := decode(p.views[view-1].bytes, own)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	for n := range values {
		if values[n].Known() {
			out = append(out, Saw{Field: d.release.field(FieldNumber(n)).Name, Value: json.RawMessage(values[n].AppendJSON(nil))})
		}
	}
	return out, nil
}
