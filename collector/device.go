// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"cmp"
	"strings"

	"github.com/mssola/useragent"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/memo"
)

// The device types.
const (
	devicePhone   = "phone"
	deviceTablet  = "tablet"
	deviceDesktop = "desktop"
	deviceTV      = "tv"
	deviceOther   = "other" // watches, headsets, consoles in the hand, cars, and what cannot be told
)

// deviceTypes are all that a server may say.
var deviceTypes = [...]string{devicePhone, deviceTablet, deviceDesktop, deviceTV, deviceOther}

// maxUserAgentBytes bounds what is read of a User-Agent. Browsers stay far
// below.
const maxUserAgentBytes = 512

// maxCacheKey bounds what is remembered of headers. What is longer is worked out
// each time.
const maxCacheKey = 1024

// A deviceReading is what headers say of a device.
type deviceReading struct {
	kind, model, osVersion string
	bot                    bool
}

// devices tells devices by their headers and remembers what it told. It is safe
// for concurrent use.
type devices struct {
	cache    *memo.Memo[deviceReading]
	crawlers *crawlers
}

func newDevices() *devices {
	return &devices{memo.New[deviceReading](maxCacheKey), newCrawlers()}
}

// read says which device sent a request and whether it is a crawler. Client
// hints go before the User-Agent, which browsers freeze. scratch is used for
// the look-up and returned for reuse.
//
// Sec-CH-UA-Model and Sec-CH-UA-Platform-Version are sent only to sites that
// asked for them; whether they may be used is the engine's to say.
func (d *devices) read(h *headers, scratch []byte) (device edge.Device, bot bool, rest []byte) {
	key := append(scratch[:0], cut(h.userAgent, maxUserAgentBytes)...)
	for _, hint := range [...]string{h.mobile, h.platform, h.formFactors} {
		key = append(append(key, 0), cut(hint, maxHintBytes)...)
	}
	key = append(append(key, 0), cut(h.brands, maxBrandsBytes+1)...)
	reading, ok := d.cache.Find(key)
	if !ok {
		reading = d.work(strings.Split(string(key), "\x00"))
		d.cache.Keep(key, reading)
	}
	device = edge.Device{Type: reading.kind, Model: reading.model, OSVersion: reading.osVersion}
	if model := hintText(h.model); model != "" {
		device.Model = model
	}
	if version := hintText(h.platformVersion); version != "" {
		device.OSVersion = systemVersion(hintText(h.platform), version)
	}
	return device, reading.bot, key
}

// work works a reading out of the User-Agent and the hints for mobile, platform,
// form factors and brands. A header cannot hold the byte that parted them.
func (d *devices) work(parts []string) deviceReading {
	agent, mobile, platform, factors, brands := parts[0], parts[1], hintText(parts[2]), parts[3], parts[4]
	ua := useragent.New(agent)
	model, part := modelIn(agent)
	reading := deviceReading{
		kind: cmp.Or(kindByToken(agent), kindByFactors(factors), kindByHints(mobile, platform), kindByAgent(agent, part, ua)),
		bot:  d.isBot(agent, part, ua) || contradicts(brands, agent),
	}
	// A browser that sends hints has frozen its User-Agent, and every browser
	// says the same version of macOS: what stands there is nobody's.
	if platform != "" || strings.Contains(agent, "Macintosh") {
		return reading
	}
	if reading.kind == devicePhone || reading.kind == deviceTablet {
		reading.model = model
	}
	reading.osVersion = versionIn(agent)
	return reading
}

// kindByFactors reads Sec-CH-UA-Form-Factors, a list of words of which a device
// has one or more. What is a tablet is also Mobile to some.
func kindByFactors(factors string) string {
	kind := ""
	for rest := factors; rest != ""; {
		factor, _, more, ok := cutHint(rest)
		if !ok {
			return ""
		}
		switch {
		case factor == "Tablet":
			return deviceTablet
		case factor == "Mobile":
			kind = devicePhone
		case factor == "Desktop" && kind != devicePhone:
			kind = deviceDesktop
		case kind == "":
			kind = deviceOther
		}
		rest = more
	}
	return kind
}

// kindByHints reads Sec-CH-UA-Mobile and Sec-CH-UA-Platform. Chromium calls a
// phone mobile and nothing else; a phone that asks for the desktop's site says
// it is not, and is taken at its word.
func kindByHints(mobile, platform string) string {
	switch {
	case mobile == "?1":
		return devicePhone
	case mobile != "?0":
		return ""
	}
	switch platform {
	case "Android":
		return deviceTablet
	case "Windows", "macOS", "Linux", "Chrome OS", "Chromium OS", "Fuchsia":
		return deviceDesktop
	default:
		return ""
	}
}

