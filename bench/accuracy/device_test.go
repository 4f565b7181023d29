// SPDX-License-Identifier: Apache-2.0

package accuracy

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/nearside/nearside/collector"
)

// TestDevices measures type and model on the corpus's devices.
func TestDevices(t *testing.T) {
	reader := collector.NewReader()
	kind, model := &tally{name: "type"}, &tally{name: "model"}
	browserKind, browserModel := &tally{name: "type, in browsers"}, &tally{name: "model, in browsers"}
	for _, c := range corpus(t, "test_device.yaml") {
		if c.Family == "Spider" {
			continue
		}
		device, _ := reader.Device(&collector.Agent{UserAgent: c.Agent}) // TestCrawlers counts whom it takes for a crawler
		kinds, models := []*tally{kind}, []*tally{model}
		if isBrowser(c.Agent) {
			kinds, models = append(kinds, browserKind), append(models, browserModel)
		}
		if want := typeOf(&c); want != "" {
			for _, count := range kinds {
				count.add(device.Type, device.Type == want, want+" as "+device.Type+": "+c.Brand, c.Agent)
			}
		}
		if tellsModel(&c) {
			for _, count := range models {
				count.add(device.Model, sameModel(device.Model, &c), c.Brand, c.Model+" as "+device.Model+": "+c.Agent)
			}
		}
	}
	report(t, "Devices, uap-core test_device.yaml", kind, browserKind, model, browserModel)
}

// isBrowser reports whether an agent is of a browser that can run a tag: one
// with the engine of a browser of today. Most of the corpus is older.
func isBrowser(agent string) bool {
	return strings.HasPrefix(agent, "Mozilla/5.0 (") && (strings.Contains(agent, "AppleWebKit/") || strings.Contains(agent, "Gecko/") || strings.Contains(agent, "Trident/"))
}

// phoneBrands made phones, and no other device that says of itself what a phone
// says. Who also made tablets with Android does not tell by the brand.
var phoneBrands = words("SonyEricsson Siemens DoCoMo BlackBerry Kyocera Palm Sprint Amoi Bird Sagem Sendo Nokia HTC OnePlus")

// tabletModels are tablets of brands that made little else than phones: HTC's
// Flyer and Jetstream, and the Xperia tablets.
var tabletModels = []string{"Flyer", "Jetstream", "PG41", "PG09", "P510e", "P512", "SGP", "SO-03E", "SO-05F"}

// tabletFamilies and the others are families whose type is known.
var (
	tabletFamilies = words("iPad Kindle PlayBook Nook")
	phoneFamilies  = words("iPhone iPod")
	tvFamilies     = words("HbbTV NetCast.TV NetCast.Media Inettv AppleTV")
	deskFamilies   = words("Mac")
)

func words(list string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(list) {
		set[word] = true
	}
	return set
}

// typeOf returns the type of a device as far as its family, brand and model in
// the corpus tell it, "" where they do not.
func typeOf(c *useCase) string {
	has := func(words ...string) bool {
		for _, word := range words {
			if strings.Contains(c.Family, word) || strings.Contains(c.Model, word) {
				return true
			}
		}
		return false
	}
	first, _, _ := strings.Cut(c.Family, " ")
	switch {
	case has("Watch", "Glass", "Nintendo", "Vita", "PSP"):
		return "other"
	case tvFamilies[c.Family], hasWord(c, "TV"), has("Roku", "Chromecast", "Playstation 3", "PlayStation 3", "PlayStation 4", "PlayStation 5"):
		return "tv"
	case has(tabletModels...), tabletFamilies[c.Family], tabletFamilies[first], has("Tablet", "tablet", "TAB ", "Tab ", " Tab", "Pad", "PAD", "Kindle", "PlayBook", "Playbook"):
		if has("Padfone", "PadFone", "PADFONE") {
			return ""
		}
		return "tablet"
	case phoneFamilies[first], has("Generic Smartphone", "Generic Feature Phone", "Phone", "phone"), phoneBrands[c.Brand]:
		return "phone"
	case deskFamilies[c.Family]:
		return "desktop"
	}
	return ""
}

// hasWord reports whether a word stands in a family or model, apart from others.
func hasWord(c *useCase, word string) bool {
	apart := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }
	return slices.Contains(strings.FieldsFunc(c.Family+" "+c.Model, apart), word)
}

// tellsModel reports whether the corpus names a device's model and not only what
// kind of device it is.
func tellsModel(c *useCase) bool {
	return c.Model != "" && !strings.HasPrefix(c.Brand, "Generic") && c.Family != "Other" && c.Model != "Smartphone" && c.Model != "Feature Phone"
}

// sameModel reports whether a model is the corpus's, apart from case, spaces and
// marks, and from the brand before it.
func sameModel(got string, c *useCase) bool {
	a := plain(got)
	for _, want := range []string{c.Model, c.Family, c.Brand + c.Model} {
		if a != "" && a == plain(want) {
			return true
		}
	}
	return false
}

func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '+' {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

// TestVersions measures the version of the system, by kind of system.
func TestVersions(t *testing.T) {
	reader := collector.NewReader()
	rows := []*tally{
		{name: "iOS"}, {name: "Android"}, {name: "Windows"}, {name: "other phones, tablets, TVs"}, {name: "Linux, BSD and others on desks"},
		{name: "macOS, which browsers freeze"}, {name: "apps, and browsers that run no tag"},
	}
	for _, c := range corpus(t, "test_os.yaml") {
		if c.Major == "" {
			continue
		}
		device, _ := reader.Device(&collector.Agent{UserAgent: c.Agent})
		want := versionOf(&c)
		rows[rowOf(&c)].add(device.OSVersion, device.OSVersion == want, c.Family, want+" as "+device.OSVersion+": "+c.Agent)
	}
	report(t, "Version of the system, uap-core test_os.yaml", rows...)
}

// rowOf returns the row of TestVersions that a case counts in.
func rowOf(c *useCase) int {
	switch {
	case !isBrowser(c.Agent):
		return 6
	case c.Family == "iOS":
		return 0
	case c.Family == "Android":
		return 1
	case c.Family == "Windows":
		return 2
	case c.Family == "Mac OS X":
		return 5
	case slices.Contains([]string{"Linux", "Ubuntu", "FreeBSD", "OpenBSD", "NetBSD", "Gentoo", "Mandriva", "Chrome OS", "Debian", "Solaris", "Red Hat"}, c.Family):
		return 4
	}
	return 3
}

func versionOf(c *useCase) string {
	version := c.Major
	for _, part := range []string{c.Minor, c.Patch, c.PatchMinor} {
		if part == "" {
			break
		}
		version += "." + part
	}
	return version
}
