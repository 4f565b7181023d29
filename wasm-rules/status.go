// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"cmp"
	"slices"
	"time"
)

// A ModuleStatus is what a Host knows of one rule it has loaded. A module with
// other settings or at another site is another rule.
type ModuleStatus struct {
	Site      string
	Module    string // name@version
	Hash      string
	Rewritten string // hash of what runs in its place
	// Loaded is when the rule was made. The counts begin there.
	Loaded time.Time
	// Calls are all calls but for Refused ones, which a quarantine kept from the
	// module. Faults are those that failed, by Fault.
	Calls   uint64
	Refused uint64
	Faults  [faults]uint64
	// Budget is the fuel a call may spend, Fuel what all calls spent together,
	// MaxFuel the most that one did.
	Budget  int64
	Fuel    uint64
	MaxFuel int64
	// QuarantinedUntil is when the module may be tried again; zero while it
	// serves. Quarantines counts how often it was taken out, a failed trial
	// included.
	QuarantinedUntil time.Time
	Quarantines      uint32
	// Instances are those alive now, MemoryBytes their memories and the snapshot
	// together.
	Instances   int64
	MemoryBytes int64
}

// Failed returns how many calls failed for any reason.
func (s *ModuleStatus) Failed() (n uint64) {
	for _, f := range s.Faults {
		n += f
	}
	return n
}

// MeanFuel returns what a call spent on average.
func (s *ModuleStatus) MeanFuel() int64 {
	if s.Calls == 0 {
		return 0
	}
	return int64(s.Fuel / s.Calls)
}

// Status returns what is known of each rule that something refers to, by module,
// hash and site. Counts of calls that are under way may be missing.
func (h *Host) Status() []ModuleStatus {
	var list []ModuleStatus
	for _, r := range h.rules.all() {
		list = append(list, r.status())
	}
	for _, r := range h.sets.all() {
		list = append(list, r.status())
	}
	slices.SortFunc(list, func(a, b ModuleStatus) int {
		return cmp.Or(cmp.Compare(a.Module, b.Module), cmp.Compare(a.Hash, b.Hash), cmp.Compare(a.Site, b.Site), a.Loaded.Compare(b.Loaded))
	})
	return list
}

func (r *rule) status() ModuleStatus {
	c := r.pool.total()
	s := ModuleStatus{
		Site: r.template.site, Module: r.manifest.ID(), Hash: r.template.hash, Rewritten: r.template.rewritten, Loaded: r.loaded,
		Calls: c.calls.Load(), Refused: r.refused.Load(),
		Budget: r.template.budget, Fuel: c.fuel.Load(), MaxFuel: c.maxFuel.Load(),
		QuarantinedUntil: r.breaker.quarantinedUntil(), Quarantines: r.breaker.trips.Load(),
		Instances: r.pool.alive.Load(),
	}
	s.MemoryBytes = s.Instances*int64(r.template.snapshot.size) + int64(r.template.snapshot.bytes())
	for i := range s.Faults {
		s.Faults[i] = c.faults[i].Load()
	}
	return s
}
