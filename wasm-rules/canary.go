// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/nearside/nearside/edge"
)

// Budgets of a call, in fuel; the highest is edge.MaxBudget.
const (
	// minBudget and canaryBudget are for a module whose manifest does not say:
	// it gets canaryBudget times what its dearest canary spent, but at least
	// minBudget, since visits differ.
	minBudget    = 100_000
	canaryBudget = 10
)

//go:embed canary/*.json
var canaryFiles embed.FS

// CanaryVisits returns the sample visits that every module must answer before it
// serves, in the order of their names.
func CanaryVisits() ([]edge.SampleVisit, error) {
	names, err := fs.Glob(canaryFiles, "canary/*.json")
	if err != nil {
		return nil, err
	}
	visits := make([]edge.SampleVisit, len(names))
	for i, name := range names {
		b, err := canaryFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.DisallowUnknownFields()
		if err := d.Decode(&visits[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return visits, nil
}

// tryCanaries asks an instance every canary visit for every slot and puts it back
// after each. It returns the canaries, which are what came of each, in that
// order, and stops at the first fault, which is the error as well. At most limit
// is spent on one.
func (t *template) tryCanaries(ctx context.Context, in *instance, limit int64) ([]edge.Canary, error) {
	visits, err := CanaryVisits()
	if err != nil {
		return nil, err
	}
	var canaries []edge.Canary
	for _, visit := range visits {
		view, err := visit.ViewOf(t.declared(), t.own)
		if err != nil {
			return nil, fmt.Errorf("canary %q: %w", visit.Name, err)
		}
		for slot, role := range t.manifest.Slots {
			answer, err := in.choose(ctx, view.Record(encodeRecord), slot, len(role.Variants), limit)
			canary := edge.Canary{Visit: visit.Name, Slot: role.Name, Variant: variantName(role, answer), Score: answer.Score, Because: answer.Because, Fuel: answer.Fuel}
			if err != nil {
				canary.Fault = err.Error()
				code := CodeCanary
				if errors.Is(err, ErrGrown) {
					code = CodeGrows
				}
				return append(canaries, canary), &ModuleError{code, fmt.Errorf("slot %q, canary %q: %w", role.Name, visit.Name, err)}
			}
			canaries = append(canaries, canary)
			in.restore(t.snapshot)
		}
	}
	return canaries, nil
}

func variantName(role edge.ManifestSlot, a edge.Answer) string {
	if a.Variant == 0 {
		return ""
	}
	return role.Variants[a.Variant-1]
}

// calibrate returns the fuel that one call may spend.
func calibrate(m *edge.Manifest, canaries []edge.Canary) int64 {
	if m.Budget > 0 {
		return m.Budget
	}
	return min(max(canaryBudget*dearest(canaries), minBudget), edge.MaxBudget)
}

// dearest returns the most that a canary spent.
func dearest(canaries []edge.Canary) int64 {
	if len(canaries) == 0 {
		return 0
	}
	return slices.MaxFunc(canaries, func(a, b edge.Canary) int { return int(a.Fuel - b.Fuel) }).Fuel
}
