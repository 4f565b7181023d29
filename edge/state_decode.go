// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"slices"

	"github.com/nearside/nearside/edge/consent"
)

var errState = errors.New("state is malformed")

// parseState reads the plain form of a state, of this version or one before. It
// shares plain's memory.
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
	r := stateReader{byteReader: byteReader{b: plain}}
	version := r.byte()
	if version >= stateVersion2 && version&stateOfCustomer != 0 {
		version, s.Customer = version&^stateOfCustomer, true
	}
	copy(s.Visitor[:], r.take(visitorIDBytes))
	copy(s.Session[:], r.take(sessionIDBytes))
	s.First, s.Last, s.Started, s.PreviousLast = r.time(), r.time(), r.time(), r.time()
	s.session = minuteOf(s.Started)
	switch version {
	case stateVersion:
		r.last = minuteOf(s.Last)
		r.rest(s)
	case stateVersion1, stateVersion2:
		r.oldRest(s, version)
	default:
		return errState
	}
	if r.bad || r.left() > 0 {
		return errState
	}
	return nil
}

// A stateReader reads one state.
type stateReader struct {
	byteReader
	last  Minute
	words [maxWords]string
	met   int // of words
}

func (r *stateReader) rest(s *State) {
	s.Visits, s.Epoch = r.uint32Varint(), r.uint32Varint()
	parts := r.byte()
	if s.ids == nil && parts&partItems != 0 {
		s.ids = make([]byte, 0, MaxStateItems*maxStateItem)
	}
	s.ids = r.history(&s.History, s.ids, parts)
	if parts&partKeys != 0 {
		s.Counted = r.keys(s.Counted, r.count(MaxEvents))
	}
	if parts&partReceipt != 0 {
		s.Receipt.ID, s.Receipt.At = r.text(), r.minute()
		s.Receipt.Purposes, s.Receipt.Prompt = consent.Purposes(r.uint32Varint())&consent.All, r.text()
		r.fail(len(s.Receipt.ID) > maxReceiptID || len(s.Receipt.Prompt) > MaxPromptBytes)
	}
	if parts&partMore != 0 {
		r.more(s)
	}
}

// more reads the parts that have no bit in the first byte of parts.
func (r *stateReader) more(s *State) {
	more := r.byte()
	r.fail(more == 0 || more&^maxMore != 0)
	if more&morePerson != 0 {
		copy(s.Known.Profile[:], r.take(len(s.Known.Profile)))
		s.Known.Since, s.Known.Edition = r.minute(), r.uint32Varint()
		r.fail(s.Known.Profile == ProfileID{})
	}
	if more&moreAnswers != 0 {
		r.attributes(&s.History, MaxStateAttributes)
	}
	if more&moreShown != 0 {
		for range r.count(maxShown) {
			s.Shown = append(s.Shown, r.shown())
		}
	}
	if more&moreVariations != 0 {
		r.variations(&s.History)
	}
}

// variations reads a list in the order that assign keeps, of each variant one.
func (r *stateReader) variations(h *History) {
	for range r.count(MaxStateVariations) {
		v := Variation{Rule: r.uint32(), Variant: r.uint32(), At: r.moment()}
		n := len(h.Variations)
		r.fail(h.variation(v.Rule, v.Variant) != nil || n > 0 && compareVariations(h.Variations[n-1], v) > 0)
		h.Variations = append(h.Variations, v)
	}
}

// attributes reads at most most attributes. Their texts are views of b.
func (r *stateReader) attributes(h *History, most int) {
	for range r.count(most) {
		a := Attribute{Name: r.text()}
		n := r.uvarint()
		r.fail(n > maxAttributeBytes)
		a.Value = textOf(r.take(int(min(n, maxAttributeBytes))))
		a.Origin, a.Purpose = r.byte(), consent.Purposes(r.uint32Varint())
		at, expires := r.uvarint(), r.uvarint()
		a.AtMillis, a.ExpiresMillis = int64(min(at, math.MaxInt64)), int64(min(expires, math.MaxInt64))
		r.fail(a.Name == "" || len(a.Name) > maxOwnName || int(a.Origin) >= len(Origins) || a.Purpose&^consent.All != 0 ||
			at > math.MaxInt64 || expires > math.MaxInt64 || h.attribute(a.Name) != nil || !json.Valid(bytesOf(a.Value)))
		if r.bad {
			return
		}
		h.Attributes = append(h.Attributes, a)
	}
}

// history reads what stateWriter.history wrote into an empty history. ids is memory
// for item ids that are put together, with room for those of a whole history; what
// is read keeps it.
func (r *stateReader) history(h *History, ids []byte, parts byte) []byte {
	if parts&partItems != 0 {
		n, before := r.count(MaxStateItems), ""
		h.Items = slices.Grow(h.Items, n)[:n]
		for i := range h.Items {
			ids = r.item(&h.Items[i], before, ids)
			before = h.Items[i].ID
		}
	}
	if parts&partInterests != 0 {
		n := r.count(MaxStateInterests)
		h.Interests = slices.Grow(h.Interests, n)[:n]
		for i := range h.Interests {
			h.Interests[i].Category = r.word()
			r.decayed(&h.Interests[i].Decayed)
		}
	}
	if parts&partActivity != 0 {
		n, met := r.count(len(activityNames)-1), [len(activityNames)]bool{true}
		h.Activity = slices.Grow(h.Activity, n)[:n]
		for i := range h.Activity {
			code := ActivityCode(r.byte())
			if int(code) >= len(met) || met[code] {
				r.fail(true)
				break
			}
			met[code], h.Activity[i].Event = true, code
			r.decayed(&h.Activity[i].Decayed)
		}
	}
	if parts&partJourney != 0 {
		r.journey(&h.Journey)
	}
	if parts&partCounters != 0 {
		h.CountZone = r.uint32()
		r.counters(h, r.count(MaxEventWindows), false)
	}
	return ids
}

