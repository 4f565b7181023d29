// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strconv"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// makeEvents builds the stored form of every accepted event. A crawler's are
// dropped, and those of a page that nobody looks at: they are not counted.
func (e *Engine) makeEvents(d *decider, b *Beacon, r *Request, out *Outcome) {
	if len(d.events) == 0 || r.Bot || r.Ahead {
		return
	}
	view := &d.views[d.view(d.release.eventSet.And(d.allowed))]
	maker := eventMaker{engine: e, view: view, release: d.release, verdict: out.Verdict, received: r.Now, key: d.person()}
	if state := d.visit.State; state != nil {
		maker.visitor, maker.state = state.VisitorID(), state
	}
	maker.telling.system = r.System
	if r.Profile != "" && out.Identify == "" && d.granted.Has(consent.Storage|consent.Profile) {
		maker.profile = e.sealer.ProfileID(d.release.Site(), r.Profile)
	} else if state := d.visit.State; state != nil && state.Known.is() && d.granted.Has(knownPurposes) {
		maker.profile = state.Known.Profile.String()
	}
	space := maker.appendShared(out.eventSpace[:0])
	maker.shared = space // stays as it is when space moves
	stored := 0
	for i := range d.events {
		ev := &d.events[i]
		from := len(space)
		space = maker.appendEvent(space, ev, &d.shown[i], eventTime(b, ev, r.Now))
		body := space[from:len(space):len(space)]
		if stored += len(body); stored > MaxStoredBytes {
			out.Rejected = append(out.Rejected, Rejection{ID: ev.ID, Code: RejectedSize})
			continue
		}
		out.Events = append(out.Events, maker.event(ev, eventTime(b, ev, r.Now), body))
	}
	out.eventSpace = space
}

// visitorKey is what a person's events and records are found by.
func visitorKey(site, visitor string) (key [16]byte) {
	var space [MaxSiteBytes + 1 + visitorTextBytes]byte // an id that is ours fits
	sum := sha256.Sum256(append(append(append(space[:0], site...), 0), visitor...))
	copy(key[:], sum[:])
	return key
}

// person is the visitor's key, zero for nobody. It is worked out once a beacon.
func (d *decider) person() [16]byte {
	if d.visit.State != nil && d.key == ([16]byte{}) {
		d.key = visitorKey(d.release.Site(), d.visit.State.VisitorID())
	}
	return d.key
}

// An eventMaker makes the events of one beacon. It holds a View, not the
// visit: what was refused is out of its reach.
type eventMaker struct {
	engine   *Engine
	view     *View
	release  *Release
	verdict  consent.Verdict
	received time.Time
	state    *State // whose session it is, nil for none
	visitor  string
	profile  string // "" but where a server names a customer
	telling  telling
	key      [16]byte
	shared   []byte // members that all events of the beacon have in common
}

// event is one event with its stored form.
func (m *eventMaker) event(ev *BeaconEvent, at time.Time, body []byte) Event {
	return Event{
		site: m.release.Site(), id: ev.ID, name: ev.Name, txn: transaction(ev), visitor: m.key,
		granted: m.view.granted, at: at, expires: at.Add(m.release.retain), body: body,
	}
}

// appendEvent appends the stored form of one event; shown is what a slot event's
// token says.
func (m *eventMaker) appendEvent(b []byte, ev *BeaconEvent, shown *DecisionID, at time.Time) []byte {
	b = append(b, `{"v":1,"id":`...)
	b = AppendString(b, ev.ID)
	b = append(b, `,"name":`...)
	b = AppendString(b, ev.Name)
	b = append(b, `,"at":`...)
	b = strconv.AppendInt(b, at.UnixMilli(), 10)
	b = append(b, m.shared...)
	if slotEvent(ev.Name) {
		b = appendShown(b, ev, shown)
	}
	return append(m.appendOrigins(m.appendProps(b, ev), ev), '}')
}

// transaction returns what a purchase or a whole refund is known by beside its
// id, "" for anything else. A refund that lists items is a part of one: several
// of a transaction are several events.
func transaction(ev *BeaconEvent) string {
	if ev.Name != "purchase" && ev.Name != "refund" {
		return ""
	}
	id, hasItems := "", false
	members(ev.Props, func(key, value []byte) bool {
		switch keyText(key) {
		case "transaction_id":
			if id = parseValue(TypeString, value).Str; id == "" && isDecimal(value) {
				id = string(value)
			}
		case "items":
			hasItems = true
		}
		return true
	})
	if ev.Name == "refund" && hasItems {
		return ""
	}
	return id
}

