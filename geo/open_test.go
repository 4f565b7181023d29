// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

func TestOpenRefuses(t *testing.T) {
	good := buildDatabase(t, "GeoIP2-City", parisRecord, osakaRecord)
	broken := func(change func([]byte) []byte) []byte { return change(append([]byte(nil), good...)) }
	asn := buildWith(t, mmdbwriter.Options{DatabaseType: "GeoLite2-ASN"}, func(tree *mmdbwriter.Tree) {
		insertRecord(t, tree, "91.160.0.0/16", mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(12322)})
	})
	misshapen := buildWith(t, mmdbwriter.Options{DatabaseType: "GeoIP2-City"}, func(tree *mmdbwriter.Tree) {
		insertRecord(t, tree, "91.160.0.0/16", mmdbtype.Map{"country": mmdbtype.String("FR")})
	})
	later := buildWith(t, mmdbwriter.Options{DatabaseType: "GeoIP2-City"}, func(tree *mmdbwriter.Tree) {
		insertRecord(t, tree, parisRecord.network, parisRecord.geoIP2())
		insertRecord(t, tree, "92.160.0.0/16", mmdbtype.Map{"city": mmdbtype.String("Paris")})
	})
	noMap := buildWith(t, mmdbwriter.Options{DatabaseType: "words"}, func(tree *mmdbwriter.Tree) {
		insertRecord(t, tree, "91.160.0.0/16", mmdbtype.String("FR"))
	})
	tests := []struct {
		name string
		data []byte
		says string
	}{
		{"an empty file", nil, "not an MMDB file"},
		{"garbage", []byte(strings.Repeat("garbage ", 1000)), "not an MMDB file"},
		{"a file cut short", good[:len(good)/2], "not an MMDB file"},
		{"a file without its head", good[100:], ""},
		{"a tree that leads astray", broken(func(b []byte) []byte { copy(b[20:], "\xff\xff\xff\xff\xff\xff"); return b }), ""},
		{"an ASN database", asn, `it is of type "GeoLite2-ASN": its records hold "autonomous_system_number", and no country`},
		{"records of another shape", misshapen, `its records hold "country", and no country`},
		{"a later record of another shape", later, ""},
		{"records that are no maps", noMap, "its records are no maps"},
		{"no country at all", buildDatabase(t, "GeoIP2-City", testRecord{network: "91.160.0.0/16", city: "Atlantis"}), "and no country"},
		{"no valid country", buildDatabase(t, "GeoIP2-City", testRecord{network: "91.160.0.0/16", country: "fr"}), "none of its 1 networks has a country"},
		{"no network at all", buildDatabase(t, "GeoIP2-City"), "networks has a record"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db, err := Open(Options{Files: []string{writeDatabase(t, tt.data)}})
			if !errors.Is(err, ErrDatabase) || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "places.mmdb") {
				t.Errorf("Open error = %v, want %v that names the file and says %q", err, ErrDatabase, tt.says)
			}
			if db != nil {
				t.Error("Open gave a DB with its error")
			}
		})
	}
}

func TestOpenRefusesFilesThatAreNotOneDatabase(t *testing.T) {
	ipv4 := writeDatabase(t, buildFlat(t, 4, parisRecord))
	ipv6 := writeDatabase(t, buildFlat(t, 6, osakaRecord))
	both := writeDatabase(t, buildDatabase(t, "GeoIP2-City", parisRecord, osakaRecord))
	empty, crowded := t.TempDir(), t.TempDir()
	for _, name := range []string{"a.mmdb", "b.mmdb", "c.mmdb"} {
		if err := os.WriteFile(filepath.Join(crowded, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name  string
		files []string
		says  string
	}{
		{"a missing file", []string{filepath.Join(t.TempDir(), "none.mmdb")}, "no such file"},
		{"a directory without a database", []string{empty}, "no .mmdb file in "},
		{"a directory of three", []string{crowded}, "3 .mmdb files in "},
		{"three files", []string{ipv4, ipv6, both}, "3 files, want one, or two of one address family each"},
		{"a directory beside a file", []string{ipv4, empty}, "not a regular file"},
		{"IPv4 twice", []string{ipv4, both}, "both hold IPv4 networks"},
		{"IPv6 twice", []string{both, ipv6}, "both hold IPv6 networks"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db, err := Open(Options{Files: tt.files})
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Open error = %v, want one that says %q", err, tt.says)
			}
			if db != nil {
				t.Error("Open gave a DB with its error")
			}
		})
	}
}
