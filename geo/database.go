// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"fmt"
	"net/netip"
	"time"
	"unicode/utf8"

	"github.com/nearside/nearside/edge"
	"github.com/oschwald/geoip2-golang/v2"
	"github.com/oschwald/maxminddb-golang/v2"
)

const (
	// trialPlaces is how many networks must give a country before a file is
	// believed, or all of them if it holds fewer.
	trialPlaces = 1_000
	// trialNetworks ends the trial, in a file that hardly knows a country. It
	// counts networks without a record too: a crafted tree whose branches meet
	// again has more of them than could ever be visited.
	trialNetworks = 100_000
)

// The longest texts taken from a record. The longest real ones are about half.
const (
	maxCityBytes     = 256
	maxPostcodeBytes = 32
	maxRegionBytes   = 3 // ISO 3166-2
)

// A database is one open file with what was derived from it. It is replaced as
// a whole, so nothing learnt from an old file outlives it; the garbage
// collector frees it after the last Locate that held it. Its bytes never
// change; its caches are safe for concurrent use.
type database struct {
	reader    *geoip2.Reader
	source    string
	kind      string
	built     time.Time
	onlyIPv4  bool
	countries *countryZones
	zones     namedZones
	places    placeCache
}

// openDatabase opens data, which it keeps and nobody may change, without
// looking through it: data is trusted, or verify follows.
func openDatabase(data []byte, source string, countries *countryZones) (*database, error) {
	reader, err := geoip2.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDatabase, err)
	}
	metadata := reader.Metadata()
	return &database{
		reader:    reader,
		source:    source,
		kind:      metadata.DatabaseType,
		built:     metadata.BuildTime().UTC(),
		onlyIPv4:  metadata.IPVersion == 4,
		countries: countries,
	}, nil
}

// verify reads the whole structure of data, from which d was opened, and then
// tries real look-ups: a file can be sound and yet hold records of another
// shape, or none.
func (d *database) verify(data []byte) error {
	structure, err := maxminddb.OpenBytes(data)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDatabase, err)
	}
	if err := structure.Verify(); err != nil {
		return fmt.Errorf("%w: %w", ErrDatabase, err)
	}
	places, networks := 0, 0
	for result := range structure.Networks(maxminddb.IncludeNetworksWithoutData()) {
		if err := result.Err(); err != nil {
			return fmt.Errorf("%w: %w", ErrDatabase, err)
		}
		place, err := d.locate(result.Prefix().Addr())
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDatabase, err)
		}
		if place.Country != "" {
			places++
		}
		networks++
		if places == trialPlaces || networks == trialNetworks {
			break
		}
	}
	if places == 0 {
		return fmt.Errorf("%w: no country in its first %d networks", ErrDatabase, networks)
	}
	return nil
}

// locate looks network up in the file. City reads records of every accepted
// type: those of a Country database are City records with less in them.
func (d *database) locate(network netip.Addr) (edge.Place, error) {
	if d.onlyIPv4 && !network.Is4() {
		return edge.Place{}, nil
	}
	record, err := d.reader.City(network)
	if err != nil {
		return edge.Place{}, err
	}
	place := edge.Place{
		Country:  code(record.Country.ISOCode, 2, 2),
		City:     text(record.City.Names.English, maxCityBytes),
		Postcode: text(record.Postal.Code, maxPostcodeBytes),
	}
	if len(record.Subdivisions) > 0 {
		// Subdivisions go from the largest to the smallest.
		place.Region = code(record.Subdivisions[0].ISOCode, 1, maxRegionBytes)
	}
	if lat, lon := record.Location.Latitude, record.Location.Longitude; lat != nil && lon != nil &&
		-90 <= *lat && *lat <= 90 && -180 <= *lon && *lon <= 180 {
		place.Lat, place.Lon, place.HasPoint = *lat, *lon, true
	}
	place.Zone = d.zones.find(record.Location.TimeZone)
	if place.Zone == nil {
		place.Zone = d.countries.of(place.Country)
	}
	return place, nil
}

// code returns s if it is an ISO code of the given length, else "".
func code(s string, shortest, longest int) string {
	if len(s) < shortest || len(s) > longest {
		return ""
	}
	for i := range len(s) {
		letter, digit := 'A' <= s[i] && s[i] <= 'Z', '0' <= s[i] && s[i] <= '9'
		if !letter && (!digit || longest == 2) {
			return ""
		}
	}
	return s
}

// text returns s if it is no longer than longest and UTF-8, else "".
func text(s string, longest int) string {
	if len(s) > longest || !utf8.ValidString(s) {
		return ""
	}
	return s
}
