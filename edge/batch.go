// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// Limits of a batch. A decoder refuses what is over them; the engine relies on
// them, beside those of a beacon.
const (
	MaxBatchBytes   = 1 << 20
	MaxBatchEvents  = 500
	MaxProfileBytes = 256 // a site's own id of a customer
	MaxSystemBytes  = 64
)

// maxBatchStored bounds what the events of one batch may take in the log
// together: eight times what the largest batch has, for an escaped character
// takes six times its place and each event repeats what it shares.
const maxBatchStored = 8 * MaxBatchBytes

// Surfaces are the places that an answer is shown at and an event comes from.
// A till, a loyalty desk and a customer service are all of the surface service:
// people serve there. System tells them apart.
var Surfaces = [...]string{"web", "app", "mail", "search", "service"}

// Origins say whose data something is: the site's own (first), a partner's
// (second), a data seller's (third), or the visitor's own word (zero party).
var Origins = [...]string{"first", "second", "third", "zero"}

// A Batch is one message from a site's own server: events that happened
// anywhere. Its sender has proved who it is and is believed about what happened,
// but not about consent: that is decided here, from what it says was signalled.
// Its strings may be views into the request's body.
type Batch struct {
	Site string
	// Consents are what was signalled by whoever the events are about; each event
	// names its own.
	Consents []consent.Signals
	Events   []BatchEvent
}

// A BatchEvent is one thing a server says happened. AtMillis is the server's
// clock, which is taken for ours.
type BatchEvent struct {
	BeaconEvent
	// Index is the event's place in the message, for telling what came of it.
	Index int
	// Consent is the place in Batch.Consents, below 0 for an event of which nobody
	// says what was allowed: it is refused.
	Consent int
	// Surface is one of Surfaces, "" means service. Origin is one of Origins, ""
	// means first.
	Surface, Origin string
	// System is which of the site's systems tells it, in the site's own word;
	// possibly empty.
	System string
	// Origins is a JSON object that names the origin of each property whose origin
	// is not the event's, checked; or empty.
	Origins []byte
	// State is the sealed state of the visitor it is about, Profile the site's own
	// id of the customer; each is possibly empty.
	State, Profile string
}

// Reset empties b for reuse and keeps its slices' memory, but nothing that was
// in it.
func (b *Batch) Reset() {
	consents := b.Consents[:cap(b.Consents)]
	for i := range consents {
		consents[i] = consent.Signals{GPPSections: consents[i].GPPSections[:0]}
	}
	clear(b.Events)
	*b = Batch{Consents: b.Consents[:0], Events: b.Events[:0]}
}

// A BatchOutcome is what came of a batch. It is reused: Reset it, hand it to
// Accept, read it, and keep nothing of it.
type BatchOutcome struct {
	// Events are ready to publish: those of the batch that were accepted.
	Events []Event
	// Rejected are those that were refused, by their place in the message.
	Rejected []BatchRejection

	changes []batchChange // of profiles
	stored  int
	seen    map[string]struct{} // the ids so far
	space   []byte              // the events' stored forms
	shared  []byte
}

// A BatchRejection is an event of a batch that was refused.
type BatchRejection struct {
	Index int
	Rejection
}

// Reset empties o for reuse and keeps its memory.
func (o *BatchOutcome) Reset() {
	clear(o.Events)
	clear(o.Rejected)
	clear(o.seen)
	clear(o.changes)
	if cap(o.space) > MaxBatchBytes {
		o.space = nil // a usual batch takes a fraction of it
	}
	*o = BatchOutcome{Events: o.Events[:0], Rejected: o.Rejected[:0], changes: o.changes[:0], seen: o.seen, space: o.space[:0], shared: o.shared[:0]}
}

