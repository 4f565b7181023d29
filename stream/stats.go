// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"time"
)

// Stats are a Stream's counts since Open, and its state.
type Stats struct {
	// QueuedEvents and QueuedBytes wait to be stored.
	QueuedEvents, QueuedBytes int
	// Stored events were acknowledged by the disk, in Groups commit groups and
	// Frames messages of FrameBytes bytes.
	Stored, Groups, Frames, FrameBytes uint64
	// Repeats are events that were known and not stored again.
	Repeats uint64
	// Refused events met a full queue or a log that was down.
	Refused uint64
	// Late counts calls of Publish whose wait ended before the disk answered.
	Late uint64
	// Failed groups were not stored, or not whole.
	Failed uint64
	// Replaced counts how often the server was replaced after a write error.
	Replaced uint64
	// Remembered is how many events and transactions would be recognised.
	Remembered int
	// Forgotten counts those forgotten before their day was over, because the
	// index was full.
	Forgotten uint64
	// Damaged counts stored frames that could not be read.
	Damaged uint64
	// LogBytes is the size of the event log, LogSeq its newest message.
	LogBytes, LogSeq uint64
	// Err is why events are not being stored just now, or nil.
	Err error
}

// statsWait bounds how long Stats asks for the log's size; past it the last
// known size is given.
const statsWait = time.Second

// Stats returns the counts so far.
func (s *Stream) Stats() Stats {
	b := s.held()
	ctx, cancel := context.WithTimeout(b.life, statsWait)
	defer cancel()
	_, size, _ := b.lastSeq(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if size > 0 {
		s.stats.LogBytes = size
	}
	st := s.stats
	st.QueuedEvents, st.QueuedBytes = s.queued.events, s.queued.bytes
	st.Remembered = s.index.live - s.index.dead
	st.Forgotten = s.index.early
	st.LogSeq = s.stored
	st.Err = s.trouble()
	return st
}
