// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"time"

	"github.com/nearside/nearside/edge/consent/packed"
	"github.com/nearside/nearside/edge/consent/packed/packedtest"
)

// A tcString is a TC string to write. Vendors are one bit each, up to ten.
type tcString struct {
	created, updated time.Time // a week before testNow without one
	policy           uint64
	forManySites     bool
	features         packed.Set
	consents         packed.Set
	interests        packed.Set
	oneTreatment     bool

	vendorConsents, vendorInterests packed.Set
	restrictions                    []packed.Restriction // of vendor 7
	disclosed                       packed.Set
	undisclosed                     bool // the segment is missing
	hasPublisher                    bool
	publisher, publisherInterests   packed.Set
}

// ids is a set of ids.
func ids(list ...int) (s packed.Set) {
	for _, id := range list {
		s |= 1 << (id - 1)
	}
	return s
}

const everyID packed.Set = 1<<24 - 1

// agreed is a TC string of today that agrees to everything.
func agreed() tcString {
	return tcString{policy: 5, features: ids(1, 2), consents: everyID, interests: everyID,
		vendorConsents: ids(7), vendorInterests: ids(7), disclosed: ids(7, 9), hasPublisher: true, publisher: everyID, publisherInterests: everyID}
}

func putSet(w *packedtest.Writer, s packed.Set, n int) {
	for id := 1; id <= n; id++ {
		bit := uint64(0)
		if s.Has(id) {
			bit = 1
		}
		w.Uint(bit, 1)
	}
}

func putVendors(w *packedtest.Writer, s packed.Set) {
	w.Uint(10, 16).Uint(0, 1)
	putSet(w, s, 10)
}

func putDate(w *packedtest.Writer, at time.Time) {
	if at.IsZero() {
		at = testNow.AddDate(0, 0, -7)
	}
	w.Uint(uint64(at.UnixMilli()/100), 36)
}

func (t tcString) text() string {
	w := new(packedtest.Writer).Uint(2, 6)
	putDate(w, t.created)
	putDate(w, t.updated)
	w.Uint(10, 12).Uint(1, 12).Uint(0, 6).Uint(4, 6).Uint(13, 6).Uint(100, 12).Uint(t.policy, 6)
	many := uint64(1)
	if t.forManySites {
		many = 0
	}
	w.Uint(many, 1).Uint(0, 1)
	putSet(w, t.features, 12)
	putSet(w, t.consents, 24)
	putSet(w, t.interests, 24)
	one := uint64(0)
	if t.oneTreatment {
		one = 1
	}
	w.Uint(one, 1).Uint(3, 6).Uint(4, 6)
	putVendors(w, t.vendorConsents)
	putVendors(w, t.vendorInterests)
	w.Uint(uint64(len(t.restrictions)), 12)
	for _, r := range t.restrictions {
		w.Uint(uint64(r.Purpose), 6).Uint(uint64(r.Type), 2).Uint(1, 12).Uint(0, 1).Uint(7, 16)
	}
	text := w.Text(24)
	if !t.undisclosed {
		w := new(packedtest.Writer).Uint(1, 3)
		putVendors(w, t.disclosed)
		text += "." + w.Text(24)
	}
	if t.hasPublisher {
		w := new(packedtest.Writer).Uint(3, 3)
		putSet(w, t.publisher, 24)
		putSet(w, t.publisherInterests, 24)
		text += "." + w.Uint(0, 6).Text(24)
	}
	return text
}

// gppText writes a GPP string of sections with ascending ids.
func gppText(sections ...section) string {
	var numbers []int
	text := ""
	for _, s := range sections {
		numbers = append(numbers, s.id)
		text += "~" + s.text
	}
	return packedtest.Header(numbers...) + text
}

type section struct {
	id   int
	text string
}

// uscaText writes usca: the two opt-outs, the value for the precise location,
// that for known children, and GPC.
func uscaText(sale, sharing, location, child uint64, gpc bool) section {
	w := new(packedtest.Writer).Uint(1, 6).Uint(0, 3*2).Uint(sale, 2).Uint(sharing, 2)
	w.Uint(0, 2*2).Uint(location, 2).Uint(0, 6*2).Uint(child, 2).Uint(0, 2).Uint(0, 2).Uint(1, 2).Uint(0, 2*2)
	text := w.Text(24) + ".QA"
	if gpc {
		text = w.Text(24) + ".YA"
	}
	return section{8, text}
}

// canadaText writes tcfcav1 of a week before testNow.
func canadaText(express, implied, features packed.Set) section {
	w := new(packedtest.Writer).Uint(1, 6)
	putDate(w, time.Time{})
	putDate(w, time.Time{})
	w.Uint(10, 12).Uint(1, 12).Uint(0, 6).Uint(4, 6).Uint(13, 6).Uint(100, 12).Uint(2, 6).Uint(0, 1)
	putSet(w, features, 12)
	putSet(w, express, 24)
	putSet(w, implied, 24)
	return section{5, w.Uint(0, 17+17+12).Text(24)}
}

// byTCF evaluates a TC string where TCF applies.
func byTCF(t tcString, p Policy) Verdict {
	s := Signals{Claimed: All, GDPR: Yes, TCF: t.text()}
	return Evaluate(&s, &p, france, testNow)
}

// byGPP evaluates a GPP string with sections in force.
func byGPP(text string, inForce ...int) Verdict {
	s := Signals{Claimed: All, GPP: text, GPPSections: inForce}
	return Evaluate(&s, &Policy{}, california, testNow)
}
