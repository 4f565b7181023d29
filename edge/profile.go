// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// Limits of a profile.
const (
	// MaxProfileStored bounds the stored form of a profile, in bytes. What is too much is
	// dropped by the rule of a state; see History.drop.
	MaxProfileStored = 64 << 10
	// MaxLinked is how many visitor ids a profile remembers for erasure. Of more, the
	// oldest are not known any more, but for the one that draws lots.
	MaxLinked = 32
	// ProfileKeys is how many events a profile knows again by key at least; it knows
	// all those of the latest change.
	ProfileKeys    = 64
	maxProfileKeys = 4 * MaxBatchEvents
	// touchEvery is how often it is noted that somebody is still there.
	touchEvery = Minute(10)

	// DefaultProfileDays is how long a profile that nothing touches is kept where a site
	// does not say, MaxProfileDays the longest that it may say.
	DefaultProfileDays = DefaultRetainDays
	MaxProfileDays     = MaxRetainDays
)

// knownPurposes are what a profile needs to be read or written.
const knownPurposes = consent.Storage | consent.Profile | consent.Personalise

// A ProfileID is what a person is known by at a site: see Sealer.ProfileID. The zero
// value is nobody.
type ProfileID [visitorIDBytes]byte

// String returns the id in base64url, as events have it.
func (id ProfileID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ParseProfileID reads what String wrote.
func ParseProfileID(text string) (id ProfileID, err error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != len(id) {
		return id, errors.New("not the id of a profile")
	}
	return ProfileID(raw), nil
}

// A Profile is what is held of a known person at a site. It is immutable: With makes
// the next one. The zero value is that of somebody of whom nothing is known.
type Profile struct {
	// Lot is the visitor id by which the person's lots are drawn: that of whichever
	// browser or server call was identified first. Zero until then.
	Lot [visitorIDBytes]byte
	// Linked are the visitors that were this person, oldest first, for erasure.
	Linked []LinkedVisitor
	// Began is when the profile began, Seen when something last touched it, and
	// Visited when the person was last there.
	Began, Seen, Visited Minute
	// Edition grows with each change.
	Edition uint32
	// Counted are the keys of the events learned of last, latest last.
	Counted []uint32

	History
}

// A LinkedVisitor is a visitor's id that became a person's.
type LinkedVisitor struct {
	Visitor [visitorIDBytes]byte
	// Merged says that the visitor's history is in the profile. It is merged once: what
	// happens afterwards is learned of by its events.
	Merged bool
}

// Visitors returns the linked visitors' ids as events have them.
func (p *Profile) Visitors() []string {
	ids := make([]string, len(p.Linked))
	for i := range p.Linked {
		ids[i] = base64.RawURLEncoding.EncodeToString(p.Linked[i].Visitor[:])
	}
	return ids
}

// IsOver reports whether nothing touched the profile for as long as profiles are
// kept.
func (p *Profile) IsOver(now time.Time, keep time.Duration) bool {
	return p.Seen.Time().Add(keep).Before(now)
}

// Size is about how many bytes of memory the profile takes.
func (p *Profile) Size() int {
	n := 512 + len(p.Linked)*20 + len(p.Counted)*4 + len(p.Items)*(72+24) + len(p.Interests)*56 + len(p.Activity)*20 +
		len(p.Variations)*12
	for i := range p.Counters {
		n += 64 + 8*len(p.Counters[i].Days)
	}
	for i := range p.Attributes {
		n += 48 + p.Attributes[i].size()
	}
	return n
}

// link notes that a visitor is the person, and reports where.
func (p *Profile) link(visitor [visitorIDBytes]byte) int {
	at := slices.IndexFunc(p.Linked, func(l LinkedVisitor) bool { return l.Visitor == visitor })
	if at >= 0 {
		return at
	}
	if len(p.Linked) >= MaxLinked {
		drop := 0
		if p.Linked[0].Visitor == p.Lot {
			drop = 1
		}
		p.Linked = slices.Delete(p.Linked, drop, drop+1)
	}
	p.Linked = append(p.Linked, LinkedVisitor{Visitor: visitor})
	return len(p.Linked) - 1
}

// Profiles keeps the profiles of people at sites. Its methods are called by many
// goroutines at once.
type Profiles interface {
	// Profile returns what is held of a person, nil for somebody of whom nothing is.
	// It is not known where that cannot be told within wait. The profile must not be
	// changed.
	Profile(site string, id ProfileID, wait time.Duration) (p *Profile, known bool)
	// Change changes a profile, within a moment on disk, and returns what it is by
	// then at this node, nil where it is not known what it was. It never waits, and
	// where there is no room the change is dropped and counted. It keeps c, which
	// must not be changed any more.
	Change(site string, id ProfileID, c *ProfileChange) *Profile
}
