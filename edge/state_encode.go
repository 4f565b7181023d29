// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"
)

// The plain form of a state, which is sealed. Integers of no stated size are
// varints, texts have their length before them.
//
//	state    = version:u8 visitor:16 session:8 first last started previous visits:u32
//	           n:u8 n×event n:u8 [zone:u32 n×counter n:u8 n×key:u32]
//	event    = key:u32 at:u32 code:u8 quantity:u8 cents item category
//	counter  = name from n:u8 n×(day count)
//
// Times are Unix seconds, which fit 32 bits until 2106, 0 for none. A category that
// an event before has too is 0x80 + that event's number. A counter's first day
// counts from its from, every other from the day before. Without counters there
// is neither zone nor keys. The version's highest bit says that the state began for
// a customer.
const (
	stateVersion    = 2
	stateOfCustomer = 0x80

	sameCategory = 0x80
	maxDay       = 1 << 17 // in the year 2328
)

// appendState appends the state's plain form. The oldest events are left out until
// the sealed form fits MaxStateBytes, then whole counters from the last on: each
// begins anew, and knows nothing until its window fills.
func appendState(dst []byte, s *State) []byte {
	events, counters := s.Events, s.Counters
	for {
		out := appendStateOf(dst, s, events, counters)
		switch {
		case len(out)-len(dst) <= maxSealedPlain:
			return out
		case len(events) > 0:
			events = events[1:]
		default:
			counters = counters[:len(counters)-1] // without any it fits
		}
	}
}

func appendStateOf(dst []byte, s *State, events []StateEvent, counters []EventCount) []byte {
	version := byte(stateVersion)
	if s.Customer {
		version |= stateOfCustomer
	}
	dst = append(dst, version)
	dst = append(dst, s.Visitor[:]...)
	dst = append(dst, s.Session[:]...)
	for _, t := range [...]time.Time{s.First, s.Last, s.Started, s.PreviousLast} {
		dst = appendSeconds(dst, t)
	}
	dst = binary.LittleEndian.AppendUint32(dst, s.Visits)
	dst = append(dst, byte(len(events)))
	for i := range events {
		dst = appendStateEvent(dst, events, i)
	}
	dst = append(dst, byte(len(counters)))
	if len(counters) == 0 {
		return dst
	}
	dst = binary.LittleEndian.AppendUint32(dst, s.CountZone)
	for i := range counters {
		dst = appendCounter(dst, &counters[i])
	}
	dst = append(dst, byte(len(s.Counted)))
	for _, key := range s.Counted {
		dst = binary.LittleEndian.AppendUint32(dst, key)
	}
	return dst
}

func appendStateEvent(dst []byte, events []StateEvent, i int) []byte {
	e := &events[i]
	dst = binary.LittleEndian.AppendUint32(dst, e.Key)
	dst = appendSeconds(dst, e.At)
	dst = append(dst, byte(e.Code), e.Quantity)
	dst = binary.AppendUvarint(dst, uint64(math.Round(max(0, min(e.Price, maxStatePrice))*100)))
	dst = append(append(dst, byte(len(e.Item))), e.Item...)
	if e.Category != "" {
		for j := range i {
			if events[j].Category == e.Category {
				return append(dst, sameCategory|byte(j))
			}
		}
	}
	return append(append(dst, byte(len(e.Category))), e.Category...)
}

func appendCounter(dst []byte, c *EventCount) []byte {
	dst = append(append(dst, byte(len(c.Event))), c.Event...)
	dst = binary.AppendUvarint(dst, uint64(c.From))
	dst = append(dst, byte(len(c.Days)))
	before := c.From
	for _, d := range c.Days {
		dst = binary.AppendUvarint(dst, uint64(d.Day-before))
		dst = binary.AppendUvarint(dst, uint64(d.Count))
		before = d.Day
	}
	return dst
}

func appendSeconds(dst []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(dst, 0, 0, 0, 0)
	}
	return binary.LittleEndian.AppendUint32(dst, uint32(t.Unix()))
}

