// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// record gives s a record that says text, made at a time.
func record(s *Stream, site, text string, at time.Time) {
	r := edge.StoredRecord{Site: site, At: at, Bytes: []byte(text)}.Record()
	s.Record(&r)
}

// records returns what the records of a site say.
func records(t testing.TB, s *Stream, site string, from, to time.Time) (said []string) {
	t.Helper()
	if err := s.Records(t.Context(), site, from, to, func(r edge.StoredRecord) error {
		said = append(said, string(r.Bytes))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return said
}

// always is a span that holds every record.
func always() (from, to time.Time) { return time.Now().Add(-edge.RecordAge), time.Now().Add(time.Hour) }

func allRecords(t testing.TB, s *Stream) []string {
	from, to := always()
	return records(t, s, "", from, to)
}

func awaitRecords(t testing.TB, s *Stream, n uint64) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d records are stored", n), func() bool { return s.Stats().RecordsStored == n })
}

func TestRecordsAreReadBackWhole(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	at := time.Now().Truncate(time.Millisecond).UTC()
	give := []edge.StoredRecord{
		{Site: "shop", At: at, Visitor: [16]byte{1, 15: 2}, Bytes: []byte("one")},
		{Site: "shop", At: at.Add(time.Second), Bytes: bytes.Repeat([]byte{0}, edge.MaxRecordBytes)},
	}
	for _, g := range give {
		r := g.Record()
		s.Record(&r) // without an event beside it
	}
	awaitRecords(t, s, 2)
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	var got []edge.StoredRecord
	from, to := always()
	if err := s.Records(t.Context(), "shop", from, to, func(r edge.StoredRecord) error {
		r.Bytes = slices.Clone(r.Bytes)
		got = append(got, r)
		return nil
	}); err != nil || !reflect.DeepEqual(got, give) {
		t.Errorf("read %d records, %v", len(got), err)
	}
}

func TestRecordsAreFoundBySiteAndTime(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	now := time.Now().Truncate(time.Millisecond)
	for i, text := range []string{"a", "b", "c"} {
		record(s, "shop", text, now.Add(time.Duration(i)*time.Second))
		record(s, "blog", "blog "+text, now.Add(time.Duration(i)*time.Second))
	}
	record(s, "shop", "too old", now.Add(-edge.RecordAge))
	awaitRecords(t, s, 7)
	tests := []struct {
		name     string
		site     string
		from, to time.Time
		want     []string
	}{
		{"of a site", "shop", now, now.Add(time.Minute), []string{"a", "b", "c"}},
		{"from a time on", "shop", now.Add(time.Second), now.Add(time.Minute), []string{"b", "c"}},
		{"before a time", "shop", now, now.Add(2 * time.Second), []string{"a", "b"}},
		{"of one moment", "blog", now.Add(time.Second), now.Add(time.Second + time.Millisecond), []string{"blog b"}},
		{"of all sites", "", now.Add(2 * time.Second), now.Add(time.Minute), []string{"c", "blog c"}},
		{"of a site without any", "none", now, now.Add(time.Minute), nil},
		{"past their expiry", "shop", now.Add(-2 * edge.RecordAge), now, nil},
		{"of a time to come", "shop", now.Add(time.Hour), now.Add(2 * time.Hour), nil},
		{"of a span that ended long ago", "shop", now.Add(-time.Hour), now.Add(-30 * time.Minute), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := records(t, s, tt.site, tt.from, tt.to); !slices.Equal(got, tt.want) {
				t.Errorf("read %q, want %q", got, tt.want)
			}
		})
	}
	if err := s.Records(t.Context(), "*", now, now, nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("a wildcard for a site: error %v", err)
	}
	stop := errors.New("enough")
	if err := s.Records(t.Context(), "", now, now.Add(time.Hour), func(edge.StoredRecord) error { return stop }); err != stop {
		t.Errorf("error %v, want the reader's own", err)
	}
}

func TestRecordsGatherInOneMessagePerSite(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), RecordWindow: time.Hour})
	record(s, "shop", "first", time.Now())
	awaitRecords(t, s, 1) // the window has begun
	for i := range 10 {
		record(s, "shop", fmt.Sprint(i), time.Now())
		record(s, "blog", fmt.Sprint(i), time.Now())
	}
	publish(t, s, event("shop", "e1"))
	if st := s.Stats(); st.RecordsStored != 1 || st.RecordBytesQueued == 0 || st.QueuedBytes != 0 {
		t.Fatalf("%+v; want that the records wait, and no event with them", st)
	}
	signal(s.recorder.hurry)
	awaitRecords(t, s, 21)
	if st := s.Stats(); st.RecordFrames != 3 || st.RecordBytesQueued != 0 || st.RecordsDropped != 0 {
		t.Errorf("%+v; want 3 frames of records", st)
	}
	if got := allRecords(t, s); len(got) != 21 {
		t.Errorf("read %v", got)
	}
}

