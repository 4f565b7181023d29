// SPDX-License-Identifier: Apache-2.0

package packed

import "iter"

// A RestrictionType is what a publisher does not let vendors do for a purpose.
type RestrictionType uint8

// The types. The fourth that two bits can hold is not defined.
const (
	NotAllowed      RestrictionType = iota // the purpose is forbidden
	RequireConsent                         // legitimate interest does not do
	RequireInterest                        // consent does not do

	restrictionTypes = iota
)

// A Restriction is one publisher restriction.
type Restriction struct {
	Purpose int // 1 to 63
	Type    RestrictionType
	Vendors Vendors
}

// Restrictions is a list of publisher restrictions that stays where it was read.
// The zero value is the empty list.
type Restrictions struct {
	s      string
	at     int
	count  int
	coding Coding
}

// Restrictions reads the list. A pair of purpose and type may stand once.
func (r *Reader) Restrictions(field string, coding Coding) Restrictions {
	all := Restrictions{s: r.s, count: int(r.Uint(field, 12)), coding: coding}
	all.at = r.at
	var seen [restrictionTypes]Set
	for range all.count {
		one := r.restriction(field, coding)
		if !r.OK() {
			return Restrictions{}
		}
		if one.Purpose == 0 || one.Type >= restrictionTypes || seen[one.Type].Has(one.Purpose) {
			r.Fail(BadRestriction, field)
			return Restrictions{}
		}
		seen[one.Type] |= 1 << (one.Purpose - 1)
	}
	return all
}

func (r *Reader) restriction(field string, coding Coding) Restriction {
	one := Restriction{Purpose: int(r.Uint(field, 6)), Type: RestrictionType(r.Uint(field, 2))}
	if coding == Fibonacci {
		one.Vendors = r.Vendors(field, coding) // in tcfcav1 each list has a head
	} else {
		one.Vendors = r.Ranges(field, coding, MaxVendor)
	}
	return one
}

// All yields the restrictions as they are written.
func (l Restrictions) All() iter.Seq[Restriction] {
	return func(yield func(Restriction) bool) {
		r := Reader{s: l.s, at: l.at, end: len(l.s) * 6}
		for range l.count {
			if !yield(r.restriction("", l.coding)) {
				return
			}
		}
	}
}

// Len is how many restrictions there are.
func (l Restrictions) Len() int { return l.count }

// Of returns for which purposes a vendor is restricted, by type. It walks the
// list once.
func (l Restrictions) Of(vendor int) (by [restrictionTypes]Set) {
	r := Reader{s: l.s, at: l.at, end: len(l.s) * 6}
	for range l.count {
		one := r.restriction("", l.coding)
		if one.Vendors.Has(vendor) {
			by[one.Type] |= 1 << (one.Purpose - 1)
		}
	}
	return by
}
