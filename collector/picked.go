// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"encoding/binary"
)

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

// header takes a header, whose name is a token. Of what is unusual the server knows
// what it means: a value that it may refuse, a header that counts and comes twice, a
// connection or a body that is not as browsers have it.
func (p *picked) header(name, value []byte) {
	if p == nil || !p.plain {
		return
	}
	if !clean(value) {
		p.plain = false
		return
	}
	h := &p.headers
	var to *string
	switch len(name) {
	case len("host"):
		if to = pick(name, "host", &h.host); to != nil {
			p.plain = plainHost(value)
		}
	case len("x-moz"):
		h.ahead = h.ahead || isHeader(name, "x-moz") && saysAhead(view(value))
	case len("origin"):
		switch {
		case isHeader(name, "origin"):
			to, p.plain = &h.origin, len(value) > 0 // two are none, so one counts that says nothing
		case isHeader(name, "cookie"):
			to, p.plain = &h.cookie, plainCookie(value)
		case isHeader(name, "expect"):
			p.plain = false
		}
	case len("sec-gpc"):
		to = pick(name, "sec-gpc", &h.gpc)
		p.plain = !isHeader(name, "trailer")
		h.ahead = h.ahead || isHeader(name, "purpose") && saysAhead(view(value))
	case len("sec-ch-ua"):
		switch {
		case isHeader(name, "sec-ch-ua"):
			to = &h.brands
		case isHeader(name, "forwarded"):
			p.forward(lineForwarded, value)
		case isHeader(name, "x-purpose"):
			h.ahead = h.ahead || saysAhead(view(value))
		}
	case len("user-agent"):
		to = pick(name, "user-agent", &h.userAgent)
		if isHeader(name, "connection") {
			p.plain = bytes.EqualFold(value, []byte("keep-alive"))
		}
	case len("sec-purpose"):
		h.ahead = h.ahead || isHeader(name, "sec-purpose") && saysAhead(view(value))
	case len("content-type"):
		to = pick(name, "content-type", &h.contentType)
	case len("sec-fetch-site"):
		to = pick(name, "sec-fetch-site", &h.fetchSite)
	case len("accept-language"):
		switch {
		case isHeader(name, "accept-language"):
			to = &h.acceptLanguage
		case isHeader(name, "x-forwarded-for"):
			p.forward(lineForwardedFor, value)
		case isHeader(name, "sec-ch-ua-model"):
			to = &h.model
		}
	case len("sec-ch-ua-mobile"):
		switch {
		case isHeader(name, "sec-ch-ua-mobile"):
			to = &h.mobile
		case isHeader(name, "content-encoding"):
			to = &h.contentEncoding
		}
	case len("x-forwarded-proto"):
		switch {
		case isHeader(name, "x-forwarded-proto"):
			p.forward(lineForwardedProto, value)
		case isHeader(name, "transfer-encoding"):
			p.plain = false
		}
	case len("sec-ch-ua-platform"):
		to = pick(name, "sec-ch-ua-platform", &h.platform)
	case len("sec-ch-ua-form-factors"):
		to = pick(name, "sec-ch-ua-form-factors", &h.formFactors)
	case len("sec-ch-ua-platform-version"):
		to = pick(name, "sec-ch-ua-platform-version", &h.platformVersion)
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

// pick returns to if that is the header's name.
func pick(name []byte, small string, to *string) *string {
	if isHeader(name, small) {
		return to
	}
	return nil
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

// isHeader compares a token with a header's name in small letters.
func isHeader(name []byte, small string) bool {
	if len(name) != len(small) {
		return false
	}
	for i := range len(small) {
		if name[i]|0x20 != small[i] {
			return false
		}
	}
	return true
}

// clean reports whether a value has no control character but tabs.
func clean(value []byte) bool {
	const ones = 0x0101010101010101
	for ; len(value) >= 8; value = value[8:] {
		v := binary.LittleEndian.Uint64(value)
		del := v ^ 0x7f*ones
		if ((v-0x20*ones)&^v|(del-ones)&^del)&(0x80*ones) != 0 && !cleanBytes(value[:8]) {
			return false
		}
	}
	return cleanBytes(value)
}

func cleanBytes(value []byte) bool {
	for _, c := range value {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
