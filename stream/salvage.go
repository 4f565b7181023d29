// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/highwayhash"
)

// The server cuts a block file off at the first record that is damaged, with all
// that lies behind it, up to 8 MB of acknowledged events, and says nothing. So
// before it starts, the newest files are looked through: what is damaged is taken
// out, a copy of the file, or of its damaged end, is kept for a while, and what was lost is told.
//
// A block file is a row of records, little-endian (nats-server 2.15.2):
//
//	record = length:u32 seq:u64 time:i64 subjectLength:u16 subject [headerLength:u32] bytes hash:8
//
// length is the record's own; its highest bit says that there is a header. hash is
// HighwayHash-64 over seq, time, subject and bytes without the header's length,
// with the SHA-256 of "STREAM-N" as its key for file N.blk. The highest two bits of
// seq mark what was deleted.
const (
	recordHead     = 22
	recordHash     = 8
	recordHeader   = 1 << 31
	recordSeqMask  = 1<<62 - 1
	maxRecordBytes = 32 << 20 // the server takes longer ones for damage
	maxSubject     = 1 << 10
)

const (
	blocksDir  = "msgs"
	stateFile  = "index.db" // what the server knows of its blocks without reading them
	damagedDir = "damaged"  // below the data directory: files as they were found
	// salvageBytes is how much of each store is looked through at a start, from
	// the newest file on.
	salvageBytes = 256 << 20
)

// A damage is what was found in one block file.
type damage struct {
	at    int    // the first damaged byte
	bytes int    // how many are lost
	lost  uint64 // messages between the whole ones, as their numbers tell
	tail  bool   // nothing whole lies behind it
}

// salvage looks through the newest blocks of each store. lost is the number of
// messages of events that are known to be gone.
func salvage(dir string, log *slog.Logger) (lost uint64, err error) {
	for name := range storeNames {
		n, err := salvageStore(dir, name, log)
		if err != nil {
			return lost, fmt.Errorf("look through %s: %w", storeNames[name], err)
		}
		if name == eventStream {
			lost += n
		}
	}
	return lost, nil
}

// blockNumber reads the number in a block's name, or returns false.
func blockNumber(name string) (n int, ok bool) {
	n, err := strconv.Atoi(strings.TrimSuffix(name, ".blk"))
	return n, err == nil && strings.HasSuffix(name, ".blk")
}

