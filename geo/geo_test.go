// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/nearside/nearside/edge"
	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/nearside/nearside/geo/internal/pack"
)

func TestEmbeddedDatabaseKnowsCountries(t *testing.T) {
	db := mustOpen(t, Options{})
	tests := []struct {
		name, addr    string
		country, zone string
	}{
		{"a French line", "82.64.0.0", "FR", "Europe/Paris"},
		{"a Japanese host", "133.242.0.0", "JP", "Asia/Tokyo"},
		{"a Taiwanese university", "140.112.8.0", "TW", "Asia/Taipei"},
		{"a Chinese line", "202.96.209.0", "CN", "Asia/Shanghai"},
		{"a Russian line", "95.165.0.0", "RU", "Europe/Moscow"},
		{"a Saudi line", "188.48.0.0", "SA", "Asia/Riyadh"},
		{"an American university", "128.59.0.0", "US", "America/New_York"},
		{"an Australian line", "139.130.4.0", "AU", "Australia/Sydney"},
		{"a Brazilian registry", "200.160.2.0", "BR", "America/Sao_Paulo"},
		{"a German line", "91.0.0.0", "DE", "Europe/Berlin"},
		{"a South African line", "41.0.0.0", "ZA", "Africa/Johannesburg"},
		{"a French IPv6 line", "2a01:e34::", "FR", "Europe/Paris"},
		{"a Chinese IPv6 line", "240e::", "CN", "Asia/Shanghai"},
		{"a Taiwanese IPv6 host", "2001:b000:168::", "TW", "Asia/Taipei"},
		{"a German IPv6 line", "2003::", "DE", "Europe/Berlin"},
		{"a whole address is truncated", "82.64.0.77", "FR", "Europe/Paris"},
		{"IPv4 mapped into IPv6 is IPv4", "::ffff:82.64.0.0", "FR", "Europe/Paris"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := db.Locate(netip.MustParseAddr(tt.addr))
			if got.Country != tt.country || got.Zone == nil || got.Zone.String() != tt.zone {
				t.Errorf("Locate(%s) = %q, zone %v; want %q, %s", tt.addr, got.Country, got.Zone, tt.country, tt.zone)
			}
			if got.Region != "" || got.City != "" || got.Postcode != "" || got.HasPoint {
				t.Errorf("a country database gave %+v", got)
			}
		})
	}
}

func TestEmbeddedDatabaseIsSound(t *testing.T) {
	data, err := pack.Unpack(packedCountry)
	if err != nil {
		t.Fatal(err)
	}
	countries, err := newCountryZones()
	if err != nil {
		t.Fatal(err)
	}
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]bool)
	for result := range reader.Networks() {
		network := result.Prefix()
		if finest := map[bool]int{true: bitsIPv4, false: bitsIPv6}[network.Addr().Is4()]; network.Bits() > finest {
			t.Fatalf("network %v is finer than any look-up", network)
		}
		var record struct {
			Country struct {
				Code string `maxminddb:"iso_code"`
			} `maxminddb:"country"`
		}
		if err := result.Decode(&record); err != nil {
			t.Fatal(err)
		}
		found[record.Country.Code] = true
	}
	if len(found) < 240 {
		t.Errorf("%d countries, want about 250", len(found))
	}
	uninhabited := map[string]bool{"BV": true, "HM": true}
	for country := range found {
		if zone := countries.of(code(country, 2, 2)); zone == nil && !uninhabited[country] {
			t.Errorf("country %q has no zone", country)
		}
	}
}

func TestAddressesOfNoPlaceGiveTheZeroPlace(t *testing.T) {
	// Every one of them has a record here, so only Locate can refuse it.
	everywhere := parisRecord
	data := buildWith(t, mmdbwriter.Options{
		DatabaseType: "GeoIP2-City", IncludeReservedNetworks: true, DisableIPv4Aliasing: true,
	}, func(tree *mmdbwriter.Tree) {
		insertRecord(t, tree, "::/0", everywhere.geoIP2())
	})
	db := mustOpen(t, Options{Files: []string{writeDatabase(t, data)}, ReloadEvery: -1})
	if got := db.Locate(netip.MustParseAddr("91.160.0.0")); got.Country != "FR" {
		t.Fatalf("a public address gives %+v, want FR", got)
	}
	tests := []struct {
		name string
		addr netip.Addr
	}{
		{"the invalid address", netip.Addr{}},
		{"IPv4 unspecified", netip.IPv4Unspecified()},
		{"IPv6 unspecified", netip.IPv6Unspecified()},
		{"IPv4 loopback", netip.MustParseAddr("127.0.0.1")},
		{"IPv6 loopback", netip.IPv6Loopback()},
		{"private class A", netip.MustParseAddr("10.1.2.0")},
		{"private class B", netip.MustParseAddr("172.31.0.0")},
		{"private class C", netip.MustParseAddr("192.168.1.0")},
		{"a mapped private address", netip.MustParseAddr("::ffff:192.168.1.0")},
		{"IPv6 unique local", netip.MustParseAddr("fd00:1:2::")},
		{"IPv4 link local", netip.MustParseAddr("169.254.1.0")},
		{"IPv6 link local with a zone", netip.MustParseAddr("fe80::1%eth0")},
		{"IPv4 multicast", netip.MustParseAddr("224.0.1.0")},
		{"IPv6 multicast", netip.MustParseAddr("ff02::1")},
		{"6to4", netip.MustParseAddr("2002:5ba0:0001::")},
		{"Teredo", netip.MustParseAddr("2001:0:5ba0::")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := db.Locate(tt.addr); got != (edge.Place{}) {
				t.Errorf("Locate(%v) = %+v, want the zero Place", tt.addr, got)
			}
		})
	}
}

