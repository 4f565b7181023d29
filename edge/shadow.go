// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"cmp"
	"reflect"
	"slices"
	"sync"
	"time"
)

// A ShadowReport says what a slot would have shown otherwise if its shadow
// rules had stood in the place of the live ones. It counts this node's
// decisions since the slot got its ladder.
type ShadowReport struct {
	Slot string `json:"slot"`
	// Rules are the shadow rules, as name@version.
	Rules []string  `json:"rules"`
	Since time.Time `json:"since"`
	// Decisions are those compared; Same those in which the slot would have
	// shown the same variant, Faults those in which a shadow rule failed or spent
	// its budget where the live ladder did not.
	Decisions uint64 `json:"decisions"`
	Same      uint64 `json:"same"`
	Faults    uint64 `json:"faults"`
	// Changes are the decisions that would have been others, most frequent first.
	Changes []ShadowChange `json:"changes"`
}

// A ShadowChange is one way in which decisions would have been others. A
// variant of "" is the page's own content.
type ShadowChange struct {
	From       string `json:"from"`
	To         string `json:"to"`
	FromReason string `json:"fromReason"`
	ToReason   string `json:"toReason"`
	Count      uint64 `json:"count"`
}

// A shadowTally counts a slot's comparisons. It is safe for concurrent use; a
// shadow is for a while, so a lock is cheap enough.
type shadowTally struct {
	mu    sync.Mutex
	since time.Time
	pairs map[shadowPair]uint64
}

// A shadowPair is what a slot showed and what it would have shown.
type shadowPair struct {
	from, to             string
	fromReason, toReason Reason
}

func newShadowTally() *shadowTally {
	return &shadowTally{since: time.Now(), pairs: map[shadowPair]uint64{}}
}

func (t *shadowTally) add(live, shadow *Decision) {
	t.mu.Lock()
	t.pairs[shadowPair{live.Variant, shadow.Variant, live.Reason, shadow.Reason}]++
	t.mu.Unlock()
}

// compareShadows walks the ladders that shadow rules would give the beacon's
// slots and counts what they would change. Nothing of it is shown or kept: it is called
// once the record is made.
func (d *decider) compareShadows(slots []BeaconSlot, decisions []Decision, r *Request) {
	if r.Bot || r.Ahead || r.OverQuota {
		return
	}
	d.fuel, d.promised = 0, d.promised[:0]
	for i, s := range d.slots {
		if !d.isDecided(i) || s.shadow == nil {
			continue
		}
		var shadow Decision
		d.walk(s, s.shadow, slots[i].Limit, &shadow)
		s.tally.add(&decisions[i], &shadow)
	}
}

// Shadows returns what the shadow rules of a site's live release would have
// changed, in the order of its slots; nothing without any.
func (e *Engine) Shadows(site string) []ShadowReport {
	release, ok := e.Release(site)
	if !ok {
		return nil
	}
	var out []ShadowReport
	for _, spec := range release.doc.Slots {
		if s := release.slots[spec.Name]; s.tally != nil {
			out = append(out, s.report())
		}
	}
	return out
}

func (s *slot) report() ShadowReport {
	r := ShadowReport{Slot: s.name, Changes: []ShadowChange{}}
	for _, rg := range s.shadow {
		for i := range rg.rules {
			if rg.rules[i].spec.Shadow {
				r.Rules = append(r.Rules, rg.rules[i].id)
			}
		}
	}
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	r.Since = s.tally.since.UTC()
	for p, n := range s.tally.pairs {
		r.Decisions += n
		fault := (p.toReason == ReasonFailed || p.toReason == ReasonBudget) && p.fromReason != p.toReason
		if fault {
			r.Faults += n
		}
		if p.from == p.to && !fault {
			r.Same += n
			continue
		}
		r.Changes = append(r.Changes, ShadowChange{p.from, p.to, p.fromReason.String(), p.toReason.String(), n})
	}
	slices.SortFunc(r.Changes, func(a, b ShadowChange) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To),
			cmp.Compare(a.FromReason, b.FromReason), cmp.Compare(a.ToReason, b.ToReason))
	})
	return r
}

// inheritTallies lets a release go on counting for slots that the one before
// had with the same ladder.
func (r *Release) inheritTallies(before *Release) {
	for i := range r.doc.Slots {
		name := r.doc.Slots[i].Name
		s, old := r.slots[name], before.slots[name]
		if s.tally == nil || old == nil || old.tally == nil {
			continue
		}
		at := slices.IndexFunc(before.doc.Slots, func(s SlotSpec) bool { return s.Name == name })
		sameRules := len(s.candidates) == 0 || reflect.DeepEqual(before.doc.Compiled, r.doc.Compiled) // an audience of theirs may be another
		if sameRules && reflect.DeepEqual(before.doc.Slots[at], r.doc.Slots[i]) && reflect.DeepEqual(before.doc.Modules, r.doc.Modules) {
			s.tally = old.tally
		}
	}
}