func salvageStore(dir, store string, log *slog.Logger) (lost uint64, err error) {
	blocks := filepath.Join(dir, serverDir, "$G", "streams", store, blocksDir)
	entries, err := os.ReadDir(blocks)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
		_, ok := blockNumber(e.Name())
		return !ok
	})
	slices.SortFunc(entries, func(a, b fs.DirEntry) int {
		left, _ := blockNumber(a.Name())
		right, _ := blockNumber(b.Name())
		return right - left
	})
	for left := salvageBytes; len(entries) > 0 && left > 0; entries = entries[1:] {
		number, _ := blockNumber(entries[0].Name())
		file := filepath.Join(blocks, entries[0].Name())
		content, err := os.ReadFile(file)
		if err != nil {
			return lost, err
		}
		left -= len(content)
		whole, d := sift(content, blockHash(store, number))
		if d.bytes == 0 {
			continue
		}
		cut := d.tail && len(whole) == d.at // nothing but the end is damaged
		found := content
		if cut {
			found = content[d.at:]
		}
		kept, err := keepDamaged(dir, fmt.Sprintf("%s-%d", store, number), found)
		if err != nil { // a full disk is where writes are cut short
			log.Error("what is damaged is taken out without a copy", "store", storeNames[store], "file", file, "error", err)
		}
		lost += d.lost
		log.Error("stored data is damaged; what is whole is kept", "store", storeNames[store], "file", file,
			"at", d.at, "bytes_lost", d.bytes, "messages_lost", d.lost, "at_the_end", d.tail, "copy", kept)
		// Without its notes the server reads its blocks.
		if err := os.Remove(filepath.Join(blocks, stateFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return lost, err
		}
		if cut {
			err = errors.Join(os.Truncate(file, int64(d.at)), syncFile(file)) // needs no room
		} else {
			err = replaceBlock(file, d.at, whole)
		}
		if err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// replaceBlock makes whole a block's content, which it is already up to from.
// Where there is no room for another file it is written over the damaged one:
// only then may a machine that stops in that moment lose more than was damaged.
func replaceBlock(file string, from int, whole []byte) error {
	if err := writeSynced(file, whole); err == nil {
		return syncFile(filepath.Dir(file))
	}
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(whole[from:], int64(from))
	if err == nil {
		err = f.Truncate(int64(len(whole)))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func blockHash(store string, number int) hash.Hash64 {
	key := sha256.Sum256(fmt.Appendf(nil, "%s-%d", store, number))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		panic(err) // the key has the one length that there is
	}
	return h
}

// damagedAge is how long what was damaged is kept for people to look at, unless
// somebody is erased: it holds what visitors did, and nobody can be found in it.
const damagedAge = 30 * 24 * time.Hour

// expireDamaged deletes what was kept of damaged files long enough.
func expireDamaged(dir string, now time.Time) error {
	entries, err := os.ReadDir(filepath.Join(dir, damagedDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && now.Sub(info.ModTime()) > damagedAge {
			err = os.Remove(filepath.Join(dir, damagedDir, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// keepDamaged keeps what was found in a file.
func keepDamaged(dir, name string, content []byte) (kept string, err error) {
	kept = filepath.Join(dir, damagedDir, name+time.Now().UTC().Format("-20060102T150405.000")+".blk")
	if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
		return "", err
	}
	if err := writeSynced(kept, content); err != nil {
		return "", err
	}
	return kept, nil
}

// sift returns the whole records of a block, which is the block itself when all
// are, and what is wrong with it.
func sift(block []byte, h hash.Hash64) (whole []byte, d damage) {
	var last uint64
	budget := searchFactor * len(block)
	for at := 0; at < len(block); {
		n, seq := wholeRecord(block[at:], h)
		if n > 0 {
			if d.bytes > 0 {
				whole = append(whole, block[at:at+n]...)
			}
			if seq > last {
				if d.tail && last > 0 {
					d.lost += seq - last - 1
				}
				last = seq
			}
			at, d.tail = at+n, false
			continue
		}
		if d.bytes == 0 {
			d.at, whole = at, bytes.Clone(block[:at])
		}
		skipped := nextRecord(block[at:], h, &budget)
		d.bytes += skipped
		d.tail = true
		at += skipped
	}
	if d.bytes == 0 {
		return block, d
	}
	return whole, d
}

// searchFactor is how many times a block's own bytes are hashed at most in search
// of whole records between damaged ones. What begins like a record and is none is
// rare, unless somebody made the block so: then each of its bytes could begin one
// of 8 MB.
const searchFactor = 64

// nextRecord returns how far the next whole record is, or the end. It takes the
// bytes that it hashes in vain from the budget, and finds nothing without.
func nextRecord(b []byte, h hash.Hash64, budget *int) int {
	n, _ := measure(b) // what b begins with is none
	*budget -= n
	for at := 1; at < len(b); at++ {
		n, from := measure(b[at:])
		if n == 0 || slices.ContainsFunc(b[at+recordHead:at+subjectEnd(b[at:])], noSubject) {
			continue
		}
		if n > *budget {
			return len(b)
		}
		if hashed(b[at:at+n], from, h) {
			return at
		}
		*budget -= n
	}
	return len(b)
}

// noSubject reports a byte that no subject of ours has.
func noSubject(c byte) bool { return c <= ' ' || c > '~' }

// wholeRecord returns the length of the record that b begins with and the number
// of its message, 0 for none, or 0 when it begins with no whole record.
func wholeRecord(b []byte, h hash.Hash64) (n int, seq uint64) {
	n, from := measure(b)
	if n == 0 || !hashed(b[:n], from, h) {
		return 0, 0
	}
	if seq = binary.LittleEndian.Uint64(b[4:]); seq > recordSeqMask {
		seq = 0
	}
	return n, seq
}

// measure returns the length of what b begins with, if that could be a record, or
// 0, and where its bytes begin.
func measure(b []byte) (n, from int) {
	if len(b) < recordHead+recordHash {
		return 0, 0
	}
	length := binary.LittleEndian.Uint32(b)
	n, from = int(length&^recordHeader), subjectEnd(b)
	if length&recordHeader != 0 {
		from += 4
	}
	if n > len(b) || n > maxRecordBytes || subjectEnd(b) > recordHead+maxSubject || from+recordHash > n {
		return 0, 0
	}
	return n, from
}

// subjectEnd returns where a record's subject ends.
func subjectEnd(record []byte) int {
	return recordHead + int(binary.LittleEndian.Uint16(record[recordHead-2:]))
}

// hashed reports whether a record has its hash.
func hashed(record []byte, from int, h hash.Hash64) bool {
	h.Reset()
	h.Write(record[4:20])
	h.Write(record[recordHead:subjectEnd(record)])
	h.Write(record[from : len(record)-recordHash])
	return bytes.Equal(h.Sum(nil), record[len(record)-recordHash:])
}
