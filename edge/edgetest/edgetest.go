// SPDX-License-Identifier: Apache-2.0

// Package edgetest makes the engine's values for other packages' tests: views
// of a visit a test made up, events without a beacon, and a rule that is
// written as data. Only tests import it; it keeps no state.
package edgetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// View returns what a rule that declared mask may see of a visit.
func View(visit *edge.Visit, mask edge.Mask, granted consent.Purposes) *edge.View {
	return edge.NewView(visit, mask, granted)
}

// An EventSpec says what Event makes. Missing members get plain values.
type EventSpec = edge.StoredEvent

// Event returns an event as a beacon would have made it.
func Event(s EventSpec) edge.Event {
	if s.At.IsZero() {
		s.At = time.Now()
	}
	if s.Expires.IsZero() {
		s.Expires = s.At.Add(24 * time.Hour)
	}
	if s.JSON == nil {
		s.JSON = fmt.Appendf(nil, `{"v":1,"id":%q,"name":%q,"at":%d,"site":%q}`, s.ID, s.Name, s.At.UnixMilli(), s.Site)
	}
	return s.Event()
}

// A Rule is a rule as data: the first Case whose field has the value answers.
// It stands in for a module where WASM is not what a test is about.
type Rule struct {
	Declares edge.Manifest
	Cases    []Case
	// Fails, when set, is what Choose fails with; "budget" is edge.ErrBudget.
	Fails string `json:",omitempty"`
}

// A Case answers with Variant, Score and Items when the field called Field is known
// and its JSON is Is; without a Field it always answers.
type Case struct {
	Field, Is string
	Variant   int
	Score     int64
	Because   string
	Items     []edge.AnswerItem `json:",omitempty"`
}

// Manifest implements edge.Rule.
func (r *Rule) Manifest() *edge.Manifest { return &r.Declares }

// Choose implements edge.Rule.
func (r *Rule) Choose(view *edge.View, _ int) (edge.Answer, error) {
	view.Record(EncodeView) // what a module is given is what a replay has
	switch r.Fails {
	case "":
	case "budget":
		return edge.Answer{}, edge.ErrBudget
	default:
		return edge.Answer{}, errors.New(r.Fails)
	}
	for _, c := range r.Cases {
		if c.Field != "" {
			f, ok := edge.FieldByName(c.Field)
			if !ok || string(view.Value(f.Number).AppendJSON(nil)) != c.Is {
				continue
			}
		}
		return edge.Answer{Variant: c.Variant, Score: c.Score, Because: c.Because, Items: c.Items}, nil
	}
	return edge.Answer{}, nil
}

// NoRules is the part of a loader that has no rules without code.
type NoRules struct{}

// LoadRules implements edge.RuleLoader.
func (NoRules) LoadRules(string, *edge.Compiled, map[string]int) (edge.RuleSet, error) {
	return nil, errors.New("no rules without code")
}

// LoadRules implements edge.RuleLoader.
func (Loader) LoadRules(site string, c *edge.Compiled, bind map[string]int) (edge.RuleSet, error) {
	return NoRules{}.LoadRules(site, c, bind)
}

// Loader loads Rules by module name.
type Loader map[string]*Rule

// Load implements edge.RuleLoader.
func (l Loader) Load(_ string, ref edge.ModuleRef, _ map[string]int) (edge.Rule, error) {
	r, ok := l[ref.Name]
	if !ok {
		return nil, fmt.Errorf("no rule %q", ref.Name)
	}
	return r, nil
}
