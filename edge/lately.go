// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// A browser's tabs carry one state. Two beacons that leave at the same moment carry
// the same one, and of their two answers the browser keeps that which comes last; a page
// that is left does not even read its own. So that neither costs an event, a node
// remembers for a while what visitors' states have learned, and lets a state that
// comes without it learn of it again: an event counts once, by its key. It is memory
// of this node alone, is never written anywhere, and holds nothing that the state
// does not.

const (
	// latelyAge is some times what two answers can be apart. It is short, for a state must
	// still know the keys of all that it learned of meanwhile, at other nodes too.
	latelyAge     = 30 * time.Second
	latelyShards  = 64
	latelyEntries = 256 // in a shard
	// latelyEach is how many of a visitor's events are looked at, and less than a state
	// knows again by key: what it does not know it has not learned.
	latelyEach  = minCountedKeys / 2
	latelyBytes = 2 << 10 // of an event's properties; larger ones are not remembered
)

// lately are the events that states learned of lately. It is safe for
// concurrent use.
type lately struct {
	seed   maphash.Seed
	shards [latelyShards]latelyShard
}

// A latelyShard is a ring of entries; those of a visitor are chained, newest first.
type latelyShard struct {
	mu      sync.Mutex
	entries [latelyEntries]latelyEntry
	newest  map[[visitorIDBytes]byte]int
	next    int
	oldest  int // of the entries that are not cleared
	count   uint64
}

type latelyEntry struct {
	visitor [visitorIDBytes]byte
	number  uint64 // grows; 0 for no entry
	before  int    // the visitor's entry before, valid if its number is smaller
	key     uint32
	at      time.Time // of the event
	kept    time.Time
	name    string
	site    string
	props   []byte
}

func newLately() *lately {
	l := &lately{seed: maphash.MakeSeed()}
	for i := range l.shards {
		l.shards[i].newest = map[[visitorIDBytes]byte]int{}
	}
	return l
}

func (l *lately) shard(visitor *[visitorIDBytes]byte) *latelyShard {
	return &l.shards[maphash.Bytes(l.seed, visitor[:])%latelyShards]
}

// A latelyOf is whose events are remembered, at which site.
type latelyOf struct {
	site    string
	visitor *[visitorIDBytes]byte
}

// add remembers an event that a visitor's state has learned of.
func (l *lately) add(of latelyOf, learned *lesson, now time.Time) {
	ev := learned.ev
	if len(ev.Props) > latelyBytes {
		return
	}
	s := l.shard(of.visitor)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	s.clear(s.next)
	e := &s.entries[s.next]
	before, ok := s.newest[*of.visitor]
	if !ok {
		before = -1
	}
	s.count++
	*e = latelyEntry{
		visitor: *of.visitor, number: s.count, before: before, key: learned.key, at: learned.at, kept: now,
		name: internName(ev.Name), site: of.site, props: append(e.props[:0], ev.Props...),
	}
	s.newest[*of.visitor] = s.next
	s.next = (s.next + 1) % latelyEntries
	if s.oldest == s.next && s.count >= latelyEntries {
		s.oldest = (s.oldest + 1) % latelyEntries
	}
}

// clear forgets an entry and keeps its memory.
func (s *latelyShard) clear(at int) {
	e := &s.entries[at]
	if e.number > 0 && s.newest[e.visitor] == at {
		delete(s.newest, e.visitor)
	}
	clear(e.props)
	*e = latelyEntry{props: e.props[:0]}
}

// sweep forgets what is too old.
func (s *latelyShard) sweep(now time.Time) {
	for s.oldest != s.next && now.Sub(s.entries[s.oldest].kept) > latelyAge {
		s.clear(s.oldest)
		s.oldest = (s.oldest + 1) % latelyEntries
	}
}

// internName returns a name that does not share a beacon's memory.
func internName(name string) string {
	if code := activityCode(name); code != 0 {
		return activityNames[code]
	}
	if name == "slot_impression" {
		return "slot_impression"
	}
	return string([]byte(name))
}

// A missed event is one that a visitor's state does not know.
type missed struct {
	key   uint32
	at    time.Time
	name  string
	props []byte
}

// A recall is memory for one visitor's missed events after another's.
type recall struct {
	events []missed
	props  []byte // which those of the events are views of
	event  BeaconEvent
}

// free forgets what was missed and keeps the memory.
func (r *recall) free() {
	clear(r.events)
	clear(r.props)
	*r = recall{events: r.events[:0], props: r.props[:0]}
}

// missing fills to, which is free, with the latest events of a visitor at a site that
// are not among the known keys, oldest first.
func (l *lately) missing(to *recall, of latelyOf, known []uint32, now time.Time) {
	s := l.shard(of.visitor)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	at, ok := s.newest[*of.visitor]
	last := s.count + 1
	for n := 0; ok && at >= 0 && n < latelyEach; n++ {
		e := &s.entries[at]
		if e.number == 0 || e.number >= last || e.visitor != *of.visitor || now.Sub(e.kept) > latelyAge {
			break
		}
		if e.site == of.site && !slices.Contains(known, e.key) {
			from := len(to.props)
			to.props = append(to.props, e.props...)
			to.events = append(to.events, missed{e.key, e.at, e.name, to.props[from:len(to.props):len(to.props)]})
		}
		last, at = e.number, e.before
	}
	slices.Reverse(to.events)
}

// forget forgets what a visitor did.
func (l *lately) forget(visitor *[visitorIDBytes]byte) {
	s := l.shard(visitor)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.newest[*visitor]; !ok {
		return
	}
	for i := range s.entries {
		if e := &s.entries[i]; e.number > 0 && e.visitor == *visitor {
			s.clear(i)
		}
	}
}
