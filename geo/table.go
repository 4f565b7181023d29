// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/nearside/nearside/edge"
)

// A table is a database turned into what a look-up needs: the networks as runs
// of equal place, at the resolution of a /24 or a /48, and each place once, in
// 20 bytes. It never changes once it is made, so any number of goroutines may
// read it.
//
// A look-up reads one entry of an index by the address's first bits and then
// halves the few runs that it leads to, with no allocation.
type table struct {
	ipv4   runs4
	ipv6   runs6
	places []packedPlace // the first is the zero Place
	areas  []area
	zones  []*time.Location // the first is nil
	texts  []string         // cities and postcodes; the first is empty
}

// A packedPlace is an edge.Place by reference, and its point in millionths of a
// degree, which is a tenth of a metre.
type packedPlace struct {
	city, postcode uint32 // in table.texts
	lat, lon       int32  // lat is noPoint without one
	area, zone     uint16
}

// noPoint is no latitude.
const noPoint = math.MinInt32

const microdegrees = 1e6

// micro is degrees, which are a latitude or a longitude, in millionths.
func micro(degrees float64) int32 { return int32(math.Round(degrees * microdegrees)) }

// An area is a country and one of its regions, or none.
type area struct{ country, region string }

// locate returns the place of network, which coarse made.
func (t *table) locate(network netip.Addr) edge.Place {
	at := uint32(0)
	if network.Is4() {
		at = t.ipv4.find(network)
	} else {
		at = t.ipv6.find(network)
	}
	if at == 0 {
		return edge.Place{}
	}
	return t.place(at)
}

func (t *table) place(at uint32) edge.Place {
	p := &t.places[at]
	a := &t.areas[p.area]
	place := edge.Place{
		Country:  a.country,
		Region:   a.region,
		City:     t.texts[p.city],
		Postcode: t.texts[p.postcode],
		Zone:     t.zones[p.zone],
	}
	if p.lat != noPoint {
		place.Lat, place.Lon, place.HasPoint = float64(p.lat)/microdegrees, float64(p.lon)/microdegrees, true
	}
	return place
}

// bytes is about what the table holds in memory.
func (t *table) bytes() uint64 {
	n := 4*len(t.ipv4.index) + 4*len(t.ipv4.runs) + 4*len(t.ipv6.index) + 8*len(t.ipv6.place) +
		20*len(t.places) + 32*len(t.areas) + 8*len(t.zones)
	for _, text := range t.texts {
		n += 16 + len(text)
	}
	return uint64(n)
}

// runs4 are runs of /24s. The index has an entry for the first 16 bits of an address:
// in its high bits how many runs start in them, less one, and below the place of the
// only one, which most have, or where they begin among runs. A run has in its high bits
// the next 8 bits of the address that it starts at, and its place below. So most
// look-ups read one line of memory, and the others the least that they can.
type runs4 struct {
	index []uint32 // 1<<16, or none
	runs  []uint32
}

// placeBits are the bits of a place, and of where a run is: there are no more runs than
// /24s.
const placeBits = 24

// newRuns4 takes what a builder gathered.
func newRuns4(b *runBuilder) (r runs4) {
	if len(b.index) == 0 {
		return r
	}
	r.index = make([]uint32, len(b.index)-1)
	runs := 0
	for high := range r.index {
		if n := int(b.index[high+1] - b.index[high]); n > 1 {
			runs += n
		}
	}
	r.runs = make([]uint32, 0, runs)
	for high := range r.index {
		first, end := b.index[high], b.index[high+1]
		if end-first == 1 {
			r.index[high] = b.place[first]
			continue
		}
		r.index[high] = (end-first-1)<<placeBits | uint32(len(r.runs))
		for i := first; i < end; i++ {
			r.runs = append(r.runs, b.low[i]<<placeBits|b.place[i])
		}
	}
	return r
}