func TestCityDatabase(t *testing.T) {
	bare := testRecord{network: "80.0.0.0/16", country: "GB"}
	american := testRecord{network: "73.0.0.0/16", country: "US", region: "CA", zone: "America/Los_Angeles"}
	nowhere := testRecord{network: "81.0.0.0/16"}
	data := buildDatabase(t, "GeoIP2-City", parisRecord, osakaRecord, bare, american, nowhere)
	db := mustOpen(t, Options{Files: []string{writeDatabase(t, data)}, ReloadEvery: -1})

	status := db.Status()
	want := FileStatus{Name: "places.mmdb", Type: "GeoIP2-City", Shape: ShapeGeoIP2,
		Built: time.Unix(testBuildEpoch, 0).UTC(), NetworksIPv4: 4, NetworksIPv6: 1}
	if len(status.Files) != 1 || status.Files[0] != want || status.Places != 4 {
		t.Errorf("Status() = %+v, want one file %+v and 4 places", status, want)
	}
	tests := []struct {
		name, addr, zone string
		want             edge.Place
	}{
		{"a full IPv4 record", "91.160.7.0", "Europe/Paris", edge.Place{Country: "FR", Region: "IDF", City: "Paris",
			Postcode: "75001", Lat: 48.8566, Lon: 2.3522, HasPoint: true}},
		{"a full IPv6 record", "2400:4050:1::", "Asia/Tokyo", edge.Place{Country: "JP", Region: "27", City: "Osaka",
			Postcode: "530-0001", Lat: 34.6937, Lon: 135.5023, HasPoint: true}},
		{"a record of a country alone takes its zone", "80.0.1.0", "Europe/London", edge.Place{Country: "GB"}},
		{"a record's zone beats its country's", "73.0.1.0", "America/Los_Angeles", edge.Place{Country: "US", Region: "CA"}},
		{"a record of nothing", "81.0.1.0", "", edge.Place{}},
		{"a network that is not in the file", "9.9.9.0", "", edge.Place{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := db.Locate(netip.MustParseAddr(tt.addr))
			zone := ""
			if got.Zone != nil {
				zone = got.Zone.String()
			}
			got.Zone = nil
			if got != tt.want || zone != tt.zone {
				t.Errorf("Locate(%s) = %+v in %q, want %+v in %q", tt.addr, got, zone, tt.want, tt.zone)
			}
		})
	}
}

func TestDatabaseTypes(t *testing.T) {
	for _, kind := range []string{"GeoIP2-City", "GeoLite2-City", "GeoIP2-Country", "GeoLite2-Country",
		"GeoIP2-Enterprise", "DBIP-City-Lite", "DBIP-Country-Lite"} {
		t.Run(kind, func(t *testing.T) {
			db := mustOpen(t, Options{Files: []string{writeDatabase(t, buildDatabase(t, kind, parisRecord))}, ReloadEvery: -1})
			if got := db.Locate(netip.MustParseAddr("91.160.0.0")); got.Country != "FR" {
				t.Errorf("Locate = %+v, want FR", got)
			}
		})
	}
}

func TestAnIPv4DatabaseKnowsNoIPv6(t *testing.T) {
	data := buildWith(t, mmdbwriter.Options{DatabaseType: "GeoIP2-City", IPVersion: 4}, func(tree *mmdbwriter.Tree) {
		insertRecord(t, tree, parisRecord.network, parisRecord.geoIP2())
	})
	db := mustOpen(t, Options{Files: []string{writeDatabase(t, data)}, ReloadEvery: -1})
	if got := db.Locate(netip.MustParseAddr("91.160.0.0")); got.City != "Paris" {
		t.Errorf("IPv4: %+v, want Paris", got)
	}
	if got := db.Locate(netip.MustParseAddr("2400:4050::")); got != (edge.Place{}) {
		t.Errorf("IPv6: %+v, want the zero Place", got)
	}
}

func TestOddValuesAreLeftOut(t *testing.T) {
	odd := testRecord{network: "91.160.0.0/16", country: "FR", region: "much too long", city: strings.Repeat("x", 300),
		postcode: strings.Repeat("1", 33), zone: "../../etc/passwd", lat: 91, lon: math.Inf(1)}
	lower := testRecord{network: "91.161.0.0/16", country: "fr", region: "ï", city: "\xff", zone: "Local", lat: math.NaN(), lon: 1}
	digits := testRecord{network: "91.162.0.0/16", country: "F1", region: "1", zone: "Mars/Olympus"}
	data := buildDatabase(t, "GeoIP2-City", odd, lower, digits)
	known, err := newTables()
	if err != nil {
		t.Fatal(err)
	}
	d, err := openDatabase(known, bytesOf("test", data))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, addr string
		want       edge.Place
	}{
		{"too long, too far, no zone", "91.160.0.0", edge.Place{Country: "FR", Zone: known.countries.of("FR")}},
		{"lower case, not UTF-8, not a number", "91.161.0.0", edge.Place{}},
		{"a country with a digit", "91.162.0.0", edge.Place{Region: "1"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := d.locate(netip.MustParseAddr(tt.addr))
			if got != tt.want {
				t.Errorf("locate(%s) = %+v, want %+v", tt.addr, got, tt.want)
			}
		})
	}
}

func TestATypeIsShownOnlyIfItIsPrintable(t *testing.T) {
	for word, want := range map[string]string{
		"GeoIP2-City": "GeoIP2-City", "city ipv4": "city ipv4", "a\nb": "", "é": "", strings.Repeat("x", 65): "",
	} {
		if got := typeOf(word); got != want {
			t.Errorf("typeOf(%q) = %q, want %q", word, got, want)
		}
	}
}
