// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"errors"
	"fmt"

	"github.com/nearside/nearside/edge"
)

// ErrTrap is wrapped by the error for a call that the module ended by a trap.
var ErrTrap = errors.New("module trapped")

// ErrDepth reports a call that nested more calls than a module may. It wraps
// ErrTrap.
var ErrDepth = fmt.Errorf("%w: calls nested too deep", ErrTrap)

// ErrGrown reports a call that made the memory grow, which cannot be undone and
// costs the instance.
var ErrGrown = errors.New("memory grew after the start")

// errBroken is wrapped by the error for a call that found no instance.
var errBroken = errors.New("no instance of the module")

// A Fault is a kind of failed call.
type Fault int

// The kinds of faults. A call's fault costs its answer and counts towards
// quarantine.
const (
	FaultTrap     Fault = iota // ErrTrap
	FaultDepth                 // ErrDepth
	FaultBudget                // edge.ErrBudget
	FaultNonsense              // ErrNonsense
	FaultBroken                // no instance could be made
	FaultGrown                 // ErrGrown
	faults
)

// String names the fault as status and metrics spell it.
func (f Fault) String() string {
	return [...]string{"trap", "depth", "budget", "nonsense", "broken", "grown"}[f]
}

// faultOf returns the kind of a call's error.
func faultOf(err error) Fault {
	switch {
	case errors.Is(err, edge.ErrBudget):
		return FaultBudget
	case errors.Is(err, ErrNonsense):
		return FaultNonsense
	case errors.Is(err, ErrGrown):
		return FaultGrown
	case errors.Is(err, ErrDepth):
		return FaultDepth
	case errors.Is(err, ErrTrap):
		return FaultTrap
	}
	return FaultBroken
}
