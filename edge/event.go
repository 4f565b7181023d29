// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// EventVersion is the version of the stored event. Members are only added.
const EventVersion = 1

// An Event is something that happened, as it may be stored. Only the engine
// makes one, through a View, so a refused value cannot be in it. An Event is
// immutable; its memory belongs to the request that made it.
type Event struct {
	site    string
	id      string
	name    string
	txn     string
	visitor [16]byte
	granted consent.Purposes
	at      time.Time
	expires time.Time
	body    []byte
}

// MaxEventAge is how old an event may be when it arrives: a queue that a
// browser kept over a week-end still counts, and the age stays well within a
// browser clock's honesty.
const MaxEventAge = 72 * time.Hour

// MaxStoredBytes bounds what the events of one beacon may take in the log
// together. Sixty-four usual events take a third of it; without a bound a small
// beacon could grow two hundredfold, since each event repeats what all share.
const MaxStoredBytes = 128 << 10

// maxEventAhead is how much later than its beacon an event may claim to have
// happened, for clocks that are read in two steps.
const maxEventAhead = 5 * time.Second

// Site returns the event's site.
func (e *Event) Site() string { return e.site }

// ID returns the event's id, unique within its site for a day.
func (e *Event) ID() string { return e.id }

// Name returns the event's name, for example "page_view".
func (e *Event) Name() string { return e.name }

// Transaction returns the purchase or refund's transaction id, or "". Events
// of one site, name and transaction are the same event, whatever their ids.
func (e *Event) Transaction() string { return e.txn }

// Visitor returns the key by which a person's events are found, zero without
// one. It is derived from the visitor id, never the id itself.
func (e *Event) Visitor() [16]byte { return e.visitor }

// Purposes returns what was granted when the event happened.
func (e *Event) Purposes() consent.Purposes { return e.granted }

// At returns when it happened, by our clock.
func (e *Event) At() time.Time { return e.at }

// Expires returns when the event must no longer be kept.
func (e *Event) Expires() time.Time { return e.expires }

// JSON returns the stored event: one JSON object without line breaks.
func (e *Event) JSON() []byte { return e.body }

// A StoredEvent is an event as a log holds it, for code that reads one back:
// what is in it was made through a View when it was first stored.
type StoredEvent struct {
	Site, ID, Name, Transaction string
	Visitor                     [16]byte
	Purposes                    consent.Purposes
	At, Expires                 time.Time
	JSON                        []byte
}

// Erased reports a place in the log whose event was erased with its person.
// Nothing else of it is known, but its site.
func (s *StoredEvent) Erased() bool { return s.ID == "" }

// Event returns the event that was stored. It keeps s.JSON.
func (s StoredEvent) Event() Event {
	return Event{
		site: s.Site, id: s.ID, name: s.Name, txn: s.Transaction, visitor: s.Visitor,
		granted: s.Purposes, at: s.At, expires: s.Expires, body: s.JSON,
	}
}
