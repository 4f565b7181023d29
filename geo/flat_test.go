// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/nearside/nearside/edge"
)

var (
	flatParis  = testRecord{network: "91.160.0.0/16", country: "FR", region: "Ile-de-France", city: "Paris", lat: 48.8566, lon: 2.3522}
	flatDenver = testRecord{network: "73.0.0.0/24", country: "US", region: "Colorado", city: "Denver", lat: 39.7392, lon: -104.985}
	flatNoted  = testRecord{network: "73.0.1.0/24", country: "US", region: "Arizona", city: "Phoenix", zone: "America/Phoenix", postcode: "85001"}
	flatHome   = testRecord{network: "73.0.2.0/24", country: "US", region: "Nowhere In Particular", city: "Home"}
	flatOsaka  = testRecord{network: "2400:4050::/32", country: "JP", region: "Ōsaka", city: "Osaka", lat: 34.6937, lon: 135.5023}
)

func TestTwoFlatFilesAreOneDatabase(t *testing.T) {
	directory := t.TempDir()
	ipv4, ipv6 := filepath.Join(directory, "city-ipv4.mmdb"), filepath.Join(directory, "city-ipv6.mmdb")
	for path, data := range map[string][]byte{
		ipv4: buildFlat(t, 4, flatParis, flatDenver, flatNoted, flatHome),
		ipv6: buildFlat(t, 6, flatOsaka),
		filepath.Join(directory, ".city-ipv4.mmdb"): nil, // a copy under way
		filepath.Join(directory, "LICENSE"):         []byte("CC BY 4.0"),
	} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, addr, zone string
		want             edge.Place
	}{
		{"a region's name becomes its code", "91.160.3.0", "Europe/Paris",
			edge.Place{Country: "FR", Region: "IDF", City: "Paris", Lat: 48.8566, Lon: 2.3522, HasPoint: true}},
		{"a point tells the zone", "73.0.0.9", "America/Denver",
			edge.Place{Country: "US", Region: "CO", City: "Denver", Lat: 39.7392, Lon: -104.985, HasPoint: true}},
		{"a zone that is named beats it", "73.0.1.0", "America/Phoenix",
			edge.Place{Country: "US", Region: "AZ", City: "Phoenix", Postcode: "85001"}},
		{"a name without a code is left out, and a country gives its zone", "73.0.2.0", "America/New_York",
			edge.Place{Country: "US", City: "Home"}},
		{"IPv6 is in the other file", "2400:4050:7::1", "Asia/Tokyo",
			edge.Place{Country: "JP", Region: "27", City: "Osaka", Lat: 34.6937, Lon: 135.5023, HasPoint: true}},
		{"neither has it", "9.9.9.9", "", edge.Place{}},
	}
	for name, given := range map[string][]string{"as a directory": {directory}, "as two files": {ipv4, ipv6}, "the other way round": {ipv6, ipv4}} {
		t.Run(name, func(t *testing.T) {
			db := mustOpen(t, Options{Files: given, ReloadEvery: -1})
			for _, tt := range tests {
				got := db.Locate(netip.MustParseAddr(tt.addr))
				zone := ""
				if got.Zone != nil {
					zone = got.Zone.String()
				}
				got.Zone = nil
				if got.HasPoint {
					// The file keeps 32 bits of a point, which is a metre.
					near(t, got.Lat, tt.want.Lat)
					near(t, got.Lon, tt.want.Lon)
					got.Lat, got.Lon = tt.want.Lat, tt.want.Lon
				}
				if got != tt.want || zone != tt.zone {
					t.Errorf("%s: Locate(%s) = %+v in %q, want %+v in %q", tt.name, tt.addr, got, zone, tt.want, tt.zone)
				}
			}
			files := db.Status().Files
			if len(files) != 2 {
				t.Fatalf("%d files serve, want 2", len(files))
			}
			for _, f := range files {
				want := FileStatus{Name: "city-ipv4.mmdb", Type: "city ipv4", NetworksIPv4: 4, Regions: 3, RegionsUnknown: 1}
				if f.Name == "city-ipv6.mmdb" {
					want = FileStatus{Name: "city-ipv6.mmdb", Type: "city ipv6", NetworksIPv6: 1, Regions: 1}
				}
				want.Shape, want.Built = ShapeFlat, f.Built
				if f != want {
					t.Errorf("Status has %+v, want %+v", f, want)
				}
			}
		})
	}
}

func near(t *testing.T, got, want float64) {
	t.Helper()
	if got < want-0.00001 || got > want+0.00001 {
		t.Errorf("a coordinate is %v, want %v", got, want)
	}
}

