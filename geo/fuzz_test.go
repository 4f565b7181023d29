// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/oschwald/maxminddb-golang/v2"
)

// FuzzDatabase gives a database with bytes changed to what a reload does: it is
// refused, or it answers every address without a panic and within bounds.
func FuzzDatabase(f *testing.F) {
	city := buildDatabase(f, "GeoIP2-City", parisRecord, osakaRecord)
	country := buildDatabase(f, "GeoLite2-Country", testRecord{network: "80.0.0.0/16", country: "GB"})
	f.Add(city)
	f.Add(country)
	f.Add(city[:len(city)/2])
	f.Add(city[len(city)/2:])
	f.Add([]byte("\xAB\xCD\xEFMaxMind.com"))
	f.Add([]byte(nil))
	f.Add(buildFlat(f, 4, flatParis, flatDenver, flatHome))
	f.Add(buildFlat(f, 6, flatOsaka))
	known, err := newTables()
	if err != nil {
		f.Fatal(err)
	}
	addrs := []netip.Addr{
		netip.MustParseAddr("91.160.0.0"), netip.MustParseAddr("80.0.0.0"), netip.MustParseAddr("1.0.0.0"),
		netip.MustParseAddr("223.255.255.0"), netip.MustParseAddr("2400:4050::"), netip.MustParseAddr("2a00::"),
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := openDatabase(known, bytesOf("fuzz", data))
		if err != nil {
			return
		}
		plain := newPlainReader(t, known, data, d.files[0].Shape)
		for _, addr := range addrs {
			place := d.locate(addr)
			if place.Country != code(place.Country, 2, 2) || len(place.City) > maxCityBytes ||
				len(place.Postcode) > maxPostcodeBytes || len(place.Region) > maxRegionBytes ||
				place.HasPoint && !(place.Lat >= -90 && place.Lat <= 90 && place.Lon >= -180 && place.Lon <= 180) {
				t.Errorf("locate(%v) = %+v", addr, place)
			}
			if want := plain.locate(t, addr); !samePlace(place, want) {
				t.Errorf("locate(%v) = %+v, and the file's reader says %+v", addr, place, want)
			}
		}
	})
}

// FuzzLocate gives addresses of every kind to the built-in database.
func FuzzLocate(f *testing.F) {
	for _, addr := range []string{"8.8.8.8", "::ffff:8.8.8.8", "2003::1", "fe80::1%eth0", "2002:808:808::", ""} {
		f.Add(addr)
	}
	db := mustOpen(f, Options{})
	f.Fuzz(func(t *testing.T, s string) {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			addr = netip.Addr{}
		}
		place := db.Locate(addr)
		if place != db.Locate(addr) {
			t.Errorf("Locate(%q) changed its mind", s)
		}
		if network, ok := coarse(addr); ok && db.Locate(network) != place {
			t.Errorf("Locate(%q) looks further than its network", s)
		}
	})
}

// A small file can hold more networks than could ever be visited, if both
// branches of each node lead to the same next one.
func TestATreeWhoseBranchesMeetIsRefusedSoon(t *testing.T) {
	data := buildWith(t, mmdbwriter.Options{
		DatabaseType: "GeoIP2-City", RecordSize: 32, IncludeReservedNetworks: true, DisableIPv4Aliasing: true,
	}, func(tree *mmdbwriter.Tree) {
		insertRecord(t, tree, "4000::/128", parisRecord.geoIP2())
		insertRecord(t, tree, "8000::/128", parisRecord.geoIP2())
	})
	known, err := newTables()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openDatabase(known, bytesOf("test", data)); err != nil {
		t.Fatalf("the file is refused before it is changed: %v", err)
	}
	before, err := maxminddb.OpenBytes(data)
	if err != nil {
		t.Fatal(err)
	}

	// Every node below the root's left has one child; give it the same twice,
	// down to the last, which gets no record.
	nodes := uint32(before.Metadata.NodeCount)
	branch := func(node, side uint32) []byte { return data[node*8+side*4:][:4] }
	next := binary.BigEndian.Uint32(branch(0, 0))
	for range 127 {
		node := next
		next = min(binary.BigEndian.Uint32(branch(node, 0)), binary.BigEndian.Uint32(branch(node, 1)))
		binary.BigEndian.PutUint32(branch(node, 0), next)
		binary.BigEndian.PutUint32(branch(node, 1), next)
	}
	if next != nodes {
		t.Fatalf("the chain ends in %d, want %d", next, nodes)
	}
	structure, err := maxminddb.OpenBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := structure.Verify(); err != nil {
		t.Fatalf("the structure is refused, so this test shows nothing: %v", err)
	}
	start := time.Now()
	if _, err := openDatabase(known, bytesOf("test", data)); !errors.Is(err, ErrDatabase) {
		t.Errorf("open error = %v, want %v", err, ErrDatabase)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v to refuse the file", took)
	}
}
