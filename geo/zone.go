// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // so that zones load on a machine without a zone database
)

const (
	// maxNamedZones bounds the zones that database files name. IANA knows some
	// 600 names; a file that invents more gets the place's own zone for the rest.
	maxNamedZones = 1024
	// maxZoneBytes is well over IANA's longest name,
	// "America/Argentina/ComodRivadavia".
	maxZoneBytes = 64
)

// countryZones holds the principal zone of each country, indexed by the two
// letters of its code. It never changes after newCountryZones.
type countryZones [26 * 26]*time.Location

func newCountryZones() (*countryZones, error) {
	zones := new(countryZones)
	for line := range strings.Lines(countryZoneTable) {
		country, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		zone := loadZone(name)
		if zone == nil || len(country) != 2 {
			return nil, fmt.Errorf("country %s has no zone %q", country, name)
		}
		zones[countryIndex(country)] = zone
	}
	return zones, nil
}

// of returns the zone of country, which is empty or two upper-case letters; nil
// if it has none.
func (z *countryZones) of(country string) *time.Location {
	if country == "" {
		return nil
	}
	return z[countryIndex(country)]
}

func countryIndex(country string) int {
	return int(country[0]-'A')*26 + int(country[1]-'A')
}

// loadZone returns the zone called name, or nil. "Local" is refused: it is the
// zone of this machine.
func loadZone(name string) *time.Location {
	if name == "" || name == "Local" || len(name) > maxZoneBytes {
		return nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return zone
}
