// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A Rate is how many requests a second are served and how many may come at
// once before that counts. The zero Rate is the default where one is named,
// and a PerSecond below zero is no limit.
type Rate struct{ PerSecond, Burst int }

// The rates of requests that one client may send, by what its address says of
// it. They are far above what a visitor's tag sends (a request a second at
// most): behind one IPv4 address of a mobile carrier or an office there are
// hundreds of visitors, and behind an IPv6 /64 a household.
var (
	DefaultAddressRate = Rate{PerSecond: 100, Burst: 400}  // an IPv4 address, an IPv6 /64
	DefaultNetworkRate = Rate{PerSecond: 800, Burst: 3200} // an IPv4 /24, an IPv6 /48
)

// maxRate bounds a rate, so that its interval is a whole number of nanoseconds
// that is not 0.
const maxRate = 1_000_000

// A paceTable keeps the pace of clients in memory that does not grow: a client
// is a keyed hash, and a pace is the time at which it will have used up what it
// was given (the generic cell rate algorithm, as ATM's traffic management
// specifies it). A client that is below its rate for as long as its burst lasts
// is as good as unknown, so its place is free without any loss.
//
// Where all places of a set are taken, a newcomer takes the one of the client
// that is nearest to being forgotten, if it is nearer than the newcomer; else
// the newcomer is served and not counted. So nobody loses a pace by coming
// back, and nobody can push out one that is faster than oneself. Which set a
// client falls into cannot be foreseen: the hash's key is the process's own.
//
// It takes 1.1 MB: paceSets sets of 128 bytes, and locks that many sets share, so
// that a set begins on a cache line and a look-up mostly reads no other. It is safe
// for concurrent use.
type paceTable struct {
	sets    [paceSets]paceSet
	locks   [paceLocks]sync.Mutex
	crowded atomic.Uint64 // clients that were not counted
	_       [56]byte      // up to the next cache line, where another table may begin
}

const (
	paceSets  = 1 << 13
	paceWays  = 8
	paceLocks = 1 << 8
)

type paceSet [paceWays]pace

// A pace is a client's hash and the time in nanoseconds at which it is
// forgotten.
type pace struct {
	key  uint64
	done int64
}

// take lets a client have one more request at a time, or not.
func (t *paceTable) take(key uint64, rate Rate, now int64) bool {
	lock := &t.locks[key%paceLocks]
	lock.Lock()
	ok := t.count(&t.sets[key%paceSets], key, rate, now)
	lock.Unlock()
	return ok
}

// count is take behind the set's lock.
func (t *paceTable) count(s *paceSet, key uint64, rate Rate, now int64) bool {
	place := &s[0]
	for i := range s {
		if p := &s[i]; p.key == key {
			place = p
			break
		} else if p.done < place.done {
			place = p
		}
	}
	mine := int64(0)
	if place.key == key {
		mine = place.done
	}
	done, ok := rate.after(mine, now, 1)
	switch {
	case !ok:
		return false
	case place.key != key && place.done > now && place.done > done:
		t.crowded.Add(1)
	default:
		*place = pace{key, done}
	}
	return true
}

// after returns when a client is forgotten that takes n more, and whether it may.
func (r Rate) after(done, now int64, n int) (int64, bool) {
	interval := int64(time.Second) / int64(r.PerSecond)
	done = max(done, now) + interval*int64(n)
	return done, done-now <= interval*int64(r.Burst)
}

func (r Rate) limits() bool { return r.PerSecond > 0 }

// paces hold the pace of every client by its address and by its network.
type paces struct {
	address, network         paceTable
	addressSeed, networkSeed maphash.Seed
	begin                    time.Time
}

func newPaces() *paces {
	return &paces{addressSeed: maphash.MakeSeed(), networkSeed: maphash.MakeSeed(), begin: time.Now()}
}

// A footprint is what a client is counted by: keyed hashes of its address and
// its network, which mean nothing outside the process. Zero is nobody.
type footprint struct{ address, network uint64 }

// footprint returns what an address is counted by. An address of a private
// network has none: no visitor from the Internet has one, and a proxy that
// nobody listed speaks for all visitors.
func (p *paces) footprint(addr netip.Addr) footprint {
	if !addr.IsValid() || addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast() {
		return footprint{}
	}
	return footprint{hashAddr(p.addressSeed, neighbour(addr)), hashAddr(p.networkSeed, truncate(addr))}
}

// disputed returns what a client is counted by whom headers call by different
// addresses, this one among them. Each is counted, so that a second header is no
// way around the limit, and apart from what it is undisputed, so that nobody can
// use up another's by naming it.
func (p *paces) disputed(addr netip.Addr) (f footprint) {
	if f = p.footprint(addr); f != (footprint{}) {
		f.address, f.network = f.address^disputedMark, f.network^disputedMark
	}
	return f
}

// disputedMark makes another hash of a hash; its first bit is 0, for a hash's is 1.
const disputedMark = 0x5bd1e9955bd1e995

// hashAddr never returns 0.
func hashAddr(seed maphash.Seed, addr netip.Addr) uint64 {
	text := addr.As16()
	return maphash.Bytes(seed, text[:]) | 1<<63
}

// A paceLimit names the limit that a client met.
type paceLimit uint8

const (
	paceFree paceLimit = iota
	paceAddress
	paceNetwork
)

// take counts a request of a client at a time, unless a limit refuses it.
func (p *paces) take(f footprint, t *tuning, at time.Time) paceLimit {
	if f == (footprint{}) {
		return paceFree
	}
	now := int64(at.Sub(p.begin)) + 1 // 0 is the time of a free place
	if t.AddressRate.limits() && !p.address.take(f.address, t.AddressRate, now) {
		return paceAddress
	}
	if t.NetworkRate.limits() && !p.network.take(f.network, t.NetworkRate, now) {
		return paceNetwork
	}
	return paceFree
}
