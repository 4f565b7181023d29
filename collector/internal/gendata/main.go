// SPDX-License-Identifier: Apache-2.0

// Command gendata makes the collector's tables of crawlers and of referring
// hosts from two openly licensed lists.
//
//	gendata -dir DIRECTORY           write the tables
//	gendata -dir DIRECTORY -check    fail unless the files are what would be written
//
// It fetches one pinned version of each list with npm, checks its SHA-512,
// keeps what the collector needs and writes it sorted, one entry a line, with
// where it comes from on top. The same sources always give the same bytes. The
// packages are kept in the user's cache directory, so only the first run needs
// npm and the network.
//
// The command runs on one goroutine and changes nothing but its files and the
// cache.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/nearside/nearside/internal/datafile"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir := flag.String("dir", "", "`directory` of the collector")
	check := flag.Bool("check", false, "compare with the files instead of writing them")
	flag.Parse()
	if err := run(ctx, *dir, *check); err != nil {
		fmt.Fprintln(os.Stderr, "gendata:", err)
		os.Exit(1)
	}
}

// A table is one file to make: from which source, by which function.
type table struct {
	file   string // below the collector's directory
	source *source
	make   func(data []byte) ([]byte, error)
}

var tables = [...]table{
	{"crawlers.txt", &crawlerList, makeCrawlers},
	{"testdata/crawler_instances.txt", &crawlerList, makeInstances},
	{"referrers.txt", &referrerList, makeReferrers},
}

func run(ctx context.Context, dir string, check bool) error {
	if dir == "" {
		return errors.New("-dir is missing")
	}
	for _, t := range tables {
		data, err := t.source.Read(ctx, t.source.file)
		if err != nil {
			return fmt.Errorf("%s: %w", t.source.Spec, err)
		}
		made, err := t.make(data)
		if err != nil {
			return fmt.Errorf("%s: %w", t.file, err)
		}
		if err := datafile.Put(filepath.Join(dir, t.file), made, check); err != nil {
			return err
		}
	}
	return nil
}
