// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"time"

	"github.com/nearside/nearside/edge"
)

// recordShare: records may wait in this part of MaxQueuedBytes, beside it, so
// that they never take an event's room.
const recordShare = 4

const (
	// recordRetryMin and recordRetryMax bound the pause before a broker that
	// takes no records is looked at.
	recordRetryMin = time.Second
	recordRetryMax = 10 * time.Minute
)

// A recorder has the decision records that wait to be stored. They go with the
// commit group of the moment, in frames of their own, and the disk syncs both
// at once; but a goroutine of their own waits for their acknowledgement, so
// that no event does. While it waits, records gather for a later group.
type recorder struct {
	frames  frameMaker
	filling []*frame
	bytes   int  // as recordBytes counts, in filling and on their way
	busy    bool // some are on their way

	failing error // why the last batch was not stored whole
	down    error // why the broker takes no records
	retry   time.Time
	pause   time.Duration

	batches chan recordBatch // has room for the one on its way and a last one
}

// A recordBatch is what goes with one commit group.
type recordBatch struct {
	b      *broker
	frames []*frame
}

// Record implements edge.Publisher: the record goes with the next commit group,
// or the one after, and is synced like events. Nobody is told: when the log is
// down or the disk is slower than what comes, records are dropped and counted
// in Stats, and what the process has not yet handed over when it is killed is
// lost. A record that fails never costs an event.
func (s *Stream) Record(r *edge.Record) {
	n := recordBytes(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.recorder
	switch {
	case s.closed, s.down != nil, q.bytes+n > s.o.MaxQueuedBytes/recordShare,
		!edge.ValidSite(r.Site()), len(r.Bytes()) == 0, len(r.Bytes()) > edge.MaxRecordBytes:
		s.stats.RecordsDropped++
		return
	case q.down != nil:
		s.stats.RecordsDropped++
		if now := time.Now(); now.After(q.retry) {
			q.retry = now.Add(q.pause)
			q.pause = min(2*q.pause, recordRetryMax)
			signal(s.suspect)
		}
		return
	}
	if len(q.filling) == 0 && s.filling.events == 0 {
		signal(s.wake)
	}
	f := q.frames.frame(&q.filling, frameSpec{r.Site(), recordFrameVersion, n})
	f.buf = appendRecord(f.buf, r)
	f.count++
	q.bytes += n
}

// handRecords gives the records that wait to the recorder's goroutine, if it is
// free, and reports whether it did. s.mu is held.
func (s *Stream) handRecords() bool {
	q := &s.recorder
	if q.busy || q.down != nil || len(q.filling) == 0 {
		return false
	}
	q.batches <- recordBatch{s.broker, q.filling}
	q.busy, q.filling = true, nil
	clear(q.frames.open)
	return true
}

// runRecords stores batches until there are no more.
func (s *Stream) runRecords() {
	for batch := range s.recorder.batches {
		_, err := store(batch.b, recordLog, batch.frames)
		s.settleRecords(batch, err)
	}
}

// settleRecords notes what became of a batch.
func (s *Stream) settleRecords(batch recordBatch, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.recorder
	for _, f := range batch.frames {
		q.bytes -= f.bytes
		if !f.stored {
			s.stats.RecordsDropped += uint64(f.count)
			continue
		}
		s.stats.RecordsStored += uint64(f.count)
		s.stats.RecordFrames++
	}
	q.frames.recycle(batch.frames)
	q.busy = false
	if len(q.filling) > 0 {
		signal(s.wake)
	}
	switch {
	case err == nil:
		q.pause = recordRetryMin
	case q.failing == nil:
		s.o.Logger.Error("decision records are not stored", "error", err)
	}
	q.failing = err
	if errors.As(err, new(*lostError)) && !batch.b.gone() {
		q.down, q.retry = err, time.Now().Add(q.pause)
	}
}

// recordsUp takes records again. s.mu is held.
func (s *Stream) recordsUp() {
	s.recorder.down = nil
	if len(s.recorder.filling) > 0 {
		signal(s.wake)
	}
}

// drainRecords stores what waits, and ends the recorder's goroutine. It is for
// a closed Stream, to which nothing comes any more.
func (s *Stream) drainRecords() {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.recorder
	if s.down == nil && q.down == nil && len(q.filling) > 0 {
		q.batches <- recordBatch{s.broker, q.filling}
		q.filling = nil
	}
	close(q.batches)
}
