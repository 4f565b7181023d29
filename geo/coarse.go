// SPDX-License-Identifier: Apache-2.0

package geo

import "net/netip"

// The finest networks that are looked up. They are also the finest that any
// part of the program may know, so an address that was not truncated before it
// came here is truncated now.
const (
	bitsIPv4 = 24
	bitsIPv6 = 48
)

// coarse returns the first address of addr's network, and false if the network
// is nowhere: it is not public, or it is the entrance of a tunnel, whose place
// says nothing of the visitor's.
func coarse(addr netip.Addr) (netip.Addr, bool) {
	network := addr.Unmap()
	if network.Is4() {
		b := network.As4()
		network = netip.AddrFrom4([4]byte{b[0], b[1], b[2]}) // bitsIPv4
	} else {
		prefix, err := network.Prefix(bitsIPv6)
		if err != nil {
			return netip.Addr{}, false
		}
		network = prefix.Addr()
	}
	nowhere := network.IsUnspecified() || network.IsLoopback() || network.IsPrivate() ||
		network.IsLinkLocalUnicast() || network.IsMulticast() || isTunnel(network)
	return network, !nowhere
}

// isTunnel reports a 6to4 (2002::/16) or Teredo (2001::/32) network. Databases
// alias both to IPv4, but the first 48 bits of Teredo hold half of the relay's
// address, and those of 6to4 a whole IPv4 address, finer than may be known.
func isTunnel(network netip.Addr) bool {
	if !network.Is6() {
		return false
	}
	b := network.As16()
	return b[0] == 0x20 && (b[1] == 0x02 || b[1] == 0x01 && b[2] == 0 && b[3] == 0)
}
