// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"github.com/oschwald/geoip2-golang/v2"
	"go4.org/netipx"
)

const sourceEpoch = 1781725900

// A claim is one network of a source database.
type claim struct{ network, country string }

func buildSource(t testing.TB, claims ...claim) []byte {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{BuildEpoch: sourceEpoch, DatabaseType: "country ipvAll",
		IncludeReservedNetworks: true, DisableIPv4Aliasing: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range claims {
		record := mmdbtype.Map{"country_code": mmdbtype.String(c.country)}
		if err := tree.Insert(netipx.PrefixIPNet(netip.MustParsePrefix(c.network)), record); err != nil {
			t.Fatal(err)
		}
	}
	var source bytes.Buffer
	if _, err := tree.WriteTo(&source); err != nil {
		t.Fatal(err)
	}
	return source.Bytes()
}

func TestConvert(t *testing.T) {
	source := buildSource(t,
		claim{"91.160.0.0/12", "FR"},
		claim{"80.0.0.0/25", "GB"}, claim{"80.0.0.128/26", "IE"}, claim{"80.0.0.192/26", "IE"},
		claim{"80.0.1.0/26", "GB"}, claim{"80.0.1.128/25", "IE"},
		claim{"80.0.2.128/32", "GB"},
		claim{"80.0.3.0/30", "AN"}, claim{"80.0.3.4/32", "NL"},
		claim{"80.0.4.0/24", "AN"},
		claim{"192.168.0.0/16", "US"},
		claim{"2a01:e34::/28", "FR"},
		claim{"2a02:1:2:3::/64", "RU"}, claim{"2a02:1:2:4::/63", "BY"},
		claim{"2002:5a0:3602::/48", "US"},
	)
	database, err := convert(source)
	if err != nil {
		t.Fatal(err)
	}
	reader, err := geoip2.OpenBytes(database)
	if err != nil {
		t.Fatal(err)
	}
	if m := reader.Metadata(); m.BuildEpoch != sourceEpoch || m.DatabaseType != databaseType || m.RecordSize != 24 {
		t.Errorf("metadata = %+v", m)
	}
	tests := []struct{ name, addr, country, network string }{
		{"a wide network is kept", "91.165.0.0", "FR", "91.160.0.0/12"},
		{"of equal halves the first wins", "80.0.0.0", "GB", "80.0.0.0/24"},
		{"the larger part wins over the first address", "80.0.1.0", "IE", "80.0.1.0/24"},
		{"one known address names its block", "80.0.2.0", "GB", "80.0.2.0/24"},
		{"a withdrawn code does not count", "80.0.3.0", "NL", "80.0.3.0/24"},
		{"a withdrawn code is left out", "80.0.4.0", "", ""},
		{"a private network is left out", "192.168.0.0", "", ""},
		{"a wide IPv6 network is kept", "2a01:e34:1::", "FR", "2a01:e30::/28"},
		{"an IPv6 block goes to its larger part", "2a02:1:2::", "BY", "2a02:1:2::/48"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			record, err := reader.Country(netip.MustParseAddr(tt.addr))
			if err != nil {
				t.Fatal(err)
			}
			if got := record.Country.ISOCode; got != tt.country {
				t.Errorf("%s is in %q, want %q", tt.addr, got, tt.country)
			}
			if got := record.Traits.Network.String(); tt.network != "" && got != tt.network {
				t.Errorf("%s is in network %s, want %s", tt.addr, got, tt.network)
			}
		})
	}
	again, err := convert(source)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(database, again) {
		t.Error("convert gives other bytes the second time")
	}
}

func TestConvertRefuses(t *testing.T) {
	tests := []struct {
		name   string
		source []byte
	}{
		{"what is no database", []byte("garbage")},
		{"a code that is no country", buildSource(t, claim{"91.160.0.0/12", "FRA"})},
		{"a code in lower case", buildSource(t, claim{"91.160.0.0/12", "fr"})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := convert(tt.source); err == nil {
				t.Error("convert gave no error")
			}
		})
	}
}
