// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"slices"
	"time"
)

// Older versions of the state. Browsers carry such states until StateMaxAge after
// their last visit; what they remember is learned anew, and the first write makes a
// new one of them. Both remembered up to sixteen events, version 1 had no counters:
//
//	state = version:u8 visitor:16 session:8 first last started previous visits:u32
//	        n:u8 n×event n:u8 [zone:u32 n×counter n:u8 n×key:u32]
//	event = key:u32 at:u32 code:u8 quantity:u8 cents item category
//
// In version 1 cents had 8 bytes. In version 2 a category that an event before had
// too was 0x80 + that event's number.
const (
	stateVersion1 = 1
	stateVersion2 = 2

	maxOldEvents = 16
	sameCategory = 0x80
)

// oldNames are the events by their codes in these versions.
var oldNames = [...]string{1: "view_item", "add_to_cart", "remove_from_cart", "purchase"}

// An oldEvent is an item's part in an event.
type oldEvent struct {
	key uint32
	at  time.Time
	// code is a number in oldNames.
	code byte
	ItemEvent
}

// oldRest reads what follows the times.
func (r *stateReader) oldRest(s *State, version byte) {
	s.Visits = r.uint32()
	n := int(r.byte())
	r.fail(n > maxOldEvents)
	var categories [maxOldEvents]string
	var last oldEvent
	for i := range min(n, maxOldEvents) {
		e := r.oldEvent(version, categories[:i])
		r.fail(e.code == 0 || int(e.code) >= len(oldNames) || e.Price > maxStatePrice || len(e.Item) > maxStateItem || len(e.Category) > maxStateWord)
		if r.bad {
			return
		}
		categories[i] = e.Category
		s.learnOld(&e, i == 0 || e.key != last.key || e.key == 0 || e.code != last.code)
		last = e
	}
	if version == stateVersion1 {
		return
	}
	if n = int(r.byte()); n == 0 {
		return
	}
	r.fail(n > MaxEventWindows)
	s.CountZone = r.uint32()
	if !r.bad {
		r.counters(&s.History, n, true)
	}
	n = int(r.byte())
	r.fail(n > MaxEvents)
	if !r.bad {
		s.Counted = r.keys(s.Counted, n)
		s.Counted = s.Counted[max(0, len(s.Counted)-MaxEvents):]
	}
}

// learnOld learns of an event; isFirst is false for another item of the same.
func (s *State) learnOld(e *oldEvent, isFirst bool) {
	name, at := oldNames[e.code], minuteOf(e.at)
	if isFirst {
		s.note(name, at)
	}
	if e.key != 0 && !slices.Contains(s.Counted, e.key) {
		s.Counted = append(s.Counted, e.key)
	}
	s.add(name, at, e.ItemEvent)
}

func (r *stateReader) oldEvent(version byte, categories []string) oldEvent {
	e := oldEvent{key: r.uint32(), at: r.time(), code: r.byte()}
	e.Quantity = r.byte()
	if version == stateVersion1 {
		if b := r.take(8); b != nil {
			e.Price = float64(binary.LittleEndian.Uint64(b)) / 100
		}
		e.Item, e.Category = r.text(), r.text()
		return e
	}
	e.Price = float64(r.uvarint()) / 100
	e.Item = r.text()
	n := int(r.byte())
	if same := n - sameCategory; same < 0 {
		e.Category = textOf(r.take(n))
	} else if same < len(categories) {
		e.Category = categories[same]
	} else {
		r.fail(true)
	}
	return e
}
