// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"strings"
	"time"
)

// A ProfileChange is what is learned of a known person at once. Applied again, to a
// profile that was changed meanwhile or to the same, it changes nothing twice: a
// history is merged by its visitor's id once, and an event is known by its key. It
// holds no memory of a request.
type ProfileChange struct {
	at   time.Time
	keep time.Duration // how long a profile that nothing touches is kept
	// isVisit says that the person is there.
	isVisit bool
	// drawsLots makes visitor the one whose lots count, if there is none yet.
	drawsLots bool
	visitor   [visitorIDBytes]byte
	links     [][visitorIDBytes]byte // other visitors
	joined    *joinedVisitor

	events     []profileEvent
	variations []Variation
	weightKeys []uint32 // as Release.weightKeys
	attributes []Attribute
	counting   *counting
	clock      countClock
}

// NewProfileChange returns a change without anything at a time. keep is how long the
// site keeps a profile that nothing touches.
func NewProfileChange(at time.Time, keep time.Duration) *ProfileChange {
	return &ProfileChange{at: at, keep: keep}
}

// Learn adds an event that happened at a time.
func (c *ProfileChange) Learn(ev *BeaconEvent, at time.Time) {
	c.events = append(c.events, newProfileEvent(ev, at))
}

// Join links a visitor, whose history is merged unless it was before. The visitor draws
// the person's lots if nobody does yet.
func (c *ProfileChange) Join(visitor [visitorIDBytes]byte, h *History) {
	c.visitor, c.drawsLots, c.joined = visitor, true, &joinedVisitor{History: copyHistory(h)}
}

// A joinedVisitor is what a browser remembered when it was identified.
type joinedVisitor struct {
	History
	counted []uint32
	isNew   bool // it began with this beacon
}

// A profileEvent is an event as a profile learns of it. transaction is a second key,
// 0 without one: a purchase that a page and a till tell is one.
type profileEvent struct {
	key, transaction uint32
	name             string
	at               time.Time
	items            []ItemEvent
}

// newProfileEvent copies what a profile learns of an event.
func newProfileEvent(ev *BeaconEvent, at time.Time) profileEvent {
	e := profileEvent{key: eventKey(ev.ID), transaction: transactionKey(ev), name: strings.Clone(ev.Name), at: at}
	if hasItems(ev.Name) {
		eachItem(ev, func(item ItemEvent) {
			if item.Item == "" || len(item.Item) > maxStateItem {
				return
			}
			item.Item, item.Category = strings.Clone(item.Item), strings.Clone(item.Category)
			e.items = append(e.items, item)
		})
	}
	return e
}

// counts says by which release and zone the change counts events, and what of a rule's
// variants is live.
func (c *ProfileChange) counts(release *Release, now time.Time) {
	c.counting, c.clock, c.weightKeys = release.counting, release.countClock(now), release.weightKeys
}

// learn adds an event that a profile learns of, with the attributes that it tells.
func (c *ProfileChange) learn(release *Release, t *told) {
	isTelling := false
	if release.told {
		release.attributes(t, func(a Attribute) {
			isTelling = true
			c.tell(a)
		})
	}
	if isTelling || learns(t.Name) || c.counting.longest(t.Name) > 0 {
		c.Learn(t.BeaconEvent, t.at)
	}
}

// tell adds an attribute, copied.
func (c *ProfileChange) tell(a Attribute) {
	a.Name, a.Value = strings.Clone(a.Name), strings.Clone(a.Value)
	c.attributes = append(c.attributes, a)
}

// copyHistory returns a copy of a history that shares no memory with it.
func copyHistory(h *History) (c History) {
	c.become(h)
	for i := range c.Items {
		c.Items[i].ID, c.Items[i].Category = strings.Clone(c.Items[i].ID), strings.Clone(c.Items[i].Category)
	}
	for i := range c.Interests {
		c.Interests[i].Category = strings.Clone(c.Interests[i].Category)
	}
	for i := range c.Counters {
		c.Counters[i].Event = strings.Clone(c.Counters[i].Event)
	}
	for i := range c.Attributes {
		c.Attributes[i].Name, c.Attributes[i].Value = strings.Clone(c.Attributes[i].Name), strings.Clone(c.Attributes[i].Value)
	}
	return c
}

