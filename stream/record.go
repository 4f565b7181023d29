// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// A record frame is one message of the records' stream: the decision records of
// one site that were stored together.
//
//	frame  = version:u8 count:u32 members crc:u32
//	members = record…
//	record = flags:u8 at:i64 [visitor:16 bytes] bytes
//
// The rest is as in a frame of events, packing too.
const (
	recordFrameVersion = 1
	recordMinBytes     = 1 + 8 + 2 // flags, at; a length and a byte
)

const (
	recordFlagVisitor = 1 << iota
	recordFlagsKnown  = recordFlagVisitor
)

// recordBytes is the most that appendRecord adds for r.
func recordBytes(r *edge.Record) int {
	return 1 + 8 + 16 + binary.MaxVarintLen32 + len(r.Bytes())
}

// appendRecord adds a record to a frame.
func appendRecord(frame []byte, r *edge.Record) []byte {
	flags := len(frame)
	frame = append(frame, 0)
	frame = binary.LittleEndian.AppendUint64(frame, uint64(r.At().UnixMilli()))
	if v := r.Visitor(); v != [16]byte{} {
		frame[flags] |= recordFlagVisitor
		frame = append(frame, v[:]...)
	}
	return appendText(frame, r.Bytes())
}

// nextRecord reads the next record into rec, all but the site. It returns
// false, nil after the last one. rec.Bytes borrows the frame.
func (r *frameReader) nextRecord(rec *edge.StoredRecord) (bool, error) {
	if r.more == 0 {
		return false, r.end()
	}
	r.more--
	*rec = edge.StoredRecord{}
	head := r.take(1 + 8)
	if head == nil || head[0]&^recordFlagsKnown != 0 {
		return false, fmt.Errorf("%w: bad record head", errFrame)
	}
	rec.At = millis(head[1:])
	ok := true
	if head[0]&recordFlagVisitor != 0 {
		ok = copy(rec.Visitor[:], r.take(16)) == 16
	}
	body, okBody := r.text(edge.MaxRecordBytes)
	if !ok || !okBody || len(body) == 0 {
		return false, fmt.Errorf("%w: record is cut short or too long", errFrame)
	}
	rec.Bytes = body
	return true, nil
}

// recordMargin is how far a record's own time and that of its message may be
// apart: the time in the queue, and the clock set meanwhile.
const recordMargin = time.Minute

// Records calls each for every decision record of site, for all sites when site
// is "", that was made from from on and before to, one at a time, in the order
// in which they were stored. A record past its expiry is skipped; so is a
// damaged frame, which is logged and counted. The record's bytes are valid
// until each returns. Records that are stored meanwhile may or may not be
// given.
//
// Records returns nil after the last one, or the error of each or ctx.
func (s *Stream) Records(ctx context.Context, site string, from, to time.Time, each func(edge.StoredRecord) error) error {
	r := recordReader{s: s, from: from, to: to, each: each, at: position{subject: recordSubject + "*", since: from.Add(-recordMargin)}}
	switch {
	case site == "":
	case edge.ValidSite(site):
		r.at.subject = recordSubject + site
	default:
		return fmt.Errorf("read decision records: %w: %w", ErrInvalid, errSite)
	}
	err := s.scanWith(ctx, r.read)
	switch {
	case r.err != nil:
		return r.err
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("read decision records: %w", err)
	}
	return nil
}

// A recordReader is one call of Records.
type recordReader struct {
	s        *Stream
	from, to time.Time
	each     func(edge.StoredRecord) error
	at       position // the next message
	frame    frameReader
	last     uint64 // the newest message when reading began
	err      error  // what each returned
}

func (r *recordReader) read(ctx context.Context, b *broker) error {
	if r.last == 0 {
		info, err := b.records.Info(ctx)
		if err != nil {
			return err
		}
		r.last = info.State.LastSeq
	}
	return r.s.readLog(ctx, b, recordLog, &r.at, r.last, r.take)
}

// take hands the records of one message on.
func (r *recordReader) take(m message) error {
	r.at.seq = m.seq + 1
	if m.stored.After(r.to.Add(recordMargin)) {
		return errEnd
	}
	err := r.frame.open(m.data, recordFrameVersion, recordMinBytes)
	now := r.s.clock.now()
	for err == nil {
		var rec edge.StoredRecord
		var more bool
		if more, err = r.frame.nextRecord(&rec); !more {
			break
		}
		if rec.At.Before(r.from) || !rec.At.Before(r.to) || !now.Before(rec.At.Add(edge.RecordAge)) {
			continue
		}
		rec.Site = strings.TrimPrefix(m.subject, recordSubject)
		if r.err = r.each(rec); r.err != nil {
			return errEnd
		}
	}
	if err != nil {
		r.s.damaged(m, err)
	}
	return nil
}
