// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// A Class is a family of laws with the same defaults for a visitor who has said
// nothing. The zero value is Strict. The order is from the strictest to the
// most open as shipped: stricter relies on it.
type Class uint8

// The classes of defaults, from the strictest.
const (
	Strict    Class = iota // EU, EEA, Switzerland and every unknown place: ask first
	UK                     // ask first; the owner may count visits until refused
	Elsewhere              // ask first; the owner may choose otherwise
	USOptOut               // US states with an opt-out law: allowed until refused
)

// String returns the word used in data-policy, in settings and with events.
func (c Class) String() string {
	switch c {
	case UK:
		return "uk"
	case Elsewhere:
		return "elsewhere"
	case USOptOut:
		return "us-optout"
	default:
		return "strict"
	}
}

// A PagePolicy is the Class that a page names for itself in data-policy. A page
// cannot name Elsewhere.
type PagePolicy = Class

// ParsePagePolicy returns the policy that the wire word names, Strict for no
// word. An unknown word is Strict too, and the result is false. It keeps
// nothing and does not allocate.
func ParsePagePolicy(word []byte) (PagePolicy, bool) {
	switch string(word) {
	case "", "strict":
		return Strict, true
	case "uk":
		return UK, true
	case "us-optout":
		return USOptOut, true
	default:
		return Strict, false
	}
}

// Policy is what a site's owner has decided about consent. The zero value is
// the policy as shipped, the strict one. It is read-only once in use.
type Policy struct {
	// StrictGPC lets Global Privacy Control, and the opt-out of a US section of
	// the GPP, take away profile and personalise beside share.
	StrictGPC bool `json:"strictGpc,omitempty"`
	// TCF is whose choices count in TC strings and in the GPP's tcfeuv2 and
	// tcfcav1.
	TCF TCFReading `json:"tcf,omitempty"`
	// PurposeOneTreatment lets a TC string that did not ask for purpose 1, because
	// the law of its publisher's country has no need of it, grant storage.
	PurposeOneTreatment bool `json:"purposeOneTreatment,omitempty"`
	// ContextBeforeAnswer opens context for a visitor who has said nothing,
	// wherever nothing would be allowed otherwise.
	ContextBeforeAnswer bool `json:"contextBeforeAnswer,omitempty"`
	// Open is what the owner allows per class for a visitor who has said
	// nothing, beyond what is shipped.
	Open Openings `json:"open,omitzero"`
}

// Openings are the purposes an owner switches on by class, each limited to what
// the class leaves to the owner. There is none for Strict: the only purpose
// that its law leaves open is ContextBeforeAnswer's.
type Openings struct {
	// UK may hold measure: statistics about the use of the site need clear
	// information and an easy objection since 5 February 2026, no consent (Data
	// (Use and Access) Act 2025, schedule 12).
	UK Set `json:"uk,omitzero"`
	// USOptOut may hold device. The precise location always needs a yes.
	USOptOut Set `json:"us-optout,omitzero"`
	// Elsewhere may hold any purpose.
	Elsewhere Set `json:"elsewhere,omitzero"`
}

// What each class leaves to the owner, and what it ships with.
const (
	openableUK       = Measure
	openableUSOptOut = Device

	shippedUSOptOut = All &^ (Geo | Device)
)

// ErrNotOpenable is wrapped by the error for a purpose that a class does not
// leave to the site's owner.
var ErrNotOpenable = errors.New("purpose needs the visitor's yes")

// Validate reports a TCF reading that is none, or the first opening that its class does not leave to the
// owner; the error wraps ErrTCFReading or ErrNotOpenable. Evaluate ignores such an opening, so
// that a policy which was never validated is still no wider than the law.
func (p *Policy) Validate() error {
	if p.TCF > ByPublisher {
		return fmt.Errorf("consent policy: tcf: %w", ErrTCFReading)
	}
	for _, o := range []struct {
		class    Class
		set      Set
		openable Purposes
	}{
		{UK, p.Open.UK, openableUK},
		{USOptOut, p.Open.USOptOut, openableUSOptOut},
		{Elsewhere, p.Open.Elsewhere, All},
	} {
		if extra := Purposes(o.set) &^ o.openable; extra != 0 {
			return fmt.Errorf("consent policy: open.%s: %w: %s", o.class, ErrNotOpenable, extra)
		}
	}
	return nil
}

// UnmarshalJSON reads and validates a policy. An unknown member is an error: a
// misspelt privacy setting must not pass for one that is in force.
func (p *Policy) UnmarshalJSON(data []byte) error {
	type plain Policy
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var read plain
	if err := decoder.Decode(&read); err != nil {
		return fmt.Errorf("consent policy: %w", err)
	}
	if err := (*Policy)(&read).Validate(); err != nil {
		return err
	}
	*p = Policy(read)
	return nil
}

// readRegion gives the defaults for a visitor who has said nothing. The page's
// policy and the region's are both asked and the stricter wins, purpose by
// purpose: a page cannot open what the place forbids, nor the reverse.
func (r *reading) readRegion(p *Policy, place Class, page PagePolicy) {
	r.authority, r.applies = ByRegion, true
	r.grants = p.defaults(place) & p.defaults(page)
}

// defaults returns what a visitor under class allows by saying nothing.
func (p *Policy) defaults(class Class) Purposes {
	var set Purposes
	if p.ContextBeforeAnswer {
		set = Context
	}
	switch class {
	case UK:
		set |= Purposes(p.Open.UK) & openableUK
	case Elsewhere:
		set |= Purposes(p.Open.Elsewhere) & All
	case USOptOut:
		set |= shippedUSOptOut | Purposes(p.Open.USOptOut)&openableUSOptOut
	}
	return set
}

// stricter returns the class that ships with less.
func stricter(a, b Class) Class { return min(a, b) }
