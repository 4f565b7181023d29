// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

func TestARecordThatHasNoRoomIsDropped(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), Window: time.Hour, MaxQueuedBytes: 40_000})
	publish(t, s, event("shop", "first"))
	for range 20 {
		record(s, "shop", noise(1000), time.Now())
	}
	kept := uint64(9) // of 1,030 bytes at most, in 10,000
	if st := s.Stats(); st.RecordsDropped != 20-kept || st.Refused != 0 {
		t.Errorf("%d records dropped and %d events refused, want %d and 0", st.RecordsDropped, st.Refused, 20-kept)
	}
	// They do not take an event's room.
	for i := range 8 {
		if err := s.Publish([]edge.Event{large(fmt.Sprint("e", i), 4500)}, -1); !errors.Is(err, edge.ErrUnavailable) {
			t.Error(err)
		}
	}
	if st := s.Stats(); st.QueuedEvents != 8 || st.Refused != 0 {
		t.Errorf("%d events queued and %d refused, want 8 and 0", st.QueuedEvents, st.Refused)
	}
	signal(s.hurry)
	awaitRecords(t, s, kept)
	signal(s.hurry)
	record(s, "shop", "room again", time.Now())
	signal(s.hurry)
	awaitRecords(t, s, kept+1)
}

func TestRecordsThatNoLogCanKeepAreDropped(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	record(s, "*", "x", time.Now())
	record(s, "", "x", time.Now())
	record(s, "shop", "", time.Now())
	record(s, "shop", strings.Repeat("x", edge.MaxRecordBytes+1), time.Now())
	if st := s.Stats(); st.RecordsDropped != 4 || st.RecordBytesQueued != 0 {
		t.Errorf("%d dropped, %d bytes queued, want 4 and 0", st.RecordsDropped, st.RecordBytesQueued)
	}
	closeStream(t, s)
	record(s, "shop", "late", time.Now())
	if n := s.Stats().RecordsDropped; n != 5 {
		t.Errorf("%d dropped after Close, want 5", n)
	}
}

func TestCloseStoresTheRecordsThatWait(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, Window: time.Hour})
	publish(t, s, event("shop", "first"))
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprint(i))
		record(s, "shop", want[i], time.Now())
		if i == 50 {
			signal(s.hurry) // some are on their way
		}
	}
	closeStream(t, s)
	if got := allRecords(t, open(t, Options{Dir: dir})); !slices.Equal(got, want) {
		t.Errorf("read %d records, want %d: %v", len(got), len(want), got)
	}
}

func TestTheOldestRecordsGoWhenThereAreTooMany(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), MaxRecordsBytes: 500_000})
	for i := range 30 {
		record(s, "shop", fmt.Sprintf("%02d%s", i, noise(50_000)), time.Now())
		awaitRecords(t, s, uint64(i+1))
	}
	got := allRecords(t, s)
	if len(got) < 5 || len(got) > 10 || !strings.HasPrefix(got[len(got)-1], "29") {
		t.Errorf("%d records are left, want the newest that fit", len(got))
	}
	publish(t, s, event("shop", "e1"))
	if st := s.Stats(); st.RecordsDropped != 0 || st.Failed != 0 {
		t.Errorf("%+v", st)
	}
}

func TestARefusedRecordCostsNoEvent(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	info, err := s.broker.records.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	tight := info.Config
	tight.MaxMsgSize = 500
	if _, err := s.broker.js.UpdateStream(t.Context(), tight); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		record(s, "shop", noise(1000), time.Now())
		publish(t, s, event("shop", fmt.Sprint("e", i)))
	}
	eventually(t, "all are dropped", func() bool { return s.Stats().RecordsDropped == 5 })
	record(s, "shop", "fits", time.Now())
	awaitRecords(t, s, 1)
	if st := s.Stats(); st.Failed != 0 || st.Replaced != 0 || st.Stored != 5 || st.Err != nil {
		t.Errorf("%+v; want 5 events stored and nothing failed", st)
	}
}

func TestRecordsGoOnWhenTheServerIsReplaced(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	for i := range 3 {
		n := s.Stats().RecordsStored
		record(s, "shop", fmt.Sprint(i), time.Now())
		awaitRecords(t, s, n+1)
		breakBroker(t, s)
	}
	// One that is lost on its way, without an event to find out.
	s.held().commitConn.Close()
	record(s, "shop", "lost", time.Now())
	eventually(t, "it is dropped", func() bool { return s.Stats().RecordsDropped == 1 })
	if err := s.Ready(); err != nil {
		t.Errorf("Ready() = %v", err)
	}
	eventually(t, "records are taken again", func() bool {
		record(s, "shop", "again", time.Now())
		return s.Stats().RecordsStored > 3
	})
	if st := s.Stats(); st.Replaced != 4 {
		t.Errorf("%d servers replaced, want 4", st.Replaced)
	}
	if got := allRecords(t, s); !slices.Equal(got[:3], []string{"0", "1", "2"}) || got[3] != "again" {
		t.Errorf("read %v", got)
	}
}

// TestDiskThatTakesNoMoreRecords makes only the records' file hit the limit on
// the size of files.
func TestDiskThatTakesNoMoreRecords(t *testing.T) {
	if dir := os.Getenv(childEnv); dir != "" {
		diskThatTakesNoMoreRecords(t, dir)
		return
	}
	dir := t.TempDir()
	if out, err := child(t, dir).Output(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := open(t, Options{Dir: dir})
	if got := allRecords(t, s); len(got) < 41 || !slices.Contains(got, "after") {
		t.Errorf("read %d records, want 40 and those that came after", len(got))
	}
}

func diskThatTakesNoMoreRecords(t *testing.T, dir string) {
	s := open(t, Options{Dir: dir})
	for range 40 {
		record(s, "shop", noise(50_000), time.Now())
	}
	awaitRecords(t, s, 40)
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	limit := old
	limit.Cur = largestFile(t, dir, recordStream) + 30_000
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	published := 0
	for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); published++ {
		record(s, "shop", noise(50_000), time.Now())
		publish(t, s, event("shop", fmt.Sprint("e", published)))
		time.Sleep(5 * time.Millisecond)
	}
	st := s.Stats()
	if st.RecordsDropped == 0 || st.Failed != 0 || st.Refused != 0 || st.Stored != uint64(published) || st.Err != nil {
		t.Errorf("%+v; want records dropped and %d events stored, none refused", st, published)
	}
	if st.Replaced == 0 || st.Replaced > 3 {
		t.Errorf("the server was replaced %d times in 2.5 s, want a few", st.Replaced)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Fatal(err)
	}
	eventually(t, "records are stored again", func() bool {
		record(s, "shop", "after", time.Now())
		return slices.Contains(allRecords(t, s), "after") // and not one that was on its way before
	})
	if got := ids(read(t, s, Query{})); len(got) != published {
		t.Errorf("%d events are there, %d were acknowledged", len(got), published)
	}
}

// TestRecordAllocs counts everything, the commits behind included.
func TestRecordAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := open(t, Options{Dir: t.TempDir(), MaxQueuedBytes: 1 << 28})
	r := edge.StoredRecord{Site: "shop", At: time.Now(), Visitor: [16]byte{1}, Bytes: make([]byte, 1024)}.Record()
	const runs = 20_000
	allocs := testing.AllocsPerRun(runs, func() { s.Record(&r) })
	t.Logf("%.2f allocations a record", allocs)
	if allocs > 1 {
		t.Errorf("%.2f allocations a record, want at most 1", allocs)
	}
	eventually(t, "all are stored", func() bool { return s.Stats().RecordsStored == runs+1 })
}
