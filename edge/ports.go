// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"time"
)

// A Locator finds the place of an address. The address has been truncated to
// /24 (IPv4) or /48 (IPv6) before a Locator sees it. An unknown address gives
// the zero Place. Locate is called by many goroutines at once.
type Locator interface {
	Locate(addr netip.Addr) Place
}

// A Rule chooses a variant for a slot. It is called by many goroutines at once.
type Rule interface {
	// Manifest says what the rule declares. It never changes.
	Manifest() *Manifest
	// Choose runs the rule for its manifest's slot number slot. It knows what
	// the view holds and nothing else; it may keep nothing after it returns.
	// An error costs the slot this rule's answer only: ErrBudget when the rule
	// spent more than it may, any other error for a fault.
	Choose(view *View, slot int) (Answer, error)
}

// An Answer is what a Rule chose. The zero Answer is "no answer".
type Answer struct {
	// Variant is 0 for no answer, or n for the n-th variant (from 1) that the
	// manifest lists for the slot.
	Variant int
	// Score orders answers of one rung; higher wins. It fits 56 signed bits.
	Score int64
	// Because is the rule's own reason in words, possibly empty.
	Because string
	// Items are ordered item choices, for a slot of kind items.
	Items []AnswerItem
	// Fuel is what the call spent, in the rule host's deterministic unit; 0
	// where a call is not metered. It is also set beside an error.
	Fuel int64
}

// An AnswerItem is one item a rule chose, with the rule's reason code for it.
type AnswerItem struct {
	ID     string `json:"id"`
	Reason string `json:"reason,omitempty"`
	Text   string `json:"text,omitempty"`
}

// ErrBudget reports a rule that spent more than its manifest's budget, or than
// the rule host allows a call.
var ErrBudget = errors.New("rule spent its budget")

// ErrNotRun reports a rule that was not run at all: its module is not loaded or
// is quarantined. The slot goes on as after a fault.
var ErrNotRun = errors.New("rule not run")

// A RuleLoader makes rules from a release's modules.
type RuleLoader interface {
	// Load returns the rule for ref at a site, set up with ref's settings. bind
	// gives the field number of each of the site's own fields by name; a module
	// whose manifest reads an own field the site lacks is an error, and so is
	// one whose signature is needed and does not cover it at this site.
	Load(site string, ref ModuleRef, bind map[string]int) (Rule, error)
	// LoadRules returns the rules without code that were compiled to c at a site.
	// bind is the same. The module is trusted: it is not metered, so c must be
	// what publishing made of the release.
	LoadRules(site string, c *Compiled, bind map[string]int) (RuleSet, error)
}

// A RuleSet is the rules without code of a release, compiled into one module. It
// is called by many goroutines at once.
type RuleSet interface {
	// Slots are the slots that have rules, in the order of their numbers. They
	// never change.
	Slots() []RuleSetSlot
	// Reads are the wire names of all fields the module reads.
	Reads() []string
	// Counts are the windows that its rules count events in.
	Counts() []EventWindow
	// Decide says for each of slots, by number, which candidates hold in a view
	// of what is read and granted; held has a place for each. It keeps nothing of
	// the view and allocates nothing. An error costs the slots these rules only.
	Decide(view *View, slots []int, held []Held) error
	// Explain says what became of the condition of the slot's candidate; isKept says
	// that it took the place of the one that the rule's weights chose, since the visitor
	// has seen it. It agrees with Decide and is slow: it is for people.
	Explain(view *View, slot, candidate int, isKept bool) (*Condition, error)
}

// A RuleSetSlot is one slot's part of a RuleSet.
type RuleSetSlot struct {
	Name string `json:"name"`
	// Candidates are in the order of SlotSpec.Candidates.
	Candidates []RuleSetCandidate `json:"candidates"`
	// Inputs is the smallest set of what the candidates depend on, sorted, as
	// SlotInputs.Reads spells it.
	Inputs []string `json:"inputs"`
}

