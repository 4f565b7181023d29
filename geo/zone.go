// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	_ "time/tzdata" // so that zones load on a machine without a zone database
)

const (
	// maxNamedZones bounds the zones of one database file. IANA knows some 600
	// names; a file that invents more gets the country's zone for the rest.
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

// namedZones holds the zones that the records of one file name, each loaded
// when it is first met. The map is copied to add to it, which happens a few
// hundred times in a file's life, so that reading takes no lock. The zero value
// is empty. Safe for concurrent use.
type namedZones struct {
	known atomic.Pointer[map[string]*time.Location]
	add   sync.Mutex
}

// find returns the zone called name, or nil if there is none. Names without a
// zone are kept too: looking for one reads the disk.
func (z *namedZones) find(name string) *time.Location {
	if name == "" {
		return nil
	}
	if known := z.known.Load(); known != nil {
		if zone, ok := (*known)[name]; ok {
			return zone
		}
	}
	z.add.Lock()
	defer z.add.Unlock()
	next := make(map[string]*time.Location)
	if known := z.known.Load(); known != nil {
		if zone, ok := (*known)[name]; ok {
			return zone
		}
		if len(*known) >= maxNamedZones {
			return nil
		}
		maps.Copy(next, *known)
	}
	zone := loadZone(name)
	next[name] = zone
	z.known.Store(&next)
	return zone
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
