// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"strings"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// acceptEvents sorts the beacon's events into those that may be believed and
// those that are refused, and has the state learn of them.
// Without measure nothing of them is believed.
func (e *Engine) acceptEvents(d *decider, b *Beacon, r *Request, out *Outcome) {
	for i := range b.Events {
		ev := &b.Events[i]
		code, field := d.refuse(b, i)
		if code == "" && e.isErased(d.erased, b.Site, eventTime(b, ev, r.Now)) {
			code = RejectedErased // it waited in the browser
		}
		if code != "" {
			out.Rejected = append(out.Rejected, Rejection{ID: ev.ID, Code: code, Field: field})
			if code == RejectedTooOld && b.SentMillis-ev.AtMillis < StateMaxAge.Milliseconds() && !slotEvent(ev.Name) &&
				!e.isErased(d.erased, b.Site, eventTime(b, ev, r.Now)) {
				d.late = append(d.late, *ev) // the log has it, if the beacon that had it first came; the state may not
			}
			continue
		}
		var shown DecisionID
		if slotEvent(ev.Name) {
			var err error
			if shown, d.tokens, err = e.sealer.openDecisionID(d.tokens, b.Site, tokenMember(ev.Props)); err != nil {
				out.Rejected = append(out.Rejected, Rejection{ID: ev.ID, Code: RejectedDecision, Field: "props.decision"})
				continue
			}
		}
		d.events, d.shown = append(d.events, *ev), append(d.shown, shown)
	}
	if d.visit.State == nil {
		return
	}
	const needs = consent.Storage | consent.Profile
	if !d.granted.Has(needs | consent.Measure | consent.Personalise) {
		d.untold = b.Events
	}
	d.visit.Untold = slices.ContainsFunc(d.untold, func(ev BeaconEvent) bool { return hasItems(ev.Name) })
	d.visit.UntoldActs = slices.ContainsFunc(d.untold, func(ev BeaconEvent) bool { return learns(ev.Name) })
	if d.granted.Has(needs) {
		e.learn(d, b, r)
	}
}

// refuse returns the code and field for which an event is refused, or "".
func (d *decider) refuse(b *Beacon, i int) (code, field string) {
	ev := &b.Events[i]
	switch age := b.SentMillis - ev.AtMillis; {
	case !d.granted.Has(consent.Measure):
		return RejectedNoConsent, ""
	case !validID(ev.ID):
		return RejectedID, "id"
	case !tellable(ev.Name):
		return RejectedName, "name"
	case age > MaxEventAge.Milliseconds():
		return RejectedTooOld, "at"
	case age < -maxEventAhead.Milliseconds():
		return RejectedFuture, "at"
	case len(ev.Props) > MaxPropsBytes:
		return RejectedProps, "props"
	}
	for j := range i {
		if b.Events[j].ID == ev.ID {
			return RejectedRepeat, "id"
		}
	}
	return "", ""
}

// eventTime is when an event happened by our clock: as long before its arrival
// as the browser says it happened before the beacon left.
func eventTime(b *Beacon, ev *BeaconEvent, now time.Time) time.Time {
	age := max(0, b.SentMillis-ev.AtMillis)
	return now.Add(-time.Duration(age) * time.Millisecond)
}

func validID(id string) bool {
	return id != "" && len(id) <= MaxIDBytes && !strings.ContainsFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.')
	})
}

func validEventName(name string) bool {
	return name != "" && len(name) <= MaxNameBytes && name[0] >= 'a' && name[0] <= 'z' &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_')
		})
}

// tellable reports whether an event of that name may come from outside. What
// consent leaves behind is the engine's own to tell.
func tellable(name string) bool {
	return validEventName(name) && name != ReceiptEvent && name != PromptEvent
}

func slotEvent(name string) bool { return name == "slot_impression" || name == "slot_click" }
