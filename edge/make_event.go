// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strconv"
	"strings"
	"time"
)

// makeEvents builds the stored form of every accepted event. A crawler's are
// dropped: it is not counted.
func (e *Engine) makeEvents(d *decider, b *Beacon, r *Request, out *Outcome) {
	if len(d.events) == 0 || r.Bot {
		return
	}
	view := d.view(d.release.eventSet.And(d.allowed))
	maker := eventMaker{engine: e, view: view, release: d.release, out: out, received: r.Now}
	if state := d.visit.State; state != nil {
		maker.visitor = state.VisitorID()
		maker.session = state.SessionID()
		sum := sha256.Sum256([]byte(d.release.Site() + "\x00" + maker.visitor))
		copy(maker.key[:], sum[:])
	}
	maker.shared = maker.appendShared(nil)
	for i := range d.events {
		ev := &d.events[i]
		out.Events = append(out.Events, maker.event(ev, eventTime(b, ev, r.Now)))
	}
}

// An eventMaker makes the events of one beacon. It holds a View, not the
// visit: what was refused is out of its reach.
type eventMaker struct {
	engine           *Engine
	view             *View
	release          *Release
	out              *Outcome
	received         time.Time
	visitor, session string
	key              [16]byte
	shared           []byte // members that all events of the beacon have in common
}

// event is the stored form of one event.
func (m *eventMaker) event(ev *BeaconEvent, at time.Time) Event {
	out := Event{
		site: m.release.Site(), id: strings.Clone(ev.ID), name: strings.Clone(ev.Name), visitor: m.key,
		granted: m.view.granted, at: at, expires: at.Add(m.release.retain),
	}
	b := make([]byte, 0, 256+len(m.shared)+len(ev.Props))
	b = append(b, `{"v":1,"id":`...)
	b = AppendString(b, ev.ID)
	b = append(b, `,"name":`...)
	b = AppendString(b, ev.Name)
	b = append(b, `,"at":`...)
	b = strconv.AppendInt(b, at.UnixMilli(), 10)
	b = append(b, m.shared...)
	if slotEvent(ev.Name) {
		b = m.appendDecision(b, ev)
	}
	if transaction, ok := stringMember(ev.Props, "transaction_id"); ok && (ev.Name == "purchase" || ev.Name == "refund") {
		out.txn = transaction
	}
	out.body = append(appendProps(b, ev.Props), '}')
	return out
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
	if m.session != "" {
		b = append(b, `,"session":`...)
		b = AppendString(b, m.session)
	}
	b = append(b, `,"origin":"first","consent":{"purposes":`...)
	b = strconv.AppendUint(b, uint64(m.view.granted), 10)
	b = append(b, `,"authority":`...)
	b = AppendString(b, m.out.Verdict.Authority.String())
	b = append(b, `,"policy":`...)
	b = AppendString(b, m.out.Verdict.Policy.String())
	b = append(b, `},"release":`...)
	b = strconv.AppendUint(b, m.release.Number(), 10)
	return m.appendFields(b)
}

// appendFields appends the view's fields, those with a common first word in
// one object: page.path and page.type become "page":{"path":…,"type":…}. The
// visitor's id joins the visitor's fields, which need the same purpose.
func (m *eventMaker) appendFields(b []byte) []byte {
	group := ""
	for _, n := range m.release.eventOrder {
		value := m.view.Value(n)
		if !value.Known() {
			continue
		}
		first, rest, grouped := strings.Cut(m.release.field(n).Name, ".")
		if group != "" && group != first {
			b = append(b, '}')
			group = ""
		}
		switch {
		case !grouped:
			b = AppendString(append(b, ','), first)
		case group == "":
			b = AppendString(append(b, ','), first)
			b = append(b, ':', '{')
			if first == "visitor" {
				b = append(AppendString(append(b, `"id":`...), m.visitor), ',')
			}
			b = AppendString(b, rest)
			group = first
		default:
			b = AppendString(append(b, ','), rest)
		}
		b = value.AppendJSON(append(b, ':'))
	}
	if group != "" {
		b = append(b, '}')
	}
	return b
}

// appendDecision appends what the decision's token says was shown.
func (m *eventMaker) appendDecision(b []byte, ev *BeaconEvent) []byte {
	token, _ := stringMember(ev.Props, "decision")
	id, err := m.engine.sealer.OpenDecisionID(m.release.Site(), token)
	if err != nil {
		return b // acceptEvents let none through
	}
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
	b = append(b, `,"reason":`...)
	b = AppendString(b, id.Reason.String())
	b = append(b, `,"release":`...)
	b = strconv.AppendUint(b, id.Release, 10)
	b = append(b, `,"decided":`...)
	b = strconv.AppendInt(b, id.At.UnixMilli(), 10)
	b = append(b, `,"shown":`...)
	return append(AppendString(b, shown), '}')
}

// dropped are the properties that stand elsewhere in the event, or would repeat
// an address with its query.
var dropped = []string{"decision", "shown", "page_location", "page_referrer", "page_path"}

// A lifting finds the properties that become members of the event itself: the
// first items, value and currency that have the right form.
type lifting struct{ items, value, currency bool }

// lifts reports whether a property becomes a member of the event.
func (l *lifting) lifts(key, value []byte) bool {
	var done *bool
	switch string(key) {
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
// the rest as props. The value is kept as a decimal string: no cent is lost to
// a float.
func appendProps(b []byte, props []byte) []byte {
	var lift lifting
	rest := 0
	members(props, func(key, value []byte) bool {
		switch {
		case lift.lifts(key, value):
			b = append(append(append(b, `,"`...), key...), `":`...)
			if string(key) == "value" {
				b = append(append(append(b, '"'), bytes.Trim(value, `"`)...), '"')
			} else {
				b = appendOneLine(b, value)
			}
		case !slices.Contains(dropped, string(key)):
			rest++
		}
		return true
	})
	if rest == 0 {
		return b
	}
	b = append(b, `,"props":{`...)
	lift = lifting{}
	i := 0
	members(props, func(key, value []byte) bool {
		if !lift.lifts(key, value) && !slices.Contains(dropped, string(key)) {
			b = append(comma(b, i), '"')
			b = appendOneLine(append(append(b, key...), `":`...), value)
			i++
		}
		return true
	})
	return append(b, '}')
}

// appendOneLine appends valid JSON without line breaks, which are white space
// wherever JSON allows them.
func appendOneLine(b, raw []byte) []byte {
	start := len(b)
	b = append(b, raw...)
	for i := start; i < len(b); i++ {
		if b[i] == '\n' || b[i] == '\r' {
			b[i] = ' '
		}
	}
	return b
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