// A RuleSetCandidate is a Candidate as a RuleSet knows it.
type RuleSetCandidate struct {
	Rule    string `json:"rule"`
	Variant string `json:"variant"`
	// Reads are the wire names of the fields the candidate reads, sorted.
	Reads []string `json:"reads,omitempty"`
}

// Held says which candidates of a slot hold and what they score.
type Held struct {
	// Bits has bit n&63 of word n>>6 set where candidate n holds.
	Bits [(MaxCandidates + 63) / 64]uint64
	// Scores are those of the candidates that hold; others mean nothing.
	Scores [MaxCandidates]int64
}

// MaxSignatureBytes bounds a module's signature; minisign's are about 300 bytes
// and their comments free.
const MaxSignatureBytes = 4 << 10

// A ModuleRef names the module a release uses, by content.
type ModuleRef struct {
	// Name and Version are the manifest's; they appear in decisions.
	Name    string `json:"name"`
	Version string `json:"version"`
	// Hash is the SHA-256 of the module's bytes, lower-case hex.
	Hash string `json:"hash"`
	// Settings is a JSON object handed to the module once, before it serves. A
	// rule's own settings take its place.
	Settings json.RawMessage `json:"settings,omitempty"`
	// Signature is the publisher's, in minisign's format, over site, name,
	// version and hash; empty for an unsigned module.
	Signature string `json:"signature,omitempty"`
}

// ID returns "name@version", as decisions and rules name the module.
func (m ModuleRef) ID() string { return m.Name + "@" + m.Version }

// A Publisher keeps events and decision records.
type Publisher interface {
	// Publish returns nil once every event is on disk; an event stored within
	// the last day is not stored again and counts as kept. ErrUnavailable
	// means that the log is full or did not answer within wait: the events may
	// or may not be kept, and sending them again is safe. The events and the
	// slice must not be changed until Publish returns; they are not kept.
	Publish(events []Event, wait time.Duration) error
	// Submit is Publish for who waits in another way. Its error says that the
	// events were not taken; without one they are kept already if there is no
	// Pending, else once that says so. The events and the slice are free when it
	// returns. It waits for nothing but a lock.
	Submit(events []Event) (Pending, error)
	// Record keeps a decision record, within a moment and beside the events. It
	// never waits: where there is no room the record is dropped and counted.
	// The record's bytes are copied before it returns.
	Record(r *Record)
}

// A Pending is the fate of events on their way to the disk. Calls one after another may
// return the same: it is a pointer, and == says whether they share a fate. It is safe
// for concurrent use.
type Pending interface {
	// Done is closed once their fate is known.
	Done() <-chan struct{}
	// Err is nil once all are on disk, else ErrUnavailable: some may be kept, and
	// sending them again is safe. It may be called once Done is closed.
	Err() error
	// GiveUp counts calls that waited for Done no longer. The events may still be kept.
	GiveUp(calls int)
}

// ErrUnavailable reports an event log that is full or slower than the caller
// can wait. The client gets its events back as "unavailable" and resends them.
var ErrUnavailable = errors.New("event log unavailable")

// An Erasures knows whose data was erased. It is called for every visitor who
// comes back, by many goroutines at once: it allocates nothing, and waits for
// nothing but a lock.
type Erasures interface {
	// Erased reports whether what a person did or began at a time is erased: it
	// may neither be stored nor read. Nobody, the zero key, is never erased.
	Erased(p Person, at time.Time) bool
}

// An Eraser erases persons.
type Eraser interface {
	// Erase has noted on disk, when it returns, that all a person did so far is to
	// be erased everywhere. From then on no reader finds it and nothing of it that
	// arrives late is taken; the bytes go soon after, in a day at most. Asking again
	// begins anew, with what the person did since.
	Erase(ctx context.Context, p Person) (Erasure, error)
}
