// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"crypto/rand"
	"encoding/base64"
	"hash/fnv"
	"slices"
	"time"
)

// State limits and times. SessionGap is GA4's default of thirty minutes.
const (
	SessionGap     = 30 * time.Minute
	StateMaxAge    = 180 * 24 * time.Hour
	MaxStateEvents = 16
	maxStateItem   = 64 // bytes of an item id
	maxStateWord   = 48 // bytes of a category
	maxStatePrice  = 1e12
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
	// Events are the latest commerce events, oldest first.
	Events []StateEvent
	// Counters count the events that the site's rules count, by name, by days of
	// the time zone whose name has the key CountZone.
	Counters  []EventCount
	CountZone uint32
	// Counted are the keys of the events counted last, latest last: one that is
	// sent again must not count twice.
	Counted []uint32

	visitor     string // as text, once it was asked for: a view of visitorText
	visitorText [visitorTextBytes]byte
}

// A StateEvent is one commerce event remembered in the state.
type StateEvent struct {
	// Key is a hash of the event's id: a tag that got no answer sends an event
	// again, and it must not count twice.
	Key      uint32
	At       time.Time
	Code     StateCode
	Item     string
	Category string
	Quantity uint8
	Price    float64
}

// A StateCode names the events a state remembers. The numbers are stored.
type StateCode uint8

// The remembered events.
const (
	StateViewItem StateCode = iota + 1
	StateAddToCart
	StateRemoveFromCart
	StatePurchase
)

var stateCodes = [...]string{
	StateViewItem: "view_item", StateAddToCart: "add_to_cart",
	StateRemoveFromCart: "remove_from_cart", StatePurchase: "purchase",
}

func stateCode(name string) StateCode {
	for c, n := range stateCodes {
		if c > 0 && n == name {
			return StateCode(c)
		}
	}
	return 0
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
	clear(s.Events)
	for i := range s.Counters {
		s.Counters[i] = EventCount{Days: s.Counters[i].Days[:0]}
	}
	*s = State{Events: s.Events[:0], Counters: s.Counters[:0], Counted: s.Counted[:0]}
}

func (s *State) startSession(now time.Time) {
	s.PreviousLast = s.Last
	s.Visits++
	s.Started, s.Last = now, now
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

// eventKey is FNV-1a (32 bit): 16 remembered events collide once in about
// thirty million.
func eventKey(id string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(id))
	return h.Sum32()
}

// add remembers e, dropping the oldest event when there are too many. It
// reports whether the state changed: an event that is known changes nothing.
func (s *State) add(e StateEvent) bool {
	if e.Item == "" || len(e.Item) > maxStateItem {
		return false
	}
	for i := range s.Events {
		if known := &s.Events[i]; e.Key != 0 && known.Key == e.Key && known.Item == e.Item && known.Code == e.Code {
			return false
		}
	}
	if len(e.Category) > maxStateWord {
		e.Category = ""
	}
	if len(s.Events) >= MaxStateEvents {
		s.Events = slices.Delete(s.Events, 0, len(s.Events)-MaxStateEvents+1)
	}
	s.Events = append(s.Events, e)
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

// SealState returns the state sealed for a site.
func (s *Sealer) SealState(site string, state *State) string {
	return string(s.appendState(nil, site, state))
}

// appendState appends the state sealed for a site.
func (s *Sealer) appendState(dst []byte, site string, state *State) []byte {
	var space [MaxStateBytes]byte
	return s.appendSealed(dst, sealedState, site, appendState(space[:0], state))
}

// OpenState returns the state that was sealed for a site. A tampered state, or
// another site's, is an error: the visitor starts fresh.
func (s *Sealer) OpenState(site, sealed string) (*State, error) {
	var space stateSpace
	return s.openState(&space, site, sealed)
}

// A stateSpace is the memory of one state after another.
type stateSpace struct {
	state State
	plain []byte // the state's texts are views of it
}

// free forgets the state and keeps the memory.
func (s *stateSpace) free() {
	s.state.reset()
	clear(s.plain)
}

// openState is OpenState in a space: the state is valid until the space is used
// again.
func (s *Sealer) openState(space *stateSpace, site, sealed string) (*State, error) {
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
