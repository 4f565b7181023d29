// SPDX-License-Identifier: Apache-2.0

package geo

import (
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// zonePointTable has a line for each zone of a country with several: country,
// zone, and the cities that mark it off from the others, in hundredths of a
// degree. ATTRIBUTION.md names the source.
//
//go:embed zonepoints.txt
var zonePointTable string

// A zonePoint is a city whose zone is known, in degrees.
type zonePoint struct {
	lat, lon float64
	zone     *time.Location
}

// zonePoints holds the cities of each country of several zones. It never
// changes after newZonePoints.
type zonePoints map[string][]zonePoint

func newZonePoints() (zonePoints, error) {
	points := make(zonePoints)
	for line := range strings.Lines(zonePointTable) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			return nil, fmt.Errorf("zone points: a line of %d words", len(fields))
		}
		zone := loadZone(fields[1])
		if zone == nil {
			return nil, fmt.Errorf("zone points: no zone %q", fields[1])
		}
		for _, pair := range fields[2:] {
			a, b, _ := strings.Cut(pair, ",")
			lat, err1 := strconv.Atoi(a)
			lon, err2 := strconv.Atoi(b)
			if err1 != nil || err2 != nil {
				return nil, fmt.Errorf("zone points: %q is no point", pair)
			}
			points[fields[0]] = append(points[fields[0]], zonePoint{float64(lat) / 100, float64(lon) / 100, zone})
		}
	}
	return points, nil
}

// near returns the zone of the city of country that is nearest to a point, or
// nil if the country has one zone only.
func (p zonePoints) near(country string, lat, lon float64) *time.Location {
	var zone *time.Location
	least := math.Inf(1)
	narrow := math.Cos(lat * math.Pi / 180)
	for _, city := range p[country] {
		east := math.Abs(city.lon - lon)
		east = min(east, 360-east) * narrow
		north := city.lat - lat
		if d := north*north + east*east; d < least {
			zone, least = city.zone, d
		}
	}
	return zone
}