// Accept says which events of a batch may be kept and makes them. Each is judged
// alone: by its own consent, from which no region's default speaks, for where a
// customer is nobody says. It fails only for an unknown site. Out must have been
// Reset; it borrows from b.
func (e *Engine) Accept(b *Batch, now time.Time, out *BatchOutcome) error {
	release, ok := e.Release(b.Site)
	if !ok {
		return ErrUnknownSite
	}
	if out.seen == nil {
		out.seen = make(map[string]struct{}, len(b.Events))
	}
	var verdict consent.Verdict
	of := -1
	for i := range b.Events {
		ev := &b.Events[i]
		if ev.Consent != of {
			of, verdict = ev.Consent, consent.Verdict{}
			if of >= 0 {
				verdict = e.answers.evaluate(&b.Consents[of], &release.doc.Settings.Consent, consent.Region{}, now)
			}
		}
		a := acceptance{engine: e, release: release, verdict: verdict, now: now, out: out}
		code, field := a.refuse(ev)
		if code == "" {
			code, field = a.accept(ev)
		}
		if code != "" {
			out.Rejected = append(out.Rejected, BatchRejection{ev.Index, Rejection{ev.ID, code, field}})
		}
	}
	for i := range out.changes {
		e.profiles.Change(b.Site, out.changes[i].id, out.changes[i].change)
	}
	return nil
}

// An acceptance is the work on one event of a batch.
type acceptance struct {
	engine  *Engine
	release *Release
	verdict consent.Verdict
	now     time.Time
	out     *BatchOutcome
	shown   DecisionID // what a slot event's token says
}

// refuse returns the code and field for which an event is refused, or "".
func (a *acceptance) refuse(ev *BatchEvent) (code, field string) {
	age := a.now.Sub(time.UnixMilli(ev.AtMillis))
	switch {
	case !a.verdict.Granted.Has(consent.Measure):
		return RejectedNoConsent, "consent"
	case !validID(ev.ID):
		return RejectedID, "id"
	case !tellable(ev.Name):
		return RejectedName, "name"
	case age >= a.release.retain:
		return RejectedTooOld, "at"
	case age < -maxEventAhead:
		return RejectedFuture, "at"
	case len(ev.Props) > MaxPropsBytes:
		return RejectedProps, "props"
	}
	if slotEvent(ev.Name) {
		var err error
		if a.shown, err = a.engine.sealer.OpenDecisionID(a.release.Site(), tokenMember(ev.Props)); err != nil {
			return RejectedDecision, "props.decision"
		}
	}
	if _, again := a.out.seen[ev.ID]; again {
		return RejectedRepeat, "id"
	}
	return "", ""
}

// accept makes the stored event, or returns why it cannot. What a visit is to a
// beacon's events, a moment at a surface is to this one: nothing of the server
// that tells it is taken for the visitor's.
func (a *acceptance) accept(ev *BatchEvent) (code, field string) {
	at := time.UnixMilli(min(ev.AtMillis, a.now.UnixMilli()))
	d := deciders.Get().(*decider)
	defer d.free()
	d.begin(a.release, a.verdict.Granted, false)
	d.visit = Visit{Site: a.release.Site(), Now: at, Local: at.In(a.release.zone), Surface: orElse(ev.Surface, "service"), Own: d.visit.Own, Counts: d.visit.Counts}
	if code, field = a.openState(d, ev, at); code != "" {
		return code, field
	}
	d.events = append(d.events, ev.BeaconEvent)
	a.release.fillOwn(&d.visit, d.events, nil, d.granted)

	maker := eventMaker{
		engine: a.engine, view: &d.views[d.view(a.release.eventSet.And(d.allowed))], release: a.release, verdict: a.verdict,
		received: a.now, telling: telling{origin: ev.Origin, system: ev.System, origins: ev.Origins},
	}
	if ev.Profile != "" && d.granted.Has(consent.Storage|consent.Profile) {
		maker.profile = a.engine.sealer.ProfileID(a.release.Site(), ev.Profile)
		maker.key = visitorKey(a.release.Site(), maker.profile)
	}
	if state := d.visit.State; state != nil {
		maker.visitor = state.VisitorID()
		maker.key = visitorKey(a.release.Site(), maker.visitor)
		if gap := at.Sub(state.Last); gap < SessionGap && !at.Before(state.Started) {
			maker.state = state
		}
	}
	if a.engine.isErased(maker.key, a.release.Site(), at) {
		return RejectedErased, "profile"
	}
	maker.shared = maker.appendShared(a.out.shared[:0])
	a.out.shared = maker.shared
	from := len(a.out.space)
	a.out.space = maker.appendEvent(a.out.space, &ev.BeaconEvent, &a.shown, at)
	body := a.out.space[from:len(a.out.space):len(a.out.space)] // stays as it is when the space moves
	if a.out.stored += len(body); a.out.stored > maxBatchStored {
		return RejectedSize, ""
	}
	a.out.seen[ev.ID] = struct{}{}
	a.learn(d, ev, at)
	a.out.Events = append(a.out.Events, maker.event(&ev.BeaconEvent, at, body))
	return "", ""
}

