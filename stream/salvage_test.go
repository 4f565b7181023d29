// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"fmt"
	"hash"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// blocksOf returns a store's block files, oldest first.
func blocksOf(t *testing.T, dir, store string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, serverDir, "$G", "streams", store, blocksDir, "*.blk"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no blocks: %v", err)
	}
	slices.SortFunc(files, func(a, b string) int {
		left, _ := blockNumber(filepath.Base(a))
		right, _ := blockNumber(filepath.Base(b))
		return left - right
	})
	return files
}

// recordEnds returns where each record of a block ends.
func recordEnds(t *testing.T, block []byte, store string, number int) (ends []int) {
	t.Helper()
	h := blockHash(store, number)
	for at := 0; at < len(block); {
		n, _ := wholeRecord(block[at:], h)
		if n == 0 {
			t.Fatalf("no whole record at byte %d of %d: the server's format is another", at, len(block))
		}
		at += n
		ends = append(ends, at)
	}
	return ends
}

// TestADamagedLogKeepsWhatIsWhole damages the event log as disks do, with and
// without the server's own notes, as after a stop and after a kill. Only what was
// damaged itself is lost, and it is told.
func TestADamagedLogKeepsWhatIsWhole(t *testing.T) {
	const events = 60 // of 200 KB, in two blocks
	source := t.TempDir()
	s := open(t, Options{Dir: source})
	for i := range events {
		publish(t, s, large(fmt.Sprint("e", i), 200_000))
	}
	closeStream(t, s)
	blocks := blocksOf(t, source, eventStream)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks, the test needs 2", len(blocks))
	}
	first, err := os.ReadFile(blocks[0])
	if err != nil {
		t.Fatal(err)
	}
	inFirst := len(recordEnds(t, first, eventStream, 1))
	flip := func(at int) func([]byte, []int) []byte {
		return func(b []byte, ends []int) []byte { b[ends[at]+100] ^= 0xff; return b }
	}
	for _, tt := range []struct {
		name   string
		block  int
		damage func(block []byte, ends []int) []byte
		lost   []int
	}{
		{"nothing", 1, func(b []byte, _ []int) []byte { return b }, nil},
		{"bytes behind the last record", 1, func(b []byte, _ []int) []byte { return append(b, b[:700]...) }, nil},
		{"zeros behind the last record", 1, func(b []byte, _ []int) []byte { return append(b, make([]byte, 5000)...) }, nil},
		{"the last record cut short", 1, func(b []byte, _ []int) []byte { return b[:len(b)-1000] }, []int{events - 1}},
		{"a byte of the last record", 1, func(b []byte, _ []int) []byte { b[len(b)-1000] ^= 0xff; return b }, []int{events - 1}},
		{"a byte in the midst of the last block", 1, flip(4), []int{inFirst + 5}},
		{"a length in the midst of the last block", 1, func(b []byte, ends []int) []byte { b[ends[4]] ^= 0x55; return b }, []int{inFirst + 5}},
		{"a sector of zeros across two records", 1, func(b []byte, ends []int) []byte { clear(b[ends[4]-200 : ends[4]+312]); return b }, []int{inFirst + 4, inFirst + 5}},
		{"a byte in the midst of an older block", 0, flip(9), []int{10}},
	} {
		for _, notes := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, the server's notes there: %v", tt.name, notes), func(t *testing.T) {
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
					t.Fatal(err)
				}
				file := blocksOf(t, dir, eventStream)[tt.block]
				block, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				write(t, file, string(tt.damage(block, recordEnds(t, block, eventStream, tt.block+1))))
				if !notes {
					if err := os.Remove(filepath.Join(filepath.Dir(file), stateFile)); err != nil {
						t.Fatal(err)
					}
				}
				var log bytes.Buffer
				s := open(t, Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				var want []string
				for i := range events {
					if !slices.Contains(tt.lost, i) {
						want = append(want, fmt.Sprint("e", i))
					}
				}
				if got := ids(read(t, s, Query{})); !slices.Equal(got, want) {
					t.Errorf("read %v\nwant all but %v", got, tt.lost)
				}
				kept, err := filepath.Glob(filepath.Join(dir, damagedDir, "*.blk"))
				if err != nil || (len(kept) == 1) == (tt.name == "nothing") {
					t.Errorf("copies of the damaged file: %v, %v", kept, err)
				}
				publish(t, s, event("shop", "new"))
				closeStream(t, s)
				if told := strings.Contains(log.String(), "stored data is damaged"); told == (tt.name == "nothing") {
					t.Errorf("the log says %s", log.String())
				}
				s = open(t, Options{Dir: dir})
				if got := ids(read(t, s, Query{})); !slices.Equal(got, append(want, "new")) {
					t.Errorf("after another start: %v\nwant %v and new", got, want)
				}
			})
		}
	}
}

// TestAnEndCutShortNeedsNoRoom: a record that is cut short is what a full disk
// leaves behind, and a node must start there.
func TestAnEndCutShortNeedsNoRoom(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	publish(t, s, event("shop", "e1"))
	closeStream(t, s)
	file := blocksOf(t, dir, eventStream)[0]
	block, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, string(append(block, block[:20]...)))
	write(t, filepath.Join(dir, damagedDir), "where no copy can be")
	s = open(t, Options{Dir: dir})
	if got := ids(read(t, s, Query{})); !slices.Equal(got, []string{"e1"}) {
		t.Errorf("read %v", got)
	}
}

