// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A city is one place of the gazetteer, in hundredths of a degree, which is
// how exactly the table keeps it.
type city struct {
	lat, lon   int
	zone       string
	population int
}

// The columns of the gazetteer's lines that are read.
const (
	columnLat        = 4
	columnLon        = 5
	columnCountry    = 8
	columnPopulation = 14
	columnZone       = 17
	columns          = 19
)

// makeZones returns, for each country of more than one time zone, the fewest
// cities found whose nearest neighbour tells every city's zone.
func makeZones(gazetteer []byte) ([]byte, error) {
	countries := make(map[string][]city)
	for line := range strings.Lines(string(gazetteer)) {
		fields := strings.Split(strings.TrimRight(line, "\r\n"), "\t")
		if len(fields) != columns {
			return nil, fmt.Errorf("a line of %d columns, want %d", len(fields), columns)
		}
		lat, err1 := strconv.ParseFloat(fields[columnLat], 64)
		lon, err2 := strconv.ParseFloat(fields[columnLon], 64)
		population, err3 := strconv.Atoi(fields[columnPopulation])
		if err := cmp.Or(err1, err2, err3); err != nil {
			return nil, err
		}
		if zone := fields[columnZone]; zone != "" {
			country := fields[columnCountry]
			countries[country] = append(countries[country],
				city{int(math.Round(lat * 100)), int(math.Round(lon * 100)), zone, population})
		}
	}
	var out bytes.Buffer
	for _, country := range sortedKeys(countries) {
		writeZones(&out, country, thin(countries[country]))
	}
	return out.Bytes(), nil
}

// thin keeps the cities that a nearest-neighbour search needs (Hart's condensed
// nearest neighbour, 1968), the most populous first.
func thin(all []city) []city {
	slices.SortFunc(all, func(a, b city) int {
		return cmp.Or(cmp.Compare(b.population, a.population), cmp.Compare(a.zone, b.zone),
			cmp.Compare(a.lat, b.lat), cmp.Compare(a.lon, b.lon))
	})
	var kept []city
	for changed := true; changed; {
		changed = false
		for _, c := range all {
			if near, ok := nearest(kept, c); !ok || near.zone != c.zone && (near.lat != c.lat || near.lon != c.lon) {
				kept = append(kept, c)
				changed = true
			}
		}
	}
	return kept
}

func nearest(kept []city, c city) (city, bool) {
	best, least := city{}, math.Inf(1)
	narrow := math.Cos(float64(c.lat) / 100 * math.Pi / 180)
	for _, k := range kept {
		east := k.lon - c.lon
		if east > 18000 {
			east -= 36000
		} else if east < -18000 {
			east += 36000
		}
		dlat, dlon := float64(k.lat-c.lat), float64(east)*narrow
		if d := dlat*dlat + dlon*dlon; d < least {
			best, least = k, d
		}
	}
	return best, len(kept) > 0
}

// writeZones writes a line for each zone of a country: the two codes, then its
// cities. A country of one zone has none.
func writeZones(out *bytes.Buffer, country string, kept []city) {
	zones := make(map[string][]city)
	for _, c := range kept {
		zones[c.zone] = append(zones[c.zone], c)
	}
	if len(zones) < 2 {
		return
	}
	for _, zone := range sortedKeys(zones) {
		fmt.Fprintf(out, "%s %s", country, zone)
		for _, c := range zones[zone] {
			fmt.Fprintf(out, " %d,%d", c.lat, c.lon)
		}
		out.WriteByte('\n')
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
