// SPDX-License-Identifier: Apache-2.0

package edge

import "testing"

func TestWorse(t *testing.T) {
	order := [...]Reason{ReasonFailed, ReasonBudget, ReasonSuppressed, ReasonCapped, ReasonNoConsent, ReasonNoAnswer}
	worst := func(a, b Reason) Reason {
		for _, r := range order {
			if a == r || b == r {
				return r
			}
		}
		return ReasonDefault
	}
	for a := range reasonNames {
		for b := range reasonNames {
			if got, want := worse(Reason(a), Reason(b)), worst(Reason(a), Reason(b)); got != want {
				t.Errorf("of %s and %s it is %s, want %s", Reason(a), Reason(b), got, want)
			}
		}
	}
}
