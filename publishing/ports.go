// SPDX-License-Identifier: Apache-2.0

package publishing

import (
	"context"
	"time"

	"github.com/nearside/nearside/edge"
)

// What a Desk needs of others. Each is called by many goroutines at once. What
// is not there is an error that is edge.ErrNone; a write that came too late is one
// that is edge.ErrChanged.

// Modules keeps modules by their SHA-256 for good.
type Modules interface {
	PutModule(ctx context.Context, wasm []byte) (hash string, err error)
	Module(ctx context.Context, hash string) ([]byte, error)
}

// Documents keeps by their SHA-256 release documents that wait for a second
// person.
type Documents interface {
	PutDocument(ctx context.Context, doc []byte) (hash string, err error)
	Document(ctx context.Context, hash string) ([]byte, error)
}

// Notes keeps small JSON documents by key. A key is of words of a-z, 0-9 and "-"
// between dots. Each note has a revision, which grows with each change.
type Notes interface {
	// PutNote writes the note under key if it has the revision, 0 for one that
	// is not there, and returns its next one.
	PutNote(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	Note(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Notes returns the notes whose keys begin with prefix and a dot, by key.
	Notes(ctx context.Context, prefix string) ([]edge.Note, error)
	DeleteNote(ctx context.Context, key string, revision uint64) error
}

// Audits appends to a log that nothing is ever taken from.
type Audits interface {
	// AppendAudit adds an entry about a site, "" for none.
	AppendAudit(ctx context.Context, site string, entry []byte) error
	// Audit calls each for every entry about a site, for all with "", oldest
	// first. When entries were changed or removed, it says so at the end with an
	// error that is edge.ErrBroken.
	Audit(ctx context.Context, site string, each func(seq uint64, at time.Time, entry []byte) error) error
}

// Releases keeps each site's release documents.
type Releases interface {
	// PutRelease makes doc the site's live release, with next's Number and
	// Restores, if the live number is follows, 0 for none.
	PutRelease(ctx context.Context, site string, follows uint64, next edge.Published, doc []byte) error
	// Published returns a release that is or was live, the live one for number 0,
	// and its document.
	Published(ctx context.Context, site string, number uint64) (edge.Published, []byte, error)
	// History returns every release of a site that is or was live, by number.
	History(ctx context.Context, site string) ([]edge.Published, error)
	// Sites returns the sites that have a live release, sorted.
	Sites(ctx context.Context) ([]string, error)
}

// Items keeps each site's catalogue of items.
type Items interface {
	// ImportItems brings a feed into a catalogue, whole or not at all. The error
	// may be edge.ErrItemsShrink or edge.ErrItemsFull.
	ImportItems(ctx context.Context, site string, feed edge.ItemFeed, now time.Time) (edge.ItemImport, error)
	DeleteItem(ctx context.Context, site, id string, now time.Time) error
	Item(ctx context.Context, site, id string) (edge.StoredItem, error)
	// Items returns at most limit items that follow the one with the id after,
	// "" for the first, in an order that is always the same.
	Items(ctx context.Context, site, after string, limit int) ([]edge.StoredItem, error)
	Catalogue(ctx context.Context, site string) (edge.Catalogue, error)
}

// A Checker looks at modules that nobody has read. It bounds its own time and
// memory, whatever it is given.
type Checker interface {
	// Check reports what a module declares and what is wrong with it; the error
	// is for a check that could not be made.
	Check(ctx context.Context, wasm []byte) (*edge.ModuleReport, error)
	// Test runs a module on its author's cases.
	Test(ctx context.Context, wasm []byte, cases []edge.ModuleCase) (*edge.ModuleTestReport, error)
	// Verify reports whether nodes would load a module at a site as far as its
	// signature goes: nil where it is good or none is needed.
	Verify(site string, ref edge.ModuleRef) error
}

// A Compiler makes modules of rules without code.
type Compiler interface {
	// CompileRules returns the one module of a document's rules without code,
	// nil for a document without any. The same document always gives the same
	// bytes. What is wrong with the rules is joined *edge.RuleErrors.
	CompileRules(doc *edge.ReleaseDocument) (wasm []byte, err error)
	// LoaderWith returns a loader that also loads a compiled module which no
	// store has yet.
	LoaderWith(wasm []byte) edge.RuleLoader
	// Conditions returns the conditions of a document's rules for people to read.
	Conditions(doc *edge.ReleaseDocument) (*edge.RuleConditions, error)
}

// Live is what a running node knows of the modules it serves. A desk without a
// node has none.
type Live interface {
	// Await waits until the node serves a site's release, or a later one, and
	// reports whether it does. It does not wait for long: the store has the
	// release, and other nodes come later too.
	Await(ctx context.Context, site string, number uint64) bool
	// Health returns how modules do at a site, in any order.
	Health(site string, modules []edge.ModuleRef) []Health
	// Shadows returns what the site's shadow rules would have changed.
	Shadows(site string) []edge.ShadowReport
	// Counts returns how often each variant was shown and clicked, day by day
	// since a time.
	Counts(ctx context.Context, site string, since time.Time) ([]Count, error)
	// Prompts returns the counts of a site's consent prompt since a day, by version.
	Prompts(ctx context.Context, site string, since time.Time) ([]PromptCount, error)
}

// A Replayer answers a recorded decision again.
type Replayer interface {
	// Find returns the site of a decision by its token.
	Find(ctx context.Context, decision string) (site string, err error)
	// Replay decides again on the recorded fields.
	Replay(ctx context.Context, site, decision string) (*edge.Replay, error)
}
