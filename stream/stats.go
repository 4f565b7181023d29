// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Stats are a Stream's counts since Open, and its state.
type Stats struct {
	// QueuedEvents and QueuedBytes wait to be stored.
	QueuedEvents, QueuedBytes int
	// Stored events were acknowledged by the disk, in Groups commit groups and
	// Frames messages.
	Stored, Groups, Frames uint64
	// Repeats are events that were known and not stored again.
	Repeats uint64
	// Refused events met a full queue or a log that was down.
	Refused uint64
	// Late counts calls of Publish, and of Submit that were given up, whose wait ended before the disk answered.
	Late uint64
	// Failed groups were not stored, or not whole.
	Failed uint64
	// Replaced counts how often the server was replaced after a write error or
	// a lost connection.
	Replaced uint64
	// Remembered is how many events and transactions would be recognised.
	Remembered int
	// Forgotten counts those forgotten before their day was over, because the
	// index was full.
	Forgotten uint64
	// RecordsStored decision records were acknowledged by the disk, in
	// RecordFrames messages. RecordsDropped were not: there was no room, or their
	// message failed.
	RecordsStored, RecordFrames, RecordsDropped uint64
	// Expired messages of events or records were deleted because they had been
	// kept long enough. Dropped messages of events gave way to newer ones.
	Expired, Dropped uint64
	// Rewritten messages were written anew without what an erasure took:
	// ErasedEvents events and ErasedRecords decision records. ErasedLate events and
	// records were not stored because they came after their person was erased.
	// ErasuresWaiting persons are yet to be erased from the logs, the first of them
	// since ErasureWaitsSince, which is zero without any.
	Rewritten, ErasedEvents, ErasedRecords, ErasedLate uint64
	ErasuresWaiting                                    int
	ErasureWaitsSince                                  time.Time
	// Damaged counts stored frames that could not be read, and those that were
	// found damaged by Open.
	Damaged uint64
	// RecordBytesQueued wait to be stored as decision records.
	RecordBytesQueued int
	// LogBytes is the size of the event log.
	LogBytes uint64
	// Stores are what lies on disk, the event log included, sorted by name.
	Stores []StoreSize
	// Err is why events are not being stored just now, or nil.
	Err error
}

// A StoreSize is how much a store of the data directory holds.
type StoreSize struct {
	// Name is one word: audit, dead, events, flow, items, ledger, modules,
	// pointers, records, releases, reserve or rewritten. Pointers say which releases are live; flow is
	// how far sinks are and whom they must forget.
	Name string
	// Messages are the store's units: groups of events or of records, audit
	// entries, notes, pieces of modules and of release documents.
	Messages, Bytes uint64
	// MaxBytes is how many bytes it may hold; more than it can have are refused,
	// but decision records make room by letting the oldest go.
	MaxBytes uint64
}

// statsWait bounds how long Stats asks for the stores' sizes; past it the last
// known ones are given.
const statsWait = time.Second

// Stats returns the counts so far.
func (s *Stream) Stats() Stats {
	b := s.held()
	ctx, cancel := context.WithTimeout(b.life, statsWait)
	defer cancel()
	sizes, first := b.sizes(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, size := range sizes {
		if size.Name == "events" {
			s.stats.LogBytes = size.Bytes
		}
	}
	if len(sizes) > 0 {
		s.stats.Stores = sizes
		s.noteFront(first)
	}
	st := s.stats
	for _, f := range s.unerased() {
		st.ErasuresWaiting++
		if st.ErasureWaitsSince.IsZero() || f.at.Before(st.ErasureWaitsSince) {
			st.ErasureWaitsSince = f.at
		}
	}
	st.QueuedEvents, st.QueuedBytes = s.queued.events, s.queued.bytes
	st.RecordBytesQueued = s.recorder.bytes
	st.Remembered = s.index.live - s.index.dead
	st.Forgotten = s.index.early
	st.Err = s.trouble()
	return st
}

// sizes asks the server for the size of each store, and for the number of the
// oldest message of the event log. It returns nil when the server does not answer.
func (b *broker) sizes(ctx context.Context) (sizes []StoreSize, first uint64) {
	list := b.js.ListStreams(ctx)
	for info := range list.Info() {
		if info.Config.Name == eventStream {
			first = info.State.FirstSeq
		}
		if name := storeNames[info.Config.Name]; name != "" {
			sizes = append(sizes, StoreSize{name, info.State.Msgs, info.State.Bytes, uint64(max(0, info.Config.MaxBytes))})
		}
	}
	if list.Err() != nil {
		return nil, 0
	}
	slices.SortFunc(sizes, func(a, b StoreSize) int { return cmp.Compare(a.Name, b.Name) })
	return sizes, first
}
