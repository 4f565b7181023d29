// SPDX-License-Identifier: Apache-2.0

// Package geo turns an address into a place and a time zone.
//
// It reads databases in MaxMind's schema (GeoIP2 and GeoLite2, Country, City and
// Enterprise) and in the flat one of ip-location-db, where IPv4 and IPv6 are two
// files; without any, the country database built into the program. What is read
// becomes a table of its own: networks at the resolution of a /24 or a /48, and
// each place once, decoded, with the code of its region and its time zone filled
// in where the file has none. A look-up decodes nothing and allocates nothing.
//
// Named files are read again when they change, all together; if one of them
// cannot serve, all are refused, and what was serving goes on.
//
// The package never looks further than the /24 of an IPv4 address or the /48 of
// an IPv6 address, never writes or logs an address, never uses the network, and
// does not know consent: edge.Place.Coarsen takes away what was not granted.
//
// Locate may be called by any number of goroutines and waits for none of them.
// A DB owns one goroutine, which watches the files; Close ends it.
package geo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/nearside/nearside/edge"
)

// Attribution credits the makers of the built-in data, as their licences ask.
// Show it where the product names its sources; ATTRIBUTION.md has the
// particulars, and what a file of your own asks for.
const Attribution = "Country of addresses: ip-location-db (CC0 1.0), " +
	"with statistics of the Number Resource Organization, nro.net (CC BY 4.0). " +
	"Time zones of cities: GeoNames, geonames.org (CC BY 4.0)."

// DefaultReloadEvery is how often a database file is looked at by default.
const DefaultReloadEvery = 30 * time.Second

// ErrDatabase reports a file that was read but cannot serve: it is damaged, it
// holds something else than countries or cities, or two files hold the same
// address family. The error says which and what it is.
var ErrDatabase = errors.New("not a usable country or city database")

// Options say which database to serve.
type Options struct {
	// Files are the paths of one database, or of two that hold IPv4 and IPv6
	// apart, each of at most 1 GiB. A directory stands for the one or two files
	// in it that end in ".mmdb". Empty means the built-in country database.
	Files []string
	// Logger gets a line for each file that is taken into service, and one when
	// files are refused. Nil means silent.
	Logger *slog.Logger
	// ReloadEvery is how often the files' time, size and identity are looked
	// at. Changed files are read once all have stayed the same for one such
	// interval, so that a slow copy is not read half-way. 0 means
	// DefaultReloadEvery; a negative value never looks.
	ReloadEvery time.Duration
}

// A DB is an edge.Locator over one database. Open makes it.
type DB struct {
	current atomic.Pointer[database]
	known   *tables

	reloads, reloadErrors atomic.Uint64

	stop context.CancelFunc // nil when nothing is watched
	done chan struct{}      // closed when the watcher has returned
}

var _ edge.Locator = (*DB)(nil)

// Open reads the database, every network of it, and starts to watch its files.
// It takes some 50 ms for the built-in database and about 1 s for each 20 MB of
// files. The files' bytes are let go once they have become a table; Status has
// its size. While files are read, the new table, the one that serves and the
// bytes of one file are in memory together. A file mapped into memory would be
// smaller still, but would change, or fault, under a reader when somebody writes
// to it in place.
func Open(opts Options) (*DB, error) {
	known, err := newTables()
	if err != nil {
		return nil, fmt.Errorf("geo: %w", err)
	}
	db := &DB{known: known}
	if len(opts.Files) == 0 {
		built, err := openEmbedded(known)
		if err != nil {
			return nil, fmt.Errorf("geo: built-in database: %w", err)
		}
		db.current.Store(built)
		return db, nil
	}
	w := watcher{db: db, given: opts.Files, logger: opts.Logger}
	if w.logger == nil {
		w.logger = slog.New(slog.DiscardHandler)
	}
	if err := w.open(); err != nil {
		return nil, fmt.Errorf("geo: %w", err)
	}
	w.tell("geo database")
	every := opts.ReloadEvery
	if every == 0 {
		every = DefaultReloadEvery
	}
	if every > 0 {
		var ctx context.Context
		ctx, db.stop = context.WithCancel(context.Background())
		db.done = make(chan struct{})
		go w.run(ctx, every)
	}
	return db, nil
}

// Close stops watching the files and returns when the watcher has ended, which
// takes as long as a reload already begun. Locate goes on answering from
// memory. Close may be called more than once; its error is always nil.
func (db *DB) Close() error {
	if db.stop != nil {
		db.stop()
		<-db.done
	}
	return nil
}

// Locate returns the place of addr, or the zero Place if the database does not
// know it or it belongs to no place: an invalid, private, loopback, link-local
// or multicast address, or a 6to4 or Teredo tunnel. An IPv4 address mapped into
// IPv6 is looked up as IPv4. It allocates nothing.
func (db *DB) Locate(addr netip.Addr) edge.Place {
	network, ok := coarse(addr)
	if !ok {
		return edge.Place{}
	}
	return db.current.Load().locate(network)
}

// A Status says which database serves and how it fared since Open.
type Status struct {
	// Files are the files that serve: one, or two of one address family each.
	Files []FileStatus
	// Places counts the different places of the table, and Bytes is about what
	// the table takes in memory.
	Places int
	Bytes  uint64
	// Reloads counts how often changed files were taken into service, and
	// ReloadErrors how often they were refused or could not be read.
	Reloads, ReloadErrors uint64
}

// Status returns the state at this moment; its Files may not be changed. It may
// be called at any time.
func (db *DB) Status() Status {
	current := db.current.Load()
	return Status{
		Files:        current.files,
		Places:       len(current.places) - 1,
		Bytes:        current.bytes(),
		Reloads:      db.reloads.Load(),
		ReloadErrors: db.reloadErrors.Load(),
	}
}
