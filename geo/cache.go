// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"

	"github.com/nearside/nearside/edge"
)

// cacheBits sizes the cache: 32,768 networks, some 4 MB when full.
const cacheBits = 15

// A placeCache remembers the places of networks asked for lately, in memory
// only. Each network has one slot, and the last to come takes it: that is
// simpler than counting uses and keeps most of a site's visitors. Safe for
// concurrent use; the zero value is empty.
type placeCache struct {
	slots [1 << cacheBits]atomic.Pointer[knownPlace]
}

// A knownPlace never changes once it is in a slot.
type knownPlace struct {
	network netip.Addr
	place   edge.Place
}

// find returns what is known of network, or nil.
func (c *placeCache) find(network netip.Addr) *knownPlace {
	known := c.slots[slotOf(network)].Load()
	if known == nil || known.network != network {
		return nil
	}
	return known
}

func (c *placeCache) keep(known *knownPlace) {
	c.slots[slotOf(known.network)].Store(known)
}

// slotOf hashes the bits that coarse leaves: the first six bytes of an IPv6
// address, or the three of IPv4 that end a mapped one. The factor is 2^64
// divided by the golden ratio, which spreads consecutive networks.
func slotOf(network netip.Addr) uint64 {
	b := network.As16()
	bits := binary.BigEndian.Uint64(b[:8]) ^ binary.BigEndian.Uint64(b[8:])>>8
	return bits * 0x9e3779b97f4a7c15 >> (64 - cacheBits)
}
