// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge"
)

// A Found is how often a search met a person in the files of one place.
type Found struct {
	// Place is a store's name as Stats has it, or damaged for the copies of damaged
	// files.
	Place string
	// Found counts messages, those that the server takes for deleted too, and
	// copies of files. The notes that persons were erased or their profiles deleted,
	// which have their keys, do not count.
	Found uint64
	// Unread counts files that could not be read to their end: they are damaged.
	Unread uint64
}

// Find looks for a person in all files of the Stream, beside the server: in every
// message, unpacked, deleted or not, for the key and the texts. It reads each file
// once, one at a time, and is for people who want to know. What changes meanwhile
// is seen or not.
func (s *Stream) Find(ctx context.Context, t edge.Traces) ([]Found, error) {
	f := finder{texts: [][]byte{t.Key[:], []byte(t.Key.String())}}
	for _, text := range t.Texts {
		if text != "" {
			f.texts = append(f.texts, []byte(text))
		}
	}
	var found []Found
	for store, place := range storeNames {
		in, err := f.store(ctx, s.o.Dir, store)
		if err != nil {
			return nil, fmt.Errorf("search %s: %w", place, err)
		}
		in.Place = place
		found = append(found, in)
	}
	n, err := f.copies(ctx, s.o.Dir)
	if err != nil {
		return nil, fmt.Errorf("search copies of damaged files: %w", err)
	}
	slices.SortFunc(found, func(a, b Found) int { return strings.Compare(a.Place, b.Place) })
	return append(found, Found{Place: damagedDir, Found: n}), nil
}

// A finder looks for texts.
type finder struct {
	texts [][]byte
	frame frameReader
}

// store counts the messages of a store that hold one of the texts.
func (f *finder) store(ctx context.Context, dir, store string) (in Found, err error) {
	numbers, err := blockNumbers(dir, store)
	if err != nil {
		return in, err
	}
	for i, number := range numbers {
		if ctx.Err() != nil {
			return in, ctx.Err()
		}
		block, err := os.ReadFile(blockFile(dir, store, number))
		if errors.Is(err, fs.ErrNotExist) {
			continue // its messages are gone
		}
		if err != nil {
			return in, err
		}
		n, whole := f.block(store, block, blockHash(store, number))
		in.Found += n
		if !whole && i < len(numbers)-1 { // the last one is being written
			in.Unread++
		}
	}
	return in, nil
}

// block counts the records of a block that hold one of the texts, and reports
// whether it could be read to its end. What could not counts as one.
func (f *finder) block(store string, block []byte, h hash.Hash64) (n uint64, whole bool) {
	for at := 0; at < len(block); {
		length, from := measure(block[at:])
		if length == 0 || !hashed(block[at:at+length], from, h) {
			if holdsAny(block[at:], f.texts) {
				n++
			}
			return n, false
		}
		record := block[at : at+length]
		at += length
		if !isErasedRecord(record) && f.record(store, record, from) {
			n++
		}
	}
	return n, true
}

// record reports whether a record holds one of the texts.
func (f *finder) record(store string, record []byte, from int) bool {
	subject, data := record[recordHead:subjectEnd(record)], record[from:len(record)-recordHash]
	if store == "KV_"+flowBucket && isErasureNote(subject) || store == "KV_"+profileBucket && len(skipHeader(record, data)) == 0 {
		return false // a note that somebody is to be forgotten or was, or that a profile was deleted
	}
	if holdsAny(subject, f.texts) || holdsAny(data, f.texts) {
		return true
	}
	switch store {
	case eventStream, recordStream:
	case rewrittenStream:
		data = skipHeader(record, data)
	default:
		return false
	}
	if len(data) <= frameHeadBytes+frameTailBytes || data[0]&framePacked == 0 {
		return false
	}
	members, err := f.frame.unpack(data[frameHeadBytes : len(data)-frameTailBytes])
	return err == nil && holdsAny(members, f.texts)
}

// skipHeader returns the bytes behind a record's header, if it has one.
func skipHeader(record, data []byte) []byte {
	if binary.LittleEndian.Uint32(record)&recordHeader == 0 {
		return data
	}
	header := binary.LittleEndian.Uint32(record[subjectEnd(record):])
	return data[min(int(header), len(data)):]
}

// isErasureNote reports the subject of a note that somebody is to be forgotten, or
// was.
func isErasureNote(subject []byte) bool {
	key, ok := bytes.CutPrefix(subject, []byte("$KV."+flowBucket+"."))
	return ok && (bytes.HasPrefix(key, []byte(personPrefix)) || bytes.HasPrefix(key, []byte(erasedPrefix)))
}

// copies counts the copies of damaged files that hold one of the texts, or are of
// events, records or letters and cannot be read to say.
func (f *finder) copies(ctx context.Context, dir string) (n uint64, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, damagedDir))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, entry := range entries {
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		content, err := os.ReadFile(filepath.Join(dir, damagedDir, entry.Name()))
		if err != nil {
			return n, err
		}
		if holdsPersons(entry.Name()) || holdsAny(content, f.texts) {
			n++
		}
	}
	return n, nil
}

// holdsPersons reports whether a copy of a damaged file can hold what persons did.
func holdsPersons(name string) bool {
	return slices.ContainsFunc(personStores[:], func(store string) bool {
		return strings.HasPrefix(name, store+"-")
	})
}
