// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/oschwald/maxminddb-golang/v2"
)

// realFiles names a database that is not part of this repository, as
// --geo.database does: "a.mmdb,b.mmdb". Without it its tests are skipped.
const realFiles = "NEARSIDE_TEST_GEO_DATABASE"

func givenFiles(t testing.TB) []string {
	t.Helper()
	given := os.Getenv(realFiles)
	if given == "" {
		t.Skip(realFiles + " names no database")
	}
	return strings.Split(given, ",")
}

// TestTheTableAgreesWithTheReaderOnRealFiles looks up the first and the last
// address of every network, which in DB-IP Lite is 29 million.
func TestTheTableAgreesWithTheReaderOnRealFiles(t *testing.T) {
	known, err := newTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range givenFiles(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			d, err := openDatabase(known, bytesOf(path, data))
			if err != nil {
				t.Fatal(err)
			}
			plain := newPlainReader(t, known, data, d.files[0].Shape)
			checked := 0
			for result := range plain.reader.Networks(maxminddb.IncludeNetworksWithoutData()) {
				for _, addr := range []netip.Addr{result.Prefix().Addr(), lastOf(result.Prefix())} {
					network, ok := coarse(addr)
					if !ok || network.Is6() && key6(network)>>(bitsIPv6-globalBits) != 1 {
						continue
					}
					if got, want := d.locate(network), plain.locate(t, network); !samePlace(got, want) {
						t.Fatalf("locate(%v) = %+v, and the reader says %+v", network, got, want)
					}
					checked++
				}
			}
			t.Logf("%d addresses agree; %+v; %d places in %d bytes", checked, d.files[0], len(d.places), d.bytes())
		})
	}
}
