// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"sync"
)

// profileUse is what the key of profiles is derived for; it is part of every
// stored event of a known person.
const profileUse = "nearside profile 1"

// ProfileID returns what a customer is known by in a site's events: a hash of
// the site's own id under key 0. No rotation changes it, and retiring key 0 does
// not either: the events of years are found by it. It has the form of a visitor's id.
// Who has the log and not the key can neither turn it back nor try ids out, and
// one customer's hashes at two sites have nothing in common.
func (s *Sealer) ProfileID(site, customer string) string {
	id := s.profileID(site, customer)
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func (s *Sealer) profileID(site, customer string) (id [visitorIDBytes]byte) {
	p := s.profiles.Get().(*profiler)
	p.mac.Reset()
	p.text = append(append(append(p.text[:0], site...), 0), customer...)
	p.mac.Write(p.text) // a hash takes everything
	p.sum = p.mac.Sum(p.sum[:0])
	copy(id[:], p.sum)
	s.profiles.Put(p)
	return id
}

// A profiler is the work space of one profile's name.
type profiler struct {
	mac       hash.Hash
	text, sum []byte
}

// newProfilers returns the work spaces of a sealing key, from which the key of
// profiles is derived.
func newProfilers(key []byte) *sync.Pool {
	derive := hmac.New(sha256.New, key)
	derive.Write([]byte(profileUse))
	derived := derive.Sum(nil)
	return &sync.Pool{New: func() any { return &profiler{mac: hmac.New(sha256.New, derived)} }}
}
