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

// add remembers an event that a visitor's state has learned of.
func (l *lately) add(site string, visitor *[visitorIDBytes]byte, ev *BeaconEvent, key uint32, at, now time.Time) {
	if len(ev.Props) > latelyBytes {
		return
	}
	s := l.shard(visitor)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	s.clear(s.next)
	e := &s.entries[s.next]
	before, ok := s.newest[*visitor]
	if !ok {
		before = -1
	}
	s.count++
	*e = latelyEntry{
		visitor: *visitor, number: s.count, before: before, key: key, at: at, kept: now,
		name: internName(ev.Name), site: site, props: append(e.props[:0], ev.Props...),
	}
	s.newest[*visitor] = s.next
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
	props []byte // of the appending memory
}

// missing appends the latest events of a visitor at a site that are not among the known
// keys, oldest first. Their properties are appended to space, which is returned too.
func (l *lately) missing(dst []missed, space []byte, site string, visitor *[visitorIDBytes]byte, known []uint32, now time.Time) ([]missed, []byte) {
	s := l.shard(visitor)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	at, ok := s.newest[*visitor]
	last := s.count + 1
	for n := 0; ok && at >= 0 && n < latelyEach; n++ {
		e := &s.entries[at]
		if e.number == 0 || e.number >= last || e.visitor != *visitor || now.Sub(e.kept) > latelyAge {
			break
		}
		if e.site == site && !slices.Contains(known, e.key) {
			from := len(space)
			space = append(space, e.props...)
			dst = append(dst, missed{e.key, e.at, e.name, space[from:len(space):len(space)]})
		}
		last, at = e.number, e.before
	}
	slices.Reverse(dst)
	return dst, space
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
