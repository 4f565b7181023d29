// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"errors"
	"time"
)

// What a store takes as one module and as one note. MaxReleaseBytes bounds a
// release document.
const (
	MaxModuleBytes = 4 << 20
	MaxNoteBytes   = 64 << 10
)

// A Note is a small document of the ledger, which others keep what they must
// not lose in.
type Note struct {
	// Key is of words between dots, 256 bytes at most in all; a word is of
	// characters a-z, 0-9, "-", "_", "=" and "/".
	Key string
	// Value is a JSON document of at most MaxNoteBytes.
	Value []byte
	// Revision grows with each change of any note and never comes again.
	Revision uint64
}

// A Published names a release that is or was live.
type Published struct {
	Number uint64 `json:"number"`
	// Hash is the SHA-256 of the document, lower-case hex.
	Hash string    `json:"hash"`
	At   time.Time `json:"at"` // when it went live first
	Live bool      `json:"live,omitempty"`
	// Restores is the release whose content a rollback brought back: the one that
	// had it first. It is 0 for any other.
	Restores uint64 `json:"restores,omitempty"`
}

// Errors of a store, whatever it keeps. Its own errors answer errors.Is for
// them and say more.
var (
	// ErrNone reports that there is nothing under a key, a hash or a number.
	ErrNone = errors.New("there is nothing")
	// ErrChanged reports a write that another one came before: a note's revision
	// or a release's number is not the one the writer knew.
	ErrChanged = errors.New("changed meanwhile")
	// ErrBroken reports an audit log whose entries are not those that were
	// written.
	ErrBroken = errors.New("audit log is broken")
)
