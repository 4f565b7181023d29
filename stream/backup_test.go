// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// backup returns a Stream's backup.
func backup(t *testing.T, s *Stream, files ...string) ([]byte, BackupReport) {
	t.Helper()
	var b bytes.Buffer
	report, err := s.Backup(t.Context(), &b, "test", files...)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), report
}

func restore(t *testing.T, from []byte, dir string) (BackupReport, error) {
	t.Helper()
	return Restore(t.Context(), bytes.NewReader(from), Options{Dir: dir}, "key", "modules")
}

// fullStream returns a Stream with something in each of its stores.
func fullStream(t *testing.T, dir string) *Stream {
	t.Helper()
	s := open(t, Options{Dir: dir})
	for i := range 40 {
		publish(t, s, event("shop", fmt.Sprint("e", i)), event("blog", fmt.Sprint("b", i)))
	}
	put(t, s, "shop", 0, 1, "one")
	put(t, s, "shop", 1, 2, strings.Repeat("two", 100_000))
	putModule(t, s, bytes.Repeat([]byte("module"), 60_000))
	revision := putNote(t, s, "a", `1`, 0)
	revision = putNote(t, s, "a", `2`, revision)
	putNote(t, s, "a", `3`, revision)
	gone := putNote(t, s, "gone", `1`, 0)
	if err := s.DeleteNote(t.Context(), "gone", gone); err != nil {
		t.Fatal(err)
	}
	putNote(t, s, ReservedWord+".x", `4`, 0)
	for i := range 5 {
		appendAudit(t, s, "shop", fmt.Sprint(i))
	}
	if err := s.PutMark(t.Context(), "sink", Mark{Seq: 7}); err != nil {
		t.Fatal(err)
	}
	record(s, "shop", "r1", time.Now())
	awaitRecords(t, s, 1)
	importItems(t, s, edge.ItemFeed{Items: hats(0, 1000), Full: true}, itemDay)
	putRing(t, s, "one", 0)
	storeProfile(t, s)
	return s
}

// TestABackupHoldsEveryStore: a store that is added must be backed up too.
func TestABackupHoldsEveryStore(t *testing.T) {
	_, report := backup(t, fullStream(t, t.TempDir()))
	for _, name := range storeNames {
		if _, ok := report.Stores[name]; !ok {
			t.Errorf("%s is not in the backup", name)
		}
	}
	if len(report.Stores) != len(storeNames) {
		t.Errorf("the backup holds %v", report.Stores)
	}
}

