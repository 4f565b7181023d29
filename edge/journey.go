// SPDX-License-Identifier: Apache-2.0

package edge

// A Stage says how far a visitor has come on the way to buying. The numbers are
// not stored.
type Stage uint8

// The stages.
const (
	StageUnaware   Stage = iota // fewer than two products looked at
	StageBrowsing               // two or more
	StageComparing              // two of a category in this session, or back within a week
	StageIntent                 // a cart or a form was begun
	StageAbandoned              // and left for StageTimeout or longer
	StageCustomer               // bought once
	StageRepeat                 // bought more than once
	StageLapsing                // and then not for more than twice the usual gap
)

var stageNames = [...]string{"unaware", "browsing", "comparing", "intent", "abandoned", "customer", "repeat", "lapsing"}

// String returns the stage as rules spell it.
func (s Stage) String() string { return stageNames[s] }

// Stages returns every stage as rules spell it, in order. The slice is a copy.
func Stages() []string { return append([]string(nil), stageNames[:]...) }

const (
	// StageTimeout is after how many minutes without progress an intent is
	// abandoned.
	StageTimeout = Minute(30)
	// maxIntent is how long an abandoned intent is still one: thirty days.
	maxIntent = Minute(30 * 24 * 60)
	// returnWithin is how soon who has looked at products and comes back is
	// comparing: a week.
	returnWithin = Minute(7 * 24 * 60)
	// lapseFactor is how many usual gaps without a purchase are too many.
	lapseFactor = 2
)

// An Intent says what a visitor has begun. The numbers are stored.
type Intent uint8

// What may be begun.
const (
	IntentNone Intent = iota
	IntentCart
	IntentForm
)

var intentNames = [...]string{"", "cart", "form"}

// A Journey is what a visitor's Stage follows from.
type Journey struct {
	// Views counts products looked at, 255 at most.
	Views uint8
	// Compared says that two products of a category were looked at in this
	// session, or that the visitor came back within a week of looking at some.
	Compared bool
	// Intent is what was begun, and IntentAt when it last made progress.
	Intent   Intent
	IntentAt Minute
	// Orders counts purchases; the first and the last were at these times.
	Orders                uint32
	FirstOrder, LastOrder Minute
	// Complaint is since when a complaint is open, 0 for none; Settled is when the
	// last one was settled.
	Complaint, Settled Minute
}

// maxClockSkew is how far apart the clocks of two nodes may be.
const maxClockSkew = Minute(5)

// isLate reports whether something became known after what it happened before. Within
// maxClockSkew two nodes' clocks do not tell, and the order of arrival counts: a
// browser tells things in the order in which they happened.
func isLate(at, known Minute) bool { return at+maxClockSkew < known }

// progress names the events that begin an intent or carry it on.
var progress = map[string]Intent{
	"add_to_cart": IntentCart, "begin_checkout": IntentCart, "add_shipping_info": IntentCart, "add_payment_info": IntentCart,
	"form_start": IntentForm,
}

// note takes an event's part in the journey. It says nothing of items: Compared and
// an emptied cart are the state's to tell.
func (j *Journey) note(name string, at Minute) (changed bool) {
	if intent := progress[name]; intent != IntentNone {
		if isLate(at, j.IntentAt) || intent == IntentCart && isLate(at, j.LastOrder) {
			return false
		}
		j.Intent, j.IntentAt = intent, max(at, j.IntentAt)
		return true
	}
	switch name {
	case "view_item":
		if j.Views == 255 {
			return false
		}
		j.Views++
	case "form_submit":
		if j.Intent != IntentForm || isLate(at, j.IntentAt) {
			return false
		}
		j.Intent, j.IntentAt = IntentNone, 0
	case "purchase":
		j.Orders++
		if j.FirstOrder == 0 || at < j.FirstOrder {
			j.FirstOrder = at
		}
		j.LastOrder = max(j.LastOrder, at)
		if j.Intent == IntentCart && !isLate(at, j.IntentAt) {
			j.Intent, j.IntentAt = IntentNone, 0
		}
	case ComplaintOpened:
		if isLate(at, j.Settled) {
			return false
		}
		j.Complaint = max(1, at)
	case ComplaintSettled:
		j.Settled = max(j.Settled, at)
		if !isLate(at, j.Complaint) {
			j.Complaint = 0
		}
	default:
		return false
	}
	return true
}

// The events of a complaint, usually told by a site's customer service. From the
// one to the other nothing is promoted.
const (
	ComplaintOpened  = "complaint_opened"
	ComplaintSettled = "complaint_settled"
)

// stage returns the stage at a time.
func (j *Journey) stage(now Minute) Stage {
	if j.Intent != IntentNone {
		switch quiet := now - min(now, j.IntentAt); {
		case quiet < StageTimeout:
			return StageIntent
		case quiet < maxIntent:
			return StageAbandoned
		}
	}
	switch {
	case j.Orders > 1 && now-min(now, j.LastOrder) > lapseFactor*j.gap():
		return StageLapsing
	case j.Orders > 1:
		return StageRepeat
	case j.Orders == 1:
		return StageCustomer
	case j.Compared:
		return StageComparing
	case j.Views > 1:
		return StageBrowsing
	}
	return StageUnaware
}

// gap is the usual time between two purchases, a day at least: several of an
// afternoon are one shopping trip.
func (j *Journey) gap() Minute {
	const day = 24 * 60
	return max(day, (j.LastOrder-j.FirstOrder)/Minute(max(1, j.Orders-1)))
}

// newSession begins another session: what was compared in the one before is over, and
// who comes back soon compares.
func (j *Journey) newSession(last, now Minute) {
	j.Compared = j.Views > 0 && last > 0 && now-min(now, last) <= returnWithin
}
