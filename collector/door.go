// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// v6NeighbourBits is the prefix of IPv6 addresses that count as one client:
// what a household is given at least.
const v6NeighbourBits = 64

// A door lets connections in, within the limits for all and for one address.
// Addresses are held in full here and with their connections, and only while those
// are open. It is safe for concurrent use.
type door struct {
	most, mostPerAddr int
	headerLimit       int                     // bytes
	tuning            *atomic.Pointer[tuning] // its proxies speak for many clients and have no limit of their own
	metrics           *metrics

	begin    time.Time
	roomWait time.Duration
	slack    time.Duration // how much earlier than it was asked to a read or write may be broken off
	mu       sync.Mutex
	open     map[*seat]struct{}
	perAddr  map[netip.Addr]int
}

func newDoor(o *Options, t *atomic.Pointer[tuning], m *metrics) *door {
	return &door{
		most: o.MaxConns, mostPerAddr: o.MaxConnsPerIP, headerLimit: o.HeaderLimit, tuning: t, metrics: m,
		begin: time.Now(), roomWait: roomWait, slack: min(o.ReadTimeout, o.WriteTimeout, o.IdleTimeout) / slackShare, open: map[*seat]struct{}{}, perAddr: map[netip.Addr]int{},
	}
}

// A seat is what a connection takes up. It stays the same when the connection
// passes from one holder to another.
type seat struct {
	addr   netip.Addr   // zero if it is not counted by address
	waits  atomic.Int64 // since when it waits for a request or the rest of its head, by the door's clock; 0 if it does not
	holder holder       // behind the door's lock
}

// A holder serves the connection that has a seat, and leaves the door when the
// connection is closed. Its methods may be called at any time.
type holder interface {
	// drop breaks the connection off without a word, and waits for nothing.
	drop()
	// stop closes the connection if it rests, with no request under way, once the
	// server is stopping.
	stop()
}

// admit counts a connection in, or says which limit it met. Its seat has an address
// unless it is not counted by one.
func (d *door) admit(p *seat, h holder) *refusal {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.open) >= d.most && !d.makeRoom() {
		d.metrics.refused.add(refusedAll)
		return errBusy
	}
	if p.addr.IsValid() {
		if d.perAddr[p.addr] >= d.mostPerAddr {
			d.metrics.refused.add(refusedAddress)
			return errTooManyFromHere
		}
		d.perAddr[p.addr]++
	}
	p.holder = h
	p.waits.Store(d.clock())
	d.open[p] = struct{}{}
	d.metrics.connections.Store(int64(len(d.open)))
	return nil
}

// pass gives a seat to another holder.
func (d *door) pass(p *seat, to holder) {
	d.mu.Lock()
	p.holder = to
	d.mu.Unlock()
}

// leave gives a seat free.
func (d *door) leave(p *seat) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, p)
	d.metrics.connections.Store(int64(len(d.open)))
	if !p.addr.IsValid() {
		return
	}
	if n := d.perAddr[p.addr]; n > 1 {
		d.perAddr[p.addr] = n - 1
	} else {
		delete(d.perAddr, p.addr)
	}
}

// Of how many connections the one is looked for that gives its place away, and
// how long it must have waited for a request.
const (
	roomSample = 64
	roomWait   = time.Second
)

// clock is the time that seats wait by. It is never 0.
func (d *door) clock() int64 { return int64(time.Since(d.begin)) + 1 }

// at is a moment on that clock.
func (d *door) at(t time.Time) int64 { return int64(t.Sub(d.begin)) + 1 }

// makeRoom closes, of some connections, the one that waits longest for a request's
// whole head, as a server that has none left to give does, and reports whether
// there was one: connections without requests must not keep visitors out, nor
// those that never end a handshake or a head. One that is answered, or whose body
// is arriving, is never closed. The closed one leaves in a moment; until then
// there is one more, within bounds.
func (d *door) makeRoom() bool {
	if len(d.open) >= d.most+d.most/16+8 {
		return false
	}
	var idlest *seat
	now, since := d.clock(), int64(0)
	seen := 0
	for p := range d.open { // begins anywhere
		if waits := p.waits.Load(); waits > 0 && now-waits >= int64(d.roomWait) && (idlest == nil || waits < since) {
			idlest, since = p, waits
		}
		if seen++; seen == roomSample {
			break
		}
	}
	if idlest == nil || !idlest.waits.CompareAndSwap(since, 0) { // its request has just come
		return false
	}
	d.metrics.evicted.Add(1)
	idlest.holder.drop()
	return true
}

// clear makes room though there are places left.
func (d *door) clear() {
	d.mu.Lock()
	d.makeRoom()
	d.mu.Unlock()
}

// each has all holders do something.
func (d *door) each(do func(holder)) {
	d.mu.Lock()
	holders := make([]holder, 0, len(d.open))
	for p := range d.open {
		holders = append(holders, p.holder)
	}
	d.mu.Unlock()
	for _, h := range holders {
		do(h)
	}
}

// neighbour returns what connections are counted by.
func neighbour(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	prefix, err := addr.Prefix(v6NeighbourBits)
	if err != nil {
		return netip.Addr{}
	}
	return prefix.Addr()
}
