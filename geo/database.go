// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

// What a file may hold at most, so that a crafted one costs bounded memory.
const (
	maxAreas  = math.MaxUint16
	maxPlaces = 1 << placeBits
)

// A database is what serves: one table, and what is known of the files it was
// made from, whose bytes are not kept. It never changes; a new one replaces it
// as a whole, and the garbage collector frees it after the last Locate that
// held it.
type database struct {
	table
	files []FileStatus
}

// A FileStatus says what one database file was found to be.
type FileStatus struct {
	// Name is the last element of the path, or "embedded".
	Name string
	// Type is the file's own word for its schema, such as "GeoIP2-City"; empty
	// for one that is not printable.
	Type string
	// Shape is how its records are laid out.
	Shape Shape
	// Built is when its maker built it, in UTC.
	Built time.Time
	// NetworksIPv4 and NetworksIPv6 count the networks that have a record.
	NetworksIPv4, NetworksIPv6 int
	// Regions counts the different regions that were found by name, and
	// RegionsUnknown those whose name no code is known for; both are 0 in a
	// file that has codes.
	Regions, RegionsUnknown int
}

// tables are what every database is read with. They never change.
type tables struct {
	countries *countryZones
	points    zonePoints
	names     func() *regionNames // made when the first flat database is read
}

func newTables() (*tables, error) {
	countries, err := newCountryZones()
	if err != nil {
		return nil, fmt.Errorf("country zones: %w", err)
	}
	points, err := newZonePoints()
	return &tables{countries, points, sync.OnceValue(newRegionNames)}, err
}

// A source is the bytes of one file. Open reads the next only when the one
// before has been turned into a table.
type source struct {
	name string
	read func() ([]byte, error)
}

// openDatabase makes a database of one file, or of two that hold one address
// family each.
func openDatabase(known *tables, sources ...source) (*database, error) {
	b := newBuilder(known)
	for _, s := range sources {
		data, err := s.read()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", s.name, err)
		}
		if err := b.addFile(s.name, data); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", s.name, ErrDatabase, err)
		}
	}
	if len(b.files) == 2 {
		for family, count := range map[string]func(FileStatus) int{
			"IPv4": func(f FileStatus) int { return f.NetworksIPv4 },
			"IPv6": func(f FileStatus) int { return f.NetworksIPv6 },
		} {
			if count(b.files[0]) > 0 && count(b.files[1]) > 0 {
				return nil, fmt.Errorf("%s and %s: %w: both hold %s networks, want one file of each family, or one file",
					b.files[0].Name, b.files[1].Name, ErrDatabase, family)
			}
		}
	}
	return b.database(), nil
}

// A builder turns files into a table. It belongs to one goroutine.
type builder struct {
	known *tables
	files []FileStatus

	ipv4, ipv6 runBuilder
	table      table
	texts      map[string]uint32
	areas      map[area]uint16
	zones      map[string]uint16
	places     map[packedPlace]uint32

	// Of the file being read.
	names   *regionNames
	regions map[area]string    // by country and name: the code
	at      map[uintptr]uint32 // by a record's offset: its place
}

func newBuilder(known *tables) *builder {
	b := &builder{
		known: known,
		ipv4:  newRunBuilder(8, 0, 1<<bitsIPv4),
		ipv6:  newRunBuilder(lowBits, global6, global6),
		texts: map[string]uint32{"": 0},
		areas: map[area]uint16{{}: 0},
		zones: map[string]uint16{"": 0},
	}
	none := packedPlace{lat: noPoint}
	b.places = map[packedPlace]uint32{none: 0}
	b.table = table{places: []packedPlace{none}, areas: []area{{}}, zones: []*time.Location{nil}, texts: []string{""}}
	return b
}

// errTree reports a search tree whose branches meet again: it could have more
// networks than could ever be visited.
var errTree = errors.New("its search tree is no tree")

// addFile reads every network of a file, and each record once.
func (b *builder) addFile(name string, data []byte) error {
	reader, err := maxminddb.OpenBytes(data)
	if err != nil {
		return fmt.Errorf("not an MMDB file: %w", err)
	}
	metadata := reader.Metadata
	file := FileStatus{Name: name, Type: typeOf(metadata.DatabaseType), Built: metadata.BuildTime().UTC()}
	if file.Shape, err = shapeOf(reader); err != nil {
		return fmt.Errorf("it is of type %q: %w", file.Type, err)
	}
	if file.Shape == ShapeFlat {
		b.names = b.known.names()
	}
	b.regions, b.at = make(map[area]string), make(map[uintptr]uint32)
	leaves, located := uint(0), 0
	for result := range reader.Networks(maxminddb.IncludeNetworksWithoutData()) {
		if err := result.Err(); err != nil {
			return err
		}
		// A tree of n nodes has n + 1 leaves.
		if leaves++; leaves > metadata.NodeCount+1 {
			return errTree
		}
		if !result.Found() {
			continue
		}
		at, err := b.placeOf(file.Shape, result)
		if err != nil {
			return err
		}
		if b.table.areas[b.table.places[at].area].country != "" {
			located++
		}
		b.addNetwork(&file, result.Prefix(), at)
	}
	if located == 0 {
		return fmt.Errorf("it is of type %q, and none of its %d networks has a country", file.Type, file.NetworksIPv4+file.NetworksIPv6)
	}
	for _, code := range b.regions {
		if code == "" {
			file.RegionsUnknown++
		} else {
			file.Regions++
		}
	}
	b.files = append(b.files, file)
	return nil
}

// maxTypeBytes is three times the longest type that is known.
const maxTypeBytes = 64

