// SPDX-License-Identifier: Apache-2.0

package collector

import "strings"

// What a User-Agent says of the system and the device, read by the places where
// browsers write it. mssola/useragent knows the browsers of desks; phones,
// tablets and what is told of them here it mostly does not, as docs/ENRICHMENT.md
// shows with figures.

// systemWords stand before the version of a system, the more telling first: a
// Windows Phone also calls itself Android and iPhone, a watch iPhone.
var systemWords = [...]string{
	"Windows Phone OS ", "Windows Phone ", "Windows Mobile ", "wds ", "watchOS/", "watchOS ", "tvOS/", "tvOS ",
	"CPU iPhone OS ", "CPU iPhone ", "CPU OS ", "iPhone OS ", "iPad OS ", "iOS ", " iOS/",
	"KAIOS/", "KaiOS/", "Tizen ", "Tizen/", "RIM Tablet OS ", "SymbianOS/", "Symbian/", "Bada/", "hpwOS/", "webOS/",
	"Brew MP ", "BREW ", "BREW/", "GoogleTV ", "Roku/DVP-",
	"Android ", "Android/", "Android-", "Adr ", "Ubuntu/", "FreeBSD ", "OpenBSD ", "NetBSD ",
}

// windowsNames are the names of the versions of Windows NT, as people know them.
// Windows 11 calls itself 10 there; the hints tell them apart.
var windowsNames = [...]struct{ number, name string }{
	{"10.0", "10"}, {"6.4", "10"}, {"6.3", "8.1"}, {"6.2", "8"}, {"6.1", "7"}, {"6.0", "Vista"}, {"5.2", "XP"},
	{"5.1", "XP"}, {"5.01", "2000"}, {"5.0", "2000"},
}

// versionIn returns the version of the system that a User-Agent names, "" if it
// names none or one that says nothing.
func versionIn(agent string) string {
	for _, word := range systemWords {
		_, rest, found := strings.Cut(agent, word)
		if !found {
			continue
		}
		version := leadingVersion(rest)
		switch {
		case version == "":
			continue
		case strings.HasPrefix(word, "Android") && isFrozen(agent):
			return ""
		case version == "18" || strings.HasPrefix(version, "18."):
			return thawed(agent, version)
		}
		return version
	}
	if strings.Contains(agent, "BB10") || strings.Contains(agent, "BlackBerry") {
		_, rest, _ := strings.Cut(agent, " Version/") // its browser counts as its system does
		return leadingVersion(rest)
	}
	if _, rest, found := strings.Cut(agent, "Windows NT "); found {
		number := leadingVersion(rest)
		for _, w := range windowsNames {
			if w.number == number {
				return w.name
			}
		}
	}
	return ""
}

// isFrozen reports whether a User-Agent has the system and model that Chromium
// writes since version 110 in place of the true ones
// (https://www.chromium.org/updates/ua-reduction/).
func isFrozen(agent string) bool { return strings.Contains(agent, "Android 10; K)") }

// thawed returns the version of an iOS that says 18. Safari stopped counting
// there; its own version has been that of the system ever since.
func thawed(agent, version string) string {
	if _, rest, found := strings.Cut(agent, " Version/"); found && strings.Contains(agent, "like Mac OS X") {
		if safari := leadingVersion(rest); len(safari) >= 2 && safari[:2] >= "26" && safari[:2] <= "99" {
			return safari
		}
	}
	return version
}

// maxVersionBytes is how long a version may be. The longest true ones have 15.
const maxVersionBytes = 24

// leadingVersion returns the version that s begins with, 12_5_1 as 12.5.1.
func leadingVersion(s string) string {
	end := 0
	for end < len(s) && end <= maxVersionBytes && (digit(s[end]) || s[end] == '.' || s[end] == '_') {
		end++
	}
	if end > maxVersionBytes || end == 0 || !digit(s[0]) {
		return ""
	}
	return strings.TrimRight(strings.ReplaceAll(s[:end], "_", "."), ".")
}

// maxModelBytes is how long a model may be. Longer ones are no names.
const maxModelBytes = 48

// modelIn returns the device's model and the part of the User-Agent that names
// it, "" for none.
func modelIn(agent string) (model, part string) {
	if strings.Contains(agent, "IEMobile") {
		return windowsModel(agent), ""
	}
	if model, part = androidModel(agent); part != "" {
		return model, part
	}
	for _, name := range [...]string{"iPad", "iPod", "iPhone"} {
		if strings.Contains(agent, name) {
			return name, ""
		}
	}
	if strings.Contains(agent, "Windows NT") {
		return "", "" // desks have no models, and most visitors sit at one
	}
	for _, maker := range makerWords {
		_, rest, found := strings.Cut(agent, maker)
		if !found {
			continue
		}
		if model = cleanModel(rest[:wordEnd(rest)]); model != "" && hasDigit(model) {
			return model, ""
		}
	}
	return "", ""
}

