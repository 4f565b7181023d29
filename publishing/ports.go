// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nearside/nearside/edge"
)

// What a Desk needs of others. Each is called by many goroutines at once. What
// is not there is an error that wraps ErrNone; a write that came too late is one
// that wraps ErrChanged.

// Modules keeps the bytes of uploaded modules by their SHA-256, for ever.
type Modules interface {
	// PutModule stores a module; one that is there is no error.
	PutModule(ctx context.Context, hash string, wasm []byte) error
	Module(ctx context.Context, hash string) ([]byte, error)
}

// Notes keeps small documents by key. Keys are of a-z, 0-9, "-" and "."; a
// prefix ends with a dot.
type Notes interface {
	// PutNote writes a note whose revision is the given one, 0 for a note that
	// is not there yet, and returns its new revision.
	PutNote(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	Note(ctx context.Context, key string) (Note, error)
	// Notes returns the notes whose keys start with prefix, by key.
	Notes(ctx context.Context, prefix string) ([]Note, error)
	DeleteNote(ctx context.Context, key string) error
}

// A Note is a small document.
type Note struct {
	Key      string
	Value    []byte
	Revision uint64
}

// Audits appends to a log that nothing is ever taken from.
type Audits interface {
	AppendAudit(ctx context.Context, entry []byte) error
	// Audit calls fn with each entry, the newest first, until fn returns false.
	Audit(ctx context.Context, fn func(entry []byte) bool) error
}

// Releases keeps each site's release documents.
type Releases interface {
	// PutRelease makes doc the site's live release if the live number is follows,
	// 0 for none.
	PutRelease(ctx context.Context, site string, follows, number uint64, doc []byte) error
	// Release returns a release that is or was live, the live one for number 0.
	Release(ctx context.Context, site string, number uint64) (Published, []byte, error)
	// History returns every release of a site that is or was live, by number.
	History(ctx context.Context, site string) ([]Published, error)
	// Sites returns the sites that have a live release, sorted.
	Sites(ctx context.Context) ([]string, error)
}

// Published names a release that is or was live.
type Published struct {
	Number uint64 `json:"number"`
	// Hash is the SHA-256 of the document, lower-case hex.
	Hash string    `json:"hash"`
	At   time.Time `json:"at"` // when it went live first
	Live bool      `json:"live,omitempty"`
}

// A Checker looks at modules that nobody has read. It bounds its own time and
// memory, whatever it is given.
type Checker interface {
	// Check reports what a module declares and what is wrong with it; the error
	// is for a check that could not be made.
	Check(ctx context.Context, wasm []byte) (*edge.ModuleReport, error)
	// Test runs a module on its author's cases.
	Test(ctx context.Context, wasm []byte, cases []edge.ModuleCase) (*edge.ModuleTestReport, error)
	// Verify reports whether the node would load a module at a site as far as its
	// signature goes: nil where it is good, or none is needed and none is there.
	// signer names the trusted key that made it, "" for none.
	Verify(site string, ref edge.ModuleRef) (signer string, err error)
}

// Live is what a running node knows of the modules it serves. A desk without a
// node has none.
type Live interface {
	// Health returns how the site's modules do, in any order.
	Health(site string) []Health
	// Shadows returns what the site's shadow rules would have changed.
	Shadows(site string) []edge.ShadowReport
	// Counts returns how often each variant was shown and clicked, day by day
	// since a time.
	Counts(ctx context.Context, site string, since time.Time) ([]Count, error)
}

// A Replayer answers a recorded decision again.
type Replayer interface {
	// Find returns the site of a decision by its token.
	Find(decision string) (site string, err error)
	// Replay decides again on the recorded fields and says what differs, as JSON.
	Replay(ctx context.Context, site, decision string) (json.RawMessage, error)
}
