// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strings"
	"unicode/utf8"

	"github.com/nearside/nearside/edge"
)

// The channels of source.channel.
const (
	channelSearch   = "search"
	channelSocial   = "social"
	channelMail     = "mail"
	channelAds      = "ads"
	channelReferral = "referral"
	channelDirect   = "direct"
)

// clickIDs are the parameters by which advertising networks mark a click. All
// but one stand only on paid clicks: Facebook puts fbclid on every link.
var clickIDs = [...]struct {
	name string
	paid bool
}{
	{"gclid", true}, {"gbraid", true}, {"wbraid", true}, {"dclid", true}, {"msclkid", true}, {"fbclid", false},
	{"ttclid", true}, {"twclid", true}, {"li_fat_id", true}, {"epik", true}, {"sccid", true}, {"rdt_cid", true},
	{"yclid", true},
}

// An address is a page's address in parts, as a browser writes it. They are
// views of it.
type address struct {
	origin string // scheme://host[:port]
	host   string // without the port
	path   string // percent-encoded, at least "/"
	query  string // without "?"
}

// splitAddress takes apart an http or https address. It refuses what a browser
// does not put into location.href: other schemes, user names, capitals or
// spaces in the host, control characters.
func splitAddress(raw string) (address, bool) {
	rest, ok := strings.CutPrefix(raw, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(raw, "http://"); !ok {
			return address{}, false
		}
	}
	end := plainWord(rest)
	host := rest[:end]
	if end < len(rest) && rest[end] != '/' {
		for end < len(rest) && rest[end] != '/' && rest[end] != '?' && rest[end] != '#' {
			end++
		}
		host = hostOf(rest[:end])
	}
	a := address{origin: raw[:len(raw)-len(rest)+end], host: host, path: "/"}
	if a.host == "" {
		return address{}, false
	}
	if rest = rest[end:]; rest == "/" {
		return a, true // of most referring pages nothing else is told
	}
	rest, _, _ = strings.Cut(rest, "#")
	if hasControl(rest) || strings.IndexByte(rest, ' ') >= 0 {
		return address{}, false
	}
	path, query, _ := strings.Cut(rest, "?")
	if path != "" {
		a.path = path
	}
	a.query = query
	return a, true
}

// plainBytes are those of a host that is a name or an IPv4 address, and of most words.
var plainBytes = byteSet(".-_0123456789abcdefghijklmnopqrstuvwxyz")

// plainWord returns how many plain bytes s begins with.
func plainWord(s string) int {
	n := 0
	for n < len(s) && plainBytes[s[n]] {
		n++
	}
	return n
}

// hostOf returns the host of host[:port], "" if it is none.
func hostOf(authority string) string {
	host := authority
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		host = authority[:i]
		for j := i + 1; j < len(authority); j++ {
			if !digit(authority[j]) {
				return ""
			}
		}
	}
	inner := host
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		inner = host[1 : len(host)-1]
	} else if strings.IndexByte(host, ':') >= 0 {
		return ""
	}
	for i := range len(inner) {
		c := inner[i]
		if c-'a' > 'z'-'a' && !digit(c) && c != '.' && c != '-' && c != '_' && c != ':' {
			return ""
		}
	}
	return host
}

// readSource says where a visit came from: by the page's own parameters, else
// by the referring page. scratch holds values that had to be decoded; it is
// returned for reuse and the source holds views of it.
func (r *referrers) readSource(page address, ref string, scratch []byte) (edge.Ref, edge.Source, []byte) {
	var source edge.Source
	referrer := r.classify(ref, page.host)
	for pair, query := "", page.query; query != ""; {
		pair, query, _ = strings.Cut(query, "&")
		name, raw, _ := strings.Cut(pair, "=")
		if raw == "" {
			continue
		}
		if dst := utmField(&source.UTM, name); dst != nil && *dst == "" {
			*dst, scratch = decodeValue(raw, scratch)
		} else if source.ClickID == "" {
			if known, paid := isClickID(name); known && len(pair) <= edge.MaxWordBytes {
				source.ClickID = pair
				if paid {
					source.ClickChannel = channelAds
				}
			}
		}
	}
	source.Campaign = source.UTM.Campaign
	source.MediumChannel = mediumChannel(source.UTM.Medium)
	if referrer.Class != classInternal { // a visit that goes on has no channel of its own
		source.Channel = referrer.Class // the other classes are channels of the same name
	}
	return referrer, source, scratch
}

