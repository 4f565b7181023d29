// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"math/bits"
	"slices"

	"github.com/nearside/nearside/edge/consent"
)

// A Mask is a set of field numbers. It is comparable: equal masks mean equal
// sets.
type Mask [MaxFields / 64]uint64

// With returns m with field n.
func (m Mask) With(n FieldNumber) Mask {
	m[n>>6] |= 1 << (n & 63)
	return m
}

// has is Has without a copy.
func (m *Mask) has(n FieldNumber) bool {
	return uint(n) < MaxFields && m[uint(n)>>6]>>(uint(n)&63)&1 == 1
}

// Has reports whether n is in m.
func (m Mask) Has(n FieldNumber) bool { return m.has(n) }

// And returns the fields in both m and o.
func (m Mask) And(o Mask) Mask {
	for i := range m {
		m[i] &= o[i]
	}
	return m
}

// Or returns the fields in m, in o or in both.
func (m Mask) Or(o Mask) Mask {
	for i := range m {
		m[i] |= o[i]
	}
	return m
}

// AndNot returns the fields of m that are not in o.
func (m Mask) AndNot(o Mask) Mask {
	for i := range m {
		m[i] &^= o[i]
	}
	return m
}

// within reports whether every field of m is in o.
func (m *Mask) within(o *Mask) bool {
	for i := range m {
		if m[i]&^o[i] != 0 {
			return false
		}
	}
	return true
}

// add puts the fields of o into m.
func (m *Mask) add(o *Mask) {
	for i := range m {
		m[i] |= o[i]
	}
}

// Next returns the smallest field of m that is at least n, or -1.
func (m Mask) Next(n FieldNumber) FieldNumber {
	for w := int(n >> 6); w < len(m); w++ {
		word := m[w]
		if w == int(n>>6) {
			word &= ^uint64(0) << (n & 63)
		}
		if word != 0 {
			return FieldNumber(w<<6 + bits.TrailingZeros64(word))
		}
	}
	return -1
}

// A View is what one rule may see of a visit: the fields it declared ∩ the
// fields the visitor granted. Code that holds only a View cannot reach a
// refused value. A View belongs to one request and one goroutine.
type View struct {
	visit   *Visit
	values  []Value // by field number, in place of a visit's, for a sample
	mask    Mask
	granted consent.Purposes
	record  []byte
	encoded bool
	value   Value // that Peek returned last
}

// NewView returns what a rule that declared these fields may see of a visit
// whose visitor granted these purposes.
func NewView(visit *Visit, declared Mask, granted consent.Purposes) *View {
	v := &View{visit: visit, granted: granted}
	for n := declared.Next(0); n >= 0; n = declared.Next(n + 1) {
		if int(n) < BuiltinFields && granted.Has(fields[n].Purpose) {
			v.mask = v.mask.With(n)
		}
		if own := int(n) - BuiltinFields; own >= 0 && own < len(visit.Own) && granted.Has(visit.Own[own].Purpose) {
			v.mask = v.mask.With(n)
		}
	}
	return v
}

// Reuse makes v a view of what other is a view of, encoded anew in v's own memory:
// for who asks rules about visit after visit. The views share nothing else.
func (v *View) Reuse(other *View) {
	v.show(other.visit, other.values, &other.mask, other.granted)
}

// Mask returns the fields the view allows, whether or not they have a value.
func (v *View) Mask() Mask { return v.mask }

// Granted returns what the visitor granted.
func (v *View) Granted() consent.Purposes { return v.granted }

// FieldCount returns how many fields the site knows: the built-in ones and its
// own. Field numbers are below it.
func (v *View) FieldCount() int {
	if v.values != nil {
		return len(v.values)
	}
	return BuiltinFields + len(v.visit.Own)
}

// Value returns field n's value, or the unknown Value when the view does not
// allow it, when it is absent, or when n is no field. Items and maps with an
// entry whose own purpose was refused are absent as a whole.
func (v *View) Value(n FieldNumber) Value {
	kept := v.value
	v.value = Value{} // what is written is the caller's
	out := *v.Peek(n)
	v.value = kept
	return out
}

// Peek is Value in memory of the view's own: the next call of Peek overwrites it,
// only Type and the member that it names mean something, and nothing of it may be
// changed. It does not allocate once the view has held lists as long.
func (v *View) Peek(n FieldNumber) *Value {
	own := &v.value
	own.Type = TypeUnknown
	if !v.mask.has(n) {
		return own
	}
	value := own
	switch at := int(n) - BuiltinFields; {
	case v.values != nil:
		value = &v.values[n]
	case at < 0:
		fields[n].read(v.visit, own)
	case at < len(v.visit.Own):
		value = &v.visit.Own[at].Value
	}
	if value.Type >= TypeItems && v.isPart(value) {
		own.Type = TypeUnknown
		return own
	}
	return value
}

// isPart reports whether an entry's own purpose was refused. What is left of items
// or a map without it would lie: "not among them" would become true by a refusal.
func (v *View) isPart(value *Value) bool {
	switch value.Type {
	case TypeItems:
		return slices.ContainsFunc(value.Items, func(i Item) bool { return !v.granted.Has(i.Purpose) })
	case TypeMap:
		return slices.ContainsFunc(value.Map, func(e Entry) bool { return !v.granted.Has(e.Purpose) })
	}
	return false
}

// show makes v another view, with the memory that it has.
func (v *View) show(visit *Visit, values []Value, mask *Mask, granted consent.Purposes) {
	v.visit, v.values, v.mask, v.granted = visit, values, *mask, granted
	v.record, v.encoded = v.record[:0], false
}

// free forgets everything of the visit and keeps the memory.
func (v *View) free() {
	own := &v.value
	clear(own.List[:cap(own.List)])
	clear(own.Items[:cap(own.Items)])
	clear(own.Map[:cap(own.Map)])
	own.Type, own.Int, own.Float, own.Str = TypeUnknown, 0, 0, ""
	v.show(nil, nil, &Mask{}, 0)
}

// Record returns the view's encoded form, made by encode on first use and
// shared by every rule that sees the same fields. encode appends to dst, which
// the view owns and reuses.
func (v *View) Record(encode func(v *View, dst []byte) []byte) []byte {
	if !v.encoded {
		v.record = encode(v, v.record[:0])
		v.encoded = true
	}
	return v.record
}
