// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/oschwald/maxminddb-golang/v2"
)

// The longest texts taken from a record. The longest real ones are about half.
const (
	maxCityBytes     = 256
	maxPostcodeBytes = 32
	maxRegionBytes   = 3 // ISO 3166-2
)

// A Shape is how the records of a database are laid out.
type Shape uint8

// The shapes that are read.
const (
	// ShapeGeoIP2 is MaxMind's: nested maps, in the Country, City and Enterprise
	// databases of GeoIP2 and GeoLite2 and in DB-IP's own downloads.
	ShapeGeoIP2 Shape = iota + 1
	// ShapeFlat is ip-location-db's: country_code, state1, city, ... side by
	// side, with the region's name where its code would be.
	ShapeFlat
)

// String is "geoip2" or "flat", as logs and metrics say it.
func (s Shape) String() string {
	switch s {
	case ShapeGeoIP2:
		return "geoip2"
	case ShapeFlat:
		return "flat"
	default:
		return "unknown"
	}
}

// A record is what is taken from a database about one network, whatever its
// shape; nothing of it has been believed.
type record struct {
	country, region, regionName, city, postcode, zone string

	lat, lon *float64
}

// geoIP2Record are the members of a nested record that a Place takes. The
// reader skips the others, among them the names in other languages.
type geoIP2Record struct {
	Country struct {
		ISOCode string `maxminddb:"iso_code"`
	} `maxminddb:"country"`
	Subdivisions []struct {
		ISOCode string `maxminddb:"iso_code"`
	} `maxminddb:"subdivisions"`
	City struct {
		Names struct {
			English string `maxminddb:"en"`
		} `maxminddb:"names"`
	} `maxminddb:"city"`
	Postal struct {
		Code string `maxminddb:"code"`
	} `maxminddb:"postal"`
	Location struct {
		Latitude  *float64 `maxminddb:"latitude"`
		Longitude *float64 `maxminddb:"longitude"`
		TimeZone  string   `maxminddb:"time_zone"`
	} `maxminddb:"location"`
}

// flatRecord are the members of a flat record that a Place takes.
type flatRecord struct {
	Country   string   `maxminddb:"country_code"`
	Region    string   `maxminddb:"state1"`
	City      string   `maxminddb:"city"`
	Postcode  string   `maxminddb:"postcode"`
	Latitude  *float64 `maxminddb:"latitude"`
	Longitude *float64 `maxminddb:"longitude"`
	TimeZone  string   `maxminddb:"timezone"`
}

// read decodes the record that result found, which has the shape s.
func (s Shape) read(result maxminddb.Result) (record, error) {
	if s == ShapeFlat {
		var r flatRecord
		err := result.Decode(&r)
		return record{country: r.Country, regionName: r.Region, city: r.City, postcode: r.Postcode,
			zone: r.TimeZone, lat: r.Latitude, lon: r.Longitude}, err
	}
	var r geoIP2Record
	err := result.Decode(&r)
	taken := record{country: r.Country.ISOCode, city: r.City.Names.English, postcode: r.Postal.Code,
		zone: r.Location.TimeZone, lat: r.Location.Latitude, lon: r.Location.Longitude}
	if len(r.Subdivisions) > 0 {
		// Subdivisions go from the largest to the smallest.
		taken.region = r.Subdivisions[0].ISOCode
	}
	return taken, err
}

// trialRecords is how many records may name no country before a file is taken
// for something else.
const trialRecords = 10_000

// shapeOf tells the shape of reader's records by the first that names a
// country. The error says what they hold instead.
func shapeOf(reader *maxminddb.Reader) (Shape, error) {
	seen := make(map[string]bool)
	records := 0
	for result := range reader.Networks(maxminddb.IncludeNetworksWithoutData()) {
		if err := result.Err(); err != nil {
			return 0, err
		}
		if records++; records > trialRecords {
			break
		}
		if !result.Found() {
			continue
		}
		var members map[string]any
		if err := result.Decode(&members); err != nil {
			return 0, fmt.Errorf("its records are no maps: %w", err)
		}
		if _, ok := members["country"].(map[string]any); ok {
			return ShapeGeoIP2, nil
		}
		if _, ok := members["country_code"].(string); ok {
			return ShapeFlat, nil
		}
		for name := range members {
			if len(seen) < 5 && len(name) <= 40 && utf8.ValidString(name) {
				seen[name] = true
			}
		}
	}
	if len(seen) == 0 {
		return 0, fmt.Errorf("none of its first %d networks has a record", records)
	}
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, fmt.Sprintf("%q", name))
	}
	slices.Sort(names)
	return 0, fmt.Errorf("its records hold %s, and no country", strings.Join(names, ", "))
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
