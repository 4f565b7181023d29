// SPDX-License-Identifier: Apache-2.0

// Package pack makes the country database small enough to keep in the source
// tree: about a seventh of its size, where gzip alone gives a half.
//
// The search tree of an MMDB file is an array of node pairs that mostly point
// a short way ahead. Pack replaces such a pointer by its distance, which
// repeats, so that gzip finds what it can shorten. Unpack undoes both.
//
// The package keeps no state; both functions may run at the same time.
package pack

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	kgzip "github.com/klauspost/compress/gzip"
	"github.com/oschwald/maxminddb-golang/v2"
)

const (
	// MaxBytes is the largest database that is packed or unpacked.
	MaxBytes = 16 << 20
	// recordBits is the one record size understood: two pointers of 3 bytes
	// make a node. The MMDB format also has 28 and 32.
	recordBits = 24
	nodeBytes  = 2 * recordBits / 8
	// headerBytes hold the number of nodes, big-endian, before the tree.
	headerBytes = 4
)

// errTree reports a packed database whose header does not fit its tree.
var errTree = errors.New("search tree is longer than the database")

// Pack returns database, an MMDB file of record size 24, in packed form.
// Equal input gives equal output: the compressor is a module that go.mod pins,
// because the standard library's output may change with the Go version.
func Pack(database []byte) ([]byte, error) {
	if len(database) > MaxBytes {
		return nil, fmt.Errorf("pack %d bytes: at most %d", len(database), MaxBytes)
	}
	reader, err := maxminddb.OpenBytes(database)
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if reader.Metadata.RecordSize != recordBits {
		return nil, fmt.Errorf("pack: record size is %d, not %d", reader.Metadata.RecordSize, recordBits)
	}
	nodes := uint32(reader.Metadata.NodeCount)
	plain := binary.BigEndian.AppendUint32(make([]byte, 0, headerBytes+len(database)), nodes)
	plain = append(plain, database...)
	eachPointer(plain[headerBytes:], nodes, func(node, pointer uint32) uint32 {
		return (pointer + nodes - node) % nodes
	})
	var packed bytes.Buffer
	gz, err := kgzip.NewWriterLevel(&packed, kgzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if _, err := gz.Write(plain); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	if err := gz.Close(); err != nil {
		return nil, fmt.Errorf("pack: %w", err)
	}
	return packed.Bytes(), nil
}

// Unpack returns the MMDB file that Pack was given. gzip's own checksum guards
// the bytes; whether they are a sound database is for their reader to verify.
func Unpack(packed []byte) ([]byte, error) {
	gz, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	var plain bytes.Buffer
	plain.Grow(sizeHint(packed) + bytes.MinRead)
	if _, err := plain.ReadFrom(io.LimitReader(gz, headerBytes+MaxBytes+1)); err != nil {
		return nil, fmt.Errorf("unpack: %w", err)
	}
	if plain.Len() > headerBytes+MaxBytes {
		return nil, fmt.Errorf("unpack: more than %d bytes", MaxBytes)
	}
	if plain.Len() < headerBytes {
		return nil, fmt.Errorf("unpack: %w", io.ErrUnexpectedEOF)
	}
	nodes := binary.BigEndian.Uint32(plain.Next(headerBytes))
	database := plain.Bytes()
	if uint64(nodes)*nodeBytes > uint64(len(database)) {
		return nil, fmt.Errorf("unpack: %w", errTree)
	}
	eachPointer(database, nodes, func(node, distance uint32) uint32 {
		return (distance + node) % nodes
	})
	return database, nil
}

// eachPointer replaces each pointer from node to node. Values from nodes up are
// no such pointers (they mean "nothing" or lead to a record) and stay as they
// are, so the two directions cannot be confused.
func eachPointer(tree []byte, nodes uint32, replace func(node, pointer uint32) uint32) {
	for node := range nodes {
		pair := tree[uint64(node)*nodeBytes:][:nodeBytes:nodeBytes]
		for _, p := range [][]byte{pair[:3], pair[3:]} {
			value := uint32(p[0])<<16 | uint32(p[1])<<8 | uint32(p[2])
			if value >= nodes {
				continue
			}
			value = replace(node, value)
			p[0], p[1], p[2] = byte(value>>16), byte(value>>8), byte(value)
		}
	}
}

// sizeHint reads the length that a gzip stream claims in its last four bytes,
// but believes no more than deflate can do, which is 1,032 bytes for one. It
// only sizes a buffer.
func sizeHint(packed []byte) int {
	if len(packed) < 4 {
		return 0
	}
	claimed := uint64(binary.LittleEndian.Uint32(packed[len(packed)-4:]))
	return int(min(claimed, 1032*uint64(len(packed)), headerBytes+MaxBytes))
}
