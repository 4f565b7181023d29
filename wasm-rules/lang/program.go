// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"encoding/json"
	"fmt"
	"sync"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/wasm-rules/bytecode"
)

// RulesSection is the name of a compiled module's custom section that says what
// its rules are, as JSON.
const RulesSection = "near.rules"

// A Program is what a compiled module says of itself. It is read-only
// and may be used by many goroutines at once.
type Program struct {
	text programText
	// source are the rules as they were written, checked again when somebody
	// asks: nodes that only serve never do.
	source func() (*document, error)
}

// A programText is a Program as JSON.
type programText struct {
	Slots  []edge.RuleSetSlot `json:"slots"`
	Reads  []string           `json:"reads"`
	Counts []edge.EventWindow `json:"counts,omitempty"`
	// Source is what was compiled: the own fields, audiences and rules without
	// code of the release, and nothing else of it.
	Source edge.ReleaseDocument `json:"source"`
}

// Read returns what a compiled module says of itself.
func Read(wasm []byte) (*Program, error) {
	sections, err := bytecode.Custom(wasm, RulesSection)
	if err != nil {
		return nil, fmt.Errorf("compiled rules: %w", err)
	}
	if len(sections) != 1 {
		return nil, fmt.Errorf("compiled rules: %d sections %s, want 1", len(sections), RulesSection)
	}
	p := new(Program)
	if err := json.Unmarshal(sections[0], &p.text); err != nil {
		return nil, fmt.Errorf("compiled rules: %w", err)
	}
	p.source = sync.OnceValues(func() (*document, error) { return checkDocument(&p.text.Source) })
	return p, nil
}

// Slots are the slots that have rules without code, in the order of their
// numbers, which near_decide_all takes.
func (p *Program) Slots() []edge.RuleSetSlot { return p.text.Slots }

// Reads are the wire names of the fields that the module reads, in the order of
// its manifest.
func (p *Program) Reads() []string { return p.text.Reads }

// Counts are the windows that its rules count events in.
func (p *Program) Counts() []edge.EventWindow { return p.text.Counts }

// Own are the site's own fields in their order: names, types and purposes.
func (p *Program) Own() []edge.OwnField { return p.text.Source.Fields }

// Explain says what became of the condition of a slot's candidate in a visit,
// by the reference interpreter: slow and for people. values gives a field's value
// by its wire name, the unknown Value where it is absent; granted are the visit's
// purposes, which tell what is refused from what is not there. isKept is as in edge.RuleSet.
func (p *Program) Explain(slot, candidate int, isKept bool, values func(name string) edge.Value, granted consent.Purposes) (*edge.Condition, error) {
	source, err := p.source()
	if err != nil {
		return nil, fmt.Errorf("compiled rules: %w", err)
	}
	s := surroundings{document: source, values: values, granted: granted}
	return s.explain(slot, candidate, isKept)
}

// sourceOf returns what a Program keeps of a document.
func sourceOf(doc *edge.ReleaseDocument) edge.ReleaseDocument {
	source := edge.ReleaseDocument{Audiences: doc.Audiences}
	for _, f := range doc.Fields {
		source.Fields = append(source.Fields, edge.OwnField{Name: f.Name, Type: f.Type, Purpose: f.Purpose})
	}
	for i := range doc.Slots {
		spec := &doc.Slots[i]
		if len(spec.Candidates()) == 0 {
			continue
		}
		slot := edge.SlotSpec{Name: spec.Name}
		for j := range spec.Ladder {
			rung := edge.RungSpec{Rung: spec.Ladder[j].Rung}
			for _, r := range spec.Ladder[j].Rules {
				if r.Name != "" {
					rung.Rules = append(rung.Rules, edge.RuleSpec{Name: r.Name, When: r.When, Score: r.Score, Show: r.Show, Rollout: r.Rollout})
				}
			}
			slot.Ladder = append(slot.Ladder, rung)
		}
		source.Slots = append(source.Slots, slot)
	}
	return source
}
