// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"fmt"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// A group is what one commit stores: the events that came while the one before
// was on its way. All who put something in share its fate:
// it is their edge.Pending.
type group struct {
	stream *Stream
	seq    uint32
	frames []*frame
	events int
	bytes  int           // as eventBytes counts, the same as in Stream.queued
	done   chan struct{} // closed when the fate is known
	err    error         // nil or edge.ErrUnavailable; set before done is closed
}

func (s *Stream) newGroup(seq uint32) *group {
	return &group{stream: s, seq: seq, done: make(chan struct{})}
}

// A frame is a message in the making.
type frame struct {
	site   string
	buf    []byte
	packed []byte // memory for the sealed frame
	keys   []key  // what the index must forget if the frame is not stored
	count  int    // events or records
	bytes  int    // as eventBytes or recordBytes counts
	stored bool
}

// seal ends the frame and returns the message, which is valid as long as nobody
// takes the frame anew.
func (f *frame) seal() []byte {
	sealed, isPacked := packFrame(f.packed, f.buf, f.count)
	if isPacked {
		f.packed = sealed
	} else {
		f.buf = sealed
	}
	return sealed
}

// A frameMaker finds the frame an event goes into and keeps the memory of
// frames that are through.
type frameMaker struct {
	open map[string]*frame // the unfinished frame per site
	free []*frame
}

// maxFreeFrames bounds the memory kept for later frames: 16 of MaxFrameBytes,
// and as many packed, are 16 MB at most.
const maxFreeFrames = 16

// A frameSpec says which frame to find: a site's, of a version, with room for
// more bytes.
type frameSpec struct {
	site    string
	version byte
	bytes   int
}

// frame returns the last of some frames that spec asks for, or adds one to them,
// and counts spec's bytes in it.
func (m *frameMaker) frame(of *[]*frame, spec frameSpec) *frame {
	f := m.open[spec.site]
	if f != nil && len(f.buf)+spec.bytes+frameTailBytes <= MaxFrameBytes {
		f.bytes += spec.bytes
		return f
	}
	if last := len(m.free) - 1; last >= 0 {
		f, m.free = m.free[last], m.free[:last]
		*f = frame{site: f.site, buf: f.buf, packed: f.packed, keys: f.keys[:0]}
	} else {
		f = &frame{}
	}
	if f.site != spec.site {
		f.site = strings.Clone(spec.site) // outlives the event
	}
	f.buf, f.bytes = newFrame(f.buf, spec.version), spec.bytes
	if m.open == nil {
		m.open = make(map[string]*frame)
	}
	m.open[f.site] = f
	*of = append(*of, f)
	return f
}

// recycle takes frames back.
func (m *frameMaker) recycle(frames []*frame) {
	for _, f := range frames {
		if len(m.free) == maxFreeFrames {
			break
		}
		m.free = append(m.free, f)
	}
}

// A ticket is one call of Publish or Submit: its events' keys and the groups whose fate
// it waits for. There are never more than two: the one being stored and the
// one being filled.
type ticket struct {
	hash  hasher
	ids   []key
	txns  []key // zero without a transaction
	sizes []int
	bytes int
	wait  [2]*group
	timer *time.Timer
}

// prepare checks and hashes the events, outside the Stream's lock.
func (t *ticket) prepare(events []edge.Event) error {
	t.ids, t.txns, t.sizes, t.bytes = t.ids[:0], t.txns[:0], t.sizes[:0], 0
	for i := range events {
		e := &events[i]
		if err := checkEvent(e); err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
		var txn key
		if e.Transaction() != "" {
			txn = t.hash.transaction(e.Site(), e.Name(), e.Transaction())
		}
		n := eventBytes(e)
		t.ids, t.txns, t.sizes = append(t.ids, t.hash.event(e.Site(), e.ID())), append(t.txns, txn), append(t.sizes, n)
		t.bytes += n
	}
	return nil
}

// waitFor adds a group whose fate the ticket shares.
func (t *ticket) waitFor(g *group) {
	switch {
	case t.wait[0] == nil || t.wait[0] == g:
		t.wait[0] = g
	default:
		t.wait[1] = g
	}
}