// androidModel returns the model that an Android browser names: in its first
// comment, in the part before the build, else in the first part after the system
// that is none of those that all such comments have.
func androidModel(agent string) (model, part string) {
	system := false
	for piece := range strings.SplitSeq(firstComment(agent), ";") {
		piece = strings.Trim(piece, " ")
		name, _, build := strings.Cut(piece, "Build")
		switch {
		case build:
			return cleanModel(name), piece
		case isSystem(piece):
			system = true
		case system && part == "" && !isCommonPart(piece):
			part = piece
		}
	}
	return cleanModel(part), part
}

// firstComment returns what stands in a User-Agent's first parentheses.
func firstComment(agent string) string {
	_, comment, _ := strings.Cut(agent, "(")
	depth := 1
	for i := range len(comment) {
		switch comment[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return comment[:i]
			}
		}
	}
	return comment
}

// windowsModel returns the model that Internet Explorer on a phone names: the
// browser, the maker and the model are the last parts of its comment.
func windowsModel(agent string) string {
	_, rest, _ := strings.Cut(firstComment(agent), "IEMobile")
	parts := strings.Split(rest, ";")
	if len(parts) < 3 {
		return ""
	}
	return cleanModel(parts[2])
}

// isSystem reports whether a part of a comment names Android.
func isSystem(part string) bool {
	return strings.HasPrefix(part, "Android") || strings.HasPrefix(part, "Adr ") || strings.HasPrefix(part, "Linux Android")
}

// isCommonPart reports whether a part of an Android comment stands there
// whatever the device: form, security, language, engine.
func isCommonPart(part string) bool {
	switch part {
	case "", "U", "K", "wv", "Mobile", "Tablet", "TV", "N", "I", "Linux", "HFS", "unknown", "arm", "arm_64", "x86":
		return true
	}
	return strings.HasPrefix(part, "rv:") || strings.HasPrefix(part, "Windows Phone") || isLocale(part)
}

// isLocale reports whether a part is a language and perhaps a country: de,
// en-us, zh_CN.
func isLocale(part string) bool {
	lower := func(i int) bool { return (part[i]|0x20)-'a' <= 'z'-'a' }
	switch len(part) {
	case 2:
		return lower(0) && lower(1)
	case 3:
		return lower(0) && lower(1) && part[2] == '-'
	case 5:
		return lower(0) && lower(1) && (part[2] == '-' || part[2] == '_') && lower(3) && lower(4)
	}
	return false
}

// makers are names that browsers put before a model or leave out, one like the
// other.
var makers = [...]string{"SAMSUNG", "HTC", "LG", "LGE", "HUAWEI", "ZTE", "Lenovo", "LENOVO", "SonyEricsson", "Sony"}

// cleanModel takes from a model what is not its name: the maker before it, which
// some browsers write and others do not, and the firmware after it.
func cleanModel(name string) string {
	name = strings.Trim(strings.TrimPrefix(name, "Mobile: "), " /_-") // as Firefox for Android wrote at first
	if i := strings.LastIndexByte(name, ' '); i >= 0 {
		if version := strings.TrimPrefix(name[i+1:], "V"); strings.Count(version, ".") >= 2 && leadingVersion(version) == version {
			name = name[:i]
		}
	}
	if first, rest, found := strings.Cut(name, "/"); found {
		name = first
		for _, maker := range makers {
			if strings.EqualFold(first, maker) {
				name, _, _ = strings.Cut(rest, "/")
			}
		}
	}
	for _, maker := range makers {
		if rest, found := strings.CutPrefix(name, maker); found && rest != "" && (rest[0] == ' ' || rest[0] == '-' || rest[0] == '_') {
			name = rest[1:]
			break
		}
	}
	if name = strings.Trim(name, " /_-"); len(name) > maxModelBytes || hasControl(name) {
		return ""
	}
	return name
}

// makerWords stand before the model of phones from before smartphones.
var makerWords = [...]string{
	"SAMSUNG-", "SEC-", "Nokia", "NOKIA", "SonyEricsson", "LGE-", "LG-", "LG/", "LGE ", "MOT-", "Motorola-", "SIE-", "ALCATEL-", "Alcatel-", "ALCATEL ",
	"BlackBerry ", "BlackBerry", "HUAWEI-", "Huawei", "HUAWEI", "ZTE-", "Kyocera-", "KYOCERA-", "Pantech", "PANTECH-", "AMOI-", "BIRD.", "BIRD-",
	"DoCoMo/2.0 ", "DoCoMo/1.0/", "KDDI-", "Philips", "PHILIPS-", "SHARP-", "Panasonic-", "Sagem-", "SAGEM-", "Palm",
}

// wordEnd returns where the first word of s ends.
func wordEnd(s string) int {
	if end := strings.IndexAny(s, " /;()[]&,\\"); end >= 0 {
		return end
	}
	return len(s)
}

func hasDigit(s string) bool { return strings.ContainsAny(s, "0123456789") }