func TestABackupUnderLoadHoldsWhatWasAcknowledgedBefore(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "new", "data")
	s := fullStream(t, from)
	write(t, filepath.Join(from, "key"), "secret\n")
	write(t, filepath.Join(from, "modules", "x", "m.wasm"), "wasm")
	write(t, filepath.Join(from, "cache", "c"), "not wanted")
	var mu sync.Mutex
	acknowledged := map[string]bool{}
	var load sync.WaitGroup
	ended := make(chan struct{})
	for p := range 8 {
		load.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-ended:
					return
				default:
				}
				id := fmt.Sprintf("load%d-%d", p, i)
				if err := s.Publish([]edge.Event{large(id, 5000)}, wait); err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				acknowledged[id] = true
				mu.Unlock()
			}
		})
	}
	time.Sleep(150 * time.Millisecond)
	mu.Lock()
	before := maps.Clone(acknowledged)
	mu.Unlock()
	saved, wrote := backup(t, s, "key", "modules", "absent")
	close(ended)
	load.Wait()
	old := read(t, s, Query{})

	if checked, err := CheckBackup(bytes.NewReader(saved)); err != nil || !maps.Equal(checked.Stores, wrote.Stores) {
		t.Errorf("checked: %+v, %v", checked, err)
	}
	report, err := restore(t, saved, to)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(report.Stores, wrote.Stores) || report.Format != FormatVersion || !slices.Equal(report.Files, []string{"key", "modules/x/m.wasm"}) {
		t.Errorf("restored %+v\nsaved %+v", report, wrote)
	}
	again := open(t, Options{Dir: to})
	events := read(t, again, Query{})
	for i, e := range events {
		if e.Seq != old[i].Seq || e.Index != old[i].Index || e.ID != old[i].ID || !e.Received.Equal(old[i].Received) {
			t.Fatalf("event %d is %s, number %d of %v; it was %s, %d of %v", i, e.ID, e.Seq, e.Received, old[i].ID, old[i].Seq, old[i].Received)
		}
	}
	there := countStored(t, again)
	for id := range before {
		if there[id] != 1 {
			t.Errorf("%s was acknowledged before the backup and is there %d times", id, there[id])
		}
	}
	if len(before) < 10 || len(events) < 80 {
		t.Errorf("%d events before the backup, %d restored: hardly a load", len(before), len(events))
	}
	sameStores(t, s, again)
	for name, want := range map[string]string{"key": "secret\n", "modules/x/m.wasm": "wasm"} {
		if text, err := os.ReadFile(filepath.Join(to, name)); string(text) != want || err != nil {
			t.Errorf("%s is %q, %v", name, text, err)
		}
	}
	if exists(filepath.Join(to, "cache")) {
		t.Error("the cache was restored")
	}
	publish(t, again, event("shop", "e1"), event("shop", "new"))
	if got := countStored(t, again); got["e1"] != 1 || got["new"] != 1 {
		t.Errorf("after the restore e1 is there %d times, new %d times", got["e1"], got["new"])
	}
	put(t, again, "shop", 2, 3, "three")
	appendAudit(t, again, "shop", "5")
	t.Logf("%d bytes, %d events", len(saved), len(events))
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// sameStores compares all but the events of two Streams.
func sameStores(t *testing.T, a, b *Stream) {
	t.Helper()
	for _, s := range []*Stream{a, b} {
		if number, doc, err := s.Release(t.Context(), "shop"); number != 2 || len(doc) != 300_000 || err != nil {
			t.Errorf("live is %d of %d bytes, %v", number, len(doc), err)
		}
		if doc, err := s.ReleaseAt(t.Context(), "shop", 1); string(doc) != "one" || err != nil {
			t.Errorf("release 1 is %q, %v", doc, err)
		}
		if _, err := s.Module(t.Context(), hashOf(bytes.Repeat([]byte("module"), 60_000))); err != nil {
			t.Error(err)
		}
		if got, err := audit(t, s, "shop"); len(got) != 5 || err != nil {
			t.Errorf("the audit log tells %v, %v", got, err)
		}
		if marks, err := s.Marks(t.Context()); marks["sink"].Seq != 7 || err != nil {
			t.Errorf("marks are %v, %v", marks, err)
		}
		if got := allRecords(t, s); len(got) != 1 {
			t.Errorf("records are %v", got)
		}
		if got := allItems(t, s); len(got) != 1000 || got["sku-999"].Title != "Hat 999" {
			t.Errorf("%d items, one is %+v", len(got), got["sku-999"])
		}
	}
	left, err := a.Notes(t.Context(), "")
	right, errRight := b.Notes(t.Context(), "")
	if err = errors.Join(err, errRight); err != nil || fmt.Sprint(left) != fmt.Sprint(right) || len(left) != 2 {
		t.Errorf("notes are %v\nand %v, %v", left, right, err)
	}
}

