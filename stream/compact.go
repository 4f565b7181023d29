// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

// A compaction takes persons out of a site's messages of one log.
type compaction struct {
	*erasePass
	log   target
	site  string
	at    position
	last  uint64 // the newest message that has to be looked at
	frame frameReader
	buf   []byte
	room  []byte
}

// read looks at the messages that there are, and writes anew those that hold one
// of the persons. It can be called again when it was interrupted.
func (c *compaction) read(ctx context.Context, b *broker) error {
	if err := c.known(ctx, b); err != nil {
		return err
	}
	if c.last == 0 {
		info, err := b.streamOf(c.log).Info(ctx)
		if err != nil {
			return err
		}
		c.last = info.State.LastSeq
		if c.log == eventLog {
			c.last = 0
			for p, f := range c.persons {
				if p.Site == c.site {
					c.last = max(c.last, f.before)
				}
			}
		}
	}
	scan, err := c.s.scanLog(ctx, b, c.log, c.at)
	if err != nil {
		return err
	}
	defer scan.close()
	var left []uint64 // written anew, and in the log still
	var hits []uint64 // to be written anew
	scan.left = func(number uint64) { left = append(left, number) }
	look := func(m message) error {
		if m.seq > c.last {
			return errEnd
		}
		if c.holds(&m) {
			hits = append(hits, m.seq)
		}
		return nil
	}
	for {
		n, err := scan.batch(ctx, look)
		if n == 0 && err == nil {
			var more uint64
			if more, err = scan.pending(ctx); err == nil && more == 0 {
				if err = scan.end(ctx, look); err == nil {
					err = errEnd
				}
			}
		}
		if err != nil && !errors.Is(err, errEnd) {
			return err
		}
		if workErr := c.work(ctx, b, hits, left); workErr != nil {
			return workErr
		}
		if err != nil {
			return nil
		}
		hits, left = hits[:0], left[:0]
		c.at.seq = max(c.at.seq, scan.next)
	}
}

// known reads what was written anew again where it may be more than the Stream
// knows: the answer to a write can be lost with the server.
func (e *erasePass) known(ctx context.Context, b *broker) error {
	if e.s.unsure || e.b != nil && e.b != b {
		e.s.unsure = true
		if err := e.s.checkRoom(); err != nil {
			return err
		}
		if err := e.s.loadRewrites(ctx, b); err != nil {
			return err
		}
	}
	e.s.unsure, e.b = false, b
	return nil
}

// erases reports whether something in message seq, of a time, is to go.
func (c *compaction) erases(key edge.PersonKey, seq uint64, at time.Time) (edge.Person, bool) {
	p := edge.Person{Site: c.site, Key: key}
	f, ok := c.persons[p]
	if !ok {
		return p, false
	}
	if c.log == recordLog {
		return p, !at.After(f.at)
	}
	return p, seq <= f.before
}

// holds reports whether a message holds something that is to go. A damaged one is
// told of, and what can be read of it is looked at.
func (c *compaction) holds(m *message) (found bool) {
	_, err := c.each(m, func(_ []byte, p edge.Person, erased bool) { found = found || erased })
	if err != nil {
		c.s.damaged(*m, err)
	}
	return found
}

// each calls fn with the bytes of each member of a message, whose it is and whether
// it is to go. version is what the message has when it is written anew.
func (c *compaction) each(m *message, fn func(member []byte, p edge.Person, erased bool)) (version byte, err error) {
	if c.log == recordLog {
		err = c.frame.open(m.data, recordFrameVersion, recordMinBytes)
		version = recordFrameVersion
	} else {
		err = c.frame.openEvents(m.data)
		version = frameRewritten
	}
	for err == nil {
		before := c.frame.left
		var key edge.PersonKey
		var at time.Time
		var more bool
		if c.log == recordLog {
			var r edge.StoredRecord
			more, err = c.frame.nextRecord(&r)
			key, at = r.Visitor, r.At
		} else {
			var e edge.StoredEvent
			more, err = c.frame.next(&e)
			key, at = e.Visitor, e.At
		}
		if err != nil || !more {
			break
		}
		p, erased := c.erases(key, m.seq, at)
		fn(before[:len(before)-len(c.frame.left)], p, erased)
	}
	return version, err
}

// work writes messages anew, and then wipes what they were before.
func (c *compaction) work(ctx context.Context, b *broker, hits, left []uint64) error {
	if err := c.s.checkRoom(); err != nil && len(hits) > 0 {
		return err
	}
	gone := map[string][]uint64{c.log.stream: left}
	for _, number := range hits {
		m, inLog, err := c.current(ctx, b, number)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // its time was over
		}
		if err != nil {
			return err
		}
		if err := c.s.reach("rewrite"); err != nil {
			return err
		}
		old, err := c.rewrite(ctx, b, &m)
		if err != nil {
			return err
		}
		if old != 0 {
			gone[rewrittenStream] = append(gone[rewrittenStream], old)
		}
		if inLog {
			gone[c.log.stream] = append(gone[c.log.stream], number)
		}
	}
	if err := c.s.reach("rewritten"); err != nil {
		return err
	}
	for store, seqs := range gone {
		if err := c.s.wipe(ctx, b, store, seqs); err != nil {
			return err
		}
	}
	return nil
}

// current reads a message as it is now, and reports whether it is in its log.
func (c *compaction) current(ctx context.Context, b *broker, number uint64) (m message, inLog bool, err error) {
	if m, ok, err := c.s.newestRewrite(ctx, b, c.log, number); ok || err != nil {
		return m, false, err
	}
	msg, err := b.streamOf(c.log).GetMsg(ctx, number)
	if err != nil {
		return m, false, err
	}
	return message{seq: number, subject: msg.Subject, stored: msg.Time.UTC(), data: msg.Data}, true, nil
}

// rewrite stores a message without the persons, and returns the number of the one
// that gives way to it in the store, 0 for none.
func (c *compaction) rewrite(ctx context.Context, b *broker, m *message) (old uint64, err error) {
	counts := map[edge.Person]uint64{}
	c.buf = newFrame(c.buf, frameRewritten)
	kept := 0
	version, err := c.each(m, func(member []byte, p edge.Person, erased bool) {
		switch {
		case !erased:
			c.buf = append(c.buf, member...)
			kept++
		case c.log == eventLog:
			c.buf = append(c.buf, flagErased)
			counts[p]++
			kept++
		default:
			counts[p]++
		}
	})
	if err != nil {
		// What follows cannot be read, and may be anybody's.
		c.s.o.Logger.Error("what cannot be read of a message goes with an erasure", "log", storeNames[c.log.stream], "seq", m.seq, "error", err)
	}
	c.buf[0] = version
	sealed, packed := packFrame(c.room, c.buf, kept)
	if packed {
		c.room = sealed
	} else {
		c.buf = sealed
	}
	replaced, err := c.s.putRewrite(ctx, b, c.log, m, sealed)
	if err != nil {
		return 0, err
	}
	c.s.mu.Lock()
	c.s.stats.Rewritten++
	for p, n := range counts {
		if c.log == eventLog {
			c.done[p].Events += n
			c.s.stats.ErasedEvents += n
		} else {
			c.done[p].Records += n
			c.s.stats.ErasedRecords += n
		}
	}
	c.s.mu.Unlock()
	return replaced.seq, nil
}