// Publish implements edge.Publisher. Events are copied once, into the group's
// message. A full queue, a log that is down and a closed Stream give
// edge.ErrUnavailable at once; so does a wait of zero or less, unless every
// event is kept already, and the events are stored all the same. The error is
// ErrEvent, and none is stored, when an event can never be.
func (s *Stream) Publish(events []edge.Event, wait time.Duration) error {
	t := s.tickets.Get().(*ticket)
	defer s.tickets.Put(t)
	p, err := s.submit(events, t)
	if p == nil {
		return err
	}
	if t.timer == nil {
		t.timer = time.NewTimer(wait)
	} else {
		t.timer.Reset(wait)
	}
	defer t.timer.Stop()
	select {
	case <-p.Done():
		return p.Err()
	case <-t.timer.C:
		p.GiveUp(1)
		return edge.ErrUnavailable
	}
}

// Submit implements edge.Publisher, with the errors of Publish.
func (s *Stream) Submit(events []edge.Event) (edge.Pending, error) {
	t := s.tickets.Get().(*ticket)
	defer s.tickets.Put(t)
	return s.submit(events, t)
}

func (s *Stream) submit(events []edge.Event, t *ticket) (edge.Pending, error) {
	if err := t.prepare(events); err != nil {
		return nil, err
	}
	if err := s.enqueue(events, t); err != nil {
		return nil, err
	}
	groups := t.wait
	t.wait = [2]*group{}
	switch {
	case groups[0] == nil:
		return nil, nil
	case groups[1] == nil:
		return groups[0], nil
	}
	before, last := groups[0], groups[1]
	if before.seq == last.seq+1 { // the new event came before the repeated one
		before, last = last, before
	}
	return &groupPair{last, before}, nil
}

// Done implements edge.Pending.
func (g *group) Done() <-chan struct{} { return g.done }

// Err implements edge.Pending.
func (g *group) Err() error { return g.err }

// GiveUp implements edge.Pending.
func (g *group) GiveUp(calls int) {
	g.stream.mu.Lock()
	g.stream.stats.Late += uint64(calls)
	g.stream.mu.Unlock()
}

// A groupPair is a group and the one before it, whose fate is known earlier.
type groupPair struct {
	*group
	before *group
}

// Err implements edge.Pending.
func (p *groupPair) Err() error {
	if p.before.err != nil {
		return p.before.err
	}
	return p.err
}

// enqueue puts the new ones among the events into the filling group.
func (s *Stream) enqueue(events []edge.Event, t *ticket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.down != nil ||
		s.queued.events+len(events) > s.o.MaxQueuedEvents || s.queued.bytes+t.bytes > s.o.MaxQueuedBytes {
		s.stats.Refused += uint64(len(events))
		return edge.ErrUnavailable
	}
	for i := range events {
		e := &events[i]
		if s.Erased(edge.Person{Site: e.Site(), Key: e.Visitor()}, e.At()) {
			s.stats.ErasedLate++ // the engine refuses all but what was under way
			continue
		}
		known, seq := s.known(t.ids[i], t.txns[i])
		if known {
			s.stats.Repeats++
			if g := s.inFlight(seq); g != nil {
				t.waitFor(g)
			}
			continue
		}
		g := s.filling
		if g.events == 0 {
			s.index.open(g.seq, time.Now())
			signal(s.wake)
		}
		f := s.frames.frame(&g.frames, frameSpec{e.Site(), frameVersion, t.sizes[i]})
		f.buf = appendEvent(f.buf, e)
		f.count++
		f.keys = append(f.keys, t.ids[i])
		s.index.add(t.ids[i], g.seq)
		if t.txns[i] != (key{}) {
			f.keys = append(f.keys, t.txns[i])
			s.index.add(t.txns[i], g.seq)
		}
		g.events++
		g.bytes += t.sizes[i]
		s.queued.events++
		s.queued.bytes += t.sizes[i]
		t.waitFor(g)
	}
	if s.filling.bytes >= hurryBytes {
		signal(s.hurry)
	}
	return nil
}

// known reports whether an event was taken in before, and in which group.
func (s *Stream) known(id, txn key) (bool, uint32) {
	if seq, ok := s.index.find(id); ok {
		return true, seq
	}
	if txn == (key{}) {
		return false, 0
	}
	seq, ok := s.index.find(txn)
	return ok, seq
}

// inFlight returns the group with a number, or nil when it is stored.
func (s *Stream) inFlight(seq uint32) *group {
	switch {
	case s.filling.seq == seq:
		return s.filling
	case s.storing != nil && s.storing.seq == seq:
		return s.storing
	}
	return nil
}

// signal leaves a note in a channel of capacity one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
