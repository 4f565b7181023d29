// SPDX-License-Identifier: Apache-2.0

package collector

import "bytes"

// A picked is what the fast path and loops need of a request's head, picked out of it while its
// framing is read. Its strings are views of the bytes that were read. A nil picked
// picks nothing.
type picked struct {
	plain   bool // so far they can answer it
	path    string
	headers headers
	// The lines by which a proxy says whom it speaks for.
	forwarding [forwardingLines][1][]byte
}

// The places of those lines.
const (
	lineForwardedFor = iota
	lineForwarded
	lineForwardedProto
	forwardingLines
)

// PeekAll returns the lines of one of those headers.
func (p *picked) PeekAll(name string) [][]byte {
	at := lineForwardedFor
	switch name {
	case headerForwarded:
		at = lineForwarded
	case headerForwardedProto:
		at = lineForwardedProto
	}
	if p.forwarding[at][0] == nil {
		return nil
	}
	return p.forwarding[at][:]
}

func (p *picked) begin() {
	if p != nil {
		*p = picked{plain: true}
	}
}

// leave says that the request is not for the fast path.
func (p *picked) leave() {
	if p != nil {
		p.plain = false
	}
}

// request takes the request line, which is checked elsewhere.
func (p *picked) request(line []byte) {
	if p == nil {
		return
	}
	rest, post := bytes.CutPrefix(line, []byte("POST "))
	path, current := bytes.CutSuffix(rest, []byte(" HTTP/1.1"))
	p.plain = post && current
	p.path = view(path)
}

// header takes a header. Of what is unusual the server knows what it means: a value
// that it may refuse, a header that counts and comes twice, a connection or a body that
// is not as browsers have it. clean means that the value has no control character but
// tabs.
func (p *picked) header(name headerName, value []byte, clean bool) {
	if p == nil || !p.plain {
		return
	}
	if !clean {
		p.plain = false
		return
	}
	h := &p.headers
	var to *string
	switch name {
	case headerHost:
		to, p.plain = &h.host, plainHost(value)
	case headerOrigin:
		to, p.plain = &h.origin, len(value) > 0 // two are none, so one counts that says nothing
	case headerCookie:
		to, p.plain = &h.cookie, plainCookie(value)
	case headerExpect, headerTrailer, headerTransferEncoding:
		p.plain = false
	case headerConnection:
		p.plain = bytes.EqualFold(value, []byte("keep-alive"))
	case headerContentType:
		to = &h.contentType
	case headerContentEncoding:
		to = &h.contentEncoding
	case headerUserAgent:
		to = &h.userAgent
	case headerAcceptLanguage:
		to = &h.acceptLanguage
	case headerFetchSite:
		to = &h.fetchSite
	case headerGPC:
		to = &h.gpc
	case headerAhead:
		h.ahead = h.ahead || saysAhead(view(value))
	case headerProxyFor:
		p.forward(lineForwardedFor, value)
	case headerProxy:
		p.forward(lineForwarded, value)
	case headerProxyProto:
		p.forward(lineForwardedProto, value)
	case headerBrands:
		to = &h.brands
	case headerMobile:
		to = &h.mobile
	case headerPlatform:
		to = &h.platform
	case headerFormFactors:
		to = &h.formFactors
	case headerModel:
		to = &h.model
	case headerPlatformVersion:
		to = &h.platformVersion
	}
	if to == nil {
		return
	}
	if *to != "" {
		p.plain = false
	}
	*to = view(value)
}

// forward takes the line of a header by which a proxy says whom it speaks for.
func (p *picked) forward(at int, value []byte) {
	if p.forwarding[at][0] != nil || len(value) == 0 {
		p.plain = false
	}
	p.forwarding[at][0] = value
	p.headers.forwarded = p.headers.forwarded || at != lineForwardedProto
}

// plainHost reports whether a host is a name or an IPv4 address, with or without a
// port.
func plainHost(host []byte) bool {
	name, port, _ := bytes.Cut(host, []byte{':'})
	for _, c := range name {
		if c != '-' && c != '.' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	for _, c := range port {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(name) > 0
}

// plainCookie reports whether there is nothing in a cookie that the server takes off:
// quotes, and blanks beside the sign.
func plainCookie(cookie []byte) bool {
	for i, c := range cookie {
		if c == '"' || c == '\t' || c == '=' && (i > 0 && cookie[i-1] == ' ' || i+1 < len(cookie) && cookie[i+1] == ' ') {
			return false
		}
	}
	return true
}