func (r *runs4) find(network netip.Addr) uint32 {
	b := network.As4()
	if len(r.index) == 0 {
		return 0
	}
	entry := r.index[binary.BigEndian.Uint16(b[:])]
	at, left := entry&(1<<placeBits-1), entry>>placeBits+1
	if left == 1 {
		return at
	}
	low := uint32(b[2])
	for left > 1 {
		half := left / 2
		if r.runs[at+half]>>placeBits <= low {
			at += half
		}
		left -= half
	}
	return r.runs[at] & (1<<placeBits - 1)
}

// The parts of an IPv6 network: globalBits say that it is of 2000::/3, the only
// addresses in use (RFC 4291, section 2.4), the next indexBits lead into the
// index, and lowBits are left of its 48.
const (
	globalBits = 3
	indexBits  = 17
	lowBits    = bitsIPv6 - globalBits - indexBits
	// global6 is the first key of 2000::/3, and how many it has.
	global6 = 1 << (bitsIPv6 - globalBits)
)

// runs6 are runs of /48s of 2000::/3, as runs4.
type runs6 struct {
	index []uint32 // 1<<indexBits + 1
	low   []uint32
	place []uint32
}

func (r *runs6) find(network netip.Addr) uint32 {
	key := key6(network)
	if key>>(bitsIPv6-globalBits) != 1 || len(r.index) == 0 {
		return 0
	}
	high, low := key>>lowBits&(1<<indexBits-1), uint32(key&(1<<lowBits-1))
	first, end := r.index[high], r.index[high+1]
	for end-first > 1 {
		middle := (first + end) / 2
		if r.low[middle] <= low {
			first = middle
		} else {
			end = middle
		}
	}
	return r.place[first]
}

// key6 is the first 48 bits of network.
func key6(network netip.Addr) uint64 {
	b := network.As16()
	return binary.BigEndian.Uint64(b[:]) >> (64 - bitsIPv6)
}

// key4 is the first 24 bits of network.
func key4(network netip.Addr) uint64 {
	b := network.As4()
	return uint64(binary.BigEndian.Uint32(b[:])) >> (32 - bitsIPv4)
}

// A runBuilder gathers the runs of one address family, whose networks come in
// ascending order. Its keys are an address's first bits as a number.
type runBuilder struct {
	lowBits    int    // of a key, below its index
	from, size uint64 // the keys that have an entry in the index

	index []uint32
	low   []uint32
	place []uint32
	next  uint64 // the first key that has no place yet
}

// newRunBuilder returns one for the keys from from, which is a multiple of
// 1<<lowBits, as size is.
func newRunBuilder(lowBits int, from, size uint64) runBuilder {
	entries := int(size>>lowBits) + 1
	return runBuilder{lowBits: lowBits, from: from, size: size, next: from,
		index: make([]uint32, 0, entries), low: make([]uint32, 0, 2*entries), place: make([]uint32, 0, 2*entries)}
}

// add gives the keys from first up to before end to place. Keys that were left
// out get none.
func (b *runBuilder) add(first, end uint64, place uint32) {
	first, end = max(first, b.from), min(end, b.from+b.size)
	if first < b.next {
		first = b.next // a network that is out of order adds nothing
	}
	if first >= end {
		return
	}
	b.fill(first, 0)
	b.fill(end, place)
}

// fill gives the keys from b.next up to before end to place.
func (b *runBuilder) fill(end uint64, place uint32) {
	mask := uint64(1)<<b.lowBits - 1
	for b.next < end {
		if b.next&mask == 0 {
			b.index = append(b.index, uint32(len(b.place)))
		} else if b.place[len(b.place)-1] == place {
			b.next = min(end, b.next|mask+1)
			continue
		}
		b.low = append(b.low, uint32(b.next&mask))
		b.place = append(b.place, place)
		b.next = min(end, (b.next|mask)+1)
	}
}

// close gives the rest no place and ends the index.
func (b *runBuilder) close() {
	b.fill(b.from+b.size, 0)
	b.index = append(b.index, uint32(len(b.place)))
	b.index, b.low, b.place = slices.Clip(b.index), slices.Clip(b.low), slices.Clip(b.place)
}
