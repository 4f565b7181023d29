// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"crypto/cipher"
	"crypto/rand"
	"fmt"
	"slices"
	"time"
)

// Bounds of a key ring. KeyNotice is how long a new key is known before it seals
// unless somebody says otherwise: every node of a house has it by then.
const (
	MaxRingKeys  = 64
	KeyNotice    = time.Minute
	MaxKeyNotice = 24 * time.Hour
)

// A KeyRing is the sealing keys of a house, in the order in which they were made.
// Each has a number, which the envelope of a sealed text carries; numbers count up
// and begin anew behind 255. A KeyRing never changes: what changes it returns
// another. The zero value is none; a Sealer makes them.
type KeyRing struct {
	keys []ringKey // never empty
}

// A ringKey is one key of a ring.
type ringKey struct {
	number byte
	made   time.Time
	from   time.Time // it seals from then on
	until  time.Time // from of the one that was made next, zero for the newest
	kept   []byte    // the key as a document has it, nil for key 0
	aead   cipher.AEAD
}

// A KeyStatus is what may be told of a key.
type KeyStatus struct {
	Number int      `json:"number"`
	State  KeyState `json:"state"`
	// Made is when the key was made and From since when it seals; both are when its
	// file was written for key 0 of a ring that was never rotated.
	Made time.Time `json:"made"`
	From time.Time `json:"from"`
	// Until is when another takes its place, zero for the newest. Retirable is when
	// nothing that it sealed may be opened any more, StateMaxAge later.
	Until     time.Time `json:"until,omitzero"`
	Retirable time.Time `json:"retirable,omitzero"`
}

// A KeyState is what a key is there for. Each opens what it sealed.
type KeyState string

// The states of a key.
const (
	KeyAnnounced KeyState = "announced" // does not seal yet
	KeySealing   KeyState = "sealing"
	KeyOpening   KeyState = "opening" // opens only
)

// The codes of a KeyError.
const (
	KeyUnknown = "not_found"   // the ring has no key with that number
	KeyNeeded  = "key_needed"  // the key seals, or what it sealed may still be opened
	KeyPending = "key_pending" // the newest key does not seal yet
	KeyTooMany = "quota"       // the ring has MaxRingKeys
)

// A KeyError says why a ring stays as it is.
type KeyError struct {
	Code    string // stable; see the constants
	Message string
}

// Error implements error.
func (e *KeyError) Error() string { return e.Message }

func refuseKey(code, format string, args ...any) error {
	return &KeyError{code, fmt.Sprintf(format, args...)}
}

// Keys says what may be told of each key at a time, oldest first.
func (r KeyRing) Keys(now time.Time) []KeyStatus {
	seals := r.sealingAt(now)
	all := make([]KeyStatus, len(r.keys))
	for i := range r.keys {
		k := &r.keys[i]
		all[i] = KeyStatus{Number: int(k.number), State: KeyOpening, Made: k.made, From: k.from, Until: k.until}
		if !k.until.IsZero() {
			all[i].Retirable = k.until.Add(StateMaxAge)
		}
		switch {
		case i == seals:
			all[i].State = KeySealing
		case i > seals:
			all[i].State = KeyAnnounced
		}
	}
	return all
}

// sealingAt returns the place of the key that seals at a time: the newest that has
// begun, or the oldest where a clock says that none has.
func (r KeyRing) sealingAt(now time.Time) int {
	for i := len(r.keys) - 1; i > 0; i-- {
		if !now.Before(r.keys[i].from) {
			return i
		}
	}
	return 0
}

// nextAfter returns the place of the key that takes over from the one at a place,
// or that place if none does.
func (r KeyRing) nextAfter(seals int) int {
	next := seals
	for i := seals + 1; i < len(r.keys); i++ {
		if next == seals || !r.keys[i].from.After(r.keys[next].from) {
			next = i
		}
	}
	return next
}

// Rotate returns the ring with a new key, which seals from notice after now on, 0
// to MaxKeyNotice, and opens as soon as a node has it. The error is a *KeyError
// with KeyPending or KeyTooMany. A key that would not seal for longer than
// MaxKeyNotice was made by a clock that was ahead, and holds nobody up.
func (s *Sealer) Rotate(r KeyRing, now time.Time, notice time.Duration) (KeyRing, error) {
	now = now.UTC().Truncate(time.Millisecond)
	last := len(r.keys) - 1
	switch newest := &r.keys[last]; {
	case last > 0 && now.Before(newest.from) && newest.from.Sub(now) <= MaxKeyNotice:
		return r, refuseKey(KeyPending, "key %d was made already and seals from %s on", newest.number, newest.from.Format(time.RFC3339))
	case len(r.keys) >= MaxRingKeys:
		return r, refuseKey(KeyTooMany, "there are %d keys, which is as many as there may be: retire the oldest first", len(r.keys))
	}
	next := ringKey{number: r.nextNumber(), made: now, from: now.Add(min(max(notice, 0), MaxKeyNotice))}
	var secret [KeyBytes]byte
	rand.Read(secret[:])
	var err error
	if next.aead, err = newAEAD(secret[:]); err != nil {
		return r, err
	}
	next.kept = s.keep(next.number, secret[:])
	keys := append(slices.Clone(r.keys), next)
	keys[last].until = next.from
	return KeyRing{keys}, nil
}

// nextNumber returns the number of the key to be made. The newest key is never
// retired, so numbers go on counting.
func (r KeyRing) nextNumber() byte {
	n := r.keys[len(r.keys)-1].number + 1
	for n == 0 || r.find(n) >= 0 {
		n++
	}
	return n
}

func (r KeyRing) find(number byte) int {
	return slices.IndexFunc(r.keys, func(k ringKey) bool { return k.number == number })
}

// Newest returns the number of the key that was made last.
func (r KeyRing) Newest() int { return int(r.keys[len(r.keys)-1].number) }

// Retire returns the ring without a key, so that nothing that it sealed opens any
// more. That is allowed StateMaxAge after another took its place, when no state
// that it sealed counts any more; early allows it before. Never while it seals. The
// error is a *KeyError with KeyUnknown or KeyNeeded.
func (r KeyRing) Retire(number int, now time.Time, early bool) (KeyRing, error) {
	at := -1
	if number >= 0 && number <= 255 {
		at = r.find(byte(number))
	}
	if at < 0 {
		return r, refuseKey(KeyUnknown, "there is no key %d", number)
	}
	switch k := &r.keys[at]; {
	case k.until.IsZero():
		return r, refuseKey(KeyNeeded, "key %d is the newest: rotate first", number)
	case now.Before(k.until):
		return r, refuseKey(KeyNeeded, "key %d seals until %s: retire it then", number, k.until.Format(time.RFC3339))
	case !early && now.Before(k.until.Add(StateMaxAge)):
		return r, refuseKey(KeyNeeded, "states that key %d sealed count until %s: whoever was not back since %s would start fresh",
			number, k.until.Add(StateMaxAge).Format(time.RFC3339), k.until.Format(time.RFC3339))
	}
	return KeyRing{slices.Delete(slices.Clone(r.keys), at, at+1)}, nil
}
