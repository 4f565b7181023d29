// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"unsafe"

	"github.com/valyala/fasthttp"
)

// headers are the request headers that a beacon is answered by. They are views
// of the request and valid as long as it is.
type headers struct {
	host, contentType, contentEncoding, cookie string
	forwarded                                  bool // somebody says whom the request is from
	origin, fetchSite                          string
	userAgent, acceptLanguage, gpc             string
	ahead                                      bool // the page is loaded before anybody looks at it
	// User-Agent Client Hints: https://wicg.github.io/ua-client-hints/
	brands, mobile, platform, formFactors, model, platformVersion string
}

// read picks the headers in one pass. Of a header that comes twice the last one
// counts, except for Origin: two of them are none.
func (h *headers) read(from *fasthttp.RequestHeader) {
	*h = headers{}
	origins := 0
	for name, value := range from.All() {
		switch string(name) {
		case "Host":
			h.host = view(value)
		case headerForwardedFor, headerForwarded:
			h.forwarded = true
		case "Content-Type":
			h.contentType = view(value)
		case "Content-Encoding":
			h.contentEncoding = view(value)
		case "Cookie":
			h.cookie = view(value)
		case "Origin":
			h.origin = view(value)
			origins++
		case "Sec-Fetch-Site":
			h.fetchSite = view(value)
		case "User-Agent":
			h.userAgent = view(value)
		case "Accept-Language":
			h.acceptLanguage = view(value)
		case "Sec-Gpc":
			if h.gpc != "1" { // of several, one that asks for privacy is enough
				h.gpc = view(value)
			}
		case "Sec-Purpose", "Purpose", "X-Purpose", "X-Moz":
			h.ahead = h.ahead || saysAhead(view(value))
		case "Sec-Ch-Ua":
			h.brands = view(value)
		case "Sec-Ch-Ua-Mobile":
			h.mobile = view(value)
		case "Sec-Ch-Ua-Platform":
			h.platform = view(value)
		case "Sec-Ch-Ua-Form-Factors":
			h.formFactors = view(value)
		case "Sec-Ch-Ua-Model":
			h.model = view(value)
		case "Sec-Ch-Ua-Platform-Version":
			h.platformVersion = view(value)
		}
	}
	if origins > 1 {
		h.origin = ""
	}
}

// setHeader sets a header of the answer. The name must be in canonical form
// (Content-Type): fasthttp's Set spends longer on finding that out than on the
// rest. It copies both.
func setHeader(h *fasthttp.ResponseHeader, name, value string) {
	h.SetCanonical(bytesOf(name), bytesOf(value))
}

// bytesOf returns the bytes of s, which must not be changed.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
