// SPDX-License-Identifier: Apache-2.0

package geo

import (
	_ "embed"
	"strings"

	"github.com/nearside/nearside/geo/internal/fold"
)

//go:generate go run ./internal/genplaces -regions regions.txt -zones zonepoints.txt

// regionTable has a line for each region of ISO 3166-2: country, code, and the
// names it goes by, folded and parted by ";". ATTRIBUTION.md names the sources.
//
//go:embed regions.txt
var regionTable string

// A regionNames finds the ISO 3166-2 code of a region that a flat database
// names only in words. It never changes after newRegionNames.
type regionNames struct {
	whole map[string]string // country + folded name
	bare  map[string]string // country + name without its kind; "" if two share it
}

func newRegionNames() *regionNames {
	names := &regionNames{whole: make(map[string]string, 8192), bare: make(map[string]string, 8192)}
	for line := range strings.Lines(regionTable) {
		country, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		code, all, _ := strings.Cut(rest, " ")
		for name := range strings.SplitSeq(all, ";") {
			names.whole[country+name] = code
			bare := country + fold.Bare(name)
			if before, ok := names.bare[bare]; ok && before != code {
				code := "" // not this one's name alone
				names.bare[bare] = code
				continue
			}
			names.bare[bare] = code
		}
	}
	return names
}

// code returns the code of the region of country that goes by name, or "" if
// there is none or it could be two.
func (n *regionNames) code(country, name string) string {
	if country == "" || name == "" || len(name) > maxCityBytes {
		return ""
	}
	folded := fold.Name(name)
	if code, ok := n.whole[country+folded]; ok {
		return code
	}
	return n.bare[country+fold.Bare(folded)]
}