func TestADamagedBackupIsRefused(t *testing.T) {
	s := fullStream(t, t.TempDir())
	saved, _ := backup(t, s)
	for _, part := range []float64{0, 0.1, 0.5, 0.9, 0.99} {
		dir := t.TempDir()
		if _, err := CheckBackup(bytes.NewReader(saved[:int(float64(len(saved))*part)])); !errors.Is(err, ErrBackup) {
			t.Errorf("cut after %v: a check says %v, want ErrBackup", part, err)
		}
		if _, err := restore(t, saved[:int(float64(len(saved))*part)], dir); !errors.Is(err, ErrBackup) {
			t.Errorf("cut after %v: error %v, want ErrBackup", part, err)
		}
		if part > 0.1 {
			if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrFormat) {
				t.Errorf("what an interrupted restore left: error %v, want ErrFormat", err)
			}
			if _, err := restore(t, saved, dir); !errors.Is(err, ErrNotEmpty) {
				t.Errorf("a restore over it: error %v, want ErrNotEmpty", err)
			}
		}
	}
	for at := 700; at < len(saved); at += len(saved)/23 + 1 {
		broken := bytes.Clone(saved)
		broken[at] ^= 0x40
		dir := t.TempDir()
		if _, err := restore(t, broken, dir); err == nil && !bytes.Equal(meaning(t, broken), meaning(t, saved)) {
			t.Errorf("byte %d of %d flipped: restored", at, len(saved))
		}
	}
}

// meaning is a backup without the padding between its entries.
func meaning(t *testing.T, archive []byte) (all []byte) {
	t.Helper()
	for in := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := in.Next()
		if err != nil {
			return all
		}
		content, err := io.ReadAll(in)
		if err != nil {
			return all
		}
		all = append(append(all, h.Name...), content...)
	}
}

func TestRestoreKeepsToItsDirectory(t *testing.T) {
	head := `{"backup":1,"format":1,"program":"x"}`
	for _, tt := range []struct {
		name    string
		entries [][2]string
		want    error
	}{
		{"nothing", nil, ErrBackup},
		{"another archive", [][2]string{{"a.txt", "hello"}}, ErrBackup},
		{"a file above", [][2]string{{backupHead, head}, {"file/../key", "x"}}, ErrBackup},
		{"a file of an absolute path", [][2]string{{backupHead, head}, {"file//etc/x", "x"}}, ErrBackup},
		{"a file above an allowed one", [][2]string{{backupHead, head}, {"file/modules/../../x", "x"}}, ErrBackup},
		{"a file that nobody wants", [][2]string{{backupHead, head}, {"file/format", "9"}}, ErrBackup},
		{"a store that nobody knows", [][2]string{{backupHead, head}, {"stream/OTHER/state", `{}`}}, ErrBackup},
		{"messages without a store", [][2]string{{backupHead, head}, {"stream/EVENTS/messages", "x"}}, ErrBackup},
		{"messages that are none", [][2]string{{backupHead, head}, {"stream/EVENTS/state", `{"first":1,"last":1}`}, {"stream/EVENTS/messages", "\x01"}}, ErrBackup},
		{"a store twice", [][2]string{{backupHead, head}, {"stream/DEAD/state", `{"first":1,"last":0}`}, {"stream/DEAD/state", `{"first":1,"last":0}`}, {"stream/DEAD/state", `{"first":1,"last":0}`}}, ErrBackup},
		{"no checksum", [][2]string{{backupHead, head}, {backupEnd, `{}`}}, ErrBackup},
		{"a newer format", [][2]string{{backupHead, fmt.Sprintf(`{"backup":1,"format":%d}`, FormatVersion+1)}}, ErrFormat},
		{"a newer backup", [][2]string{{backupHead, `{"backup":2,"format":1}`}}, ErrFormat},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			out := tar.NewWriter(&b)
			for _, e := range tt.entries {
				if err := out.WriteHeader(&tar.Header{Name: e[0], Size: int64(len(e[1])), Mode: 0o600}); err != nil {
					t.Fatal(err)
				}
				if _, err := out.Write([]byte(e[1])); err != nil {
					t.Fatal(err)
				}
			}
			if err := out.Close(); err != nil {
				t.Fatal(err)
			}
			outer := t.TempDir()
			if _, err := restore(t, b.Bytes(), filepath.Join(outer, "data")); !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if found, err := os.ReadDir(outer); err != nil || len(found) > 1 {
				t.Errorf("beside the data directory there is %v, %v", found, err)
			}
		})
	}
}

