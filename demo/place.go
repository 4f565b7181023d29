// SPDX-License-Identifier: Apache-2.0

package demo

import "net/netip"

// A Place is somewhere a visitor of the demo can pretend to be.
type Place struct {
	// ID is the word in a page's address.
	ID string
	// Country is where Addr is (ISO 3166-1 alpha-2).
	Country string
	// Addr is the first address of a public network that belongs to a carrier
	// or a university there. The collector truncates it like any other.
	Addr netip.Addr
}

var places = [...]Place{
	{"paris", "FR", netip.MustParseAddr("82.64.12.1")},          // Free
	{"berlin", "DE", netip.MustParseAddr("2003:e1:7700::1")},    // Deutsche Telekom
	{"moscow", "RU", netip.MustParseAddr("95.31.4.1")},          // VimpelCom
	{"riyadh", "SA", netip.MustParseAddr("188.50.16.1")},        // Saudi Telecom
	{"beijing", "CN", netip.MustParseAddr("123.116.8.1")},       // China Unicom
	{"taipei", "TW", netip.MustParseAddr("114.36.10.1")},        // Chunghwa Telecom
	{"tokyo", "JP", netip.MustParseAddr("2001:240:2400::1")},    // IIJ
	{"sydney", "AU", netip.MustParseAddr("129.78.5.1")},         // University of Sydney
	{"newyork", "US", netip.MustParseAddr("128.122.1.1")},       // New York University
	{"saopaulo", "BR", netip.MustParseAddr("2804:14c:65a0::1")}, // Claro
}

// Places returns where a visitor can pretend to be. The caller owns the slice.
func Places() []Place { return append([]Place(nil), places[:]...) }

func placeByID(id string) (Place, bool) {
	for _, p := range places {
		if p.ID == id {
			return p, true
		}
	}
	return Place{}, false
}

// A device is something a visitor can pretend to use: what its browser says of
// itself. A hint that it does not list is one that it does not send.
type device struct {
	ID        string
	userAgent string
	hints     map[string]string // User-Agent Client Hints, low entropy
}

var devices = [...]device{
	{
		ID:        "phone",
		userAgent: "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/154.0.0.0 Mobile Safari/537.36",
		hints: map[string]string{
			"Sec-CH-UA":          `"Chromium";v="154", "Google Chrome";v="154", "Not.A/Brand";v="99"`,
			"Sec-CH-UA-Mobile":   "?1",
			"Sec-CH-UA-Platform": `"Android"`,
		},
	},
	{
		ID:        "tablet",
		userAgent: "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
	},
	{
		ID:        "desktop",
		userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/154.0.0.0 Safari/537.36",
		hints: map[string]string{
			"Sec-CH-UA":          `"Chromium";v="154", "Google Chrome";v="154", "Not.A/Brand";v="99"`,
			"Sec-CH-UA-Mobile":   "?0",
			"Sec-CH-UA-Platform": `"Windows"`,
		},
	},
	{
		ID:        "crawler",
		userAgent: "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
	},
}

// hintHeaders are all the hints by which a real browser could give itself away
// behind a played device.
var hintHeaders = [...]string{
	"Sec-CH-UA", "Sec-CH-UA-Mobile", "Sec-CH-UA-Platform", "Sec-CH-UA-Platform-Version",
	"Sec-CH-UA-Model", "Sec-CH-UA-Arch", "Sec-CH-UA-Bitness", "Sec-CH-UA-WoW64",
	"Sec-CH-UA-Full-Version", "Sec-CH-UA-Full-Version-List", "Sec-CH-UA-Form-Factors",
}

func deviceByID(id string) (device, bool) {
	for _, dev := range devices {
		if dev.ID == id {
			return dev, true
		}
	}
	return device{}, false
}
