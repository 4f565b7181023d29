// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Limits of the PROXY protocol's header
// (https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt). Version 1 is a
// line of at most 107 bytes. Version 2 says its own length; load balancers add
// a few hundred bytes of details at most, which nobody reads here.
const (
	maxProxyLine   = 107
	proxyFixed     = 16 // of version 2
	maxProxyHeader = proxyFixed + 2048
)

// proxySignature begins a header of version 2.
var proxySignature = []byte("\r\n\r\n\x00\r\nQUIT\n")

// errProxyHeader refuses a proxy's connection that does not begin as it should.
var errProxyHeader = &refusal{400, "bad_proxy_header", "", "the connection does not begin with a PROXY protocol header"}

// errProxyMore says that the bytes so far may be the beginning of a header.
var errProxyMore = errors.New("the header goes on")

// parseProxyHeader reads a PROXY protocol header of either version at the
// beginning of b. It returns the client's address, which is zero where the proxy
// speaks for itself or does not say, and the header's length; or errProxyMore
// until the header is whole; or errProxyHeader.
func parseProxyHeader(b []byte) (client netip.Addr, length int, err error) {
	switch {
	case bytes.HasPrefix(b, proxySignature):
		return parseProxyBinary(b)
	case bytes.HasPrefix(b, []byte("PROXY ")):
		return parseProxyLine(b)
	case bytes.HasPrefix(proxySignature, b), bytes.HasPrefix([]byte("PROXY "), b):
		return netip.Addr{}, 0, errProxyMore
	}
	return netip.Addr{}, 0, errProxyHeader
}

// parseProxyLine reads version 1: PROXY TCP4 source destination port port.
func parseProxyLine(b []byte) (client netip.Addr, length int, err error) {
	end := bytes.IndexByte(b, '\n')
	switch {
	case end < 0 && len(b) < maxProxyLine:
		return client, 0, errProxyMore
	case end < 0 || end+1 > maxProxyLine || b[end-1] != '\r':
		return client, 0, errProxyHeader
	}
	length = end + 1
	words := strings.Split(string(b[:end-1]), " ")
	if words[1] == "UNKNOWN" {
		return client, length, nil // what else there is must be ignored
	}
	if len(words) != 6 || !isProxyPort(words[4]) || !isProxyPort(words[5]) {
		return client, 0, errProxyHeader
	}
	source, errSource := netip.ParseAddr(words[2])
	destination, errDestination := netip.ParseAddr(words[3])
	if errSource != nil || errDestination != nil || source.Zone()+destination.Zone() != "" {
		return client, 0, errProxyHeader
	}
	switch words[1] {
	case "TCP4":
		if source.Is4() && destination.Is4() {
			return source, length, nil
		}
	case "TCP6":
		if source.Is6() && destination.Is6() {
			return source.Unmap(), length, nil
		}
	}
	return client, 0, errProxyHeader
}

func isProxyPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == text // no sign, no leading zero
}

// The bytes of version 2 that are understood.
const (
	proxyLocal = 0x20 // the proxy speaks for itself: a health check
	proxyOther = 0x21 // it speaks for a client
	proxyTCP4  = 0x11
	proxyTCP6  = 0x21
	proxyUnix  = 0x31
	proxyNone  = 0x00 // it does not say for whom
)

// parseProxyBinary reads version 2.
func parseProxyBinary(b []byte) (client netip.Addr, length int, err error) {
	if len(b) < proxyFixed {
		return client, 0, errProxyMore
	}
	length = proxyFixed + int(binary.BigEndian.Uint16(b[14:]))
	if length > maxProxyHeader || b[12] != proxyLocal && b[12] != proxyOther {
		return client, 0, errProxyHeader
	}
	if len(b) < length {
		return client, 0, errProxyMore
	}
	addresses := b[proxyFixed:length]
	switch {
	case b[12] == proxyLocal, b[13] == proxyNone, b[13] == proxyUnix:
		return client, length, nil
	case b[13] == proxyTCP4 && len(addresses) >= 12:
		return netip.AddrFrom4([4]byte(addresses)), length, nil
	case b[13] == proxyTCP6 && len(addresses) >= 36:
		return netip.AddrFrom16([16]byte(addresses)).Unmap(), length, nil
	}
	return client, 0, errProxyHeader
}

// A proxied is a connection of a trusted proxy, which begins with a header that
// names the client. The header is read by the first Read, in the time that a
// request's beginning has, and never by whoever accepts connections. Like any
// connection it has one reader.
type proxied struct {
	begun   // its client is nil until the header is read, and where that names nobody
	metrics *metrics
	done    bool
	err     error
}

// Read implements net.Conn.
func (p *proxied) Read(b []byte) (int, error) {
	if !p.done {
		p.done = true
		p.err = p.begin()
	}
	if p.err != nil {
		return 0, p.err
	}
	return p.begun.Read(b)
}

// begin reads the header.
func (p *proxied) begin() error {
	b := make([]byte, 0, 512)
	for {
		if len(b) == cap(b) { // only a header of version 2 comes here
			b = append(make([]byte, 0, maxProxyHeader), b...)
		}
		n, err := p.Conn.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		client, length, headerErr := parseProxyHeader(b)
		switch {
		case headerErr == nil:
			if client.IsValid() {
				p.client = addrOf(client)
			}
			p.rest = b[length:]
			return nil
		case headerErr != errProxyMore:
			p.metrics.proxyHeaders.Add(1)
			return headerErr
		case err != nil && (err != io.EOF || len(b) == 0):
			return err
		case err != nil:
			p.metrics.proxyHeaders.Add(1)
			return errProxyHeader
		}
	}
}

// A begun is a connection of which something has been read. Like any connection it has
// one reader.
type begun struct {
	net.Conn
	rest   []byte   // of what has been read
	client net.Addr // its other end, if the connection does not know
}

// addrOf returns an address as connections have it, with no port.
func addrOf(addr netip.Addr) net.Addr { return net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)) }

// RemoteAddr implements net.Conn.
func (c *begun) RemoteAddr() net.Addr {
	if c.client != nil {
		return c.client
	}
	return c.Conn.RemoteAddr()
}

// Read implements net.Conn.
func (c *begun) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		return c.Conn.Read(b)
	}
	n := copy(b, c.rest)
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		c.rest = nil
	}
	return n, nil
}

// CloseWrite ends our half of the connection, where it can be ended alone.
func (c *begun) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}
