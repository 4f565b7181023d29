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

// A recorder has the decision records that wait to be stored. A goroutine of its
// own stores them, at a pace of its own, so that no event waits for them. While it
// waits for the disk, records gather for a later batch.
type recorder struct {
	frames  frameMaker
	filling []*frame
	waiting int    // bytes in filling, as recordBytes counts
	taken   uint64 // records so far
	settled uint64 // those of them whose fate is known
	bytes   int    // the same, and those on their way

	failing error // why the last batch was not stored whole
	down    error // why the broker takes no records
	retry   time.Time
	pause   time.Duration

	wake  chan struct{} // there are records to store
	hurry chan struct{} // there are many
}

// Record implements edge.Publisher: the record is stored within RecordWindow or
// soon after, and is synced like events. Nobody is told: when the log is down or
// the disk is slower than what comes, records are dropped and counted in Stats,
// and what the process has not yet handed over when it is killed is lost. A record
// that fails never costs an event.
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
	case s.Erased(edge.Person{Site: r.Site(), Key: r.Visitor()}, r.At()):
		s.stats.ErasedLate++
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
	if len(q.filling) == 0 {
		signal(q.wake)
	}
	f := q.frames.frame(&q.filling, frameSpec{r.Site(), recordFrameVersion, n})
	f.buf = appendRecord(f.buf, r)
	f.count++
	q.taken++
	q.waiting += n
	q.bytes += n
	if q.waiting >= hurryBytes {
		signal(q.hurry)
	}
}

// runRecords stores records until the Stream is closed, and what waits then.
func (s *Stream) runRecords() {
	q := &s.recorder
	window := time.NewTimer(0)
	defer window.Stop()
	for {
		select {
		case <-q.wake:
		case <-s.closing:
			s.storeRecords()
			return
		}
		select {
		case <-window.C:
		case <-q.hurry:
		case <-s.closing:
		}
		window.Reset(s.o.RecordWindow)
		s.storeRecords()
	}
}

// storeRecords stores the records that wait, unless nothing can be stored.
func (s *Stream) storeRecords() {
	s.mu.Lock()
	q := &s.recorder
	b, frames := s.broker, q.filling
	if s.down != nil || q.down != nil || len(frames) == 0 {
		s.mu.Unlock()
		return
	}
	q.filling, q.waiting = nil, 0
	clear(q.frames.open)
	s.mu.Unlock()
	_, err := store(b, recordLog, frames)
	s.settleRecords(b, frames, err)
}

// settleRecords notes what became of a batch that a broker was given.
func (s *Stream) settleRecords(b *broker, frames []*frame, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.recorder
	for _, f := range frames {
		q.bytes -= f.bytes
		q.settled += uint64(f.count)
		if !f.stored {
			s.stats.RecordsDropped += uint64(f.count)
			continue
		}
		s.stats.RecordsStored += uint64(f.count)
		s.stats.RecordFrames++
	}
	q.frames.recycle(frames)
	switch {
	case err == nil:
		q.pause = recordRetryMin
	case q.failing == nil:
		s.o.Logger.Error("decision records are not stored", "error", err)
	}
	q.failing = err
	if errors.As(err, new(*lostError)) && !b.gone() {
		q.down, q.retry = err, time.Now().Add(q.pause)
	}
}

// recordsUp takes records again. s.mu is held.
func (s *Stream) recordsUp() {
	s.recorder.down = nil
	if len(s.recorder.filling) > 0 {
		signal(s.recorder.wake)
	}
}
