// SPDX-License-Identifier: Apache-2.0

// Command zones measures how often package geo names the right time zone for
// the points of a city database that names none.
//
//	go run . -sample 20000 city-ipv4.mmdb [city-ipv6.mmdb]
//
// It draws networks at random, weighs each once, and compares the zone of
// geo.DB.Locate with that of github.com/ringsaturn/tzf, which looks a point up
// in the borders of the zones themselves. It prints, in percent, how many have
// the same name and how many the same offset from UTC in January and July, then
// the most frequent misses.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
	"github.com/ringsaturn/tzf"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/geo"
)

func main() {
	sample := flag.Int("sample", 20_000, "`networks` to compare")
	flag.Parse()
	if err := run(flag.Args(), *sample); err != nil {
		fmt.Fprintln(os.Stderr, "zones:", err)
		os.Exit(1)
	}
}

func run(files []string, sample int) error {
	db, err := geo.Open(geo.Options{Files: files, ReloadEvery: -1})
	if err != nil {
		return err
	}
	borders, err := tzf.NewDefaultFinder()
	if err != nil {
		return err
	}
	addrs, err := draw(files, sample)
	if err != nil {
		return err
	}
	var t tally
	for _, addr := range addrs {
		if p := db.Locate(addr); p.HasPoint && p.Zone != nil {
			t.add(p, borders.GetTimezoneName(p.Lon, p.Lat))
		}
	}
	t.print()
	return nil
}

// draw returns networks that have a record, each as likely as another.
func draw(files []string, sample int) ([]netip.Addr, error) {
	random := rand.New(rand.NewPCG(1, 2))
	var drawn []netip.Addr
	met := 0
	for _, path := range files {
		reader, err := maxminddb.Open(path)
		if err != nil {
			return nil, err
		}
		for result := range reader.Networks() {
			if err := result.Err(); err != nil {
				return nil, err
			}
			met++
			if len(drawn) < sample {
				drawn = append(drawn, result.Prefix().Addr())
			} else if at := random.IntN(met); at < sample {
				drawn[at] = result.Prefix().Addr()
			}
		}
		if err := reader.Close(); err != nil {
			return nil, err
		}
	}
	return drawn, nil
}

// A tally counts agreements.
type tally struct {
	all, name, offset int
	misses            map[string]int
}

func (t *tally) add(p edge.Place, want string) {
	if want == "" {
		return // at sea
	}
	t.all++
	zone, err := time.LoadLocation(want)
	if err != nil {
		return
	}
	if p.Zone.String() == want {
		t.name++
	}
	if sameTime(p.Zone, zone) {
		t.offset++
		return
	}
	if t.misses == nil {
		t.misses = make(map[string]int)
	}
	t.misses[fmt.Sprintf("%s: %s for %s", p.Country, p.Zone, want)]++
}

// sameTime reports whether clocks in a and b agree in winter and in summer.
func sameTime(a, b *time.Location) bool {
	for _, month := range []time.Month{time.January, time.July} {
		at := time.Date(2026, month, 15, 12, 0, 0, 0, time.UTC)
		_, x := at.In(a).Zone()
		_, y := at.In(b).Zone()
		if x != y {
			return false
		}
	}
	return true
}

func (t *tally) print() {
	share := func(n int) float64 { return 100 * float64(n) / float64(max(t.all, 1)) }
	fmt.Printf("%d points: same zone %.2f %%, same clock in January and July %.2f %%\n", t.all, share(t.name), share(t.offset))
	names := make([]string, 0, len(t.misses))
	for name := range t.misses {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(t.misses[b]-t.misses[a], cmp.Compare(a, b)) })
	for _, name := range names[:min(10, len(names))] {
		fmt.Printf("%6d  %s\n", t.misses[name], name)
	}
}