// TestABackupIsAsLargeAsItsBytes: an archive can say of a file of 64 MB that all
// but a byte are holes, in a kilobyte, and then of the next one.
func TestABackupIsAsLargeAsItsBytes(t *testing.T) {
	var b bytes.Buffer
	out := tar.NewWriter(&b)
	head := `{"backup":1,"format":1,"program":"x"}`
	holes := tar.Header{Name: "file/GNUSparseFile.0/key", Mode: 0o600, Size: 24, Format: tar.FormatPAX}
	if err := errors.Join(out.WriteHeader(&tar.Header{Name: backupHead, Size: int64(len(head)), Mode: 0o600})); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	// The package does not write such files; the records get their name behind it.
	holes.PAXRecords = map[string]string{"XXX.sparse.name": "file/key", "XXX.sparse.size": "67108864", "XXX.sparse.map": "67108863,1", "XXX.sparse.numblocks": "1"}
	holes.Size = 1
	if err := out.WriteHeader(&holes); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	text := bytes.ReplaceAll(b.Bytes(), []byte("XXX.sparse."), []byte("GNU.sparse."))
	in := tar.NewReader(bytes.NewReader(text))
	if _, err := in.Next(); err != nil {
		t.Fatal(err)
	}
	if h, err := in.Next(); err != nil || h.Size != 64<<20 {
		t.Fatalf("the archive is not what it should be: %+v, %v", h, err)
	}
	if _, err := CheckBackup(bytes.NewReader(text)); !errors.Is(err, ErrBackup) || !strings.Contains(err.Error(), "none of a backup") {
		t.Errorf("error %v, want ErrBackup for the second entry", err)
	}
}

// FuzzSavedMessages reads arbitrary bytes as messages of a backup. What is read is
// what is written again, but for numbers that are written longer than need be.
func FuzzSavedMessages(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendMessage(nil, &message{seq: 7, subject: "events.shop", stored: time.Unix(1, 2), data: []byte("x")}))
	f.Add([]byte{1, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, piece []byte) {
		r := frameReader{left: piece}
		for len(r.left) > 0 {
			before := len(r.left)
			m, ok := r.saved()
			if !ok {
				return
			}
			wrote := appendText(appendText(appendText(binary.AppendVarint(binary.AppendUvarint(nil, m.seq), m.stored), m.subject), m.header), m.data)
			if read := before - len(r.left); len(wrote) > read {
				t.Fatalf("%d bytes were read as a message of %d", read, len(wrote))
			}
		}
	})
}

// FuzzCheckBackup reads arbitrary bytes as a backup.
func FuzzCheckBackup(f *testing.F) {
	var whole bytes.Buffer
	w := newBackupWriter(&whole)
	if err := errors.Join(w.entryJSON(backupHead, backupFormat{Backup: 1, Format: 1}), w.entry(filePrefix+"key", []byte("x"))); err != nil {
		f.Fatal(err)
	}
	f.Add(whole.Bytes())
	f.Fuzz(func(t *testing.T, text []byte) {
		if report, err := CheckBackup(bytes.NewReader(text)); err == nil && report.Format > FormatVersion {
			t.Errorf("accepted %+v", report)
		}
	})
}

func TestRestoreTakesNoDirectoryWithData(t *testing.T) {
	s := fullStream(t, t.TempDir())
	saved, _ := backup(t, s)
	if _, err := restore(t, saved, s.o.Dir); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("over a running Stream: error %v, want ErrNotEmpty", err)
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "key"), "another")
	if _, err := restore(t, saved, dir); !errors.Is(err, ErrNotEmpty) {
		t.Errorf("over a key: error %v, want ErrNotEmpty", err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "key")); string(text) != "another" || err != nil {
		t.Errorf("the key is %q, %v", text, err)
	}
}