func TestManyRecordsDoNotWait(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), RecordWindow: time.Hour})
	record(s, "shop", "first", time.Now())
	awaitRecords(t, s, 1) // the window has begun
	n := hurryBytes/edge.MaxRecordBytes + 1
	text := noise(edge.MaxRecordBytes)
	for range n { // quickly: what comes behind the batch waits an hour
		record(s, "shop", text, time.Now())
	}
	awaitRecords(t, s, uint64(1+n))
}

// noise returns n letters that cannot be packed, others each time.
func noise(n int) string {
	raw := make([]byte, n)
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], noises.Add(1))
	_, _ = rand.NewChaCha8(seed).Read(raw)
	return base64.RawURLEncoding.EncodeToString(raw)[:n]
}

var noises atomic.Uint64

func TestWhatWaitsIsStoredAtTheEndInSeveralMessages(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, RecordWindow: time.Hour})
	record(s, "shop", "first", time.Now())
	awaitRecords(t, s, 1)
	n := MaxFrameBytes/edge.MaxRecordBytes + 2
	for range n {
		record(s, "shop", noise(edge.MaxRecordBytes), time.Now())
	}
	closeStream(t, s)
	if st := s.Stats(); st.RecordsStored != uint64(1+n) || st.RecordFrames < 3 || st.RecordsDropped != 0 {
		t.Errorf("%d records in %d frames, %d dropped, want %d in 3 and more", st.RecordsStored, st.RecordFrames, st.RecordsDropped, 1+n)
	}
	s = open(t, Options{Dir: dir})
	if got := allRecords(t, s); len(got) != 1+n || len(got[n]) != edge.MaxRecordBytes {
		t.Errorf("read %d records of %d", len(got), 1+n)
	}
}

// TestATornRecordCostsNoEvent cuts the records' file short, as a power cut can.
func TestATornRecordCostsNoEvent(t *testing.T) {
	dir := t.TempDir()
	for round := range 4 {
		s := open(t, Options{Dir: dir})
		publish(t, s, event("shop", fmt.Sprint("e", round)))
		n := len(allRecords(t, s))
		for i := range 3 {
			record(s, "shop", noise(300), time.Now())
			awaitRecords(t, s, uint64(i+1))
		}
		if got := len(allRecords(t, s)); got != n+3 {
			t.Errorf("round %d: %d records, want %d", round, got, n+3)
		}
		closeStream(t, s)
		blocks, err := filepath.Glob(filepath.Join(dir, serverDir, "*", "streams", recordStream, "msgs", "*.blk"))
		if err != nil || len(blocks) == 0 {
			t.Fatalf("no blocks: %v", err)
		}
		last := blocks[len(blocks)-1]
		info, err := os.Stat(last)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(last, info.Size()-int64(100*round)); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t, Options{Dir: dir})
	if got := ids(read(t, s, Query{})); !slices.Equal(got, []string{"e0", "e1", "e2", "e3"}) {
		t.Errorf("read %v", got)
	}
	if got := allRecords(t, s); len(got) < 8 || len(got) > 12 {
		t.Errorf("%d records are left, want all but one for each cut", len(got))
	}
}

func TestADamagedRecordFrameIsSkippedAndCounted(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	record(s, "shop", "one", time.Now())
	awaitRecords(t, s, 1)
	bad := recordFrame(edge.StoredRecord{At: time.Now(), Bytes: []byte("bad")})
	bad[len(bad)-1] ^= 1
	if _, err := s.broker.commits.Publish(t.Context(), recordSubject+"shop", bad); err != nil {
		t.Fatal(err)
	}
	record(s, "shop", "two", time.Now())
	awaitRecords(t, s, 2)
	if got := allRecords(t, s); !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("read %v", got)
	}
	if n := s.Stats().Damaged; n != 1 {
		t.Errorf("%d counted as damaged, want 1", n)
	}
}

// recordFrame encodes records as a batch does.
func recordFrame(records ...edge.StoredRecord) []byte {
	b := newFrame(nil, recordFrameVersion)
	for _, r := range records {
		r := r.Record()
		b = appendRecord(b, &r)
	}
	return sealFrame(b, len(records))
}

