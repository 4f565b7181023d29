// SPDX-License-Identifier: Apache-2.0

// Package geo turns an address into a place and a time zone.
//
// It reads a database of the GeoIP2 schema: a file that the settings name, or
// else the country database built into the program. A named file is read again
// when it changes; one that does not verify is refused, and the database that
// was serving goes on.
//
// The package never looks further than the /24 of an IPv4 address or the /48 of
// an IPv6 address, never writes or logs an address, never uses the network, and
// does not know consent: edge.Place.Coarsen takes away what was not granted.
//
// Locate may be called by any number of goroutines and waits for none of them.
// A DB owns one goroutine, which watches the file; Close ends it.
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

// Attribution credits the makers of the built-in country data, as their
// licences ask. Show it where the product names its sources; ATTRIBUTION.md
// has the particulars, and what a City file asks for.
const Attribution = "Country of addresses: ip-location-db (CC0 1.0), " +
	"with statistics of the Number Resource Organization, nro.net (CC BY 4.0)."

// DefaultReloadEvery is how often a database file is looked at by default.
const DefaultReloadEvery = 30 * time.Second

// ErrDatabase reports a file that was read but cannot serve: it is damaged, is
// of a type that has no countries, or holds no place at all.
var ErrDatabase = errors.New("not a usable GeoIP2 country or city database")

// Options say which database to serve.
type Options struct {
	// File is the path of a GeoIP2-schema Country, City or Enterprise database
	// of at most 1 GiB. Empty means the built-in country database.
	File string
	// Logger gets a line when the file is reloaded or refused. Nil means silent.
	Logger *slog.Logger
	// ReloadEvery is how often File's time, size and identity are looked at.
	// A changed file is read once it has stayed the same for one such interval,
	// so that a slow copy is not read half-way. 0 means DefaultReloadEvery; a
	// negative value never looks.
	ReloadEvery time.Duration
}

// A DB is an edge.Locator over one database. Open makes it.
type DB struct {
	current   atomic.Pointer[database]
	countries *countryZones

	reloads, reloadErrors, lookupErrors atomic.Uint64

	stop context.CancelFunc // nil when nothing is watched
	done chan struct{}      // closed when the watcher has returned
}

var _ edge.Locator = (*DB)(nil)

// Open reads and verifies the database and starts to watch its file. It takes
// some 50 ms for the built-in database and about 4 s for each 100 MB of a file.
// The whole database is held in memory, and twice over during a reload: a file
// mapped into memory would change, or fault, under a reader when somebody
// writes to it in place, and a verified copy cannot.
func Open(opts Options) (*DB, error) {
	countries, err := newCountryZones()
	if err != nil {
		return nil, fmt.Errorf("geo: country zones: %w", err)
	}
	db := &DB{countries: countries}
	if opts.File == "" {
		built, err := openEmbedded(countries)
		if err != nil {
			return nil, fmt.Errorf("geo: built-in database: %w", err)
		}
		db.current.Store(built)
		return db, nil
	}
	w := watcher{db: db, path: opts.File, logger: opts.Logger}
	if w.logger == nil {
		w.logger = slog.New(slog.DiscardHandler)
	}
	if err := w.open(); err != nil {
		return nil, fmt.Errorf("geo: %w", err)
	}
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

// Close stops watching the file and returns when the watcher has ended, which
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
// IPv6 is looked up as IPv4. It costs no allocation when the network was asked
// for lately, else two and a few more for a city's record.
func (db *DB) Locate(addr netip.Addr) edge.Place {
	network, ok := coarse(addr)
	if !ok {
		return edge.Place{}
	}
	current := db.current.Load()
	known := current.places.find(network)
	if known == nil {
		place, err := current.locate(network)
		if err != nil {
			db.lookupErrors.Add(1)
		}
		known = &knownPlace{network, place}
		current.places.keep(known)
	}
	return known.place
}

// A Status says which database serves and how it fared since Open.
type Status struct {
	// Source is "embedded", or the last element of the file's path.
	Source string
	// Type is the database's own word for its schema, such as "GeoIP2-City".
	Type string
	// Built is when the database's maker built it, in UTC.
	Built time.Time
	// Reloads counts changed files that were taken into service, and
	// ReloadErrors those that were refused or could not be read.
	Reloads, ReloadErrors uint64
	// LookupErrors counts look-ups that met an unreadable record and gave the
	// zero Place. A verified database has none.
	LookupErrors uint64
}

// Status returns the state at this moment. It may be called at any time.
func (db *DB) Status() Status {
	current := db.current.Load()
	return Status{
		Source:       current.source,
		Type:         current.kind,
		Built:        current.built,
		Reloads:      db.reloads.Load(),
		ReloadErrors: db.reloadErrors.Load(),
		LookupErrors: db.lookupErrors.Load(),
	}
}
