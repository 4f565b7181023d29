// SPDX-License-Identifier: Apache-2.0

package edge

import "github.com/nearside/nearside/edge/consent"

// An Outcome is what came of one beacon. It is reused: Reset it, hand it to
// Decide, read it, and keep nothing of it: its texts and events are views of
// memory that the next beacon writes to.
type Outcome struct {
	// Verdict is what was granted and on whose word.
	Verdict consent.Verdict
	// Decisions answer the beacon's slots in their order.
	Decisions []Decision
	// Events are ready to publish: those of the beacon that were accepted.
	Events []Event
	// Rejected are the beacon's events that were refused, each with its reason.
	Rejected []Rejection
	// State is the visitor's new sealed state, "" when the one the browser has
	// stays as it is.
	State string
	// DropState says that the browser must forget the state it carries: storage
	// is not granted, or the state could not be opened.
	DropState bool
	// Identify is the code for which the browser was not identified, "" where nobody
	// asked or it was.
	Identify string
	// Record is what the decisions were made of, nil where nothing of them may be
	// kept.
	Record *Record

	record      Record
	recordSpace []byte
	eventSpace  []byte
	text        []byte // the state and the decisions' ids
	surface     string // where the decisions are shown
}

// A Rejection is an event that was refused: its id, a stable code, and the
// wire name of the field at fault, possibly empty.
type Rejection struct{ ID, Code, Field string }

// The codes of rejected events.
const (
	RejectedNoConsent   = "no_consent"      // measure is not granted
	RejectedTooOld      = "event_too_old"   // happened longer ago than MaxEventAge; a server's, than the site keeps events
	RejectedFuture      = "event_in_future" // happened after it was sent
	RejectedID          = "bad_id"          // the id is empty or malformed
	RejectedName        = "bad_name"        // the name is empty or malformed
	RejectedRepeat      = "repeated_id"     // the id stands twice in one beacon
	RejectedProps       = "bad_props"       // props break a limit or a type
	RejectedSize        = "too_large"       // the beacon's events exceed MaxStoredBytes
	RejectedDecision    = "bad_decision"    // the decision token is not ours
	RejectedState       = "bad_state"       // a server's event names its visitor by a state that is not ours
	RejectedErased      = "erased"          // whoever it is about was erased after it happened
	RejectedUnavailable = "unavailable"     // the log is full or slow; send it again
	RejectedQuota       = "over_quota"      // the site has had its quota; sending it again helps nobody
)

// RejectionCodes returns every code with which the engine or a full log refuses
// an event, for whoever counts them. The caller owns the slice.
func RejectionCodes() []string {
	return []string{
		RejectedNoConsent, RejectedTooOld, RejectedFuture, RejectedID, RejectedName, RejectedRepeat,
		RejectedProps, RejectedSize, RejectedDecision, RejectedState, RejectedErased, RejectedUnavailable, RejectedQuota,
	}
}

// Reset empties o for reuse and keeps its slices' memory.
func (o *Outcome) Reset() {
	clear(o.Decisions)
	clear(o.Events)
	clear(o.Rejected)
	decisions, events, rejected := o.Decisions[:0], o.Events[:0], o.Rejected[:0]
	record, event, text := o.recordSpace[:0], o.eventSpace[:0], o.text[:0]
	*o = Outcome{} // in place: a literal with the lists would be copied
	o.Decisions, o.Events, o.Rejected = decisions, events, rejected
	o.recordSpace, o.eventSpace, o.text = record, event, text
}
