// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

// haversine is distanceKm with the standard library's functions.
func haversine(lat1, lon1, lat2, lon2 float64) float64 {
	rad := math.Pi / 180
	sinLat, sinLon := math.Sin((lat2-lat1)*rad/2), math.Sin((lon2-lon1)*rad/2)
	a := sinLat*sinLat + math.Cos(lat1*rad)*math.Cos(lat2*rad)*sinLon*sinLon
	return 2 * earthKm * math.Asin(math.Min(1, math.Sqrt(a)))
}

// The polynomials are as good as the standard library's functions: a millimetre
// anywhere but within a kilometre of the other side of the earth, where the
// formula itself is good to a few metres.
func TestDistanceAccuracy(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		lat1, lon1 := random.Float64()*180-90, random.Float64()*360-180
		lat2, lon2 := random.Float64()*180-90, random.Float64()*360-180
		if random.IntN(4) == 0 { // near each other
			lat2, lon2 = math.Max(-90, math.Min(90, lat1+random.NormFloat64()/100)), math.Max(-180, math.Min(180, lon1+random.NormFloat64()/100))
		}
		got, ok := distanceKm(lat1, lon1, lat2, lon2)
		want := haversine(lat1, lon1, lat2, lon2)
		most := 1e-6
		if want > math.Pi*earthKm-1 {
			most = 5e-3
		}
		if !ok || math.Abs(got-want) > most {
			t.Fatalf("from %v %v to %v %v: %v (%v), want %v", lat1, lon1, lat2, lon2, got, ok, want)
		}
	}
}

func TestSineAndArcSine(t *testing.T) {
	for i := range 90_001 {
		degrees := float64(i) / 1000
		if got, want := sinDegrees(degrees), math.Sin(degrees*math.Pi/180); math.Abs(got-want) > 4e-16 {
			t.Fatalf("sin %v°: %v, want %v", degrees, got, want)
		}
		x := float64(i) / 90_000
		if got, want := asin(x), math.Asin(x); math.Abs(got-want) > 1e-14 {
			t.Fatalf("asin %v: %v, want %v", x, got, want)
		}
	}
}

func TestDistanceOfWhatIsNoPlace(t *testing.T) {
	for _, at := range [][4]float64{{90.1, 0, 0, 0}, {0, 180.1, 0, 0}, {0, 0, -91, 0}, {0, 0, 0, -181}, {math.NaN(), 0, 0, 0}, {0, 0, 0, math.Inf(1)}} {
		if km, ok := distanceKm(at[0], at[1], at[2], at[3]); ok {
			t.Errorf("from %v %v to %v %v: %v km", at[0], at[1], at[2], at[3], km)
		}
	}
}

// Compiled rules get the very bits that distanceKm gives.
func TestCompiledDistanceIsTheSame(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	number := func(f float64) string {
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	at := [2]float64{48.8566, 2.3522}
	var sources []string
	for i := range 300 {
		lat, lon := random.Float64()*180-90, random.Float64()*360-180
		switch i {
		case 0:
			lat, lon = at[0], at[1]
		case 1:
			lat, lon = -at[0], at[1]-180
		case 2:
			lat, lon = 90, 180
		}
		km, _ := distanceKm(at[0], at[1], lat, lon)
		sources = append(sources, fmt.Sprintf("distanceKm(%s, %s) == %s", number(lat), number(lon), number(km)))
	}
	v := visit{"geo.lat": floatValue(at[0]), "geo.lon": floatValue(at[1])}
	for i, got := range load(t, conditions(sources...)).verdicts(v) {
		if got != isTrue {
			t.Errorf("%s: %s", sources[i], got)
		}
	}
}

// A place is told to be too far by its latitude alone where that is enough; the
// answer is that of the distance, also for places at the very bound.
func TestNearAndFarPlaces(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	const lat, lon = 48.8566, 2.3522
	bounds := []float64{-1, 0, 0.001, 1, 50, 1000, 20000, 20015.2, 30000}
	var sources []string
	for _, km := range bounds {
		at := fmt.Sprintf("distanceKm(%v, %v)", lat, lon)
		sources = append(sources, fmt.Sprintf("%s < %v", at, km), fmt.Sprintf("%s <= %v", at, km), fmt.Sprintf("!(%s < %v)", at, km))
	}
	m := load(t, conditions(sources...))
	check := func(lat2, lon2 float64) {
		t.Helper()
		got := m.verdicts(visit{"geo.lat": floatValue(lat2), "geo.lon": floatValue(lon2)})
		is, ok := distanceKm(lat2, lon2, lat, lon)
		for i, km := range bounds {
			for j, holds := range []bool{is < km, is <= km, !(is < km)} {
				want := isNeither
				if ok {
					want = either(holds)
				}
				if got[3*i+j] != want {
					t.Fatalf("%s at %v %v, %v km away: %s, want %s", sources[3*i+j], lat2, lon2, is, got[3*i+j], want)
				}
			}
		}
	}
	for range 300 {
		check(random.Float64()*180-90, random.Float64()*360-180)
	}
	for _, km := range bounds { // due north or south, at the bound and a hair beside it
		for _, off := range []float64{0, 1e-12, -1e-12, 1e-9, -1e-9, 1e-5, -1e-5} {
			degrees := km/(earthKm*math.Pi/180) + off
			check(lat+degrees, lon)
			check(lat-degrees, lon)
			check(lat, lon+degrees)
		}
	}
	check(lat, lon)
	check(-lat, lon-180)
	check(90.5, lon) // no place
	check(math.NaN(), lon)
	for _, v := range []visit{{"geo.lat": floatValue(lat)}, {"geo.lat": floatValue(-lat)}, {"geo.lon": floatValue(lon)}} {
		for i, got := range m.verdicts(v) {
			if got != isNeither {
				t.Errorf("%s with %v alone: %s", sources[i], v, got)
			}
		}
	}
}
