// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"cmp"
	"strings"

	"github.com/mssola/useragent"

	"github.com/nearside/nearside/edge"
)

// The device types.
const (
	devicePhone   = "phone"
	deviceTablet  = "tablet"
	deviceDesktop = "desktop"
	deviceTV      = "tv"
	deviceOther   = "other" // watches, headsets, consoles in the hand, cars, and what cannot be told
)

// What is read of a header, in bytes. Browsers stay far below.
const (
	maxUserAgentBytes = 512
	maxHintBytes      = 64
)

// A deviceReading is what headers say of a device.
type deviceReading struct {
	kind, model, osVersion string
	bot                    bool
}

// devices tells devices by their headers and remembers what it told. It is safe
// for concurrent use.
type devices struct {
	cache    *cache[deviceReading]
	crawlers *crawlers
}

func newDevices() *devices {
	return &devices{newCache[deviceReading](), newCrawlers()}
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
		key = append(key, 0)
		key = append(key, cut(hint, maxHintBytes)...)
	}
	reading, ok := d.cache.find(key)
	if !ok {
		reading = d.work(strings.Split(string(key), "\x00"))
		d.cache.keep(key, reading)
	}
	device = edge.Device{Type: reading.kind, Model: reading.model, OSVersion: reading.osVersion}
	if model := unquote(h.model); model != "" {
		device.Model = model
	}
	if version := unquote(h.platformVersion); version != "" {
		device.OSVersion = version
	}
	return device, reading.bot, key
}

// work works a reading out of the User-Agent and the hints for mobile,
// platform and form factors. A header cannot hold the byte that parted them.
func (d *devices) work(parts []string) deviceReading {
	agent, mobile, platform, factors := parts[0], parts[1], unquote(parts[2]), parts[3]
	ua := useragent.New(agent)
	reading := deviceReading{
		kind: cmp.Or(kindByToken(agent), kindByFactors(factors), kindByHints(mobile, platform), kindByAgent(agent, ua)),
		bot:  d.crawlers.match(agent) || ua.Bot() || looksLikeBot(agent),
	}
	// A browser that sends hints has frozen its User-Agent, and every browser
	// says the same version of macOS: what stands there is nobody's.
	if platform != "" || strings.Contains(agent, "Macintosh") {
		return reading
	}
	// Of desks mssola makes up models, of all else both.
	switch reading.kind {
	case devicePhone, deviceTablet:
		reading.model = ua.Model()
		fallthrough
	case deviceDesktop:
		if version := ua.OSInfo().Version; strings.Trim(version, "0123456789.") == "" {
			reading.osVersion = version
		}
	}
	return reading
}

// kindByFactors reads Sec-CH-UA-Form-Factors, a list of quoted words.
func kindByFactors(factors string) string {
	switch {
	case factors == "":
		return ""
	case strings.Contains(factors, `"Tablet"`):
		return deviceTablet
	case strings.Contains(factors, `"Mobile"`):
		return devicePhone
	case strings.Contains(factors, `"Desktop"`):
		return deviceDesktop
	default:
		return deviceOther
	}
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
// but it calls every Android mobile and does not know tablets.
func kindByAgent(agent string, ua *useragent.UserAgent) string {
	has := func(token string) bool { return strings.Contains(agent, token) }
	switch {
	case has("iPhone"), has("iPod"), has("Windows Phone"), has("Opera Mini"), has("KAIOS"):
		return devicePhone
	case has("iPad"), has("Tablet") && !has("Tablet PC"), has("PlayBook"), has("Kindle"), has("Silk/") && !has("Mobile"):
		return deviceTablet
	case has("Android"):
		if has("Mobile") {
			return devicePhone
		}
		return deviceTablet
	case has("Macintosh") && has(" Mobile/"):
		return deviceTablet // a web view of iPadOS, which says it is a Mac
	case has("Windows NT"), has("Macintosh"), has("X11"), has("CrOS"):
		return deviceDesktop
	case ua.Mobile(), has("Mobi"):
		return devicePhone
	default:
		return deviceOther
	}
}

// tokenKinds are words of a User-Agent that tell a device whatever else it
// says, for these systems call themselves Android, Linux or Windows too.
var tokenKinds = [...]struct{ token, kind string }{
	{"SMART-TV", deviceTV}, {"SmartTV", deviceTV}, {"Smart TV", deviceTV}, {"SmartHub", deviceTV},
	{"HbbTV", deviceTV}, {"AppleTV", deviceTV}, {"Apple TV", deviceTV}, {"GoogleTV", deviceTV},
	{"Google TV", deviceTV}, {"Android TV", deviceTV}, {"BRAVIA", deviceTV}, {"; AFT", deviceTV},
	{"Roku", deviceTV}, {"CrKey", deviceTV}, {"NetCast", deviceTV}, {"Web0S", deviceTV},
	{"VIDAA", deviceTV}, {"PhilipsTV", deviceTV}, {"NETTV", deviceTV}, {"Viera", deviceTV},
	{"DTV", deviceTV}, {"PlayStation Vita", deviceOther}, {"PlayStation", deviceTV}, {"Xbox", deviceTV},
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

// botWords are parts of the User-Agents of crawlers, previews and automation
// that mssola takes for browsers, in lower case. People do not drive a headless
// browser.
var botWords = [...]string{
	"bot", "crawl", "spider", "slurp", "headless", "lighthouse", "pagespeed", "google-inspectiontool", "googleother",
	"mediapartners", "facebookexternalhit", "meta-externalagent", "bingpreview", "web preview", "embedly", "archiver",
	"chatgpt-user", "claude-user", "perplexity-user", "phantomjs", "puppeteer", "playwright", "selenium", "python-",
	"curl/", "wget/", "go-http-client", "java/", "libwww", "httpclient", "node-fetch", "axios/", "scrapy", "pingdom",
	"uptime", "validator",
}

// notBotWords are words of browsers that contain a bot word.
var notBotWords = [...]string{"cubot"}

func looksLikeBot(agent string) bool {
	lower := strings.ToLower(agent)
	for _, word := range notBotWords {
		lower = strings.ReplaceAll(lower, word, "")
	}
	for _, word := range botWords {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

// unquote returns the contents of a header's quoted string (RFC 9651, 3.3.3)
// that needs no unescaping and is not too long, else nothing.
func unquote(s string) string {
	if len(s) < 2 || len(s) > maxHintBytes || s[0] != '"' || s[len(s)-1] != '"' {
		return ""
	}
	s = s[1 : len(s)-1]
	if strings.ContainsAny(s, `"\`) {
		return ""
	}
	return s
}

// cut returns at most most bytes of s.
func cut(s string, most int) string { return s[:min(len(s), most)] }
