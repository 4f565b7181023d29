// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"

	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// maxSeries bounds the label values of the metrics; what is beyond shares the
// label "other".
const maxSeries = 256

// writeModuleMetrics writes the counts of the loaded modules, one series for each
// name@version. Counts of a module that is not loaded any more go away.
func writeModuleMetrics(w io.Writer, list []wasmrules.ModuleStatus) {
	series := bySeries(list)
	each := func(kind, name, help string, value func(s *wasmrules.ModuleStatus) any) {
		family(w, kind, "nearside_module_"+name, help)
		for i := range series {
			fmt.Fprintf(w, "nearside_module_%s{module=%q} %v\n", name, series[i].Module, value(&series[i]))
		}
	}
	each("counter", "calls_total", "calls of a rule module", func(s *wasmrules.ModuleStatus) any { return s.Calls })
	family(w, "counter", "nearside_module_faults_total", "calls that failed, by kind")
	for i := range series {
		for kind, n := range series[i].Faults {
			fmt.Fprintf(w, "nearside_module_faults_total{module=%q,kind=%q} %d\n", series[i].Module, wasmrules.Fault(kind), n)
		}
	}
	each("counter", "refused_total", "calls that a quarantine kept from a module", func(s *wasmrules.ModuleStatus) any { return s.Refused })
	each("counter", "fuel_total", "fuel that calls spent", func(s *wasmrules.ModuleStatus) any { return s.Fuel })
	each("gauge", "fuel_max", "most fuel that one call spent", func(s *wasmrules.ModuleStatus) any { return s.MaxFuel })
	each("counter", "quarantines_total", "times a module was taken out", func(s *wasmrules.ModuleStatus) any { return s.Quarantines })
	each("gauge", "quarantined", "whether a module is out: 1 or 0", func(s *wasmrules.ModuleStatus) any {
		if s.QuarantinedUntil.IsZero() {
			return 0
		}
		return 1
	})
	each("gauge", "instances", "instances alive", func(s *wasmrules.ModuleStatus) any { return s.Instances })
	each("gauge", "memory_bytes", "memory of instances and snapshots", func(s *wasmrules.ModuleStatus) any { return s.MemoryBytes })
}

// bySeries adds up the rules of each module, and those past maxSeries.
func bySeries(list []wasmrules.ModuleStatus) []wasmrules.ModuleStatus {
	var series []wasmrules.ModuleStatus
	for _, s := range list {
		last := len(series) - 1
		switch {
		case last >= 0 && series[last].Module == s.Module:
			addStatus(&series[last], &s)
		case len(series) < maxSeries:
			series = append(series, s)
		default:
			series[last].Module = "other"
			addStatus(&series[last], &s)
		}
	}
	return series
}

// addStatus adds the counts of another rule to s. One rule that is out makes both
// out.
func addStatus(s, o *wasmrules.ModuleStatus) {
	s.Calls += o.Calls
	s.Refused += o.Refused
	s.Fuel += o.Fuel
	s.MaxFuel = max(s.MaxFuel, o.MaxFuel)
	s.Quarantines += o.Quarantines
	s.Instances += o.Instances
	s.MemoryBytes += o.MemoryBytes
	for i := range s.Faults {
		s.Faults[i] += o.Faults[i]
	}
	if o.QuarantinedUntil.After(s.QuarantinedUntil) {
		s.QuarantinedUntil = o.QuarantinedUntil
	}
}
