// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// A headerName is a header that the framing, the fast path or a loop reads.
type headerName uint8

const (
	headerOther headerName = iota
	headerUsual            // that nobody here reads, and every browser sends
	headerHost
	headerOrigin
	headerCookie
	headerExpect
	headerTrailer
	headerConnection
	headerContentLength
	headerContentType
	headerContentEncoding
	headerTransferEncoding
	headerUserAgent
	headerAcceptLanguage
	headerFetchSite
	headerGPC
	headerAhead // one of those that tell of a page that is loaded before anybody looks at it
	headerProxyFor
	headerProxy
	headerProxyProto
	headerBrands
	headerMobile
	headerPlatform
	headerFormFactors
	headerModel
	headerPlatformVersion
)

// headerNamed returns the header that is called so, in small letters.
func headerNamed(small string) headerName {
	switch small {
	case "accept", "accept-encoding", "referer", "sec-fetch-mode", "sec-fetch-dest":
		return headerUsual
	case "host":
		return headerHost
	case "origin":
		return headerOrigin
	case "cookie":
		return headerCookie
	case "expect":
		return headerExpect
	case "trailer":
		return headerTrailer
	case "connection":
		return headerConnection
	case "content-length":
		return headerContentLength
	case "content-type":
		return headerContentType
	case "content-encoding":
		return headerContentEncoding
	case "transfer-encoding":
		return headerTransferEncoding
	case "user-agent":
		return headerUserAgent
	case "accept-language":
		return headerAcceptLanguage
	case "sec-fetch-site":
		return headerFetchSite
	case "sec-gpc":
		return headerGPC
	case "sec-purpose", "purpose", "x-purpose", "x-moz":
		return headerAhead
	case "x-forwarded-for":
		return headerProxyFor
	case "forwarded":
		return headerProxy
	case "x-forwarded-proto":
		return headerProxyProto
	case "sec-ch-ua":
		return headerBrands
	case "sec-ch-ua-mobile":
		return headerMobile
	case "sec-ch-ua-platform":
		return headerPlatform
	case "sec-ch-ua-form-factors":
		return headerFormFactors
	case "sec-ch-ua-model":
		return headerModel
	case "sec-ch-ua-platform-version":
		return headerPlatformVersion
	}
	return headerOther
}

// longestName has room for every name of headerNamed.
const longestName = 32

// readName returns the header that a line begins with and the length of its name, which
// is not 0; or false if what stands before the colon is no name. clean means that the
// line has no control characters but tabs.
func readName(line []byte, clean bool) (which headerName, length int, ok bool) {
	var small [longestName]byte
	for at := 0; at <= min(len(line), longestName)-8; at += 8 {
		v := word(line, at)
		// In small letters: no other byte of a token becomes one of a name, only
		// control characters do.
		binary.LittleEndian.PutUint64(small[at:], v|0x20*lowBits)
		colon := v ^ ':'*lowBits
		if stops := (colon - lowBits) &^ colon & highBits; stops != 0 {
			length = at + bits.TrailingZeros64(stops)/8
			if which = headerNamed(view(small[:length])); clean && which != headerOther {
				return which, length, true
			}
			return which, length, length > 0 && allToken(line[:length])
		}
	}
	if length = bytes.IndexByte(line, ':'); length <= 0 || !allToken(line[:length]) {
		return headerOther, 0, false
	}
	if length <= longestName {
		for i, c := range line[:length] {
			small[i] = c | 0x20
		}
		which = headerNamed(view(small[:length]))
	}
	return which, length, true
}

// lineEnd returns the length of the line that b begins with, its end included, or -1 if
// that has not come. clean means that it ends in CR LF and has no control characters but
// tabs before.
func lineEnd(b []byte) (length int, clean bool) {
	at := 0
	for at <= len(b)-16 {
		stops, more := controls(word(b, at)), controls(word(b, at+8))
		if stops|more == 0 {
			at += 16
			continue
		}
		if stops == 0 {
			stops, at = more, at+8
		}
		at += bits.TrailingZeros64(stops) / 8
		if b[at] == '\r' && at+1 < len(b) && b[at+1] == '\n' {
			return at + 2, true // nearly every line ends here
		}
		break
	}
	rest := bytes.IndexByte(b[at:], '\n')
	if rest < 0 {
		return -1, false
	}
	length = at + rest + 1
	line, ended := bytes.CutSuffix(b[:length], []byte("\r\n"))
	return length, ended && cleanBytes(line[min(at, len(line)):])
}

// controls marks the control characters among eight bytes by their high bits. A byte
// above the lowest that is marked may be marked and be none, as may one above 0xff.
func controls(v uint64) uint64 { return ((v - 0x20*lowBits) | (v + lowBits)) &^ v & highBits }

// word returns the eight bytes of b that begin at a place, which must be there.
func word(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at : at+8 : at+8]) }

// cleanBytes reports whether a text has no control characters but tabs.
func cleanBytes(text []byte) bool {
	for _, c := range text {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