var errState = errors.New("state is malformed")

// parseState reads the plain form of a state, of this version or the one before.
// It shares plain's memory.
func parseState(plain []byte) (*State, error) {
	s := &State{}
	if err := readState(s, plain); err != nil {
		return nil, err
	}
	return s, nil
}

// readState is parseState in the memory of s, whatever was in it. After an error s
// means nothing.
func readState(s *State, plain []byte) error {
	s.reset()
	r := byteReader{b: plain}
	version := r.byte()
	if version == stateVersion|stateOfCustomer {
		version, s.Customer = stateVersion, true
	}
	if version != stateVersion && version != stateVersion1 {
		return errState
	}
	copy(s.Visitor[:], r.take(visitorIDBytes))
	copy(s.Session[:], r.take(sessionIDBytes))
	s.First, s.Last, s.Started, s.PreviousLast = r.time(), r.time(), r.time(), r.time()
	s.Visits = r.uint32()
	n := int(r.byte())
	if n > MaxStateEvents {
		return errState
	}
	s.Events = slices.Grow(s.Events, n)
	for range n {
		var e StateEvent
		if version == stateVersion1 {
			e = r.eventVersion1()
		} else {
			e = r.event(s.Events)
		}
		if e.Code == 0 || int(e.Code) >= len(stateCodes) || e.Price > maxStatePrice || len(e.Item) > maxStateItem || len(e.Category) > maxStateWord {
			return errState
		}
		s.Events = append(s.Events, e)
	}
	if version == stateVersion {
		r.counters(s)
	}
	if r.bad || len(r.b) > 0 {
		return errState
	}
	return nil
}

// event reads an event that follows those before it.
func (r *byteReader) event(before []StateEvent) StateEvent {
	e := StateEvent{Key: r.uint32(), At: r.time(), Code: StateCode(r.byte()), Quantity: r.byte()}
	e.Price = float64(r.uvarint()) / 100
	e.Item = r.text()
	n := int(r.byte())
	if same := n - sameCategory; same < 0 {
		e.Category = textOf(r.take(n))
	} else if same < len(before) {
		e.Category = before[same].Category
	} else {
		r.bad = true
	}
	return e
}

// counters reads the state's counters and the keys of what they counted.
func (r *byteReader) counters(s *State) {
	n := int(r.byte())
	if n == 0 {
		return
	}
	if n > MaxEventWindows {
		r.bad = true
		return
	}
	s.CountZone = r.uint32()
	s.Counters = slices.Grow(s.Counters, n)
	for i := range n {
		s.Counters = s.Counters[:i+1] // its days' memory may be there already
		c := &s.Counters[i]
		r.counter(c)
		if !validEventName(c.Event) || i > 0 && s.Counters[i-1].Event >= c.Event {
			r.bad = true
			return
		}
	}
	if n = int(r.byte()); n > MaxEvents {
		r.bad = true
		return
	}
	for range n {
		s.Counted = append(s.Counted, r.uint32())
	}
}

func (r *byteReader) counter(c *EventCount) {
	*c = EventCount{Event: r.text(), Days: c.Days[:0]}
	day := Day(min(r.uvarint(), maxDay))
	c.From = day
	n := int(r.byte())
	if n > maxCountDays || n > len(r.b) {
		r.bad = true
		return
	}
	c.Days = slices.Grow(c.Days, n)
	for i := range n {
		step, count := r.uvarint(), r.uvarint()
		day += Day(min(step, maxDay))
		if i > 0 && step == 0 || day > maxDay || count == 0 || count > math.MaxUint32 {
			r.bad = true
			return
		}
		c.Days = append(c.Days, DayCount{day, uint32(count)})
	}
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

func (r *byteReader) uvarint() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

// text reads a text; it is a view of b.
func (r *byteReader) text() string { return textOf(r.take(int(r.byte()))) }

func (r *byteReader) time() time.Time {
	seconds := r.uint32()
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0).UTC()
}