// appendShared appends what every event of the beacon says: site, node, when
// it came, whose consent, and each field of the view by its wire name.
func (m *eventMaker) appendShared(b []byte) []byte {
	visit := m.view.visit
	b = append(b, `,"site":`...)
	b = AppendString(b, m.release.Site())
	b = append(b, `,"node":`...)
	b = AppendString(b, m.engine.node)
	b = append(b, `,"received":`...)
	b = strconv.AppendInt(b, m.received.UnixMilli(), 10)
	if visit.Page.ID != "" {
		b = append(b, `,"view":`...)
		b = AppendString(b, visit.Page.ID)
	}
	if m.state != nil {
		b = append(b, `,"session":"`...)
		b = append(m.state.appendSessionID(b), '"')
	}
	if m.profile != "" {
		b = append(b, `,"profile":`...)
		b = AppendString(b, m.profile)
	}
	if m.telling.system != "" {
		b = append(b, `,"system":`...)
		b = AppendString(b, m.telling.system)
	}
	b = append(b, `,"origin":`...)
	b = AppendString(b, orElse(m.telling.origin, Origins[0]))
	b = append(b, `,"consent":{"purposes":`...)
	b = strconv.AppendUint(b, uint64(m.view.granted), 10)
	b = append(b, `,"authority":`...)
	b = AppendString(b, m.verdict.Authority.String())
	b = append(b, `,"policy":`...)
	b = AppendString(b, m.verdict.Policy.String())
	b = append(b, `},"release":`...)
	b = strconv.AppendUint(b, m.release.Number(), 10)
	return m.appendFields(b)
}

// appendShown appends what the decision's token says was shown.
func appendShown(b []byte, ev *BeaconEvent, id *DecisionID) []byte {
	shown, _ := stringMember(ev.Props, "shown")
	if !slices.Contains([]string{"variant", "default", "late"}, shown) {
		shown = "default"
		if id.Variant != "" {
			shown = "variant"
		}
	}
	b = append(b, `,"decision":{"slot":`...)
	b = AppendString(b, id.Slot)
	b = append(b, `,"variant":`...)
	b = AppendString(b, id.Variant)
	b = append(b, `,"rule":`...)
	b = AppendString(b, id.Rule)
	if id.Campaign != "" {
		b = append(b, `,"campaign":`...)
		b = AppendString(b, id.Campaign)
	}
	b = append(b, `,"reason":`...)
	b = AppendString(b, id.Reason.String())
	b = append(b, `,"release":`...)
	b = strconv.AppendUint(b, id.Release, 10)
	b = append(b, `,"decided":`...)
	b = strconv.AppendInt(b, id.At.UnixMilli(), 10)
	b = append(b, `,"shown":`...)
	return append(AppendString(b, shown), '}')
}

// A lifting finds the properties that become members of the event itself: the
// first items, value and currency that have the right form.
type lifting struct{ items, value, currency bool }

// lifts reports whether a property becomes a member of the event.
func (l *lifting) lifts(name string, value []byte) bool {
	var done *bool
	switch name {
	case "items":
		if value[0] == '[' {
			done = &l.items
		}
	case "value":
		if isDecimal(value) {
			done = &l.value
		}
	case "currency":
		if len(value) == len(`"EUR"`) && value[0] == '"' {
			done = &l.currency
		}
	}
	if done == nil || *done {
		return false
	}
	*done = true
	return true
}

// isDecimal reports whether a JSON number or string is a plain decimal of at
// most 32 characters.
func isDecimal(raw []byte) bool {
	digits := bytes.Trim(raw, `"`)
	whole, fraction, point := bytes.Cut(bytes.TrimPrefix(digits, []byte("-")), []byte("."))
	all := func(b []byte) bool {
		return len(b) > 0 && !bytes.ContainsFunc(b, func(r rune) bool { return r < '0' || r > '9' })
	}
	return len(digits) <= 32 && all(whole) && (!point || all(fraction))
}

// appendProps appends items, value and currency as members of the event and
// the rest as props, as far as they may be stored. The value is kept as a
// decimal string: no cent is lost to a float.
func (m *eventMaker) appendProps(b []byte, ev *BeaconEvent) []byte {
	filter := propFilter{release: m.release, granted: m.view.granted, event: ev.Name}
	var lift lifting
	rest := 0
	members(ev.Props, func(key, value []byte) bool {
		name := keyText(key)
		switch {
		case !filter.keeps(name):
		case !lift.lifts(name, value):
			rest++
		case name == "value":
			b = append(append(append(b, `,"value":"`...), bytes.Trim(value, `"`)...), '"')
		default:
			b = append(AppendString(append(b, ','), name), ':')
			b = filter.appendValue(b, value)
		}
		return true
	})
	if rest == 0 {
		return b
	}
	b = append(b, `,"props":{`...)
	lift = lifting{}
	i := 0
	members(ev.Props, func(key, value []byte) bool {
		if name := keyText(key); filter.keeps(name) && !lift.lifts(name, value) {
			b = append(AppendString(comma(b, i), name), ':')
			b = filter.appendValue(b, value)
			i++
		}
		return true
	})
	return append(b, '}')
}

// tokenMember returns the decision id of a slot event. It is base64url, which
// JSON needs no escapes for; anything else is no id of ours.
func tokenMember(props []byte) string {
	token := ""
	members(props, func(key, value []byte) bool {
		if string(key) == "decision" && len(value) >= 2 && value[0] == '"' {
			token = textOf(value[1 : len(value)-1])
		}
		return token == ""
	})
	return token
}

// stringMember returns a string member of a JSON object.
func stringMember(object []byte, name string) (string, bool) {
	found, ok := "", false
	members(object, func(key, value []byte) bool {
		if string(key) != name {
			return true
		}
		if v := parseValue(TypeString, value); v.Known() {
			found, ok = v.Str, true
		}
		return false
	})
	return found, ok
}