// openState reads the state that an event names its visitor by, under storage
// only. It is never written: it is the visitor's, and only a decision hands it
// back.
func (a *acceptance) openState(d *decider, ev *BatchEvent, at time.Time) (code, field string) {
	if ev.State == "" || !d.granted.Has(consent.Storage) {
		return "", ""
	}
	state, err := a.engine.sealer.OpenState(a.release.Site(), ev.State)
	if err != nil {
		return RejectedState, "state"
	}
	if state.isOver(a.now, a.release.doc.Settings.StateEpoch) || a.engine.isAnothers(state, a.release.Site(), &Request{Profile: ev.Profile}) {
		return "", ""
	}
	if key := visitorKey(a.release.Site(), state.VisitorID()); a.engine.isErased(key, a.release.Site(), state.First.Add(-erasureSlack)) {
		if a.engine.isErased(key, a.release.Site(), at) {
			return RejectedErased, "state"
		}
		return "", ""
	}
	if at.Before(state.PreviousLast) {
		state.PreviousLast = time.Time{} // it is no time since then yet
	}
	d.visit.State = state
	return "", ""
}

// A telling is what a server says of an event beside what happened. The zero
// telling is a beacon's.
type telling struct {
	origin, system string
	origins        []byte
}

// appendOrigins appends, of the properties that the event keeps, whose origin is
// not the event's, and which purpose other than measure unlocked them. The rest
// is of the event's origin and unlocked by measure.
func (m *eventMaker) appendOrigins(b []byte, ev *BeaconEvent) []byte {
	if len(m.telling.origins) == 0 && !m.release.ownProps {
		return b
	}
	filter := propFilter{release: m.release, granted: m.view.granted, event: ev.Name}
	usual := orElse(m.telling.origin, Origins[0])
	kept := func(tell func(name string, own *ownField)) {
		members(ev.Props, func(key, _ []byte) bool {
			if name := keyText(key); filter.keeps(name) {
				tell(name, m.release.ownProp(ev.Name, name))
			}
			return true
		})
	}
	n := 0
	kept(func(name string, own *ownField) {
		origin := usual
		if own != nil {
			origin = own.origin
		}
		origin = orElse(originIn(m.telling.origins, name), origin)
		if origin != usual {
			b = appendEntry(b, &n, `,"origins":{`, name, origin)
		}
	})
	b = closeEntries(b, &n)
	kept(func(name string, own *ownField) {
		if own != nil && own.Purpose != consent.Measure {
			b = appendEntry(b, &n, `,"purposes":{`, name, own.Purpose.Names()[0])
		}
	})
	return closeEntries(b, &n)
}

// originIn returns the origin that an object names for a property, "" for none.
func originIn(origins []byte, name string) (origin string) {
	members(origins, func(key, value []byte) bool {
		if keyText(key) != name {
			return true
		}
		origin = parseValue(TypeString, value).Str
		return false
	})
	return origin
}

// appendEntry appends the n-th entry of an object that opens with the first.
func appendEntry(b []byte, n *int, open, name, value string) []byte {
	if *n == 0 {
		b = append(b, open...)
	}
	b = append(AppendString(comma(b, *n), name), ':')
	*n++
	return AppendString(b, value)
}

func closeEntries(b []byte, n *int) []byte {
	if *n > 0 {
		*n = 0
		b = append(b, '}')
	}
	return b
}

// ownProp returns the own field that a property of an event feeds, or nil.
func (r *Release) ownProp(event, prop string) *ownField {
	i := slices.IndexFunc(r.own, func(f ownField) bool { return f.event == event && f.prop == prop })
	if i < 0 {
		return nil
	}
	return &r.own[i]
}

func orElse(s, absent string) string {
	if s == "" {
		return absent
	}
	return s
}
