// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"net/netip"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/oschwald/maxminddb-golang/v2"
	"go4.org/netipx"
)

const (
	// databaseType tells readers which schema the records have. It has to be
	// one that GeoIP2 readers know.
	databaseType = "GeoLite2-Country"
	description  = "Nearside country database in the GeoLite2-Country schema, not a MaxMind product. " +
		"Made from ip-location-db geo-whois-asn-country (CC0 1.0), " +
		"with statistics of the Number Resource Organization, nro.net (CC BY 4.0)"
	// withdrawn is a code still found in registries: the Netherlands Antilles
	// left ISO 3166-1 in 2010, and which successor is meant cannot be told.
	withdrawn = "AN"
)

// The finest networks kept, the same as package geo looks up.
const (
	bitsIPv4 = 24
	bitsIPv6 = 48
)

// convert returns the database for source, which has flat records
// {"country_code": "FR"}. Equal input gives equal output; the build time is the
// source's.
func convert(source []byte) ([]byte, error) {
	reader, err := maxminddb.OpenBytes(source)
	if err != nil {
		return nil, err
	}
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		BuildEpoch:   int64(reader.Metadata.BuildEpoch),
		DatabaseType: databaseType,
		Description:  map[string]string{"en": description},
		Languages:    []string{"en"},
		RecordSize:   24,
	})
	if err != nil {
		return nil, err
	}
	out := writer{tree: tree, records: make(map[string]mmdbtype.DataType)}
	for result := range reader.Networks() {
		var record struct {
			Country string `maxminddb:"country_code"`
		}
		if err := result.Decode(&record); err != nil {
			return nil, err
		}
		if record.Country == "" || record.Country == withdrawn {
			continue
		}
		if err := out.add(result.Prefix(), record.Country); err != nil {
			return nil, err
		}
	}
	if err := out.flush(); err != nil {
		return nil, err
	}
	var database bytes.Buffer
	if _, err := tree.WriteTo(&database); err != nil {
		return nil, err
	}
	return database.Bytes(), verify(database.Bytes())
}

// A writer fills the tree with networks given in ascending order. Networks
// finer than is kept gather in block until the next block begins.
type writer struct {
	tree    *mmdbwriter.Tree
	records map[string]mmdbtype.DataType // by country

	block  netip.Prefix // a /24 or /48; the zero Prefix when nothing is gathered
	shares []share      // of block, in order of appearance
}

// A share is the part of a block that belongs to a country, from 0 to 1.
type share struct {
	country string
	part    float64
}

func (w *writer) add(network netip.Prefix, country string) error {
	finest := bitsIPv6
	if network.Addr().Is4() {
		finest = bitsIPv4
	}
	if network.Bits() <= finest {
		if err := w.flush(); err != nil {
			return err
		}
		return w.insert(network, country)
	}
	block, err := network.Addr().Prefix(finest)
	if err != nil {
		return err
	}
	if block != w.block {
		if err := w.flush(); err != nil {
			return err
		}
		w.block = block
	}
	part := math.Ldexp(1, finest-network.Bits())
	for i := range w.shares {
		if w.shares[i].country == country {
			w.shares[i].part += part
			return nil
		}
	}
	w.shares = append(w.shares, share{country, part})
	return nil
}

// flush inserts the gathered block with the country that has the most of it;
// among equals the one that comes first.
func (w *writer) flush() error {
	if len(w.shares) == 0 {
		return nil
	}
	most := w.shares[0]
	for _, s := range w.shares[1:] {
		if s.part > most.part {
			most = s
		}
	}
	w.shares = w.shares[:0]
	return w.insert(w.block, most.country)
}

func (w *writer) insert(network netip.Prefix, country string) error {
	record, ok := w.records[country]
	if !ok {
		if len(country) != 2 || country[0] < 'A' || country[0] > 'Z' || country[1] < 'A' || country[1] > 'Z' {
			return fmt.Errorf("network %v: %q is not a country code", network, country)
		}
		record = mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String(country)}}
		w.records[country] = record
	}
	err := w.tree.Insert(netipx.PrefixIPNet(network), record)
	// A source may claim private or documentation networks, or 6to4, which
	// leads to IPv4; none of them is a place.
	var reserved *mmdbwriter.ReservedNetworkError
	var aliased *mmdbwriter.AliasedNetworkError
	if errors.As(err, &reserved) || errors.As(err, &aliased) {
		return nil
	}
	return err
}

func verify(database []byte) error {
	reader, err := maxminddb.OpenBytes(database)
	if err != nil {
		return err
	}
	return reader.Verify()
}
