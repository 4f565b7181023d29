// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"crypto/rand"
	"encoding/base64"
	"math"
	"slices"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// State limits and times. SessionGap is GA4's default of thirty minutes.
const (
	SessionGap = 30 * time.Minute
	// StateMaxAge is after how long without a visit a state is not opened any more,
	// StateMaxLife after how long whatever the visits: thirteen months, the longest
	// that consent itself may be relied on. Then the visitor starts fresh.
	StateMaxAge  = 180 * 24 * time.Hour
	StateMaxLife = DefaultRetainDays * 24 * time.Hour

	stateGrain     = time.Minute // Last moves in steps, so that quiet beacons leave the state as it is
	maxSealedPlain = (MaxStateBytes*3)/4 - sealOverhead
	visitorIDBytes = 16
	sessionIDBytes = 8

	visitorTextBytes = (visitorIDBytes*8 + 5) / 6 // in base64url
)

// A State is a visitor's own short history in one browser. It is read only
// under the storage purpose and written only under profile as well; the
// browser carries it sealed, and no copy is kept.
type State struct {
	Visitor [visitorIDBytes]byte
	// Customer says that the state began for a customer who was known to be there,
	// whose ProfileID the Visitor is then.
	Customer bool
	// Epoch is the site's Settings.StateEpoch when the state began.
	Epoch uint32
	// First and Last are when the browser was first and last seen; Last is
	// exact to a minute.
	First, Last time.Time
	// Visits counts sessions, this one included.
	Visits uint32
	// Session is this session's id; Started is when it began.
	Session [sessionIDBytes]byte
	Started time.Time
	// PreviousLast is when the session before this one ended, zero without one.
	PreviousLast time.Time
	// Receipt is that of the latest grant through a prompt.
	Receipt StateReceipt
	// Counted are the keys of the events learned of last, latest last: one that is
	// sent again must not count twice.
	Counted []uint32
	// Known is the person that the browser was identified as, the zero value nobody.
	Known StatePerson

	// Shown are when what the site caps was shown.
	Shown []ShownTimes

	// History is there only as long as personalise is granted.
	History

	ids         []byte // of items, that are put together
	visitor     string // as text, once it was asked for: a view of visitorText
	visitorText [visitorTextBytes]byte
}

// A History is what somebody did lately.
type History struct {
	// Items are the items looked at, in the cart or bought, in the order in which
	// they were first met or last looked at.
	Items []StateItem
	// Interests are the categories looked at and put in the cart.
	Interests []Interest
	// Activity is what happened how often lately.
	Activity []Activity
	Journey  Journey
	// Counters count the events that the site's rules count, by name, by days of
	// the time zone whose name has the key CountZone.
	Counters  []EventCount
	CountZone uint32
	// Attributes are what was told of the visitor: of somebody who is not known, only
	// their own answers.
	Attributes []Attribute
	// Variations are what was seen of rules that choose by weight, in order of their
	// times, at most MaxStateVariations.
	Variations []Variation

	session Minute // when the session of what is learned next began
}

// A StateReceipt is what a state remembers of a consent receipt. The zero value is
// none.
type StateReceipt struct {
	ID       string // of the ReceiptEvent
	At       Minute
	Purposes consent.Purposes
	Prompt   string // the prompt's version
}

// A StatePerson is the known person whom a browser belongs to. The state then follows
// the person's profile; see decider.follow.
type StatePerson struct {
	Profile ProfileID
	Since   Minute // when the browser was identified
	Edition uint32 // of the profile, when it was last followed
}

// newState starts the history of a browser not seen before.
func newState(now time.Time) *State {
	s := &State{}
	s.begin(now)
	return s
}

// begin makes s the history of a browser not seen before.
func (s *State) begin(now time.Time) {
	s.reset()
	s.First = now
	rand.Read(s.Visitor[:])
	s.startSession(now)
}

// reset empties s and keeps its lists' memory, but no text that was in them.
func (s *State) reset() {
	s.History.reset()
	clear(s.ids)
	history, counted, shown, ids := s.History, s.Counted[:0], s.Shown[:0], s.ids[:0]
	*s = State{} // in place: a literal with the lists would be copied
	s.History, s.Counted, s.Shown, s.ids = history, counted, shown, ids
}

// isEmpty reports whether nothing is in the history.
func (h *History) isEmpty() bool {
	return len(h.Items)+len(h.Interests)+len(h.Activity)+len(h.Counters)+len(h.Attributes)+len(h.Variations) == 0 && h.Journey == (Journey{})
}

// reset empties h and keeps its lists' memory, but no text that was in them.
func (h *History) reset() {
	clear(h.Items)
	clear(h.Interests)
	clear(h.Attributes)
	for i := range h.Counters {
		h.Counters[i] = EventCount{Days: h.Counters[i].Days[:0]}
	}
	*h = History{
		Items: h.Items[:0], Interests: h.Interests[:0], Activity: h.Activity[:0], Counters: h.Counters[:0],
		Attributes: h.Attributes[:0], Variations: h.Variations[:0],
	}
}

