// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// A PersonKey finds a person's events at a site: Event.Visitor. It is derived
// from the visitor id and does not give it away. The zero key is nobody's.
type PersonKey [16]byte

// errPersonKey reports a text that is no key.
var errPersonKey = errors.New("a person's key is 32 hexadecimal digits, not all zero")

// ParsePersonKey reads a key as String writes it.
func ParsePersonKey(text string) (PersonKey, error) {
	var k PersonKey
	if n, err := hex.Decode(k[:], []byte(text[:min(len(text), 2*len(k))])); err != nil || n != len(k) || len(text) != 2*len(k) || k == (PersonKey{}) {
		return PersonKey{}, errPersonKey
	}
	return k, nil
}

// PersonKeyOf returns the key that events of a site with a visitor id have.
func PersonKeyOf(site, visitor string) PersonKey { return visitorKey(site, visitor) }

// String returns the key as 32 hexadecimal digits.
func (k PersonKey) String() string { return hex.EncodeToString(k[:]) }

// MarshalText implements encoding.TextMarshaler. The zero key is empty.
func (k PersonKey) MarshalText() ([]byte, error) {
	if k == (PersonKey{}) {
		return nil, nil
	}
	return hex.AppendEncode(nil, k[:]), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *PersonKey) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*k = PersonKey{}
		return nil
	}
	*k, err = ParsePersonKey(string(text))
	return err
}

// ErrEnded reports an event log that has been closed: nothing comes any more.
var ErrEnded = errors.New("the event log is closed")

// A Person is whose events a deletion is about.
type Person struct {
	Site string    `json:"site"`
	Key  PersonKey `json:"person"`
}

// A Forgetting is a person's deletion from the places that events flow on to.
type Forgetting struct {
	Person
	// At is when it was asked for; asking again begins it anew.
	At time.Time `json:"at"`
	// Before is the newest message that the event log held then. What the person
	// does later is not part of it.
	Before uint64 `json:"before"`
	// Number orders forgettings; it grows.
	Number uint64 `json:"number"`
	// Sinks say how far each is, by name.
	Sinks []SinkForgetting `json:"sinks"`
}

// A SinkForgetting says whether a sink has forgotten a person.
type SinkForgetting struct {
	Sink string `json:"sink"`
	Done bool   `json:"done"`
}

// States of a place that a person is erased from.
const (
	ErasureAbsent  = "absent"  // nothing of the person is there
	ErasurePending = "pending" // it goes by Due
	ErasureFound   = "found"   // a search found something all the same
	ErasureKept    = "kept"    // the note that the person was erased, which has their key
)

// An Erasure is how far the erasing of a person is.
type Erasure struct {
	Person
	// At is when it was asked for; asking again begins it anew.
	At time.Time `json:"at"`
	// Places are all that hold, or held, anything of a person.
	Places []ErasurePlace `json:"places"`
}

// Done reports whether no place waits.
func (e *Erasure) Done() bool {
	return !slices.ContainsFunc(e.Places, func(p ErasurePlace) bool { return p.State == ErasurePending || p.State == ErasureFound })
}

// An ErasurePlace is one place that a person is erased from.
type ErasurePlace struct {
	// Place is events, records, dead, erasures for the note of it, another store's
	// name, damaged for copies of damaged files, or sink and a sink's name.
	Place string `json:"place"`
	// State is one of the above.
	State string `json:"state"`
	// At is when the place was done, where that is known. Due is until when it is,
	// and for the note, until when that is kept.
	At  time.Time `json:"at,omitzero"`
	Due time.Time `json:"due,omitzero"`
	// Removed counts the events or records that were there before, Found the
	// messages, or events of a file, that a search finds still.
	Removed uint64 `json:"removed"`
	Found   uint64 `json:"found"`
	// Problem is why a search could not look at all of the place.
	Problem string `json:"problem,omitempty"`
}

// Traces are what a search for a person looks for: their key, and texts that
// stored events hold, like the visitor's id.
type Traces struct {
	Person
	Texts []string
}

// Why an event became a dead letter.
const (
	DeadUndecodable = "undecodable" // its bytes cannot be read
	DeadRefused     = "refused"     // the sink refused it for good, again and again
	DeadTooLarge    = "too_large"   // it is larger than the sink takes
	DeadFailed      = "failed"      // the receiver failed at it, again and again, and took others
)

// A DeadLetter is an event that a sink could not take. It is kept until it is
// sent again or dropped, its person is forgotten, or the event expires.
type DeadLetter struct {
	// ID names the letter: the sink, the message and the event's place in it.
	ID   string `json:"id"`
	Site string `json:"site"`
	Sink string `json:"sink"`
	// Seq and Index are the event's place in the log. Index is -1 for the rest of
	// a message that is damaged, of which nothing else is known.
	Seq   uint64 `json:"seq"`
	Index int    `json:"index"`
	// Reason is one of the codes above, Detail the same in words, without
	// anything of the visitor's.
	Reason string `json:"reason"`
	Detail string `json:"detail,omitempty"`
	// Tries is how often the sink was given the event, from First to Last.
	Tries int       `json:"tries"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// What the event is, as StoredEvent has it.
	Event       string           `json:"event,omitempty"`
	Name        string           `json:"name,omitempty"`
	Transaction string           `json:"transaction,omitempty"`
	Person      PersonKey        `json:"person,omitzero"`
	Purposes    consent.Purposes `json:"purposes"`
	EventAt     time.Time        `json:"eventAt,omitzero"`
	Received    time.Time        `json:"received"`
	Expires     time.Time        `json:"expires,omitzero"`
	// Body is the stored event; a list leaves it out.
	Body json.RawMessage `json:"body,omitempty"`
}

// Stored returns the event as the log held it.
func (d *DeadLetter) Stored() StoredEvent {
	return StoredEvent{
		Site: d.Site, ID: d.Event, Name: d.Name, Transaction: d.Transaction, Visitor: d.Person,
		Purposes: d.Purposes, At: d.EventAt, Expires: d.Expires, JSON: d.Body,
	}
}

// States of a sink.
const (
	SinkRunning = "running"
	SinkWaiting = "waiting" // it failed and is tried again
	SinkStopped = "stopped" // it is not tried again until the node is restarted
	SinkIdle    = "idle"    // no node runs it
)

// A SinkStatus tells how a sink does. Counts are since the node started.
type SinkStatus struct {
	Name  string `json:"name"`
	Kind  string `json:"kind,omitempty"`
	State string `json:"state"`
	// Problem is why it does not run, without anything of a visitor's.
	Problem string `json:"problem,omitempty"`
	// Position is the newest message of the log of which the sink has everything.
	Position uint64 `json:"position"`
	// Backlog is how many messages it does not have yet, at most: a message holds
	// the events of a site and commit group. Oldest is when the first of them was
	// stored, zero without any.
	Backlog uint64    `json:"backlog"`
	Oldest  time.Time `json:"oldest,omitzero"`
	// Written events are in the sink's hands; Skipped ones are none of its
	// business, by why: site, consent, expired, forgotten.
	Written uint64            `json:"written"`
	Skipped map[string]uint64 `json:"skipped,omitempty"`
	// Dead counts events that became dead letters, Lost messages that left the log
	// by age before the sink had them, Retries attempts that failed.
	Dead    uint64 `json:"dead"`
	Lost    uint64 `json:"lost"`
	Retries uint64 `json:"retries"`
	// Forgetting is how many deletions of persons wait for the sink.
	Forgetting int `json:"forgetting"`
}
