// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// What is too old for the log is learned of by a known person's profile as well: the
// browser follows it.
func TestAProfileLearnsOfWhatIsTooOldForTheLog(t *testing.T) {
	m := newMeeting(t)
	m.meet(as("c-1"))
	late := item("purchase", "hat-1")
	late.AgeSec = int64(edge.MaxEventAge/time.Second) + 1
	saw := m.meet(as("c-1"), late)
	if len(m.out.Rejected) != 1 || m.out.Rejected[0].Code != edge.RejectedTooOld {
		t.Fatalf("rejected %+v", m.out.Rejected)
	}
	if saw["orders.count"] != "1" || m.profile("c-1").Journey.Orders != 1 {
		t.Errorf("a rule sees %q orders, the profile has %d", saw["orders.count"], m.profile("c-1").Journey.Orders)
	}
}

// A purchase that the browser counted before its visitor was known, and that comes again
// afterwards, is one: state and profile know it by one key.
func TestAPurchaseBeforeTheSignInIsNotCountedAgain(t *testing.T) {
	m := newMeeting(t)
	buy := func() caseEvent {
		return caseEvent{Name: "purchase", Props: []byte(`{"transaction_id":"t-1","items":[{"item_id":"hat-1"}]}`)}
	}
	m.meet(nil, buy())
	m.meet(as("c-1"))
	m.meet(nil, buy())
	if got := m.profile("c-1").Journey.Orders; got != 1 {
		t.Errorf("the profile counts %d orders, want 1", got)
	}
}