func readRecordFrame(b []byte) (out []edge.StoredRecord, err error) {
	var r frameReader
	err = r.open(b, recordFrameVersion, recordMinBytes)
	for err == nil {
		var rec edge.StoredRecord
		var more bool
		if more, err = r.nextRecord(&rec); !more {
			break
		}
		out = append(out, rec)
	}
	return out, err
}

func FuzzRecordFrame(f *testing.F) {
	at := time.UnixMilli(1795305600123).UTC()
	f.Add(recordFrame(edge.StoredRecord{At: at, Bytes: []byte("one")}, edge.StoredRecord{At: at, Visitor: [16]byte{7}, Bytes: []byte("two")}))
	f.Add([]byte{1, 1, 0, 0, 0, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := readRecordFrame(b); err != nil && !errors.Is(err, errFrame) {
			t.Fatalf("error %v is no errFrame", err)
		}
		if len(b) < frameHeadBytes+frameTailBytes {
			return
		}
		b[0] = recordFrameVersion
		records, err := readRecordFrame(reseal(b))
		if err != nil {
			return
		}
		again, err := readRecordFrame(recordFrame(records...))
		if err != nil || !reflect.DeepEqual(again, records) {
			t.Fatalf("written again: %+v, %v\nwant %+v", again, err, records)
		}
	})
}

func TestDamagedRecordFramesAreRefused(t *testing.T) {
	good := recordFrame(edge.StoredRecord{At: time.Now(), Visitor: [16]byte{1}, Bytes: []byte("abc")})
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[at] = to
		return reseal(b)
	}
	length := frameHeadBytes + 1 + 8 + 16
	for name, give := range map[string][]byte{
		"a newer version":            change(0, recordFrameVersion+1),
		"more records than there":    change(1, 2),
		"none, but bytes":            change(1, 0),
		"more than could fit":        change(4, 0xff),
		"an unknown flag":            change(frameHeadBytes, 1<<7),
		"no bytes":                   change(length, 0),
		"longer than the frame":      change(length, 4),
		"cut in the visitor":         reseal(good[:length-4+frameTailBytes]),
		"cut in the head":            reseal(good[:frameHeadBytes+5+frameTailBytes]),
		"longer than a record is":    reseal(slices.Concat(good[:length], binary.AppendUvarint(nil, edge.MaxRecordBytes+1), make([]byte, edge.MaxRecordBytes+1+frameTailBytes))),
		"the checksum of another":    append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
		"shorter than any":           good[:8],
		"an event's frame, unsealed": good[:len(good)-frameTailBytes],
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := readRecordFrame(give); !errors.Is(err, errFrame) {
				t.Errorf("read %d records, error %v, want errFrame", len(got), err)
			}
		})
	}
}

func TestStatsTellWhatLiesOnDisk(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	publish(t, s, event("shop", "e1"))
	record(s, "shop", "r1", time.Now())
	awaitRecords(t, s, 1)
	put(t, s, "shop", 0, 1, "one")
	putModule(t, s, []byte("module"))
	putNote(t, s, "a", `1`, 0)
	appendAudit(t, s, "shop", `1`)
	putMark(t, s, "files", Mark{Seq: 1})
	putDead(t, s, letter("files", 1, 0))
	importItems(t, s, edge.ItemFeed{Items: hats(0, 1)}, itemDay)
	putRing(t, s, "ring", 0)
	shop := position{subject: recordSubject + "shop"}
	if err := s.readLog(t.Context(), s.broker, recordLog, &shop, 1, func(m message) error {
		_, err := s.putRewrite(t.Context(), s.broker, recordLog, &m, m.data)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	storeProfile(t, s)
	got := map[string]uint64{}
	for _, size := range s.Stats().Stores {
		got[size.Name] = size.Messages
		if size.Bytes == 0 || size.MaxBytes < size.Bytes {
			t.Errorf("%s has %d of %d bytes", size.Name, size.Bytes, size.MaxBytes)
		}
	}
	// A document is a chunk and its description, a catalogue a part and its head;
	// the reserve holds where the audit log ends, and that there are keys.
	if want := map[string]uint64{"audit": 1, "dead": 1, "events": 1, "flow": 1, "items": 2, "keys": 1, "ledger": 1, "modules": 2, "pointers": 1, "profiles": 1, "records": 1, "releases": 2, "reserve": 2, "rewritten": 1}; !reflect.DeepEqual(got, want) {
		t.Errorf("Stores = %v, want %v", got, want)
	}
	for range 2 { // and of a server that is gone the last that is known
		if st := s.Stats(); len(st.Stores) != len(storeNames) || st.LogBytes == 0 {
			t.Errorf("%+v", st)
		}
		closeStream(t, s)
	}
}
