// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"time"
)

// The plain form of a state, which is sealed. Integers of no stated size are
// varints, texts have their length before them, lists their count.
//
//	state    = version:u8 visitor:16 session:8 first last started previous visits epoch
//	           parts:u8 [items] [interests] [activity] [journey] [counters] [keys] [receipt]
//	           [more:u8 [person] [answers] [shown] [variations]]
//	item     = has:u8 rest word [viewed] [bought] [cart quantity:u8 cents]
//	interest = word decayed
//	activity = event:u8 decayed
//	journey  = views:u8 intent:u8 [progress] orders [first last] [complaint settled]
//	counters = zone:u32 n:u8 n×counter
//	counter  = event:u8 [name] from n:u8 n×(day count)
//	keys     = n:u8 n×key:u32
//	receipt  = id at purposes prompt
//	shown    = key:u32 n:u8 n×at
//	variations = n:u8 n×(rule:u32 variant:u32 at)
//	decayed  = at n×value
//	person   = profile:16 since edition
//	answers  = n:u8 n×attribute
//	attribute = name value-length value origin:u8 purpose at expires
//
// First, last, started and previous are Unix seconds of 32 bits, which last until
// 2106, 0 for none. Other times are minutes before last, in zigzag. A word is a
// category: 0 for none, the number of one that was met before, counted from 1, or
// the next number and the text. Values are in sixty-fourths. parts and has tell what
// is there; what would be empty is not. An intent's highest bit says that items were
// compared, the next that there was a complaint. A counter's first day counts from its from, every other from the day
// before. The version's highest bit says that the state began for a customer.
const (
	stateVersion    = 3
	stateOfCustomer = 0x80
	hasCompared     = 0x80
	hasComplaint    = 0x40

	maxDay       = 1 << 17 // in the year 2328
	maxWords     = MaxStateItems + MaxStateInterests
	maxReceiptID = 32
)

// The parts of a state.
const (
	partItems = 1 << iota
	partInterests
	partActivity
	partJourney
	partCounters
	partKeys
	partReceipt
	partMore
)

// What follows partMore.
const (
	morePerson = 1 << iota
	moreAnswers
	moreShown
	moreVariations

	maxMore = morePerson | moreAnswers | moreShown | moreVariations
)

// What an item has, and where what it shares begins.
const (
	itemViewed = 1 << iota
	itemBought
	itemCart

	maxHas      = itemViewed | itemBought | itemCart
	sharedShift = 3
	maxShared   = 0xff >> sharedShift
)

// appendState appends the state's plain form. As long as the sealed form would not
// fit MaxStateBytes, s drops what it can do without; see State.drop.
func appendState(dst []byte, s *State) []byte {
	for {
		w := stateWriter{b: dst, last: minuteOf(s.Last)}
		w.state(s)
		if len(w.b)-len(dst) <= maxSealedPlain || !s.drop() {
			return w.b
		}
	}
}

// A stateWriter writes one state.
type stateWriter struct {
	b     []byte
	last  Minute
	words [maxWords]string
	met   int    // of words
	id    string // of the item before
}

func (w *stateWriter) state(s *State) {
	version := byte(stateVersion)
	if s.Customer {
		version |= stateOfCustomer
	}
	w.b = append(w.b, version)
	w.b = append(w.b, s.Visitor[:]...)
	w.b = append(w.b, s.Session[:]...)
	for _, t := range [...]time.Time{s.First, s.Last, s.Started, s.PreviousLast} {
		w.b = appendSeconds(w.b, t)
	}
	w.uvarint(uint64(s.Visits))
	w.uvarint(uint64(s.Epoch))
	at := len(w.b)
	w.b = append(w.b, 0)
	parts := w.history(&s.History)
	if len(s.Counted) > 0 {
		parts |= partKeys
		w.b = append(w.b, byte(len(s.Counted)))
		for _, key := range s.Counted {
			w.b = binary.LittleEndian.AppendUint32(w.b, key)
		}
	}
	if s.Receipt != (StateReceipt{}) {
		parts |= partReceipt
		w.text(s.Receipt.ID)
		w.minute(s.Receipt.At)
		w.uvarint(uint64(s.Receipt.Purposes))
		w.text(s.Receipt.Prompt)
	}
	if w.more(s) {
		parts |= partMore
	}
	w.b[at] = parts
}

// more writes the parts that have no bit in the first byte of parts, and reports
// whether there are any.
func (w *stateWriter) more(s *State) bool {
	at, more := len(w.b), byte(0)
	w.b = append(w.b, 0)
	if s.Known != (StatePerson{}) {
		more |= morePerson
		w.b = append(w.b, s.Known.Profile[:]...)
		w.minute(s.Known.Since)
		w.uvarint(uint64(s.Known.Edition))
	}
	if len(s.Attributes) > 0 {
		more |= moreAnswers
		w.attributes(s.Attributes)
	}
	if len(s.Shown) > 0 {
		more |= moreShown
		w.b = append(w.b, byte(len(s.Shown)))
		for i := range s.Shown {
			shown := &s.Shown[i]
			w.b = append(binary.LittleEndian.AppendUint32(w.b, shown.Key), shown.Count)
			for _, at := range shown.At[:shown.Count] {
				w.minute(at)
			}
		}
	}
	if len(s.Variations) > 0 {
		more |= moreVariations
		w.variations(s.Variations)
	}
	if more == 0 {
		w.b = w.b[:at]
		return false
	}
	w.b[at] = more
	return true
}

