// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// Prefix lengths that IPv6 addresses are truncated to before anything else sees
// them. Of IPv4 it is a /24.
const (
	v6Bits    = 48
	v6to4Bits = 40 // 16 bits of prefix and 24 of the IPv4 address inside
)

// v6to4 holds addresses with a whole IPv4 address behind the prefix (RFC 3056).
var v6to4 = netip.MustParsePrefix("2002::/16")

// maxProxies bounds the chain of forwarded addresses that is walked.
const maxProxies = 16

// Headers by which a proxy says whom it speaks for.
const (
	headerForwardedFor   = "X-Forwarded-For"
	headerForwarded      = "Forwarded" // RFC 7239
	headerForwardedProto = "X-Forwarded-Proto"
)

// proxies are the addresses whose forwarding headers are believed.
type proxies []netip.Prefix

// trust reports whether addr is one of ours.
func (p proxies) trust(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// A peer is who sent a request, as far as it can be known.
type peer struct {
	// addr is the client's truncated address, zero if unknown.
	addr netip.Addr
	// secure means that the client spoke TLS, to us or to a trusted proxy.
	secure bool
	// footprints are what the client is counted by, zero for what it is not: more
	// than one where headers name different clients.
	footprints [2]footprint
}

// A sender is the other end of a connection and the headers in which it says whom
// it speaks for.
type sender struct {
	socket netip.Addr // zero if unknown
	secure bool       // it speaks TLS
	header interface{ PeekAll(name string) [][]byte }
}

func senderOf(ctx *fasthttp.RequestCtx) sender {
	return sender{socketAddr(ctx.RemoteAddr()), ctx.IsTLS(), &ctx.Request.Header}
}

// peerOf says who sent a request, as trusted proxies tell it.
func (s *Server) peerOf(from *sender) peer {
	c := s.tuning.Load().trusted.clientOf(from)
	p := peer{addr: truncate(c.addr), secure: c.secure}
	if c.rivals == [2]netip.Addr{} {
		p.footprints[0] = s.paces.footprint(c.addr)
		return p
	}
	for i, addr := range c.rivals {
		p.footprints[i] = s.paces.disputed(addr)
	}
	return p
}

// noteForwarded counts a request that says whom it is from and is not believed:
// of a visitor who writes such a header, or, if they are many, of a proxy that
// the operator did not list, whose visitors all count as one.
func (s *Server) noteForwarded(from *sender) {
	if !s.tuning.Load().trusted.trust(from.socket) {
		s.metrics.unlisted.Add(1)
	}
}

// mayAsk reports whether a sender may send another request now.
func (s *Server) mayAsk(from *sender) bool {
	peer := s.peerOf(from)
	return s.pace(&peer, time.Now())
}

// pace reports whether a client may send another request at a time.
func (s *Server) pace(p *peer, at time.Time) bool {
	for _, f := range p.footprints {
		switch s.paces.take(f, s.tuning.Load(), at) {
		case paceAddress:
			s.metrics.limited.add(limitAddress)
			return false
		case paceNetwork:
			s.metrics.limited.add(limitNetwork)
			return false
		}
	}
	return true
}

// A client is who sent a request, as proxies tell it.
type client struct {
	addr   netip.Addr // the whole address, zero if unknown
	secure bool       // it spoke TLS, to us or to a trusted proxy
	// rivals are the addresses that X-Forwarded-For and Forwarded name, where they do
	// not name the same one; zero where one is none. One is the proxy's word, the
	// other the client's own.
	rivals [2]netip.Addr
}

// clientOf says who sent a request, with the whole address. Without a trusted proxy that is the socket's
// other end, and forwarding headers mean nothing. With one it is the right-most
// address that is not ours, for those further left were written by the client.
//
// No chain, a chain that cannot be read, and X-Forwarded-For and Forwarded that name
// different clients (a proxy that manages one lets the other through as the
// client wrote it), leave the address unknown: the proxy's own is not the
// client's, and a guess could be the client's choice. Those two are rivals.
func (p proxies) clientOf(from *sender) (c client) {
	c.addr, c.secure = from.socket, from.secure
	if len(p) == 0 || !p.trust(c.addr) {
		return c
	}
	header := from.header
	addr, found := p.client(header.PeekAll(headerForwardedFor), addrOnly)
	if other, both := p.client(header.PeekAll(headerForwarded), addrInForwarded); both {
		if found && other != addr {
			c.rivals = [2]netip.Addr{addr, other}
			other = netip.Addr{}
		}
		addr = other
	}
	c.addr = addr
	if lines := header.PeekAll(headerForwardedProto); len(lines) > 0 {
		c.secure = c.secure || lastElement(lines[len(lines)-1]) == "https"
	}
	return c
}

func socketAddr(addr net.Addr) netip.Addr {
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// truncate removes the part of an address that points at one household.
func truncate(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	bits := v6Bits
	switch {
	case addr.Is4(): // most are, and a Prefix would take twice as long
		b := addr.As4()
		return netip.AddrFrom4([4]byte{b[0], b[1], b[2]})
	case v6to4.Contains(addr):
		bits = v6to4Bits
	}
	prefix, err := addr.Prefix(bits)
	if err != nil {
		return netip.Addr{} // the zero Addr is unknown and stays so
	}
	return prefix.Addr()
}

// client walks a list of proxies from the right and returns the first address
// that is not ours, or the left-most one if all are. It reports whether there
// was a list at all. Lines of one header are one list.
func (p proxies) client(lines [][]byte, parse func(string) (netip.Addr, bool)) (addr netip.Addr, found bool) {
	hops := 0
	for i := len(lines) - 1; i >= 0; i-- {
		rest := view(lines[i])
		for more := true; more; {
			var element string
			rest, element, more = cutLast(rest)
			if element == "" {
				continue
			}
			found = true
			hop, ok := parse(element)
			if hops++; !ok || hops > maxProxies {
				return netip.Addr{}, true
			}
			addr = hop
			if !p.trust(hop) {
				return addr, true
			}
		}
	}
	return addr, found
}

// cutLast splits a list at its last comma.
func cutLast(list string) (rest, last string, more bool) {
	i := strings.LastIndexByte(list, ',')
	if i < 0 {
		return "", trimSpace(list), false
	}
	return list[:i], trimSpace(list[i+1:]), true
}

func lastElement(list []byte) string {
	_, last, _ := cutLast(view(list))
	return last
}

// addrOnly reads an address as X-Forwarded-For has it, with or without a port.
func addrOnly(element string) (netip.Addr, bool) {
	if addr, err := netip.ParseAddr(element); err == nil {
		return addr.Unmap().WithZone(""), true
	}
	if at, err := netip.ParseAddrPort(element); err == nil {
		return at.Addr().Unmap().WithZone(""), true
	}
	if inner, ok := strings.CutPrefix(element, "["); ok {
		addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]"))
		return addr.Unmap().WithZone(""), err == nil
	}
	return netip.Addr{}, false
}

// addrInForwarded reads the address of an element of Forwarded:
// for="[2001:db8::1]:4711";proto=https. An obfuscated or unknown client is no
// address.
func addrInForwarded(element string) (netip.Addr, bool) {
	for len(element) > 0 {
		var pair string
		pair, element, _ = strings.Cut(element, ";")
		name, value, _ := strings.Cut(trimSpace(pair), "=")
		if !strings.EqualFold(name, "for") {
			continue
		}
		if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		return addrOnly(value)
	}
	return netip.Addr{}, false
}

func trimSpace(s string) string { return view(trimBlanks(bytesOf(s))) }