// previewToken returns the token of a preview's link, "" without one. It is
// base64url: what would have to be decoded is none.
func previewToken(query string) string {
	if !strings.Contains(query, edge.PreviewParameter) {
		return ""
	}
	for pair := range strings.SplitSeq(query, "&") {
		if name, token, _ := strings.Cut(pair, "="); name == edge.PreviewParameter {
			return token
		}
	}
	return ""
}

// utmField returns where a campaign parameter goes, nil if it is none.
func utmField(u *edge.UTM, name string) *string {
	switch name {
	case "utm_source":
		return &u.Source
	case "utm_medium":
		return &u.Medium
	case "utm_campaign":
		return &u.Campaign
	case "utm_term":
		return &u.Term
	case "utm_content":
		return &u.Content
	default:
		return nil
	}
}

func isClickID(name string) (known, paid bool) {
	for i := range clickIDs {
		if clickIDs[i].name == name {
			return true, clickIDs[i].paid
		}
	}
	return false, false
}

// decodeValue decodes a parameter's value. What is too long or is no text is
// left out.
func decodeValue(raw string, scratch []byte) (string, []byte) {
	if plainWord(raw) == len(raw) && len(raw) <= edge.MaxWordBytes {
		return raw, scratch // most are such words
	}
	value := raw
	if strings.IndexByte(raw, '%') >= 0 || strings.IndexByte(raw, '+') >= 0 {
		from := len(scratch)
		for i := 0; i < len(raw); i++ {
			c := raw[i]
			if c == '+' {
				c = ' '
			} else if c == '%' && i+2 < len(raw) {
				if high, low := hexDigit(raw[i+1]), hexDigit(raw[i+2]); high < 16 && low < 16 {
					c = high<<4 | low
					i += 2
				}
			}
			scratch = append(scratch, c)
		}
		value = view(scratch[from:len(scratch):len(scratch)])
	}
	if len(value) > edge.MaxWordBytes || !utf8.ValidString(value) || hasControl(value) {
		return "", scratch
	}
	return value, scratch
}

// hasControl reports whether s holds an ASCII control character.
func hasControl(s string) bool {
	b, at := bytesOf(s), 0
	for at <= len(b)-8 && controls(word(b, at)) == 0 {
		at += 8
	}
	for i := at; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// hexDigit returns the value of a hexadecimal digit, 255 for anything else.
func hexDigit(c byte) byte {
	switch {
	case digit(c):
		return c - '0'
	case (c|0x20)-'a' <= 'f'-'a':
		return (c | 0x20) - 'a' + 10
	default:
		return 255
	}
}

// mediumChannel reads utm_medium with the words that analytics products agree
// on.
func mediumChannel(medium string) string {
	const longest = 32
	var space [longest]byte
	if medium == "" || len(medium) > longest {
		return ""
	}
	lower := space[:len(medium)]
	for i := range lower {
		c := medium[i]
		switch {
		case c-'A' <= 'Z'-'A':
			c |= 0x20
		case c == '-' || c == ' ':
			c = '_'
		}
		lower[i] = c
	}
	switch string(lower) {
	case "cpc", "ppc", "cpm", "cpv", "cpa", "cpp", "cpi", "display", "banner", "retargeting", "remarketing", "ads", "ad":
		return channelAds
	case "email", "e_mail", "mail", "newsletter":
		return channelMail
	case "social", "social_network", "social_media", "sm", "organic_social":
		return channelSocial
	case "organic", "organic_search", "search":
		return channelSearch
	case "referral", "partner", "link":
		return channelReferral
	}
	if strings.HasPrefix(view(lower), "paid") {
		return channelAds
	}
	return ""
}
