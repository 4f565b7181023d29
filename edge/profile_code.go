// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"errors"
)

// The stored form of a profile, in the words of a state's plain form:
//
//	profile = version:u8 lot:16 seen:u32 began visited session edition
//	          parts:u8 [items] [interests] [activity] [journey] [counters] [variations]
//	          n:u8 n×(visitor:16 merged:u8) n keys:n×u32 n:u8 [attributes]
//
// Seen is in minutes since 1970, other times are minutes before it.
const profileVersion = 1

var errProfile = errors.New("profile is malformed")

// AppendProfile appends the stored form of a profile, of at most MaxProfileStored
// bytes. What is too much is left out.
func AppendProfile(dst []byte, p *Profile) []byte {
	out := appendProfile(dst, p)
	if len(out)-len(dst) <= MaxProfileStored {
		return out
	}
	less := *p
	less.History = History{}
	less.History.become(&p.History)
	for len(out)-len(dst) > MaxProfileStored && less.drop() {
		out = appendProfile(dst, &less)
	}
	return out
}

func appendProfile(dst []byte, p *Profile) []byte {
	w := stateWriter{b: append(dst, profileVersion), last: p.Seen}
	w.b = append(w.b, p.Lot[:]...)
	w.b = binary.LittleEndian.AppendUint32(w.b, uint32(p.Seen))
	w.minute(p.Began)
	w.minute(p.Visited)
	w.minute(p.session)
	w.uvarint(uint64(p.Edition))
	at := len(w.b)
	w.b = append(w.b, 0)
	parts := w.history(&p.History)
	if len(p.Variations) > 0 {
		parts |= partMore
		w.variations(p.Variations)
	}
	w.b[at] = parts
	w.b = append(w.b, byte(len(p.Linked)))
	for i := range p.Linked {
		w.b = append(w.b, p.Linked[i].Visitor[:]...)
		merged := byte(0)
		if p.Linked[i].Merged {
			merged = 1
		}
		w.b = append(w.b, merged)
	}
	w.uvarint(uint64(len(p.Counted)))
	for _, key := range p.Counted {
		w.b = binary.LittleEndian.AppendUint32(w.b, key)
	}
	if len(p.Attributes) == 0 {
		return append(w.b, 0)
	}
	w.attributes(p.Attributes)
	return w.b
}

// ParseProfile reads what AppendProfile wrote. The profile's texts are views of b,
// which must not be changed any more.
func ParseProfile(b []byte) (*Profile, error) {
	if len(b) > MaxProfileStored {
		return nil, errProfile
	}
	p := &Profile{}
	r := stateReader{byteReader: byteReader{b: b}}
	version := r.byte()
	copy(p.Lot[:], r.take(len(p.Lot)))
	p.Seen = Minute(r.uint32())
	r.last = p.Seen
	p.Began, p.Visited, p.session = r.minute(), r.minute(), r.minute()
	p.Edition = r.uint32Varint()
	parts := r.byte()
	r.fail(version != profileVersion || parts&^profileParts != 0)
	r.history(&p.History, make([]byte, 0, MaxStateItems*maxStateItem), parts)
	if parts&partMore != 0 {
		r.variations(&p.History)
	}
	r.linked(p)
	n := r.uvarint()
	r.fail(n > maxProfileKeys || n > uint64(r.left()/4))
	if !r.bad && n > 0 {
		p.Counted = r.keys(make([]uint32, 0, n), int(n))
	}
	if r.left() == 1 && r.b[r.at] == 0 {
		r.byte()
	} else {
		r.attributes(&p.History, MaxAttributes)
	}
	if r.bad || r.left() > 0 {
		return nil, errProfile
	}
	return p, nil
}

// profileParts are those of a state that a profile has. More is its variations.
const profileParts = partItems | partInterests | partActivity | partJourney | partCounters | partMore

func (r *stateReader) linked(p *Profile) {
	n := int(r.byte())
	r.fail(n > MaxLinked)
	for range n {
		var l LinkedVisitor
		copy(l.Visitor[:], r.take(len(l.Visitor)))
		merged := r.byte()
		r.fail(merged > 1)
		if r.bad {
			return
		}
		l.Merged = merged == 1
		p.Linked = append(p.Linked, l)
	}
}