// become makes h a copy of other, whose texts it shares, in the memory of its lists.
func (h *History) become(other *History) {
	h.Items = append(h.Items[:0], other.Items...)
	h.Interests = append(h.Interests[:0], other.Interests...)
	h.Activity = append(h.Activity[:0], other.Activity...)
	h.Attributes = append(h.Attributes[:0], other.Attributes...)
	h.Variations = append(h.Variations[:0], other.Variations...)
	h.Journey, h.CountZone, h.session = other.Journey, other.CountZone, other.session
	h.Counters = slices.Grow(h.Counters[:0], len(other.Counters))[:len(other.Counters)]
	for i := range other.Counters {
		c := &other.Counters[i]
		h.Counters[i] = EventCount{Event: c.Event, From: c.From, Days: append(h.Counters[i].Days[:0], c.Days...)}
	}
}

func (s *State) startSession(now time.Time) {
	s.Journey.newSession(minuteOf(s.Last), minuteOf(now))
	s.PreviousLast = s.Last
	s.Visits++
	s.Started, s.Last = now, now
	s.session = minuteOf(now)
	rand.Read(s.Session[:])
}

// touch notes that the visitor is here and reports whether the state changed.
func (s *State) touch(now time.Time) bool {
	switch gap := now.Sub(s.Last); {
	case gap >= SessionGap:
		s.startSession(now)
	case gap >= stateGrain, gap < -daySlack*24*time.Hour: // a clock was far ahead: the state must not wait for it
		s.Last = now
	default:
		return false
	}
	return true
}

// look moves on what is read of the state, for a visitor who does not let it be
// written: whether this is another session must not depend on that. The session
// keeps its id, for the next beacon would get another.
func (s *State) look(now time.Time) {
	session := s.Session
	s.touch(now)
	s.Session = session
}

// isOver reports whether a state is too old to be used, or of an epoch that the
// site has ended.
func (s *State) isOver(now time.Time, epoch uint32) bool {
	return now.Sub(s.Last) >= StateMaxAge || now.Sub(s.First) >= StateMaxLife || s.Epoch < epoch
}

// eventKey is FNV-1a (32 bit): the remembered events collide once in many
// millions.
func eventKey(id string) (key uint32) {
	key = 2166136261
	for i := range len(id) {
		key = (key ^ uint32(id[i])) * 16777619
	}
	return key
}

// minuteOf returns a moment's minute, 0 for none.
func minuteOf(t time.Time) Minute {
	if t.IsZero() {
		return 0
	}
	return Minute(max(1, min(t.Unix()/60, math.MaxUint32)))
}

// Time returns the minute's beginning, the zero Time for 0.
func (m Minute) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.Unix(int64(m)*60, 0).UTC()
}

// drop makes the state smaller and reports whether it could: the history first, then
// what was shown the longest ago, then the keys of events.
func (s *State) drop() bool {
	switch {
	case s.History.drop():
	case len(s.Shown) > 0:
		oldest := oldestShown(s.Shown)
		s.Shown = slices.Delete(s.Shown, oldest, oldest+1)
	case len(s.Counted) > 0:
		s.Counted = s.Counted[1:]
	default:
		return false
	}
	return true
}

// VisitorID returns the visitor id as text, for buckets and events. It is written
// once, into the State itself, which belongs to one request: copy what must
// outlive it.
func (s *State) VisitorID() string {
	if s.visitor == "" {
		base64.RawURLEncoding.Encode(s.visitorText[:], s.Visitor[:])
		s.visitor = textOf(s.visitorText[:])
	}
	return s.visitor
}

// SessionID returns the session id as text.
func (s *State) SessionID() string { return string(s.appendSessionID(nil)) }

func (s *State) appendSessionID(b []byte) []byte {
	return base64.RawURLEncoding.AppendEncode(b, s.Session[:])
}

// SealState returns the state sealed for a site. What is too much for a sealed state
// is dropped from state.
func (s *Sealer) SealState(site string, state *State) string {
	return string(s.appendState(nil, site, state))
}

// appendState appends the state sealed for a site.
func (s *Sealer) appendState(dst []byte, site string, state *State) []byte {
	sealing := s.sealing(sealedState, site)
	plain := appendState(sealing.buf.plain[:0], state)
	dst = sealing.append(dst, plain)
	clear(plain)
	sealBuffers.Put(sealing.buf)
	return dst
}

// OpenState returns the state that was sealed for a site. A tampered state, or
// another site's, is an error: the visitor starts fresh.
func (s *Sealer) OpenState(site, sealed string) (*State, error) {
	var space stateSpace
	return s.openState(&space, site, sealed)
}

// A stateSpace is the memory of one state after another.
type stateSpace struct {
	state  State
	plain  []byte // the state's texts are views of it
	isUsed bool   // there is something in it
}

// begin returns a state that begins now.
func (s *stateSpace) begin(now time.Time) *State {
	s.isUsed = true
	s.state.begin(now)
	return &s.state
}

// free forgets the state and keeps the memory.
func (s *stateSpace) free() {
	if s.isUsed {
		s.state.reset()
		clear(s.plain)
		s.isUsed = false
	}
}

// openState is OpenState in a space: the state is valid until the space is used
// again.
func (s *Sealer) openState(space *stateSpace, site, sealed string) (*State, error) {
	space.isUsed = true
	plain, err := s.open(space.plain[:0], sealedState, site, sealed)
	space.plain = plain
	if err != nil {
		return nil, err
	}
	if err := readState(&space.state, plain); err != nil {
		return nil, err
	}
	return &space.state, nil
}