// kindByAgent reads the User-Agent. mssola tells mobile systems from others,
// but it calls every Android mobile and does not know tablets. model is the part
// that names the device.
func kindByAgent(agent, model string, ua *useragent.UserAgent) string {
	has := func(token string) bool { return strings.Contains(agent, token) }
	switch {
	case hasTabletWord(model):
		return deviceTablet
	case has("iPad"), has("PlayBook"), has("TouchPad"):
		return deviceTablet
	case has("iPhone"), has("iPod"), has("Windows Phone"), has("Opera Mini"), has("KAIOS"):
		return devicePhone
	case has("Tablet") && !has("Tablet PC"), has("Kindle"), has("Silk/") && !has("Mobile"):
		return deviceTablet
	case has("Android"):
		// Browsers leave Mobile out on a tablet. Apps of other engines leave it out
		// everywhere, and there are many more phones.
		if has("Mobile") || !has("AppleWebKit") && !has("Gecko/") {
			return devicePhone
		}
		return deviceTablet
	case has("Macintosh") && has(" Mobile/"):
		return deviceTablet // a web view of iPadOS, which says it is a Mac
	case has("Windows NT") && !has("IEMobile"):
		return deviceDesktop
	case has("Windows CE"), hasPhoneWord(agent):
		return devicePhone
	case has("Windows NT"), has("Macintosh"), has("X11"), has("CrOS"):
		return deviceDesktop
	case model != "", ua.Mobile(), has("Mobi"):
		return devicePhone
	case has("Windows"):
		return deviceDesktop
	default:
		return deviceOther
	}
}

// hasTabletWord reports whether a model's name says that it is a tablet. Those
// of before Android 4 and many cheap ones say Mobile all the same.
func hasTabletWord(model string) bool {
	lower := strings.ToLower(model)
	if strings.Contains(lower, "padfone") || strings.Contains(lower, "coolpad") {
		return false // a phone that is put into a pad, and a maker of phones
	}
	for _, word := range [...]string{"tablet", "pad"} {
		if strings.Contains(lower, word) {
			return true
		}
	}
	_, rest, found := strings.Cut(lower, "tab")
	return found && (rest == "" || (rest[0]-'a' > 'z'-'a'))
}

// phoneWords are of the mobile web before smartphones; no other device has them.
// A User-Agent of that time begins with the maker, or names a browser, a profile
// or a system that was made for phones.
var phoneWords = [...]string{
	"MIDP", "UP.Browser", "UP.Link", "Profile/", "J2ME", "BREW", "Brew MP", "Obigo", "Openwave", "Teleca", "Dorado", "IEMobile", "PalmOS", "Palm OS",
	"Symbian", "Series60", "Series40", "Series 60", "UCWEB", "UCBrowser", "NetFront/3", "NetFront/4", "Opera Mobi", "Fennec", "MAUI", "WAP", "i-mode",
	"DoCoMo", "KDDI-", "J-PHONE", "Vodafone/", "SoftBank/", "BlackBerry", "BB10", "webOS/", "hpwOS/", "Bada/", "MeeGo", "Maemo", "Sailfish", "MQQBrowser",
	"Nokia", "NOKIA", "SonyEricsson", "SAMSUNG-", "SEC-", "LGE-", "LG-", "LG/", "MOT-", "Motorola", "SIE-", "ALCATEL", "Alcatel", "HTC", "HUAWEI", "Huawei",
	"ZTE", "Kyocera", "KYOCERA", "KWC-", "Pantech", "PANTECH", "AMOI", "BIRD", "SAGEM", "Sagem", "SHARP-", "Sprint", "iBrowser", "Smartphone", "SmartPhone",
}

func hasPhoneWord(agent string) bool {
	for _, word := range phoneWords {
		if strings.Contains(agent, word) {
			return true
		}
	}
	return false
}

// tokenKinds are words of a User-Agent that tell a device whatever else it
// says, for these systems call themselves Android, Linux or Windows too.
var tokenKinds = [...]struct{ token, kind string }{
	{"SMART-TV", deviceTV}, {"SmartTV", deviceTV}, {"Smart TV", deviceTV}, {"SmartHub", deviceTV},
	{"HbbTV", deviceTV}, {"AppleTV", deviceTV}, {"Apple TV", deviceTV}, {"GoogleTV", deviceTV},
	{"Google TV", deviceTV}, {"Android TV", deviceTV}, {"BRAVIA", deviceTV}, {"; AFT", deviceTV},
	{"Roku", deviceTV}, {"CrKey", deviceTV}, {"NetCast", deviceTV}, {"Web0S", deviceTV},
	{"VIDAA", deviceTV}, {"PhilipsTV", deviceTV}, {"NETTV", deviceTV}, {"Viera", deviceTV},
	{"DTV", deviceTV}, {"PlayStation Vita", deviceOther}, {"PlayStation", deviceTV}, {"PLAYSTATION 3", deviceTV}, {"WebTV", deviceTV}, {"Xbox", deviceTV},
	{"Nintendo", deviceOther}, {"OculusBrowser", deviceOther}, {"Quest", deviceOther}, {"Apple Watch", deviceOther},
	{"watchOS", deviceOther}, {"Wear OS", deviceOther},
}

func kindByToken(agent string) string {
	for _, t := range tokenKinds {
		if strings.Contains(agent, t.token) {
			return t.kind
		}
	}
	return ""
}

// cut returns at most most bytes of s.
func cut(s string, most int) string { return s[:min(len(s), most)] }
