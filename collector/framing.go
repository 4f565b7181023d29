// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"strings"
)

// Limits of a request's head that the size of the whole head does not say.
const (
	maxHeaderLines   = 100 // a browser sends about twenty
	maxChunkLineSize = 10  // eight hexadecimal digits and the line's end
)

// A framing reads along with the bytes of a connection and finds where each
// request ends, so that nobody can read an end anywhere else. It is stricter
// than the standards (RFC 9112) ask a server to be, because whoever stands in
// front of us may be laxer or read what is ambiguous another way, and what one
// takes for a body the other takes for a request.
//
// Refused are: a line that ends in anything but CR LF (a CR elsewhere, and other
// control characters, fasthttp refuses), a line that goes on in the next, blank
// lines before a request; a version that is not HTTP/1.1 or 1.0; a target that
// is not a path, *, or an address with the Host's own host; a header name that
// is not a token, so blanks before the colon too; no Host, several, or one that
// is no host; a Content-Length that is not one number, or stands twice, or
// beside Transfer-Encoding; a Transfer-Encoding that is not "chunked" alone, or
// of HTTP/1.0; extensions of chunks, and trailers.
//
// It keeps nothing of the bytes but a line that has not ended, at most the
// limit of a head, and the head's Host while a target is an address. The zero
// value with a limit is ready. It belongs to one goroutine.
type framing struct {
	limit int     // bytes of a head
	picks *picked // what the head says, nil if nobody asks

	at     place
	left   int64  // of a body or a chunk
	line   []byte // the beginning of a line that has not ended
	fresh  bool   // the request began in the bytes at hand
	behind bool   // another one ended in them before
	head   requestHead
}

// A place is what comes next of a request.
type place uint8

const (
	atRequest place = iota
	atHeader
	atBody
	atChunkSize
	atChunk
	atChunkEnd
	atLastEnd
)

// A requestHead is what is known of the head being read.
type requestHead struct {
	bytes, lines  int
	old           bool // HTTP/1.0
	hosts         int
	host          string // "" unless the target is an address
	authority     string // of a target that is an address
	absolute      bool
	hasLength     bool
	length        int64
	isChunked     bool
	expectUnknown bool
}

// The refusals of requests whose end is not certain.
var (
	errFraming     = &refusal{400, "bad_request", "", "this is not an HTTP request that can only be read in one way"}
	errVersion     = &refusal{505, "unsupported_http_version", "", "speak HTTP/1.1"}
	errExpectation = &refusal{417, "unknown_expectation", "Expect", "only 100-continue can be expected"}
)

// follow reads the connection's next bytes. It returns how many of them belong
// to requests that nothing is wrong with so far, and what is wrong with the one
// that begins there, if anything is. After that it must not be called again.
func (f *framing) follow(b []byte) (good int, bad *refusal) {
	f.fresh = false
	for i := 0; i < len(b); {
		switch f.at {
		case atBody, atChunk:
			n := min(f.left, int64(len(b)-i))
			i += int(n)
			if f.left -= n; f.left > 0 {
				continue
			}
			if f.at == atChunk {
				f.at = atChunkEnd
				continue
			}
			f.at = atRequest
		default:
			if f.between() {
				good, f.fresh, f.behind, f.head = i, true, i > 0, requestHead{}
				f.picks.begin()
			}
			length, clean := lineEnd(b[i:])
			if length < 0 {
				return good, f.hold(b[i:])
			}
			line := b[i : i+length]
			i += length
			if len(f.line) > 0 {
				if bad := f.hold(line); bad != nil {
					return good, bad
				}
				line, clean = f.line, false // as far as that is known
			}
			bad := f.read(line, clean)
			f.line = f.line[:0]
			if bad != nil {
				return good, bad
			}
		}
	}
	return len(b), nil
}

// between reports whether no request is arriving.
func (f *framing) between() bool { return f.at == atRequest && len(f.line) == 0 }

// inHead reports whether a request has begun to arrive and its head has not ended.
func (f *framing) inHead() bool { return f.at <= atHeader && !f.between() }

// hold keeps what there is of a line.
func (f *framing) hold(part []byte) *refusal {
	switch {
	case f.at >= atChunkSize && len(f.line)+len(part) > maxChunkLineSize:
		return errFraming
	case f.at <= atHeader && f.head.bytes+len(f.line)+len(part) > f.limit:
		return errHeaderTooLarge
	}
	f.line = append(f.line, part...)
	f.picks.leave()
	return nil
}