func TestBothFilesOfAPairAreReloadedTogether(t *testing.T) {
	ipv4, ipv6 := writeDatabase(t, buildFlat(t, 4, flatParis)), writeDatabase(t, buildFlat(t, 6, flatOsaka))
	w := &watcher{db: mustOpen(t, Options{Files: []string{ipv4, ipv6}, ReloadEvery: -1}), given: []string{ipv4, ipv6}}
	log := new(lockedBuffer)
	w.logger = logTo(log)
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	lyons, kyoto := flatParis, flatOsaka
	lyons.city, kyoto.city = "Lyon", "Kyoto"
	serves := func(v4, v6 string) {
		t.Helper()
		if a, b := w.db.Locate(testAddr).City, w.db.Locate(netip.MustParseAddr("2400:4050::")).City; a != v4 || b != v6 {
			t.Errorf("%s and %s are served, want %s and %s", a, b, v4, v6)
		}
	}

	// One file is new and the other is broken: neither is taken.
	replaceFile(t, ipv4, buildFlat(t, 4, lyons))
	replaceFile(t, ipv6, []byte("garbage"))
	settle(w)
	serves("Paris", "Osaka")
	// The first file has changed, and a poll later the second: both are taken at
	// once, when both have rested.
	replaceFile(t, ipv6, buildFlat(t, 6, kyoto))
	settle(w)
	serves("Lyon", "Kyoto")
	if s := w.db.Status(); s.Reloads != 1 || s.ReloadErrors != 1 {
		t.Errorf("Status() = %+v, want one reload and one refusal", s)
	}
	// The same family in both is refused too.
	replaceFile(t, ipv6, buildFlat(t, 4, flatDenver))
	settle(w)
	serves("Lyon", "Kyoto")
}

func TestRegionNames(t *testing.T) {
	names := newRegionNames()
	tests := []struct{ country, name, want string }{
		{"US", "California", "CA"},
		{"US", "Washington", "WA"},
		{"US", "District of Columbia", "DC"},
		{"DE", "North Rhine-Westphalia", "NW"},
		{"DE", "Bavaria", "BY"},
		{"DE", "Bayern", "BY"},
		{"GB", "England", "ENG"},
		{"NL", "North Holland", "NH"},
		{"NO", "Akershus", "32"},
		{"FR", "Rhone-Alpes", "ARA"},
		{"ES", "Madrid", "MD"},
		{"RU", "Moscow", "MOW"},
		{"RU", "Moscow Oblast", "MOS"},
		{"BR", "São Paulo", "SP"},
		{"MX", "Mexico City", "CMX"},
		{"AR", "Buenos Aires F.D.", "C"},
		{"UA", "Kyiv City", "30"},
		{"TW", "Taiwan", ""},
		{"FR", "California", ""},
		{"ZZ", "California", ""},
		{"", "California", ""},
		{"FR", "", ""},
		{"FR", "...", ""},
	}
	for _, tt := range tests {
		if got := names.code(tt.country, tt.name); got != tt.want {
			t.Errorf("%s in %s is %q, want %q", tt.name, tt.country, got, tt.want)
		}
	}
}

func TestZonePoints(t *testing.T) {
	points, err := newZonePoints()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, country string
		lat, lon      float64
		want          string
	}{
		{"Chicago", "US", 41.85, -87.65, "America/Chicago"},
		{"Indianapolis", "US", 39.77, -86.16, "America/Indiana/Indianapolis"},
		{"Honolulu", "US", 21.31, -157.86, "Pacific/Honolulu"},
		{"Lavrentiya, across the date line from the rest", "RU", 65.58, -171, "Asia/Anadyr"},
		{"Perth", "AU", -31.95, 115.86, "Australia/Perth"},
		{"Las Palmas", "ES", 28.1, -15.4, "Atlantic/Canary"},
		{"Funchal", "PT", 32.65, -16.9, "Atlantic/Madeira"},
		{"Vladivostok", "RU", 43.12, 131.9, "Asia/Vladivostok"},
		{"Manaus", "BR", -3.1, -60.02, "America/Manaus"},
	}
	for _, tt := range tests {
		if zone := points.near(tt.country, tt.lat, tt.lon); zone == nil || zone.String() != tt.want {
			t.Errorf("%s is in %v, want %s", tt.name, zone, tt.want)
		}
	}
	if zone := points.near("FR", 48.85, 2.35); zone != nil {
		t.Errorf("a country of one zone gave %v, want none", zone)
	}
}