func (w *stateWriter) attributes(list []Attribute) {
	w.b = append(w.b, byte(len(list)))
	for i := range list {
		a := &list[i]
		w.text(a.Name)
		w.uvarint(uint64(len(a.Value)))
		w.b = append(append(w.b, a.Value...), a.Origin)
		w.uvarint(uint64(a.Purpose))
		w.uvarint(uint64(a.AtMillis))
		w.uvarint(uint64(a.ExpiresMillis))
	}
}

func (w *stateWriter) variations(list []Variation) {
	w.b = append(w.b, byte(len(list)))
	for _, v := range list {
		w.b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(w.b, v.Rule), v.Variant)
		w.minute(v.At)
	}
}

// history writes what is there under personalise and returns which parts that are.
func (w *stateWriter) history(h *History) (parts byte) {
	if len(h.Items) > 0 {
		parts |= partItems
		w.b = append(w.b, byte(len(h.Items)))
		for i := range h.Items {
			w.item(&h.Items[i])
		}
	}
	if len(h.Interests) > 0 {
		parts |= partInterests
		w.b = append(w.b, byte(len(h.Interests)))
		for i := range h.Interests {
			w.word(h.Interests[i].Category)
			w.decayed(&h.Interests[i].Decayed)
		}
	}
	if len(h.Activity) > 0 {
		parts |= partActivity
		w.b = append(w.b, byte(len(h.Activity)))
		for i := range h.Activity {
			w.b = append(w.b, byte(h.Activity[i].Event))
			w.decayed(&h.Activity[i].Decayed)
		}
	}
	if h.Journey != (Journey{}) {
		parts |= partJourney
		w.journey(&h.Journey)
	}
	if len(h.Counters) > 0 {
		parts |= partCounters
		w.b = binary.LittleEndian.AppendUint32(w.b, h.CountZone)
		w.b = append(w.b, byte(len(h.Counters)))
		for i := range h.Counters {
			w.b = appendCounter(w.b, &h.Counters[i])
		}
	}
	return parts
}

func (w *stateWriter) item(i *StateItem) {
	shared := min(sharedLen(i.ID, w.id), maxShared)
	w.id = i.ID
	at := len(w.b)
	w.b = append(w.b, byte(shared)<<sharedShift)
	w.text(i.ID[shared:])
	w.word(i.Category)
	if i.Viewed > 0 {
		w.b[at] |= itemViewed
		w.minute(i.Viewed)
	}
	if i.Bought > 0 {
		w.b[at] |= itemBought
		w.minute(i.Bought)
	}
	if i.Cart > 0 {
		w.b[at] |= itemCart
		w.minute(i.Cart)
		w.b = append(w.b, i.Quantity)
		w.uvarint(i.Cents)
	}
}

// sharedLen returns how many bytes two texts have in common from the front.
func sharedLen(a, b string) int {
	n := min(len(a), len(b))
	x, y := bytesOf(a)[:n], bytesOf(b)[:n]
	i := 0
	for ; i+8 <= len(x) && i+8 <= len(y); i += 8 {
		if differs := binary.LittleEndian.Uint64(x[i:i+8]) ^ binary.LittleEndian.Uint64(y[i:i+8]); differs != 0 {
			return i + bits.TrailingZeros64(differs)/8
		}
	}
	for i < len(x) && i < len(y) && x[i] == y[i] {
		i++
	}
	return i
}

func (w *stateWriter) journey(j *Journey) {
	intent := byte(j.Intent)
	if j.Compared {
		intent |= hasCompared
	}
	if j.Complaint|j.Settled != 0 {
		intent |= hasComplaint
	}
	w.b = append(w.b, j.Views, intent)
	if j.Intent != IntentNone {
		w.minute(j.IntentAt)
	}
	w.uvarint(uint64(j.Orders))
	if j.Orders > 0 {
		w.minute(j.FirstOrder)
		w.minute(j.LastOrder)
	}
	if j.Complaint|j.Settled != 0 {
		w.minute(j.Complaint)
		w.minute(j.Settled)
	}
}

func (w *stateWriter) decayed(d *Decayed) {
	w.minute(d.At)
	for _, v := range d.Values {
		w.uvarint(uint64(grains(v)))
	}
}

// word writes a category.
func (w *stateWriter) word(text string) {
	if text == "" {
		w.b = append(w.b, 0)
		return
	}
	if i := slices.Index(w.words[:w.met], text); i >= 0 {
		w.b = append(w.b, byte(i+1))
		return
	}
	w.words[w.met] = text
	w.met++
	w.b = append(w.b, byte(w.met))
	w.text(text)
}

func (w *stateWriter) minute(m Minute) {
	before := int64(w.last) - int64(m)
	w.uvarint(uint64(before<<1) ^ uint64(before>>63))
}

func (w *stateWriter) uvarint(n uint64) {
	switch { // most are small
	case n < 1<<7:
		w.b = append(w.b, byte(n))
	case n < 1<<14:
		w.b = append(w.b, byte(n)|0x80, byte(n>>7))
	default:
		w.b = binary.AppendUvarint(w.b, n)
	}
}

func (w *stateWriter) text(s string) { w.b = append(append(w.b, byte(len(s))), s...) }

func appendCounter(dst []byte, c *EventCount) []byte {
	code := activityCode(c.Event)
	dst = append(dst, byte(code))
	if code == 0 {
		dst = append(append(dst, byte(len(c.Event))), c.Event...)
	}
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