// read takes a whole line, its end included. clean is as lineEnd has it.
func (f *framing) read(line []byte, clean bool) *refusal {
	switch {
	case f.at <= atHeader && f.head.bytes+len(line) > f.limit:
		return errHeaderTooLarge
	case len(line) < 2 || line[len(line)-2] != '\r':
		return errFraming
	}
	f.head.bytes += len(line)
	line = line[:len(line)-2]
	switch f.at {
	case atRequest:
		f.at = atHeader
		f.picks.request(line)
		return f.head.request(line)
	case atHeader:
		if len(line) > 0 {
			if f.head.lines++; f.head.lines > maxHeaderLines {
				return errHeaderTooLarge
			}
			return f.header(line, clean)
		}
		return f.body()
	case atChunkSize:
		return f.chunk(line)
	case atChunkEnd:
		f.at = atChunkSize
	case atLastEnd:
		f.at = atRequest
	}
	if len(line) > 0 {
		return errFraming
	}
	return nil
}

// body says what follows a head.
func (f *framing) body() *refusal {
	h := &f.head
	switch {
	case h.hosts != 1 && !(h.old && h.hosts == 0):
		return errFraming
	case h.absolute && !strings.EqualFold(h.host, h.authority):
		return errFraming
	case h.isChunked && (h.hasLength || h.old):
		return errFraming
	case h.expectUnknown:
		return errExpectation
	case h.isChunked:
		f.at = atChunkSize
	case h.length > 0:
		f.at, f.left = atBody, h.length
	default:
		f.at = atRequest
	}
	return nil
}

// chunk reads a chunk's size: up to eight hexadecimal digits and nothing else.
func (f *framing) chunk(line []byte) *refusal {
	if len(line) == 0 || len(line) > maxChunkLineSize-2 {
		return errFraming
	}
	size := int64(0)
	for _, c := range line {
		digit := int64(0)
		switch {
		case c >= '0' && c <= '9':
			digit = int64(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			digit = int64(c|0x20-'a') + 10
		default:
			return errFraming
		}
		size = size<<4 | digit
	}
	f.at, f.left = atChunk, size
	if size == 0 {
		f.at = atLastEnd
	}
	return nil
}

// request reads a request line: METHOD SP target SP HTTP/1.x.
func (h *requestHead) request(line []byte) *refusal {
	method, rest, two := bytes.Cut(line, []byte{' '})
	target, version, three := bytes.Cut(rest, []byte{' '})
	if !two || !three || len(method) == 0 || len(target) == 0 || !allToken(method) || !allVisible(target) {
		return errFraming
	}
	switch string(version) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		h.old = true
	default:
		if len(version) != len("HTTP/1.1") || !bytes.HasPrefix(version, []byte("HTTP/")) || version[6] != '.' {
			return errFraming
		}
		return errVersion
	}
	if target[0] == '/' || string(target) == "*" && string(method) == "OPTIONS" {
		return nil
	}
	scheme, address, ok := bytes.Cut(target, []byte("://"))
	if !ok || !bytes.EqualFold(scheme, []byte("http")) && !bytes.EqualFold(scheme, []byte("https")) {
		return errFraming
	}
	if i := bytes.IndexAny(address, "/?#"); i >= 0 {
		address = address[:i]
	}
	if !validHost(address) {
		return errFraming
	}
	h.absolute, h.authority = true, string(address)
	return nil
}

// header reads a header line.
func (f *framing) header(line []byte, clean bool) *refusal {
	name, length, ok := readName(line, clean)
	if !ok {
		return errFraming
	}
	h, value := &f.head, trimBlanks(line[length+1:])
	f.picks.header(name, value, clean)
	switch name {
	case headerHost:
		if h.hosts++; h.hosts > 1 || !validHost(value) {
			return errFraming
		}
		if h.absolute {
			h.host = string(value)
		}
	case headerExpect:
		if !bytes.EqualFold(value, []byte("100-continue")) {
			h.expectUnknown = true
		}
	case headerContentLength:
		length, ok := number(value)
		if h.hasLength || !ok {
			return errFraming
		}
		h.hasLength, h.length = true, length
	case headerTransferEncoding:
		if h.isChunked || !bytes.EqualFold(value, []byte("chunked")) {
			return errFraming
		}
		h.isChunked = true
	}
	return nil
}

func trimBlanks(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// number reads a decimal number of at most 15 digits.
func number(text []byte) (n int64, ok bool) {
	if len(text) == 0 || len(text) > 15 {
		return 0, false
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// tokenBytes are those of a token (RFC 9110, 5.6.2).
var tokenBytes = byteSet("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

// hostBytes are those of a host with a port: of names, addresses and brackets.
// Commas, which some take for a list, are not among them, nor is what else
// RFC 3986 allows in a name and no browser sends.
var hostBytes = byteSet("-._~:[]%0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

func byteSet(members string) (set [256]bool) {
	for i := range len(members) {
		set[members[i]] = true
	}
	return set
}

func allToken(b []byte) bool {
	for _, c := range b {
		if !tokenBytes[c] {
			return false
		}
	}
	return true
}

func allVisible(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	return true
}

func validHost(b []byte) bool {
	for _, c := range b {
		if !hostBytes[c] {
			return false
		}
	}
	return len(b) > 0
}
