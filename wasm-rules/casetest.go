// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// MaxCases bounds the cases of one Test.
const MaxCases = 1000

// MaxCaseSettings bounds the different settings of one Test, each of which sets
// the module up anew.
const MaxCaseSettings = 16

// CodeCases is the code of a test that has too many cases, or settings.
const CodeCases = "too_many_cases"

// CodeTestTime is the code of a test that took longer than it may.
const CodeTestTime = "test_too_slow"

// Test runs a module on its author's cases, each on an instance as it is between
// calls. A case may have values for the site's own fields that the manifest
// reads: their type is that of the value, and any granted purpose unlocks them.
// It takes no longer than Check. The error is for a test that could not be made.
func (c *Checker) Test(ctx context.Context, wasm []byte, cases []edge.ModuleCase) (*edge.ModuleTestReport, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	report := &edge.ModuleTestReport{Cases: []edge.ModuleCaseResult{}}
	// The numbers of the cases with the same settings, which share an instance.
	groups := map[string][]int{}
	for i := range cases {
		groups[string(cases[i].Settings)] = append(groups[string(cases[i].Settings)], i)
	}
	if len(cases) > MaxCases || len(groups) > MaxCaseSettings {
		report.Code, report.Message = CodeCases, fmt.Sprintf("%d cases with %d different settings, at most %d and %d", len(cases), len(groups), MaxCases, MaxCaseSettings)
		return report, nil
	}
	if err := c.compiler.checks.enter(ctx); err != nil {
		report.Code, report.Message, err = refusal(err)
		return report, err
	}
	defer c.compiler.checks.leave()
	results := make([]edge.ModuleCaseResult, len(cases))
	for _, settings := range slices.Sorted(maps.Keys(groups)) {
		if err := c.testGroup(ctx, wasm, cases, groups[settings], results); err != nil {
			report.Code, report.Message, err = refusal(err)
			return report, err
		}
	}
	report.Cases = results
	for _, r := range results {
		if r.OK {
			report.Passed++
		} else {
			report.Failed++
		}
	}
	report.OK = report.Failed == 0
	return report, nil
}

// testGroup runs the numbered cases, which have the same settings.
func (c *Checker) testGroup(ctx context.Context, wasm []byte, cases []edge.ModuleCase, group []int, results []edge.ModuleCaseResult) error {
	if err := inTime(ctx); err != nil {
		return err
	}
	given := cases[group[0]].Settings
	template, in, err := c.load(ctx, wasm, given, &edge.ModuleReport{Hash: HashOf(wasm)})
	if refused := (*SettingsError)(nil); errors.As(err, &refused) && given != nil {
		for _, i := range group {
			results[i] = edge.ModuleCaseResult{Name: cases[i].Name, Message: err.Error()}
		}
		return nil
	}
	if err != nil {
		return err
	}
	t := &tester{template, in}
	defer func() { t.close(t.in) }()
	for _, i := range group {
		if err := inTime(ctx); err != nil {
			return err
		}
		results[i] = t.run(ctx, &cases[i])
	}
	return nil
}

// inTime returns an error for a test whose time is over.
func inTime(ctx context.Context) error {
	err := ctx.Err()
	if errors.Is(err, context.DeadlineExceeded) {
		return &ModuleError{CodeTestTime, fmt.Errorf("the test takes longer than %v", checkTime)}
	}
	return err
}

// A tester is a template and an instance for its cases.
type tester struct {
	*template
	in *instance
}

// run asks one case. The instance is put back afterwards.
func (t *tester) run(ctx context.Context, c *edge.ModuleCase) edge.ModuleCaseResult {
	result := edge.ModuleCaseResult{Name: c.Name}
	slot := 0
	if c.Slot != "" {
		slot = t.manifest.Slot(c.Slot)
	}
	if slot < 0 {
		result.Message = fmt.Sprintf("the manifest has no slot %q", c.Slot)
		return result
	}
	own, err := t.caseFields(c)
	if err != nil {
		result.Message = err.Error()
		return result
	}
	view, err := c.ViewOf(t.declared(), own)
	if err != nil {
		result.Message = err.Error()
		return result
	}
	role := t.manifest.Slots[slot]
	answer, err := t.in.choose(ctx, view.Record(encodeRecord), slot, len(role.Variants), t.budget)
	result.Fuel = answer.Fuel
	if !t.in.restore(t.snapshot) {
		t.in.close()
		next, broken := t.restart(ctx)
		if broken != nil {
			result.Message = broken.Error()
			return result
		}
		t.in = next
	}
	if err != nil {
		result.Message = "the module failed: " + err.Error()
		return result
	}
	result.Variant, result.Score, result.Because, result.Items = variantName(role, answer), answer.Score, answer.Because, answer.Items
	result.Message = difference(&c.Want, &result)
	result.OK = result.Message == ""
	return result
}

// caseFields returns the own fields that the manifest reads, each of the type of
// its value in a case.
func (t *tester) caseFields(c *edge.ModuleCase) ([]edge.OwnField, error) {
	fields := slices.Clone(t.own)
	purpose := "context"
	if names := consent.Purposes(c.Granted).Names(); len(names) > 0 {
		purpose = names[0]
	}
	n := 0
	for _, name := range t.manifest.Reads {
		if _, ok := edge.FieldByName(name); ok {
			continue
		}
		typ, err := typeOf(c.Fields[name])
		if err != nil {
			return nil, fmt.Errorf("field %q: %w", name, err)
		}
		fields[n] = edge.OwnField{Name: name, Type: typ.String(), Purpose: purpose}
		n++
	}
	for _, name := range slices.Sorted(maps.Keys(c.Fields)) {
		if _, ok := edge.FieldByName(name); !ok && !slices.Contains(t.manifest.Reads, name) {
			return nil, fmt.Errorf("field %q: neither built in nor read by the module", name)
		}
	}
	return fields, nil
}

// typeOf returns the type that a JSON value has as an own field's.
func typeOf(raw json.RawMessage) (edge.Type, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return edge.TypeString, nil // without a value the type does not matter
	}
	switch raw[0] {
	case '"':
		return edge.TypeString, nil
	case 't', 'f':
		return edge.TypeBool, nil
	case '{':
		return edge.TypeMap, nil
	case '[':
		if rest := bytes.TrimSpace(raw[1:]); len(rest) > 0 && rest[0] == '{' {
			return edge.TypeItems, nil
		}
		return edge.TypeList, nil
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		if bytes.ContainsAny(raw, ".eE") {
			return edge.TypeFloat, nil
		}
		return edge.TypeInt, nil
	}
	return edge.TypeUnknown, errors.New("not a value of any field's type")
}

// difference says how an answer differs from what was expected, "" if it does
// not.
func difference(want *edge.ModuleWant, got *edge.ModuleCaseResult) string {
	shown := func(variant string) string {
		if variant == "" {
			return "no answer"
		}
		return variant
	}
	switch {
	case got.Variant != want.Variant:
		return fmt.Sprintf("answered %s, want %s", shown(got.Variant), shown(want.Variant))
	case want.Score != nil && got.Score != *want.Score:
		return fmt.Sprintf("score %d, want %d", got.Score, *want.Score)
	case want.Because != nil && got.Because != *want.Because:
		return fmt.Sprintf("reason %q, want %q", got.Because, *want.Because)
	case want.Items != nil && !reflect.DeepEqual(got.Items, want.Items) && len(got.Items)+len(want.Items) > 0:
		return fmt.Sprintf("items %v, want %v", got.Items, want.Items)
	}
	return ""
}
