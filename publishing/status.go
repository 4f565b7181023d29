// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nearside/nearside/edge"
)

// A Status is what is live at a site and how it does.
type Status struct {
	Site string `json:"site"`
	// Release is the live one, Hash the SHA-256 of its document.
	Release      uint64    `json:"release"`
	Hash         string    `json:"hash"`
	At           time.Time `json:"at"`
	SecondPerson bool      `json:"secondPerson,omitempty"`
	// Waiting is how many proposals wait for a second person.
	Waiting int          `json:"waiting,omitempty"`
	Slots   []SlotStatus `json:"slots"`
	// Health is of every module that this node runs for the site; empty without
	// a running node.
	Health []Health `json:"health"`
}

// A SlotStatus is a slot's ladder, best rung first.
type SlotStatus struct {
	Slot  string       `json:"slot"`
	Kind  string       `json:"kind"`
	Rungs []RungStatus `json:"rungs"`
	// Shadow is what the slot's shadow rules would have changed on this node;
	// nil without any.
	Shadow *edge.ShadowReport `json:"shadow,omitempty"`
}

// A RungStatus is a rung's rules in order.
type RungStatus struct {
	Rung  string       `json:"rung"`
	Rules []RuleStatus `json:"rules"`
}

// A RuleStatus is a rule at work in a slot: a module, or a rule without code.
type RuleStatus struct {
	// Name is that of a rule without code, which has no module.
	Name string `json:"name,omitempty"`
	// Module is the module's name, Version and Hash which one.
	Module   string          `json:"module"`
	Version  string          `json:"version"`
	Hash     string          `json:"hash"`
	Role     string          `json:"role,omitempty"`
	Priority int             `json:"priority,omitempty"`
	Settings json.RawMessage `json:"settings,omitempty"`
	// Share is how many of 10,000 visitors see the rule; 0 in shadow.
	Share  int  `json:"share"`
	Shadow bool `json:"shadow,omitempty"`
	// Before serves the visitors whom the share does not reach.
	Before *RuleStatus `json:"before,omitempty"`
}

// Health is how a module does on this node since it was loaded.
type Health struct {
	// Module is name@version, or rules for the compiled rules without code, which
	// spend no fuel.
	Module string `json:"module"`
	Hash   string `json:"hash"`
	// Calls are all calls, Faults those that trapped or answered nonsense, Spent
	// those that ran out of fuel.
	Calls  uint64 `json:"calls"`
	Faults uint64 `json:"faults"`
	Spent  uint64 `json:"spent"`
	// Quarantined says that the module answers nothing until a time, for the
	// Reason in words.
	Quarantined bool      `json:"quarantined,omitempty"`
	Until       time.Time `json:"until,omitzero"`
	Reason      string    `json:"reason,omitempty"`
	// Budget is the fuel a call may spend, FuelMean what one spends on average,
	// FuelMax the most.
	Budget   int64 `json:"budget"`
	FuelMean int64 `json:"fuelMean"`
	FuelMax  int64 `json:"fuelMax"`
	// Loaded is when the node took it in.
	Loaded time.Time `json:"loaded,omitzero"`
}

// Status returns what is live at a site. It needs the role viewer.
func (d *Desk) Status(ctx context.Context, by Actor, site string) (*Status, error) {
	if err := by.need(Viewer, site); err != nil {
		return nil, err
	}
	live, err := d.live(ctx, site)
	if err != nil {
		return nil, err
	}
	proposals, err := d.proposals(ctx, site)
	if err != nil {
		return nil, err
	}
	s := &Status{
		Site: site, Release: live.Number, Hash: live.Hash, At: live.At, SecondPerson: live.doc.Settings.SecondPerson,
		Slots: []SlotStatus{}, Health: []Health{},
	}
	for _, p := range proposals {
		if p.State == StateWaiting {
			s.Waiting++
		}
	}
	shadows := map[string]*edge.ShadowReport{}
	if d.o.Live != nil {
		s.Health = append(s.Health, d.o.Live.Health(site, modulesOf(live.doc))...)
		for _, r := range d.o.Live.Shadows(site) {
			shadows[r.Slot] = &r
		}
	}
	for i := range live.doc.Slots {
		slot := slotStatus(live.doc, &live.doc.Slots[i])
		slot.Shadow = shadows[slot.Slot]
		s.Slots = append(s.Slots, slot)
	}
	return s, nil
}

// modulesOf returns all modules that nodes load for a release: those it lists and
// the one of its rules without code, which has no name.
func modulesOf(doc *edge.ReleaseDocument) []edge.ModuleRef {
	if doc.Compiled == nil {
		return doc.Modules
	}
	return append(slices.Clone(doc.Modules), edge.ModuleRef{Hash: doc.Compiled.Hash})
}

func slotStatus(doc *edge.ReleaseDocument, spec *edge.SlotSpec) SlotStatus {
	slot := SlotStatus{Slot: spec.Name, Kind: spec.Kind, Rungs: []RungStatus{}}
	for _, rung := range spec.Ladder {
		r := RungStatus{Rung: rung.Rung, Rules: []RuleStatus{}}
		for i := range rung.Rules {
			r.Rules = append(r.Rules, ruleStatus(doc, &rung.Rules[i]))
		}
		slot.Rungs = append(slot.Rungs, r)
	}
	return slot
}

