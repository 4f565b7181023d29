// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"go4.org/netipx"
)

// testBuildEpoch is 2026-11-22T00:00:00Z.
const testBuildEpoch = 1795305600

// A testRecord is one network of a database that a test builds. Empty members
// are left out of the record, as makers of real databases do.
type testRecord struct {
	network                         string
	country, region, city, postcode string
	zone                            string
	lat, lon                        float64
}

// parisRecord and osakaRecord are full records of both address families.
var (
	parisRecord = testRecord{network: "91.160.0.0/16", country: "FR", region: "IDF", city: "Paris",
		postcode: "75001", zone: "Europe/Paris", lat: 48.8566, lon: 2.3522}
	osakaRecord = testRecord{network: "2400:4050::/32", country: "JP", region: "27", city: "Osaka",
		postcode: "530-0001", zone: "Asia/Tokyo", lat: 34.6937, lon: 135.5023}
)

// buildDatabase returns the bytes of a GeoIP2-schema database of the given type
// that holds records.
func buildDatabase(t testing.TB, kind string, records ...testRecord) []byte {
	t.Helper()
	return buildWith(t, mmdbwriter.Options{DatabaseType: kind}, func(tree *mmdbwriter.Tree) {
		for _, r := range records {
			insertRecord(t, tree, r.network, r.geoIP2())
		}
	})
}

func buildWith(t testing.TB, opts mmdbwriter.Options, fill func(*mmdbwriter.Tree)) []byte {
	t.Helper()
	opts.BuildEpoch = testBuildEpoch
	opts.Description = map[string]string{"en": "made by a test"}
	opts.Languages = []string{"en", "fr"}
	tree, err := mmdbwriter.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	fill(tree)
	var database bytes.Buffer
	if _, err := tree.WriteTo(&database); err != nil {
		t.Fatal(err)
	}
	return database.Bytes()
}

func insertRecord(t testing.TB, tree *mmdbwriter.Tree, network string, record mmdbtype.DataType) {
	t.Helper()
	if err := tree.Insert(netipx.PrefixIPNet(netip.MustParsePrefix(network)), record); err != nil {
		t.Fatal(err)
	}
}

func (r testRecord) geoIP2() mmdbtype.Map {
	record := mmdbtype.Map{
		"traits": mmdbtype.Map{"is_anycast": mmdbtype.Bool(false)},
	}
	if r.country != "" {
		record["country"] = mmdbtype.Map{
			"iso_code": mmdbtype.String(r.country),
			"names":    mmdbtype.Map{"en": mmdbtype.String("land " + r.country), "fr": mmdbtype.String("pays " + r.country)},
		}
	}
	if r.region != "" {
		record["subdivisions"] = mmdbtype.Slice{
			mmdbtype.Map{"iso_code": mmdbtype.String(r.region)},
			mmdbtype.Map{"iso_code": mmdbtype.String("75")},
		}
	}
	if r.city != "" {
		record["city"] = mmdbtype.Map{"names": mmdbtype.Map{
			"en": mmdbtype.String(r.city), "fr": mmdbtype.String(r.city + "-fr"),
		}}
	}
	if r.postcode != "" {
		record["postal"] = mmdbtype.Map{"code": mmdbtype.String(r.postcode)}
	}
	location := mmdbtype.Map{}
	if r.zone != "" {
		location["time_zone"] = mmdbtype.String(r.zone)
	}
	if r.lat != 0 || r.lon != 0 {
		location["latitude"] = mmdbtype.Float64(r.lat)
		location["longitude"] = mmdbtype.Float64(r.lon)
	}
	if len(location) > 0 {
		record["location"] = location
	}
	return record
}

// writeDatabase writes data to a new file in a directory of its own.
func writeDatabase(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "places.mmdb")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// mustOpen opens a database that the test's end closes.
func mustOpen(t testing.TB, opts Options) *DB {
	t.Helper()
	db, err := Open(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// bytesOf is a source of data that is in memory.
func bytesOf(name string, data []byte) source {
	return source{name, func() ([]byte, error) { return data, nil }}
}

// buildFlat returns the bytes of a database in the flat schema of ip-location-db.
func buildFlat(t testing.TB, version int, records ...testRecord) []byte {
	t.Helper()
	opts := mmdbwriter.Options{DatabaseType: fmt.Sprintf("city ipv%d", version), IPVersion: version}
	return buildWith(t, opts, func(tree *mmdbwriter.Tree) {
		for _, r := range records {
			insertRecord(t, tree, r.network, r.flat())
		}
	})
}

// flat is the record as ip-location-db writes it: every member is there, and
// what is not known is empty.
func (r testRecord) flat() mmdbtype.Map {
	record := mmdbtype.Map{
		"country_code": mmdbtype.String(r.country), "state1": mmdbtype.String(r.region), "state2": mmdbtype.String(""),
		"city": mmdbtype.String(r.city), "postcode": mmdbtype.String(r.postcode), "timezone": mmdbtype.String(r.zone),
	}
	if r.lat != 0 || r.lon != 0 {
		record["latitude"], record["longitude"] = mmdbtype.Float32(r.lat), mmdbtype.Float32(r.lon)
	}
	return record
}
