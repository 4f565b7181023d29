// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
	"go4.org/netipx"
)

// buildDatabase returns a database of a few hundred networks, among them IPv6
// ones, whose tree points back to the IPv4 part.
func buildDatabase(t testing.TB, recordSize int) []byte {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{BuildEpoch: 1, DatabaseType: "test", RecordSize: recordSize})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 300 {
		for _, network := range []netip.Prefix{
			netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(20 + i%70), byte(i), 0, 0}), 16),
			netip.PrefixFrom(netip.AddrFrom16([16]byte{0x2a, byte(i), byte(i >> 8), 7}), 40),
		} {
			if err := tree.Insert(netipx.PrefixIPNet(network), mmdbtype.Uint32(i%9)); err != nil {
				t.Fatal(err)
			}
		}
	}
	var database bytes.Buffer
	if _, err := tree.WriteTo(&database); err != nil {
		t.Fatal(err)
	}
	return database.Bytes()
}

func TestUnpackUndoesPack(t *testing.T) {
	database := buildDatabase(t, 24)
	before := bytes.Clone(database)
	packed, err := Pack(database)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(database, before) {
		t.Error("Pack changed its argument")
	}
	again, err := Pack(database)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(packed, again) {
		t.Error("Pack gives other bytes the second time")
	}
	got, err := Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, database) {
		t.Error("Unpack does not give what Pack was given")
	}
	var plain bytes.Buffer
	gz := gzip.NewWriter(&plain)
	if _, err := gz.Write(database); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	if len(packed) >= plain.Len() {
		t.Errorf("packed is %d bytes, gzip alone %d", len(packed), plain.Len())
	}
}

func TestPackRefuses(t *testing.T) {
	tests := []struct {
		name string
		data []byte
	}{
		{"what is no database", []byte("garbage")},
		{"another record size", buildDatabase(t, 28)},
		{"too much", make([]byte, MaxBytes+1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Pack(tt.data); err == nil {
				t.Error("Pack gave no error")
			}
		})
	}
}

func TestUnpackRefuses(t *testing.T) {
	good, err := Pack(buildDatabase(t, 24))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 0x10
	tests := []struct {
		name string
		data []byte
	}{
		{"nothing", nil},
		{"what is not gzip", []byte("garbage")},
		{"a stream cut short", good[:len(good)-20]},
		{"a changed byte", flipped},
		{"no header", zip(t, []byte{0, 0})},
		{"a tree longer than the database", zip(t, binary.BigEndian.AppendUint32(nil, 1))},
		{"more than may be unpacked", zip(t, make([]byte, headerBytes+MaxBytes+1))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Unpack(tt.data); err == nil {
				t.Error("Unpack gave no error")
			}
		})
	}
}

func FuzzUnpack(f *testing.F) {
	good, err := Pack(buildDatabase(f, 24))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(zip(f, []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 1}))
	f.Fuzz(func(t *testing.T, packed []byte) {
		database, err := Unpack(packed)
		if err == nil && len(database) > MaxBytes {
			t.Errorf("Unpack gave %d bytes", len(database))
		}
	})
}

func zip(t testing.TB, data []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	gz := gzip.NewWriter(&packed)
	if _, err := gz.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}