// Size is about how many bytes of memory the change takes.
func (c *ProfileChange) Size() int {
	n := 256 + 16*len(c.links) + 12*len(c.variations) + 96*len(c.events)
	for i := range c.events {
		n += 80 * len(c.events[i].items)
	}
	for i := range c.attributes {
		n += 48 + c.attributes[i].size()
	}
	if c.joined != nil {
		n += 2048
	}
	return n
}

// With returns the profile with a change. p may be nil, for nobody, and is not
// changed.
func (p *Profile) With(c *ProfileChange) *Profile {
	now := minuteOf(c.at)
	next := &Profile{Began: now}
	isNew := p == nil || p.IsOver(c.at, c.keep)
	if !isNew {
		*next = *p
		next.Linked, next.Counted = slices.Clone(p.Linked), slices.Clone(p.Counted)
		next.History = History{}
		next.History.become(&p.History)
	}
	last := next.Seen
	if c.isVisit {
		next.visit(now)
	}
	next.Seen = max(next.Seen, now)
	next.Edition++
	isNew = next.join(c) && isNew
	next.learn(c, last.Time(), isNew)
	for _, v := range c.variations {
		next.assign(v, c.weightKeys)
	}
	for i := range c.attributes {
		next.tell(c.attributes[i])
	}
	next.limitAttributes(MaxAttributes, maxAttributesBytes)
	return next
}

// visit moves on what is known of the person's sessions, at whichever browser.
func (p *Profile) visit(now Minute) {
	if now >= p.Visited+Minute(SessionGap/time.Minute) || p.Visited == 0 {
		p.Journey.newSession(p.Visited, now)
		p.session = now
	}
	p.Visited = max(p.Visited, now)
}

// join links the change's visitors. It reports whether nothing may have happened to
// them before that the profile does not know.
func (p *Profile) join(c *ProfileChange) (isNew bool) {
	for _, visitor := range c.links {
		p.link(visitor)
	}
	isNew = len(c.links) == 0
	if c.visitor == ([visitorIDBytes]byte{}) {
		return isNew
	}
	if c.drawsLots && p.Lot == ([visitorIDBytes]byte{}) {
		p.Lot = c.visitor
	}
	at := p.link(c.visitor)
	if c.joined == nil || p.Linked[at].Merged {
		return false
	}
	p.Linked[at].Merged = true
	p.merge(&c.joined.History)
	for _, key := range c.joined.counted {
		if !slices.Contains(p.Counted, key) {
			p.Counted = append(p.Counted, key)
		}
	}
	return isNew && c.joined.isNew
}

// learn has the profile learn of events, of each once. last is when something
// touched it before.
func (p *Profile) learn(c *ProfileChange, last time.Time, isNew bool) {
	if c.clock.zone != nil && (len(p.Counters) > 0 || c.counting != nil && len(c.counting.events) > 0) {
		p.keepCounters(c.counting, c.clock, last, isNew)
	}
	latest := 0
	for i := range c.events {
		e := &c.events[i]
		isKnown := false
		for _, key := range [...]uint32{e.key, e.transaction} {
			if key == 0 {
				continue
			}
			if at := slices.Index(p.Counted, key); at >= 0 {
				isKnown = true
				p.Counted = slices.Delete(p.Counted, at, at+1)
			}
			p.Counted = append(p.Counted, key)
			latest++
		}
		if !isKnown {
			p.learnOf(e, c)
		}
	}
	if c.joined != nil {
		latest += len(c.joined.counted)
	}
	if n := len(p.Counted) - min(max(latest, ProfileKeys), maxProfileKeys); n > 0 {
		p.Counted = slices.Delete(p.Counted, 0, n)
	}
}

func (p *Profile) learnOf(e *profileEvent, c *ProfileChange) {
	if counter := p.counter(e.name); counter != nil && c.clock.zone != nil && counter.add(dayOf(e.at, c.clock.zone)) {
		counter.forget(c.clock.today - Day(c.counting.longest(e.name)) + 1) // it may have come very late
	}
	at := minuteOf(e.at)
	p.note(e.name, at)
	for i := range e.items {
		p.add(e.name, at, e.items[i])
	}
}
