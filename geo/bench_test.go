// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/oschwald/geoip2-golang/v2"
	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/nearside/nearside/geo/internal/pack"
)

// manyNetworks are 2^16 /24s of public space.
func manyNetworks() []netip.Addr {
	random := rand.New(rand.NewPCG(1, 2))
	addrs := make([]netip.Addr, 1<<16)
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{byte(11 + random.IntN(89)), byte(random.IntN(256)), byte(random.IntN(256)), 0})
	}
	return addrs
}

// cityNetworks are 4,096 /24s of a database of as many different records.
func cityNetworks(t testing.TB) ([]netip.Addr, []byte) {
	addrs := make([]netip.Addr, 4096)
	records := make([]testRecord, len(addrs))
	for i := range addrs {
		addrs[i] = netip.AddrFrom4([4]byte{91, byte(i >> 8), byte(i), 0})
		records[i] = parisRecord
		records[i].network = netip.PrefixFrom(addrs[i], 24).String()
		records[i].city = fmt.Sprintf("City %d", i)
		records[i].lat = 40 + float64(i)/1000
	}
	return addrs, buildDatabase(t, "GeoIP2-City", records...)
}

func TestLocateAllocs(t *testing.T) {
	embedded := mustOpen(t, Options{})
	many := manyNetworks()
	cities, data := cityNetworks(t)
	city := mustOpen(t, Options{Files: []string{writeDatabase(t, data)}, ReloadEvery: -1})
	tests := []struct {
		name  string
		db    *DB
		addrs []netip.Addr
	}{
		{"the built-in database", embedded, many},
		{"IPv6", embedded, []netip.Addr{netip.MustParseAddr("2003::")}},
		{"a private address", embedded, []netip.Addr{netip.MustParseAddr("10.0.0.0")}},
		{"a city database", city, cities},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := 0
			tt.db.Locate(tt.addrs[0])
			got := testing.AllocsPerRun(1000, func() {
				tt.db.Locate(tt.addrs[i%len(tt.addrs)])
				i++
			})
			if got > 0 {
				t.Errorf("%v allocations, want none", got)
			}
		})
	}
}

// BenchmarkLocate compares Locate with what lies beneath it.
func BenchmarkLocate(b *testing.B) {
	embedded := mustOpen(b, Options{})
	many := manyNetworks()
	cities, data := cityNetworks(b)
	city := mustOpen(b, Options{Files: []string{writeDatabase(b, data)}, ReloadEvery: -1})
	v6 := []netip.Addr{netip.MustParseAddr("2003::")}
	bench := func(name string, addrs []netip.Addr, locate func(netip.Addr)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				locate(addrs[i&(len(addrs)-1)])
				i++
			}
		})
	}
	locate := func(db *DB) func(netip.Addr) { return func(addr netip.Addr) { db.Locate(addr) } }
	bench("country/1024-networks", many[:1024], locate(embedded))
	bench("country/65536-networks", many, locate(embedded))
	bench("country/ipv6", v6, locate(embedded))
	bench("city/4096-networks", cities, locate(city))
}

// BenchmarkReaders are the ways to read a record at each look-up, which is what
// the table saves.
func BenchmarkReaders(b *testing.B) {
	country, err := pack.Unpack(packedCountry)
	if err != nil {
		b.Fatal(err)
	}
	cities, city := cityNetworks(b)
	for _, file := range []struct {
		name  string
		data  []byte
		addrs []netip.Addr
	}{{"country", country, manyNetworks()}, {"city", city, cities}} {
		convenient, err := geoip2.OpenBytes(file.data)
		if err != nil {
			b.Fatal(err)
		}
		plain, err := maxminddb.OpenBytes(file.data)
		if err != nil {
			b.Fatal(err)
		}
		for _, way := range []struct {
			name string
			read func(netip.Addr) error
		}{
			{"geoip2-city", func(addr netip.Addr) error { _, err := convenient.City(addr); return err }},
			{"geoip2-country", func(addr netip.Addr) error { _, err := convenient.Country(addr); return err }},
			{"needed-fields", func(addr netip.Addr) error { var r geoIP2Record; return plain.Lookup(addr).Decode(&r) }},
			{"tree-only", func(addr netip.Addr) error { return plain.Lookup(addr).Err() }},
		} {
			b.Run(file.name+"/"+way.name, func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if err := way.read(file.addrs[i&(len(file.addrs)-1)]); err != nil {
						b.Fatal(err)
					}
					i++
				}
			})
		}
	}
}

// BenchmarkOpen is the start of the program on its built-in database.
func BenchmarkOpen(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		db, err := Open(Options{})
		if err != nil {
			b.Fatal(err)
		}
		_ = db.Close()
	}
}