func ruleStatus(doc *edge.ReleaseDocument, spec *edge.RuleSpec) RuleStatus {
	ref, _ := doc.Module(spec.Module)
	r := RuleStatus{
		Name: spec.Name, Module: ref.Name, Version: ref.Version, Hash: ref.Hash, Role: spec.Role, Priority: spec.Priority,
		Settings: spec.Settings, Share: spec.Rollout, Shadow: spec.Shadow,
	}
	if len(r.Settings) == 0 {
		r.Settings = ref.Settings
	}
	switch {
	case spec.Shadow:
		r.Share = 0
	case spec.Rollout == 0:
		r.Share = edge.Buckets
	}
	if spec.Before != nil {
		before := ruleStatus(doc, spec.Before)
		before.Share = edge.Buckets - r.Share
		r.Before = &before
	}
	return r
}

// Sites returns the sites that have a release and that the actor sees, sorted.
func (d *Desk) Sites(ctx context.Context, by Actor) ([]string, error) {
	if err := by.needAnywhere(Viewer); err != nil {
		return nil, err
	}
	all, err := d.o.Releases.Sites(ctx)
	if err != nil {
		return nil, storeError(err, "", "sites")
	}
	return slices.DeleteFunc(all, func(site string) bool { return !by.Sees(site) }), nil
}

// History returns a site's releases, the live one and those before it, by
// number. It needs the role viewer.
func (d *Desk) History(ctx context.Context, by Actor, site string) ([]edge.Published, error) {
	if err := by.need(Viewer, site); err != nil {
		return nil, err
	}
	all, err := d.o.Releases.History(ctx, site)
	if err == nil && len(all) == 0 {
		err = edge.ErrNone
	}
	return all, storeError(err, "site", fmt.Sprintf("site %.64q", site))
}

// Release returns a release's document and its number; 0 asks for the live one.
// It needs the role viewer.
func (d *Desk) Release(ctx context.Context, by Actor, site string, number uint64) (edge.Published, []byte, error) {
	if err := by.need(Viewer, site); err != nil {
		return edge.Published{}, nil, err
	}
	r, err := d.release(ctx, site, number)
	if err != nil {
		return edge.Published{}, nil, err
	}
	return r.Published, r.document, nil
}

// Counts are how often each slot's variants were shown and clicked. They are
// counts, not proof: who saw a variant was not chosen by lot.
type Counts struct {
	Site  string    `json:"site"`
	Since time.Time `json:"since"`
	Rows  []Count   `json:"rows"`
	// Prompts are the answers to the site's consent prompt, by version.
	Prompts []PromptCount `json:"prompts,omitempty"`
}

// A PromptCount is what became of one version of a site's consent prompt. Nobody
// is behind a count: it may hold who answered twice.
type PromptCount struct {
	Version string `json:"version"`
	// Shown is how often it came up by itself; the others are how it was answered,
	// also by who asked for it again.
	Shown    uint64 `json:"shown"`
	Accepted uint64 `json:"accepted"` // everything it asks for
	Chosen   uint64 `json:"chosen"`   // some of it
	Refused  uint64 `json:"refused"`
}

// A Count is of one slot's variant.
type Count struct {
	Slot string `json:"slot"`
	// Variant is empty for the page's own content.
	Variant string `json:"variant"`
	Shown   uint64 `json:"shown"`
	Clicked uint64 `json:"clicked"`
}

// MaxCountDays bounds how far back Counts looks.
const MaxCountDays = 400

// Counts returns what was shown and clicked within the last days, in slot and
// variant order. It needs the role viewer.
func (d *Desk) Counts(ctx context.Context, by Actor, site string, days int) (*Counts, error) {
	if err := by.need(Viewer, site); err != nil {
		return nil, err
	}
	if days < 1 || days > MaxCountDays {
		return nil, refuse(CodeInvalid, "days", "%d days, want 1 to %d", days, MaxCountDays)
	}
	if _, err := d.live(ctx, site); err != nil {
		return nil, err
	}
	c := &Counts{Site: site, Since: d.now().AddDate(0, 0, 1-days).Truncate(24 * time.Hour), Rows: []Count{}}
	if d.o.Live == nil {
		return c, nil
	}
	rows, err := d.o.Live.Counts(ctx, site, c.Since)
	if err != nil {
		return nil, storeError(err, "", "counts")
	}
	c.Rows = append(c.Rows, rows...)
	if c.Prompts, err = d.o.Live.Prompts(ctx, site, c.Since); err != nil {
		return nil, storeError(err, "", "counts")
	}
	return c, nil
}

// Replay answers a recorded decision again, by the token that a beacon's answer
// carries, and returns what it saw, what it answered then and now, and whether
// both are the same. It needs the role editor at the decision's site.
func (d *Desk) Replay(ctx context.Context, by Actor, decision string) (*edge.Replay, error) {
	if err := by.needAnywhere(Editor); err != nil {
		return nil, err
	}
	if d.o.Replayer == nil {
		return nil, refuse(CodeUnavailable, "", "decisions cannot be replayed here")
	}
	site, err := d.o.Replayer.Find(ctx, decision)
	if err != nil {
		return nil, storeError(err, "decision", "such decision")
	}
	if err := by.need(Editor, site); err != nil {
		return nil, err
	}
	report, err := d.o.Replayer.Replay(ctx, site, decision)
	return report, storeError(err, "decision", "record of the decision")
}
