// SPDX-License-Identifier: Apache-2.0

package edge

import "time"

// RecordAge is how long a decision record is kept.
const RecordAge = 7 * 24 * time.Hour

// MaxRecordBytes bounds the bytes of one decision record. One that would be
// larger is not made.
const MaxRecordBytes = 64 << 10

// A Record is what one beacon's decisions were made of, as it may be kept:
// consented fields only, under measure only, without the state, and without a
// visitor unless storage was granted. Only the engine makes one.
type Record struct {
	site    string
	visitor [16]byte
	at      time.Time
	body    []byte
}

// Site returns the record's site.
func (r *Record) Site() string { return r.site }

// Visitor returns the key by which a person's records are found, the same as
// that of the person's events; zero without one.
func (r *Record) Visitor() [16]byte { return r.visitor }

// At returns when the decisions were made, by our clock.
func (r *Record) At() time.Time { return r.at }

// Expires returns when the record must no longer be kept.
func (r *Record) Expires() time.Time { return r.at.Add(RecordAge) }

// Bytes returns the record in its own encoding. They belong to the request
// that made it.
func (r *Record) Bytes() []byte { return r.body }

// A StoredRecord is a decision record as a log holds it, for code that reads
// one back.
type StoredRecord struct {
	Site    string
	Visitor [16]byte
	At      time.Time
	Bytes   []byte
}

// Record returns the record that was stored. It keeps s.Bytes.
func (s StoredRecord) Record() Record {
	return Record{site: s.Site, visitor: s.Visitor, at: s.At, body: s.Bytes}
}