// count reads how many there are of what follows, 1 to most: lists that are there
// are not empty.
func (r *byteReader) count(most int) int {
	n := int(r.byte())
	r.fail(n == 0 || n > most || n > r.left())
	if r.bad {
		return 0
	}
	return n
}

// item reads an item that follows the one with the id before.
func (r *stateReader) item(i *StateItem, before string, ids []byte) []byte {
	has := r.byte()
	*i = StateItem{}
	i.ID, ids = r.id(before, int(has>>sharedShift), ids)
	i.Category = r.word()
	r.fail(has&maxHas == 0)
	if has&itemViewed != 0 {
		i.Viewed = r.moment()
	}
	if has&itemBought != 0 {
		i.Bought = r.moment()
	}
	if has&itemCart != 0 {
		i.Cart, i.Quantity, i.Cents = r.moment(), r.byte(), r.uvarint()
		r.fail(i.Cents > maxStateCents)
	}
	return ids
}

// id reads an item's id, of which so many bytes are the id before's. It is a view of
// b, or of ids, which has room for those of a whole history.
func (r *stateReader) id(before string, shared int, ids []byte) (string, []byte) {
	rest := r.text()
	r.fail(shared > len(before) || shared+len(rest) == 0 || shared+len(rest) > maxStateItem)
	if r.bad || shared == 0 {
		return rest, ids
	}
	from := len(ids)
	ids = append(append(ids, before[:shared]...), rest...)
	return textOf(ids[from:]), ids
}

func (r *stateReader) shown() ShownTimes {
	s := ShownTimes{Key: r.uint32()}
	n := r.count(MaxCapTimes)
	for i := range n {
		s.At[i] = r.minute()
	}
	s.Count = uint8(n)
	return s
}

func (r *stateReader) journey(j *Journey) {
	j.Views = r.byte()
	intent := r.byte()
	j.Compared = intent&hasCompared != 0
	j.Intent = Intent(intent &^ (hasCompared | hasComplaint))
	r.fail(int(j.Intent) >= len(intentNames))
	if j.Intent != IntentNone {
		j.IntentAt = r.minute()
	}
	if j.Orders = r.uint32Varint(); j.Orders > 0 {
		j.FirstOrder, j.LastOrder = r.minute(), r.minute()
		r.fail(j.FirstOrder > j.LastOrder)
	}
	if intent&hasComplaint != 0 {
		j.Complaint, j.Settled = r.minute(), r.minute()
	}
}

func (r *stateReader) decayed(d *Decayed) {
	d.At = r.minute()
	for i := range d.Values {
		v := r.uvarint()
		r.fail(v > maxDecayed*grain)
		d.Values[i] = float32(uint32(v)) / grain
	}
}

// word reads a category.
func (r *stateReader) word() string {
	switch n := int(r.byte()); {
	case n == 0:
		return ""
	case n <= r.met:
		return r.words[n-1]
	case n == r.met+1 && n <= len(r.words):
		text := r.text()
		r.fail(text == "" || len(text) > maxStateWord || slices.Contains(r.words[:r.met], text))
		r.words[r.met] = text
		r.met++
		return text
	}
	r.fail(true)
	return ""
}

// moment reads a time that is not none.
func (r *stateReader) moment() Minute {
	at := r.minute()
	r.fail(at == 0)
	return at
}

// minute reads a time.
func (r *stateReader) minute() Minute {
	zigzag := r.uvarint()
	at := uint64(r.last) - (zigzag>>1 ^ -(zigzag & 1)) // what is not from 0 on is far above
	if at > math.MaxUint32 {
		r.fail(true)
		return 0
	}
	return Minute(at)
}

// counters reads n counters; named says that no event is told by its code.
func (r *byteReader) counters(h *History, n int, named bool) {
	h.Counters = slices.Grow(h.Counters, n)
	for i := range n {
		h.Counters = h.Counters[:i+1] // its days' memory may be there already
		c := &h.Counters[i]
		r.counter(c, named)
		r.fail(i > 0 && h.Counters[i-1].Event >= c.Event)
		if r.bad {
			return
		}
	}
}

// keys appends n keys of events.
func (r *byteReader) keys(keys []uint32, n int) []uint32 {
	b := r.take(4 * n)
	keys = slices.Grow(keys, len(b)/4)
	for ; len(b) >= 4; b = b[4:] {
		keys = append(keys, binary.LittleEndian.Uint32(b))
	}
	return keys
}

// event reads the name of a counted event.
func (r *byteReader) event() string {
	code := int(r.byte())
	if code == 0 {
		return r.eventName()
	}
	if code >= len(activityNames) {
		r.fail(true)
		return ""
	}
	return activityNames[code]
}

func (r *byteReader) eventName() string {
	name := r.text()
	r.fail(!validEventName(name))
	return name
}

func (r *byteReader) counter(c *EventCount, named bool) {
	*c = EventCount{Days: c.Days[:0]}
	if named {
		c.Event = r.eventName()
	} else {
		c.Event = r.event()
	}
	day := Day(min(r.uvarint(), maxDay))
	c.From = day
	n := int(r.byte())
	if r.fail(n > maxCountDays || n > r.left()); r.bad {
		return
	}
	c.Days = slices.Grow(c.Days, n)
	for i := range n {
		step, count := r.uvarint(), r.uvarint()
		day += Day(min(step, maxDay))
		if i > 0 && step == 0 || day > maxDay || count == 0 || count > math.MaxUint32 {
			r.fail(true)
			return
		}
		c.Days = append(c.Days, DayCount{day, uint32(count)})
	}
}
