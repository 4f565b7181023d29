// SPDX-License-Identifier: Apache-2.0

// Command gencountry makes the country database that is built into the program.
//
//	gencountry -out FILE            write the packed database
//	gencountry -out FILE -check     fail unless FILE is what would be written
//	gencountry -tarball PACKAGE …   use a package that was fetched before
//
// It fetches one pinned version of an openly licensed database with npm, checks
// its SHA-512, turns its flat records into the GeoIP2 schema, and reduces them
// to networks of at most /24 and /48, since nothing finer is ever looked up.
// The same source always gives the same bytes. The package is kept in the
// user's cache directory, so only the first run needs npm and the network.
//
// The command runs on one goroutine and changes no file but FILE and the cache.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/nearside/nearside/geo/internal/pack"
	"github.com/nearside/nearside/internal/datafile"
)

// source is the pinned package, and sourceName the database inside it, of both
// address families.
var source = datafile.Package{
	Spec:      "@ip-location-db/geo-whois-asn-country-mmdb@2.3.2026061719",
	Integrity: "sha512-xemBDNQl4mCYDuVbqe3jKGKsVDykZGkfvebhtOh/3VGLadq8vsp7t7ontpMUt3hH7sAGT0eLDyJ99SV+0waxZg==",
}

const sourceName = "package/geo-whois-asn-country.mmdb"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	out := flag.String("out", "", "`file` of the packed database")
	check := flag.Bool("check", false, "compare with the file instead of writing it")
	tarball := flag.String("tarball", "", "npm package `file` to use instead of fetching it")
	flag.Parse()
	if err := run(ctx, *out, *tarball, *check); err != nil {
		fmt.Fprintln(os.Stderr, "gencountry:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, tarball string, check bool) error {
	if out == "" {
		return errors.New("-out is missing")
	}
	if tarball == "" {
		var err error
		if tarball, err = source.Fetch(ctx); err != nil {
			return fmt.Errorf("fetch (give -tarball if there is no npm): %w", err)
		}
	}
	plain, err := source.File(tarball, sourceName)
	if err != nil {
		return fmt.Errorf("read %s: %w", tarball, err)
	}
	database, err := convert(plain)
	if err != nil {
		return fmt.Errorf("convert: %w", err)
	}
	packed, err := pack.Pack(database)
	if err != nil {
		return err
	}
	return datafile.Put(out, packed, check)
}