// TestDamageInTheMidstNeedsNoRoom: nor does what lies before whole records, where
// neither a copy nor a second file can be written.
func TestDamageInTheMidstNeedsNoRoom(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	for _, id := range []string{"e1", "e2", "e3"} {
		publish(t, s, event("shop", id))
	}
	closeStream(t, s)
	file := blocksOf(t, dir, eventStream)[0]
	block, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	block[recordEnds(t, block, eventStream, 1)[0]+100] ^= 0xff
	write(t, file, string(block))
	write(t, filepath.Join(dir, damagedDir), "where no copy can be")
	if err := os.Mkdir(file+".new", 0o700); err != nil { // nor anything beside the file
		t.Fatal(err)
	}
	var log bytes.Buffer
	s = open(t, Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if got := ids(read(t, s, Query{})); !slices.Equal(got, []string{"e1", "e3"}) {
		t.Errorf("read %v", got)
	}
	closeStream(t, s)
	if !strings.Contains(log.String(), `level=ERROR msg="what is damaged is taken out without a copy"`) {
		t.Errorf("the log says %s", log.String())
	}
}

// A countedHash counts the bytes that it is given.
type countedHash struct {
	hash.Hash64
	bytes int
}

func (c *countedHash) Write(b []byte) (int, error) {
	c.bytes += len(b)
	return c.Hash64.Write(b)
}

// TestTheSearchForRecordsIsBounded: each fourth byte of these blocks begins what
// could be a record of 64 KB.
func TestTheSearchForRecordsIsBounded(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	publish(t, s, event("shop", "e1"))
	closeStream(t, s)
	record, err := os.ReadFile(blocksOf(t, dir, eventStream)[0])
	if err != nil {
		t.Fatal(err)
	}
	bait := []byte{0, 0, 1, 0}
	for name, block := range map[string][]byte{
		"bait behind a record": slices.Concat(record, bytes.Repeat(bait, 32<<10)),
		"bait between records": bytes.Repeat(slices.Concat(record, bytes.Repeat(bait, 16)), 500),
	} {
		h := &countedHash{Hash64: blockHash(eventStream, 1)}
		whole, d := sift(block, h)
		if most := (searchFactor + 2) * len(block); h.bytes > most {
			t.Errorf("%s: %d bytes hashed for a block of %d, want %d at most", name, h.bytes, len(block), most)
		}
		if !bytes.HasPrefix(whole, record) || len(whole)+d.bytes != len(block) {
			t.Errorf("%s: %d of %d bytes are whole and %d lost", name, len(whole), len(block), d.bytes)
		}
	}
}

// TestDamagedCopiesGo: what is kept of damaged files holds what visitors did.
func TestDamagedCopiesGo(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	publish(t, s, marked("shop", "e1"))
	closeStream(t, s)
	file := blocksOf(t, dir, eventStream)[0]
	block, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, string(append(block, "torn"...)))
	s = open(t, Options{Dir: dir})
	copies := func() int {
		kept, err := filepath.Glob(filepath.Join(dir, damagedDir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range kept {
			if text, err := os.ReadFile(name); err != nil || string(text) != "torn" {
				t.Errorf("kept is %q, %v; want the damaged end alone", text, err)
			}
		}
		return len(kept)
	}
	expire := func() {
		if err := s.Expire(t.Context(), func(string) time.Duration { return 0 }); err != nil {
			t.Fatal(err)
		}
	}
	later(s, days(29))
	if expire(); copies() != 1 {
		t.Error("a copy goes before its time")
	}
	later(s, days(2))
	if expire(); copies() != 0 {
		t.Error("a copy stays for good")
	}
}

// FuzzSift damages a block anywhere. What is returned has no damage, and every
// record that was not touched.
func FuzzSift(f *testing.F) {
	dir := f.TempDir()
	s := open(f, Options{Dir: dir})
	for i := range 5 {
		publish(f, s, large(fmt.Sprint("e", i), 100))
	}
	files, err := filepath.Glob(filepath.Join(dir, serverDir, "$G", "streams", eventStream, blocksDir, "1.blk"))
	if err != nil || len(files) != 1 {
		f.Fatal(files, err)
	}
	block, err := os.ReadFile(files[0])
	if err != nil {
		f.Fatal(err)
	}
	closeStream(f, s) // what a server does beside would pass for coverage
	h := blockHash(eventStream, 1)
	f.Add(10, []byte{1, 2, 3})
	f.Add(len(block), []byte{})
	f.Add(0, []byte("long enough to be a record of its own, or nearly"))
	f.Fuzz(func(t *testing.T, at int, over []byte) {
		if at < 0 || at > len(block) {
			return
		}
		broken := append(bytes.Clone(block[:at]), over...)
		if end := at + len(over); end < len(block) {
			broken = append(broken, block[end:]...)
		}
		whole, d := sift(broken, h)
		if again, none := sift(whole, h); none.bytes != 0 || !bytes.Equal(again, whole) {
			t.Errorf("%d bytes are damaged after the damage was taken out", none.bytes)
		}
		if len(whole)+d.bytes != len(broken) {
			t.Errorf("%d bytes are whole and %d lost, of %d", len(whole), d.bytes, len(broken))
		}
		for from := 0; from < len(block); {
			n, _ := wholeRecord(block[from:], h)
			if touched := from < at+len(over) && at < from+n; !touched && from+n <= len(broken) && !bytes.Contains(whole, block[from:from+n]) {
				t.Errorf("the record at byte %d was not touched and is gone", from)
			}
			from += n
		}
	})
}
