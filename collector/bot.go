// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strings"

	"github.com/mssola/useragent"
)

// botWords are what programs that are not in the list of crawlers call
// themselves, in lower case. Whoever fetches pages for others ought to say whom
// to ask about it (RFC 9110, 10.1.5); no browser of people carries an address.
var botWords = [...]string{
	"bot", "crawl", "spider", "slurp", "headless", "archiver", "web preview", "libwww", "httpclient", "validator", "uptime",
	"java/1.", "http://", "https://", "www.",
}

// isBot reports whether a User-Agent is of a program and not of a browser. model
// is the part of it that names a device: it names no program, so a Cubot is a
// phone, and an HTC Butterfly too.
func (d *devices) isBot(agent, model string, ua *useragent.UserAgent) bool {
	if model != "" {
		agent = strings.Replace(agent, model, "", 1)
	}
	if d.crawlers.match(agent) || model == "" && ua.Bot() {
		return true
	}
	lower := strings.ToLower(agent)
	for _, word := range botWords {
		if strings.Contains(lower, word) {
			return true
		}
	}
	return false
}

// contradicts reports whether Sec-CH-UA, brands, cannot have come from the
// browser that the User-Agent names: it is a headless one, or of another
// version than the User-Agent, or of an engine that sends no hints. A browser
// makes both of one number, so somebody put them together.
//
// Only headers that are there tell anything. Proxies and privacy tools take
// headers away, so nobody is a crawler for one that is missing.
func contradicts(brands, agent string) bool {
	if brands == "" || len(brands) > maxBrandsBytes {
		return false
	}
	chromium := ""
	for rest := brands; rest != ""; {
		name, version, more, ok := cutHint(rest)
		if !ok {
			return false
		}
		if strings.Contains(name, "Headless") {
			return true
		}
		if name == "Chromium" {
			chromium = version
		}
		rest = more
	}
	if chromium == "" {
		return false
	}
	if _, version, found := strings.Cut(agent, "Chrome/"); found {
		major, _, _ := strings.Cut(leadingVersion(version), ".")
		return major != "" && major != chromium
	}
	return strings.Contains(agent, "Firefox/") || strings.Contains(agent, "like Mac OS X")
}
