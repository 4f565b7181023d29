// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// KeyBytes is the length of a sealing key (AES-256).
const KeyBytes = 32

// The envelope of everything sealed: version, key number, nonce, then the
// AES-GCM ciphertext with its tag, in base64url without padding.
const (
	sealVersion  = 1
	nonceBytes   = 12
	tagBytes     = 16
	sealOverhead = 2 + nonceBytes + tagBytes
)

// What a sealed text is for is bound into it, so that one kind is never taken
// for another.
const (
	sealedState    = 's'
	sealedDecision = 'd'
	sealedPreview  = 'p'
)

// errSealed reports a text that no key of the ring sealed for this site and use.
var errSealed = errors.New("not sealed by this site")

// errUnknownKey is errSealed for a key number that the ring lacks while it is not
// known whether others have a newer ring.
var errUnknownKey = fmt.Errorf("%w: the key may be newer than those known here", errSealed)

// A Sealer seals state and decision ids with the newest key of a ring that has
// begun to, opens them with any, bound to the site, and names customers by key 0
// for good. It is safe for concurrent use: the ring is swapped whole, and who uses
// it neither waits nor allocates.
type Sealer struct {
	first, keeper cipher.AEAD // key 0, and what the others are kept under
	secrets       cipher.AEAD // see SealSecret
	profiles      *sync.Pool  // of *profiler, for ProfileID
	ring          atomic.Pointer[ringInUse]
}

// A ringInUse is a KeyRing as requests use it. It never changes.
type ringInUse struct {
	keys    [256]keyInUse // by number
	seals   byte
	mayLack bool
	from    time.Time // when then takes its place
	then    *ringInUse
}

// A keyInUse is a key and its place in the order in which keys were made; without
// aead it is none.
type keyInUse struct {
	aead  cipher.AEAD
	place int
}

// NewSealer returns a sealer with key 0, of KeyBytes bytes, alone in its ring.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != KeyBytes {
		return nil, fmt.Errorf("sealing key: %d bytes, want %d", len(key), KeyBytes)
	}
	first, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	keeper, err := newKeeper(key)
	if err != nil {
		return nil, err
	}
	secrets, err := newSecretSealer(key)
	if err != nil {
		return nil, err
	}
	s := &Sealer{first: first, keeper: keeper, secrets: secrets, profiles: newProfilers(key)}
	s.SetRing(s.FirstRing(time.Time{}), false)
	return s, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	return aead, nil
}

// SetRing makes r, which this sealer opened or made, the ring of all that is sealed
// and opened from now on. mayLack says that others may have keys that r lacks:
// what such a key sealed is left alone then, and not taken for a forgery.
func (s *Sealer) SetRing(r KeyRing, mayLack bool) {
	s.ring.Store(useRing(r, r.sealingAt(time.Now()), mayLack))
}

// useRing makes of a ring what requests use while the key at a place seals.
func useRing(r KeyRing, seals int, mayLack bool) *ringInUse {
	u := &ringInUse{seals: r.keys[seals].number, mayLack: mayLack}
	for i, k := range r.keys {
		u.keys[k.number] = keyInUse{k.aead, i}
	}
	if next := r.nextAfter(seals); next > seals {
		u.from, u.then = r.keys[next].from, useRing(r, next, mayLack)
	}
	return u
}

// current returns the ring as it is now. The clock is asked only while a key waits
// for its time.
func (s *Sealer) current() *ringInUse {
	u := s.ring.Load()
	for u.then != nil && !time.Now().Before(u.from) {
		s.ring.CompareAndSwap(u, u.then) // else somebody has put in a newer one, for whoever comes next
		u = u.then
	}
	return u
}

// isOutdated reports whether a text that has been opened was sealed with an older
// key than the one that seals now, or one that was retired since.
func (s *Sealer) isOutdated(sealed string) bool {
	var head [3]byte
	if n, ok := readSealText(head[:], sealed[:min(len(sealed), 4)]); !ok || n < 2 {
		return false
	}
	u := s.current()
	k := &u.keys[head[1]]
	return k.aead == nil || k.place < u.keys[u.seals].place
}

// A sealBuffer is the work space of one seal or open. It is pooled because
// what is handed to a cipher through an interface escapes to the heap.
type sealBuffer struct {
	bound [MaxSiteBytes + 3]byte
	plain [MaxStateBytes]byte
	raw   [MaxStateBytes]byte
	// nonces are random, drawn for many seals at a time: a draw costs more than its
	// bytes. The first spent bytes are used up.
	nonces [noncesDrawn * nonceBytes]byte
	spent  int
}

const noncesDrawn = 32

func newSealBuffer() any {
	b := new(sealBuffer)
	b.spent = len(b.nonces)
	return b
}

// appendNonce appends a nonce that nothing else is sealed with.
func (b *sealBuffer) appendNonce(dst []byte) []byte {
	if b.spent == len(b.nonces) {
		rand.Read(b.nonces[:]) // never fails: it ends the program instead (crypto/rand)
		b.spent = 0
	}
	dst = append(dst, b.nonces[b.spent:b.spent+nonceBytes]...)
	b.spent += nonceBytes
	return dst
}

var sealBuffers = sync.Pool{New: newSealBuffer}

// binding returns the data a text sealed with a key is authenticated with.
func (b *sealBuffer) binding(number, use byte, site string) []byte {
	return append(append(b.bound[:0], sealVersion, number, use), site...)
}

// A sealing seals texts for one use and one site, one after the other, with the key that
// sealed when it began.
type sealing struct {
	buf    *sealBuffer // from the pool, to which whoever is done gives it back
	aead   cipher.AEAD
	number byte
	bound  []byte
}

// sealing begins one. site has at most MaxSiteBytes.
func (s *Sealer) sealing(use byte, site string) sealing {
	ring, buf := s.current(), sealBuffers.Get().(*sealBuffer)
	return sealing{buf, ring.keys[ring.seals].aead, ring.seals, buf.binding(ring.seals, use, site)}
}

// append appends plain, sealed. It has at most maxSealedPlain bytes and is best in the
// buffer's plain: else it escapes.
func (s *sealing) append(dst, plain []byte) []byte {
	out := s.buf.appendNonce(append(s.buf.raw[:0], sealVersion, s.number))
	out = s.aead.Seal(out, out[2:], plain, s.bound)
	return appendSealText(dst, out)
}

// seal returns plain, sealed for a use and a site.
func (s *Sealer) seal(use byte, site string, plain []byte) string {
	sealing := s.sealing(use, site)
	defer sealBuffers.Put(sealing.buf)
	return string(sealing.append(nil, plain))
}

// open returns what was sealed for a use and a site, appended to dst, which is memory
// of the heap.
func (s *Sealer) open(dst []byte, use byte, site, sealed string) ([]byte, error) {
	if len(sealed) > MaxStateBytes || len(site) > MaxSiteBytes {
		return dst, errSealed
	}
	buf := sealBuffers.Get().(*sealBuffer)
	defer sealBuffers.Put(buf)
	n, ok := readSealText(buf.raw[:], sealed)
	if !ok || n < sealOverhead || buf.raw[0] != sealVersion {
		return dst, errSealed
	}
	number, ring := buf.raw[1], s.ring.Load()
	aead := ring.keys[number].aead
	switch {
	case aead == nil && ring.mayLack:
		return dst, errUnknownKey
	case aead == nil:
		return dst, errSealed
	}
	opened, err := aead.Open(dst, buf.raw[2:2+nonceBytes], buf.raw[2+nonceBytes:n], buf.binding(number, use, site))
	if err != nil {
		return dst, errSealed
	}
	return opened, nil
}
