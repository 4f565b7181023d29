// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
)

// KeyBytes is the length of a sealing key (AES-256).
const KeyBytes = 32

// The envelope of everything sealed: version, key number, nonce, then the
// AES-GCM ciphertext with its tag, in base64url without padding.
const (
	sealVersion  = 1
	sealKey      = 0 // the only key number; rotation will add others
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

// errSealed reports a text that this site's key did not seal for this use.
var errSealed = errors.New("not sealed by this site")

// A Sealer seals state and decision ids with one key, bound to the site, and
// names customers by it. It is safe for concurrent use.
type Sealer struct {
	aead     cipher.AEAD
	profiles *sync.Pool // of *profiler, for ProfileID
}

// NewSealer returns a sealer with a key of KeyBytes bytes.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != KeyBytes {
		return nil, fmt.Errorf("sealing key: %d bytes, want %d", len(key), KeyBytes)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("sealing key: %w", err)
	}
	return &Sealer{aead: aead, profiles: newProfilers(key)}, nil
}

// A sealBuffer is the work space of one seal or open. It is pooled because
// what is handed to a cipher through an interface escapes to the heap.
type sealBuffer struct {
	bound [MaxSiteBytes + 3]byte
	plain [MaxStateBytes]byte
	raw   [MaxStateBytes]byte
	text  [MaxStateBytes]byte // sealed, to be opened
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

// binding returns the data a sealed text is authenticated with.
func (b *sealBuffer) binding(use byte, site string) []byte {
	return append(append(b.bound[:0], sealVersion, sealKey, use), site...)
}

// appendSealed appends plain, sealed for a use and a site. plain has at most
// maxSealedPlain bytes and site at most MaxSiteBytes.
func (s *Sealer) appendSealed(dst []byte, use byte, site string, plain []byte) []byte {
	buf := sealBuffers.Get().(*sealBuffer)
	out := buf.appendNonce(append(buf.raw[:0], sealVersion, sealKey))
	out = s.aead.Seal(out, out[2:], append(buf.plain[:0], plain...), buf.binding(use, site))
	dst = base64.RawURLEncoding.AppendEncode(dst, out)
	sealBuffers.Put(buf)
	return dst
}

// seal returns what appendSealed appends.
func (s *Sealer) seal(use byte, site string, plain []byte) string {
	return string(s.appendSealed(nil, use, site, plain))
}

// open returns what was sealed for a use and a site, appended to dst.
func (s *Sealer) open(dst []byte, use byte, site, sealed string) ([]byte, error) {
	if len(sealed) > MaxStateBytes || len(site) > MaxSiteBytes {
		return dst, errSealed
	}
	buf := sealBuffers.Get().(*sealBuffer)
	defer sealBuffers.Put(buf)
	n, err := base64.RawURLEncoding.Decode(buf.raw[:], buf.text[:copy(buf.text[:], sealed)])
	if err != nil || n < sealOverhead || buf.raw[0] != sealVersion || buf.raw[1] != sealKey {
		return dst, errSealed
	}
	plain, err := s.aead.Open(buf.plain[:0], buf.raw[2:2+nonceBytes], buf.raw[2+nonceBytes:n], buf.binding(use, site))
	if err != nil {
		return dst, errSealed
	}
	return append(dst, plain...), nil
}
