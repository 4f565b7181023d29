// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"

	"github.com/nearside/nearside/edge"
)

// A holder loads the one rule of the site: it reads nothing and always holds.
type holder struct{}

// Load implements edge.RuleLoader.
func (holder) Load(string, edge.ModuleRef, map[string]int) (edge.Rule, error) {
	return nil, errors.New("there are no modules")
}

// LoadRules implements edge.RuleLoader.
func (holder) LoadRules(string, *edge.Compiled, map[string]int) (edge.RuleSet, error) {
	return holder{}, nil
}

// Slots implements edge.RuleSet.
func (holder) Slots() []edge.RuleSetSlot {
	return []edge.RuleSetSlot{{Name: "hero", Candidates: []edge.RuleSetCandidate{{Rule: "r", Variant: "v"}}}}
}

// Reads implements edge.RuleSet.
func (holder) Reads() []string { return nil }

// Counts implements edge.RuleSet.
func (holder) Counts() []edge.EventWindow { return nil }

// Decide implements edge.RuleSet.
func (holder) Decide(_ *edge.View, _ []int, held []edge.Held) error {
	held[0].Bits[0] = 1
	return nil
}

// Explain implements edge.RuleSet.
func (holder) Explain(*edge.View, int, int, bool) (*edge.Condition, error) {
	return &edge.Condition{}, nil
}
