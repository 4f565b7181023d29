// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/fnv"
	"slices"
	"time"
)

// State limits and times. SessionGap is GA4's default of thirty minutes.
const (
	SessionGap      = 30 * time.Minute
	StateMaxAge     = 180 * 24 * time.Hour
	MaxStateEvents  = 16
	maxStateItem    = 64 // bytes of an item id
	maxStateWord    = 48 // bytes of a category
	maxStatePrice   = 1e12
	stateVersion    = 1
	stateGrain      = time.Minute // Last moves in steps, so that quiet beacons leave the state as it is
	maxSealedPlain  = (MaxStateBytes*3)/4 - sealOverhead
	visitorIDBytes  = 16
	sessionIDBytes  = 8
	stateEventBytes = 4 + 4 + 1 + 1 + 8 + 1 + 1 // key, time, code, quantity, price, two lengths
)

// A State is a visitor's own short history in one browser. It is read only
// under the storage purpose and written only under profile as well; the
// browser carries it sealed, and no copy is kept.
type State struct {
	Visitor [visitorIDBytes]byte
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
	s := &State{First: now}
	rand.Read(s.Visitor[:])
	s.startSession(now)
	return s
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
	case gap >= stateGrain:
		s.Last = now
	default:
		return false
	}
	return true
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

// VisitorID returns the visitor id as text, for buckets and events.
func (s *State) VisitorID() string { return base64.RawURLEncoding.EncodeToString(s.Visitor[:]) }

// SessionID returns the session id as text.
func (s *State) SessionID() string { return base64.RawURLEncoding.EncodeToString(s.Session[:]) }

// appendState appends the state's plain form. Oldest events are left out until
// the sealed form fits MaxStateBytes.
func appendState(dst []byte, s *State) []byte {
	events := s.Events
	size := 1 + visitorIDBytes + sessionIDBytes + 5*4 + 1
	for _, e := range events {
		size += stateEventBytes + len(e.Item) + len(e.Category)
	}
	for size > maxSealedPlain {
		size -= stateEventBytes + len(events[0].Item) + len(events[0].Category)
		events = events[1:]
	}
	dst = append(dst, stateVersion)
	dst = append(dst, s.Visitor[:]...)
	dst = append(dst, s.Session[:]...)
	for _, t := range [...]time.Time{s.First, s.Last, s.Started, s.PreviousLast} {
		dst = appendSeconds(dst, t)
	}
	dst = binary.LittleEndian.AppendUint32(dst, s.Visits)
	dst = append(dst, byte(len(events)))
	for _, e := range events {
		dst = binary.LittleEndian.AppendUint32(dst, e.Key)
		dst = appendSeconds(dst, e.At)
		dst = append(dst, byte(e.Code), e.Quantity)
		dst = binary.LittleEndian.AppendUint64(dst, uint64(max(0, min(e.Price, maxStatePrice)*100)))
		dst = append(append(dst, byte(len(e.Item))), e.Item...)
		dst = append(append(dst, byte(len(e.Category))), e.Category...)
	}
	return dst
}

// appendSeconds appends t as Unix seconds, which fit 32 bits until 2106.
func appendSeconds(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, 0, 0, 0, 0)
	}
	return binary.LittleEndian.AppendUint32(dst, uint32(t.Unix()))
}

var errState = errors.New("state is malformed")

// parseState reads the plain form of a state. It copies what it keeps.
func parseState(plain []byte) (*State, error) {
	r := byteReader{b: plain}
	if r.byte() != stateVersion {
		return nil, errState
	}
	s := &State{}
	copy(s.Visitor[:], r.take(visitorIDBytes))
	copy(s.Session[:], r.take(sessionIDBytes))
	s.First, s.Last, s.Started, s.PreviousLast = r.time(), r.time(), r.time(), r.time()
	s.Visits = r.uint32()
	n := int(r.byte())
	if n > MaxStateEvents {
		return nil, errState
	}
	for range n {
		e := StateEvent{Key: r.uint32(), At: r.time(), Code: StateCode(r.byte()), Quantity: r.byte()}
		if b := r.take(8); b != nil {
			e.Price = float64(binary.LittleEndian.Uint64(b)) / 100
		}
		e.Item = string(r.take(int(r.byte())))
		e.Category = string(r.take(int(r.byte())))
		if e.Code == 0 || int(e.Code) >= len(stateCodes) || e.Price > maxStatePrice || len(e.Item) > maxStateItem || len(e.Category) > maxStateWord {
			return nil, errState
		}
		s.Events = append(s.Events, e)
	}
	if r.bad || len(r.b) > 0 {
		return nil, errState
	}
	return s, nil
}

// A byteReader reads b from the front. What is read after the end is zero, and
// sets bad.
type byteReader struct {
	b   []byte
	bad bool
}

func (r *byteReader) take(n int) []byte {
	if n > len(r.b) {
		r.bad = true
		r.b = nil
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *byteReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *byteReader) uint32() uint32 {
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *byteReader) time() time.Time {
	seconds := r.uint32()
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}

// SealState returns the state sealed for a site.
func (s *Sealer) SealState(site string, state *State) string {
	var space [MaxStateBytes]byte
	return s.seal(sealedState, site, appendState(space[:0], state))
}

// OpenState returns the state that was sealed for a site. A tampered state, or
// another site's, is an error: the visitor starts fresh.
func (s *Sealer) OpenState(site, sealed string) (*State, error) {
	var space [MaxStateBytes]byte
	plain, err := s.open(space[:0], sealedState, site, sealed)
	if err != nil {
		return nil, err
	}
	return parseState(plain)
}