// typeOf returns a file's own word for its schema if it is printable ASCII, else
// "": it goes into logs and metrics.
func typeOf(word string) string {
	for i := range len(word) {
		if word[i] < ' ' || word[i] > '~' {
			return ""
		}
	}
	return text(word, maxTypeBytes)
}

func (b *builder) addNetwork(file *FileStatus, network netip.Prefix, at uint32) {
	addr, bits := network.Addr(), network.Bits()
	switch {
	case addr.Is4():
		file.NetworksIPv4++
		addKeys(&b.ipv4, key4(addr), bitsIPv4-bits, addr == netip.PrefixFrom(addr, min(bits, bitsIPv4)).Masked().Addr(), at)
	case bits <= 96 && addr.IsUnspecified():
		// It holds ::/96, where a database of both families keeps IPv4.
		file.NetworksIPv4++
		b.ipv4.add(0, 1<<bitsIPv4, at)
		fallthrough
	default:
		file.NetworksIPv6++
		addKeys(&b.ipv6, key6(addr), bitsIPv6-bits, addr == netip.PrefixFrom(addr, min(bits, bitsIPv6)).Masked().Addr(), at)
	}
}

// addKeys adds a network of 1<<wide keys from first. One that is finer than a
// key, so that wide is negative, counts if it holds the key's first address:
// that is the address which is looked up.
func addKeys(to *runBuilder, first uint64, wide int, holdsFirst bool, at uint32) {
	switch {
	case wide >= 0:
		to.add(first, first+1<<wide, at)
	case holdsFirst:
		to.add(first, first+1, at)
	}
}

// placeOf returns where the place of a result is in the table.
func (b *builder) placeOf(shape Shape, result maxminddb.Result) (uint32, error) {
	if at, ok := b.at[result.Offset()]; ok {
		return at, nil
	}
	r, err := shape.read(result)
	if err != nil {
		return 0, err
	}
	packed, err := b.pack(r)
	if err != nil {
		return 0, err
	}
	at, ok := b.places[packed]
	if !ok {
		if len(b.table.places) == maxPlaces {
			return 0, fmt.Errorf("it has more than %d places", maxPlaces)
		}
		at = uint32(len(b.table.places))
		b.table.places = append(b.table.places, packed)
		b.places[packed] = at
	}
	b.at[result.Offset()] = at
	return at, nil
}

// pack believes what is sound in a record and leaves out the rest.
func (b *builder) pack(r record) (packedPlace, error) {
	place := packedPlace{
		city:     b.text(text(r.city, maxCityBytes)),
		postcode: b.text(text(r.postcode, maxPostcodeBytes)),
		lat:      noPoint,
	}
	country := code(r.country, 2, 2)
	where := area{country, b.region(country, r)}
	at, ok := b.areas[where]
	if !ok {
		if len(b.table.areas) == maxAreas {
			return place, fmt.Errorf("it has more than %d regions", maxAreas)
		}
		at = uint16(len(b.table.areas))
		b.table.areas = append(b.table.areas, where)
		b.areas[where] = at
	}
	place.area = at
	if r.lat != nil && r.lon != nil && -90 <= *r.lat && *r.lat <= 90 && -180 <= *r.lon && *r.lon <= 180 {
		place.lat, place.lon = micro(*r.lat), micro(*r.lon)
	}
	place.zone = b.zone(r.zone, country, place)
	return place, nil
}

// region returns the code of a record's region, which a flat one only names.
func (b *builder) region(country string, r record) string {
	if r.regionName == "" {
		return code(r.region, 1, maxRegionBytes)
	}
	named := area{country, text(r.regionName, maxCityBytes)}
	found, ok := b.regions[named]
	if !ok {
		found = b.names.code(country, named.region)
		if len(b.regions) < maxAreas {
			b.regions[named] = found
		}
	}
	return found
}

// zone returns where the zone of a place is in the table: the one that its
// record names, else that of the nearest city, else its country's.
func (b *builder) zone(name, country string, place packedPlace) uint16 {
	if at := b.namedZone(name); at != 0 {
		return at
	}
	var zone *time.Location
	if place.lat != noPoint {
		zone = b.known.points.near(country, float64(place.lat)/microdegrees, float64(place.lon)/microdegrees)
	}
	if zone == nil {
		zone = b.known.countries.of(country)
	}
	if zone == nil {
		return 0
	}
	if at, ok := b.zones[zone.String()]; ok && at != 0 {
		return at
	}
	return b.addZone(zone.String(), zone)
}

// namedZone returns where the zone called name is in the table; 0 without one.
// Names without a zone are kept too, since looking for one reads the disk, and
// names beyond maxNamedZones are not looked for.
func (b *builder) namedZone(name string) uint16 {
	if at, ok := b.zones[name]; ok {
		return at
	}
	if len(b.zones) >= maxNamedZones {
		return 0
	}
	return b.addZone(name, loadZone(name))
}

func (b *builder) addZone(name string, zone *time.Location) uint16 {
	at := uint16(0)
	if zone != nil {
		at = uint16(len(b.table.zones))
		b.table.zones = append(b.table.zones, zone)
	}
	b.zones[name] = at
	return at
}

func (b *builder) text(s string) uint32 {
	at, ok := b.texts[s]
	if !ok {
		at = uint32(len(b.table.texts))
		b.table.texts = append(b.table.texts, s)
		b.texts[s] = at
	}
	return at
}

// database ends the runs and returns what was built.
func (b *builder) database() *database {
	b.ipv4.close()
	b.ipv6.close()
	b.table.ipv4 = newRuns4(&b.ipv4)
	b.table.ipv6 = runs6(struct{ index, low, place []uint32 }{b.ipv6.index, b.ipv6.low, b.ipv6.place})
	return &database{table: b.table, files: b.files}
}
