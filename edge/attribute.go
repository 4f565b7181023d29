// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// AnswerEvent is the event with which a visitor tells something of themselves: its
// properties are zero-party data.
const AnswerEvent = "answer"

// Limits of attributes. Of too many, those go first that were told the longest ago.
const (
	MaxAttributes      = 64   // of a profile
	maxAttributeBytes  = 1024 // of one value as JSON; a longer one is not known
	maxAttributesBytes = 32 << 10
	MaxStateAttributes = 16 // of a state, answers alone
	maxStateAttrBytes  = 512
	maxOwnName         = 64
)

// An Attribute is one thing told of somebody: the value of one of the site's own
// fields that come from profile or answer.
type Attribute struct {
	// Name is the own field's, Value its value as JSON; null takes the value back.
	Name, Value string
	// Origin says whose data it is, a place in Origins.
	Origin uint8
	// Purpose unlocked the field when it was told.
	Purpose consent.Purposes
	// AtMillis is when it was told, ExpiresMillis when it is known no longer, 0 for
	// never; both since the Unix epoch.
	AtMillis, ExpiresMillis int64
}

// size is about what an attribute takes in a stored form.
func (a *Attribute) size() int { return len(a.Name) + len(a.Value) + 18 }

// isKnown reports whether the value counts at a time under what is granted.
func (a *Attribute) isKnown(now time.Time, granted consent.Purposes) bool {
	return granted.Has(a.Purpose) && (a.ExpiresMillis == 0 || now.UnixMilli() < a.ExpiresMillis)
}

// attribute returns the attribute with a name, nil without one.
func (h *History) attribute(name string) *Attribute {
	for i := range h.Attributes {
		if h.Attributes[i].Name == name {
			return &h.Attributes[i]
		}
	}
	return nil
}

// tell adds an attribute in the place of one that was told before, and reports
// whether it did: what was told later stays.
func (h *History) tell(a Attribute) bool {
	if known := h.attribute(a.Name); known != nil {
		if a.AtMillis < known.AtMillis || a == *known {
			return false
		}
		*known = a
		return true
	}
	h.Attributes = append(h.Attributes, a)
	return true
}

// limitAttributes drops what was told the longest ago beyond limits.
func (h *History) limitAttributes(most, bytes int) {
	size := 0
	for i := range h.Attributes {
		size += h.Attributes[i].size()
	}
	for len(h.Attributes) > most || size > bytes {
		i := h.oldestAttribute()
		size -= h.Attributes[i].size()
		h.Attributes = slices.Delete(h.Attributes, i, i+1)
	}
}

func (h *History) oldestAttribute() int {
	oldest := 0
	for i := range h.Attributes {
		if h.Attributes[i].AtMillis < h.Attributes[oldest].AtMillis {
			oldest = i
		}
	}
	return oldest
}

// A fieldSource says where an own field's value comes from. The zero value is the
// release's settings.
type fieldSource uint8

const (
	fromSettings fieldSource = iota
	fromEvent
	fromProfile
	fromAnswer
)

var fieldSources = map[string]fieldSource{
	"settings": fromSettings, "event": fromEvent, "profile": fromProfile, "answer": fromAnswer,
}

// A told is an event that may tell attributes.
type told struct {
	*BeaconEvent
	at      time.Time
	granted consent.Purposes
	// byServer says that the site's own server tells it; origins are what it says of
	// the origins of properties.
	byServer bool
	origins  []byte
}

// attributes calls fn with each attribute that an event tells. Their values are
// views of the event.
func (r *Release) attributes(t *told, fn func(Attribute)) {
	for i := range r.own {
		f := &r.own[i]
		if f.event != t.Name || f.source != fromAnswer && !(f.source == fromProfile && t.byServer) || !t.granted.Has(f.Purpose) {
			continue
		}
		members(t.Props, func(key, raw []byte) bool {
			if keyText(key) != f.prop {
				return true
			}
			a := Attribute{
				Name: f.Name, Value: textOf(unquoted(f.Type, raw)), Purpose: f.Purpose, AtMillis: t.at.UnixMilli(),
				Origin: originNumber(orElse(originIn(t.origins, f.prop), f.origin)),
			}
			if len(raw) > maxAttributeBytes {
				a.Value = "null"
			}
			if f.expire > 0 {
				a.ExpiresMillis = t.at.Add(f.expire).UnixMilli()
			}
			fn(a)
			return false
		})
	}
}

// unquoted returns a number, true or false that stands in quotes without them, where
// that is the field's type: a table's cells are texts.
func unquoted(t Type, raw []byte) []byte {
	if text, ok := plainText(raw); ok && t != TypeString && t != TypeList && parseValue(t, bytesOf(text)).Known() {
		return bytesOf(text)
	}
	return raw
}

// originNumber returns the place of an origin in Origins, the first for one that
// is not there.
func originNumber(origin string) uint8 { return uint8(max(0, slices.Index(Origins[:], origin))) }

// attributeValue returns what is known of an own field that comes from profile or
// answer. What this page view tells and may not be learned of hides what was told
// before: a refusal must not make an old answer true.
func (v *Visit) attributeValue(f *ownField, granted consent.Purposes, untold []BeaconEvent) Value {
	needs := consent.Storage | consent.Personalise
	if f.source == fromProfile {
		needs = knownPurposes
	}
	if v.State == nil || !granted.Has(needs) || slices.ContainsFunc(untold, func(ev BeaconEvent) bool { return ev.Name == f.event }) {
		return Value{}
	}
	a := v.State.attribute(f.Name)
	if a == nil || !a.isKnown(v.Now, granted) {
		return Value{}
	}
	return parseValue(f.Type, bytesOf(a.Value))
}
