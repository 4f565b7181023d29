// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"math/bits"

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

// Has reports whether n is in m.
func (m Mask) Has(n FieldNumber) bool {
	return n >= 0 && n < MaxFields && m[n>>6]>>(n&63)&1 == 1
}

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
	if !v.mask.Has(n) {
		return Value{}
	}
	if v.values != nil {
		return v.filter(v.values[n])
	}
	if int(n) < BuiltinFields {
		return v.filter(fields[n].value(v.visit))
	}
	if own := int(n) - BuiltinFields; own < len(v.visit.Own) {
		return v.filter(v.visit.Own[own].Value)
	}
	return Value{}
}

// filter hides items and maps with an entry whose own purpose was refused. What
// is left of them would lie: "not among them" would become true by a refusal.
func (v *View) filter(val Value) Value {
	for i := range val.Map {
		if !v.granted.Has(val.Map[i].Purpose) {
			return Value{}
		}
	}
	for i := range val.Items {
		if !v.granted.Has(val.Items[i].Purpose) {
			return Value{}
		}
	}
	return val
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
