// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/geo/internal/pack"
)

// A plainReader is the plain way to a place: the file's own reader walks the
// tree for each address. It keeps the places of records that it decoded, or
// the real files would take hours.
type plainReader struct {
	known  *tables
	reader *maxminddb.Reader
	shape  Shape
	names  *regionNames
	places map[uintptr]edge.Place
}

func newPlainReader(t testing.TB, known *tables, data []byte, shape Shape) *plainReader {
	t.Helper()
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	p := &plainReader{known: known, reader: reader, shape: shape, places: make(map[uintptr]edge.Place)}
	if shape == ShapeFlat {
		p.names = known.names()
	}
	return p
}

func (p *plainReader) locate(t testing.TB, network netip.Addr) edge.Place {
	if p.reader.Metadata.IPVersion == 4 && !network.Is4() {
		return edge.Place{}
	}
	result := p.reader.Lookup(network)
	if !result.Found() {
		return edge.Place{}
	}
	place, ok := p.places[result.Offset()]
	if !ok {
		r, err := p.shape.read(result)
		if err != nil {
			t.Fatalf("%v: %v", network, err)
		}
		place = placeOfRecord(p.known, p.names, r)
		p.places[result.Offset()] = place
	}
	return place
}

// placeOfRecord says again, without a table, what a record means.
func placeOfRecord(known *tables, names *regionNames, r record) edge.Place {
	p := edge.Place{Country: code(r.country, 2, 2), Region: code(r.region, 1, maxRegionBytes),
		City: text(r.city, maxCityBytes), Postcode: text(r.postcode, maxPostcodeBytes)}
	if names != nil {
		p.Region = names.code(p.Country, text(r.regionName, maxCityBytes))
	}
	if r.lat != nil && r.lon != nil && *r.lat >= -90 && *r.lat <= 90 && *r.lon >= -180 && *r.lon <= 180 {
		packed := packedPlace{lat: micro(*r.lat), lon: micro(*r.lon)}
		p.Lat, p.Lon, p.HasPoint = float64(packed.lat)/microdegrees, float64(packed.lon)/microdegrees, true
	}
	zones := []func() *time.Location{
		func() *time.Location { return loadZone(r.zone) },
		func() *time.Location {
			if !p.HasPoint {
				return nil
			}
			return known.points.near(p.Country, p.Lat, p.Lon)
		},
		func() *time.Location { return known.countries.of(p.Country) },
	}
	for _, zone := range zones {
		if p.Zone = zone(); p.Zone != nil {
			break
		}
	}
	return p
}

// samePlace compares zones by name: each is loaded more than once.
func samePlace(a, b edge.Place) bool {
	names := [2]string{}
	for i, zone := range []*time.Location{a.Zone, b.Zone} {
		if zone != nil {
			names[i] = zone.String()
		}
	}
	a.Zone, b.Zone = nil, nil
	return a == b && names[0] == names[1]
}

// scattered is a database of many networks of every width, nested and side by
// side, so that runs begin and end everywhere.
func scattered(t testing.TB, seed uint64) []byte {
	random := rand.New(rand.NewPCG(seed, 7))
	return buildWith(t, mmdbwriter.Options{DatabaseType: "GeoIP2-City"}, func(tree *mmdbwriter.Tree) {
		for i := range 3000 {
			r := testRecord{country: []string{"FR", "US", "RU"}[i%3], city: fmt.Sprintf("City %d", random.IntN(40)),
				lat: float64(random.IntN(170)-85) + 0.25, lon: float64(random.IntN(358)-179) + 0.125}
			if i%2 == 0 {
				addr := netip.AddrFrom4([4]byte{byte(40 + random.IntN(3)), byte(random.IntN(4)), byte(random.IntN(256)), byte(random.IntN(256))})
				r.network = netip.PrefixFrom(addr, 10+random.IntN(21)).Masked().String()
			} else {
				var b [16]byte
				b[0], b[1] = 0x2a, byte(random.IntN(3))
				for j := 2; j < 8; j++ {
					b[j] = byte(random.IntN(256) & random.IntN(256))
				}
				r.network = netip.PrefixFrom(netip.AddrFrom16(b), 12+random.IntN(45)).Masked().String()
			}
			insertRecord(t, tree, r.network, r.geoIP2())
		}
	})
}

// boundaries are the first and the last address of every network of a
// database, and those beside them.
func boundaries(t testing.TB, data []byte) []netip.Addr {
	t.Helper()
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	var addrs []netip.Addr
	for result := range reader.Networks(maxminddb.IncludeNetworksWithoutData()) {
		first := result.Prefix().Masked().Addr()
		last := lastOf(result.Prefix())
		addrs = append(addrs, first, last)
		for _, beside := range []netip.Addr{first.Prev(), last.Next()} {
			if beside.IsValid() {
				addrs = append(addrs, beside)
			}
		}
	}
	return addrs
}

func lastOf(network netip.Prefix) netip.Addr {
	b := network.Masked().Addr().AsSlice()
	for bit := network.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

func TestTheTableAgreesWithTheReader(t *testing.T) {
	embedded, err := pack.Unpack(packedCountry)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"the built-in database": embedded,
		"two records":           buildDatabase(t, "GeoIP2-City", parisRecord, osakaRecord),
		"flat IPv4":             buildFlat(t, 4, flatParis, flatDenver, flatNoted, flatHome),
		"flat IPv6":             buildFlat(t, 6, flatOsaka),
		"scattered":             scattered(t, 1),
		"scattered otherwise":   scattered(t, 2),
	}
	known, err := newTables()
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			d, err := openDatabase(known, bytesOf(name, data))
			if err != nil {
				t.Fatal(err)
			}
			addrs := boundaries(t, data)
			for range 50_000 {
				var b [16]byte
				for i := range 8 {
					b[i] = byte(random.Uint32())
				}
				addrs = append(addrs, netip.AddrFrom4([4]byte(b[:4])))
				b[0] = 0x20 | b[0]&0x1f
				addrs = append(addrs, netip.AddrFrom16(b))
			}
			plain := newPlainReader(t, known, data, d.files[0].Shape)
			checked, known := 0, 0
			for _, addr := range addrs {
				network, ok := coarse(addr)
				if !ok {
					continue
				}
				got, want := d.locate(network), plain.locate(t, network)
				if network.Is6() && key6(network)>>(bitsIPv6-globalBits) != 1 {
					want = edge.Place{} // not in use anywhere
				}
				if !samePlace(got, want) {
					t.Fatalf("locate(%v) = %+v, and the reader says %+v", network, got, want)
				}
				checked++
				if got.Country != "" {
					known++
				}
			}
			if checked < 50_000 || known == 0 {
				t.Errorf("%d addresses were checked, and %d of them are somewhere", checked, known)
			}
		})
	}
}

func TestTheTableIsSmall(t *testing.T) {
	db := mustOpen(t, Options{})
	if n := db.Status().Bytes; n > 8<<20 {
		t.Errorf("the built-in table takes %d bytes, want at most 8 MiB", n)
	}
}
