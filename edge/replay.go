// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/hex"
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
// The rules without code of a rung are one: they are one module, called rules.
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
	// Rules are the rung's rules without code one by one, as they come out now.
	Rules []Try `json:"rules,omitempty"`
}

// A ReplayedAnswer is what a rule answered: a variant's number in its manifest, 0
// for none. For rules without code it is that of a candidate, counted from 1.
type ReplayedAnswer struct {
	Reason  string `json:"reason"`
	Variant int    `json:"variant"`
	Score   int64  `json:"score"`
	Fuel    int64  `json:"fuel"`
	// Output is a checksum of the words and items beside the variant; for rules
	// without code, of every candidate of the slot that held, with its score.
	Output string `json:"output,omitempty"`
}

// RecordHolds reports whether a record holds the decision with an id.
func RecordHolds(record []byte, id string) bool {
	p, err := parseRecord(record)
	return err == nil && slices.ContainsFunc(p.decisions, func(t recordedDecision) bool { return t.has(id) })
}

// A RecordDecoder reads a record as rules receive it, given the types of the
// site's own fields: a value for each field, by number. A record that was made
// when there were fewer built-in fields gives those that came later no value, and
// the site's own the numbers that they have now.
type RecordDecoder = func(record []byte, own []Type) ([]Value, error)

// Replay decides a record's beacon again. The release must be the one the
// record names, compiled anew or live. id marks the decision that was asked for.
func (r *Release) Replay(record []byte, id string, decode RecordDecoder) (*Replay, error) {
	p, err := parseRecord(record)
	if err != nil {
		return nil, err
	}
	if p.Release != r.Number() {
		return nil, fmt.Errorf("%w: it is of release %d, this is %d", ErrRecord, p.Release, r.Number())
	}
	d, err := p.decider(r, decode)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	out := &Replay{Site: r.Site(), Release: p.Release, At: p.At.UTC(), Granted: p.Granted.Names(), Same: true}
	for i := range p.decisions {
		then := &p.decisions[i]
		s, ok := r.slots[then.slot]
		if !ok {
			return nil, fmt.Errorf("%w: the release has no slot %q", ErrRecord, then.slot)
		}
		d.slot, d.then = i, then
		from := len(d.tries)
		var now Decision
		d.walk(s, s.ladder, 0, &now)
		shown := ReplayedDecision{
			Asked: then.has(id), Slot: then.slot,
			Then:  ReplayedShown{then.variant, then.reason.String(), then.rule},
			Now:   ReplayedShown{now.Variant, now.Reason.String(), now.Rule},
			Tried: d.compare(s, then, d.tries[from:]),
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
func (p *parsedRecord) decider(r *Release, decode RecordDecoder) (*decider, error) {
	d := &decider{}
	d.begin(r, p.Granted, false)
	d.visit = Visit{Site: r.Site(), Now: p.At}
	own := make([]Type, len(r.own))
	for i := range r.own {
		d.visit.Own = append(d.visit.Own, OwnValue{Purpose: r.own[i].Purpose})
		own[i] = r.own[i].Type
	}
	for _, v := range p.views {
		mask, ok := v.mask.renumber(p.builtins, len(own))
		if !ok || mask.AndNot(d.allowed) != (Mask{}) {
			return nil, errors.New("a view has fields that the visitor did not grant, or the site lacks")
		}
		view := View{visit: &d.visit, mask: mask, granted: p.Granted}
		if len(v.bytes) > 0 {
			var err error
			if view.values, err = decode(v.bytes, own); err != nil {
				return nil, err
			}
			if n := BuiltinFields + len(own); len(view.values) != n {
				return nil, fmt.Errorf("a view of %d fields, want %d", len(view.values), n)
			}
		}
		if p.builtins == BuiltinFields { // else rules receive it as it is written now
			view.record, view.encoded = v.bytes, len(v.bytes) > 0
		}
		d.views = append(d.views, view)
	}
	for i := range p.decisions {
		d.slots = append(d.slots, r.slots[p.decisions[i].slot])
	}
	return d, nil
}

// renumber returns a mask of a time with fewer built-in fields by today's
// numbers; ok is false for one with fields beyond the site's own.
func (m Mask) renumber(builtins, own int) (out Mask, ok bool) {
	for n := m.Next(0); n >= 0; n = m.Next(n + 1) {
		switch {
		case int(n) < builtins:
			out = out.With(n)
		case int(n) < builtins+own:
			out = out.With(n + FieldNumber(BuiltinFields-builtins))
		default:
			return out, false
		}
	}
	return out, true
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

// heldBack returns why the answer of a rule at a place was held back,
// ReasonDefault where it was not.
func (t *recordedDecision) heldBack(at ruleAt, candidate int) Reason {
	if try := t.try(at); try != nil {
		for _, b := range try.backs {
			if b.candidate == candidate {
				return b.reason
			}
		}
	}
	return ReasonDefault
}

// keptOf returns the candidate of a rule that was kept, -1 for none.
func (t *recordedDecision) keptOf(w *weighted) int {
	for i := range t.tries {
		for _, candidate := range t.tries[i].kept {
			if candidate >= w.from && candidate < w.until {
				return candidate
			}
		}
	}
	return -1
}

// notRun reports whether the rule at a place was asked and could not be run: it
// was quarantined or not loaded, which says nothing about the module.
func (t *recordedDecision) notRun(at ruleAt) bool {
	try := t.try(at)
	return try != nil && try.view == 0 && try.reason == ReasonFailed
}

// compare puts what the rules answer beside what they answered.
func (d *decider) compare(s *slot, then *recordedDecision, now []tried) []ReplayedTry {
	out := make([]ReplayedTry, 0, len(now))
	for i := range now {
		n := &now[i]
		rg := &s.ladder[n.at.rung]
		try := ReplayedTry{
			Rule: n.rule.id, Module: hex.EncodeToString(n.rule.made.module[:]), Rung: rg.name,
			Now: replayedAnswer(n.reason, &n.answer, d.outputSum(n, s)), Saw: []Saw{},
		}
		if n.rule.made.settings != ([32]byte{}) {
			try.Settings = hex.EncodeToString(n.rule.made.settings[:])
		}
		if n.at.rule == codelessPlace {
			d.at = n.at
			try.Rules = d.explainCodeless(s, rg)
		}
		if i < len(then.tries) {
			old := &then.tries[i]
			try.Then = replayedAnswer(old.reason, &old.answer, old.output)
			try.Same = try.Then == try.Now && old.made == n.rule.made.madeMark && old.at == n.at
			if old.view > 0 {
				view := &d.views[old.view-1]
				try.Saw = d.saw(view.mask, view)
			}
		}
		out = append(out, try)
	}
	return out
}

func replayedAnswer(reason Reason, a *Answer, output uint64) ReplayedAnswer {
	r := ReplayedAnswer{Reason: reason.String(), Variant: a.Variant, Score: a.Score, Fuel: a.Fuel}
	if output != 0 {
		r.Output = fmt.Sprintf("%016x", output)
	}
	return r
}
