// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/edgetest"
)

// later sets a Stream's clock ahead, as if time had passed.
func later(s *Stream, by time.Duration) {
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	read := s.clock.read
	s.clock.read = func() (time.Time, time.Duration) {
		wall, passed := read()
		return wall.Add(by), passed + by
	}
}

// jump sets only the wall clock of a Stream.
func jump(s *Stream, by time.Duration) {
	s.clock.mu.Lock()
	defer s.clock.mu.Unlock()
	read := s.clock.read
	s.clock.read = func() (time.Time, time.Duration) {
		wall, passed := read()
		return wall.Add(by), passed
	}
}

func marked(site, id string) edge.Event {
	return edgetest.Event(edgetest.EventSpec{Site: site, ID: id, Name: "page_view", Expires: time.Now().Add(days(396)), JSON: []byte(`"mark-` + id + `"`)})
}

// onDisk reports whether a mark is anywhere below the data directory.
func onDisk(t *testing.T, dir, mark string) (found bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		found = found || bytes.Contains(raw, []byte(mark))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

func TestWhatWasKeptLongEnoughLeavesTheDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir, MaxAge: days(300)})
	keep := func(site string) time.Duration {
		return map[string]time.Duration{"brief": days(30), "long": days(200), "beyond": days(1000)}[site]
	}
	sites := []string{"brief", "long", "beyond", "silent"}
	for i := range 3 {
		for _, site := range sites {
			publish(t, s, marked(site, fmt.Sprint(site, i)))
		}
	}
	record(s, "shop", "record", time.Now())
	awaitRecords(t, s, 1)
	for _, tt := range []struct {
		after time.Duration
		want  []string
	}{
		{days(1), sites},
		{days(30) + time.Hour, []string{"long", "beyond", "silent"}},
		{days(201), []string{"beyond", "silent"}},
		{days(299), []string{"beyond", "silent"}},
		{days(301), nil},
	} {
		later(s, tt.after-time.Since(s.clock.now()).Abs())
		if err := s.Expire(t.Context(), keep); err != nil {
			t.Fatal(err)
		}
		for _, site := range sites {
			mark := "mark-" + site
			want := slices.Contains(tt.want, site)
			got := onDisk(t, dir, mark)
			for end := time.Now().Add(5 * time.Second); got != want && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				got = onDisk(t, dir, mark) // the server removes an emptied file a moment later
			}
			if got != want {
				t.Errorf("after %v %s is on disk: %v", tt.after, site, got)
			}
		}
		events := read(t, s, Query{})
		if len(events) != 3*len(tt.want) {
			t.Errorf("after %v there are %v, want those of %v", tt.after, ids(events), tt.want)
		}
	}
	if n := s.Stats().Expired; n != 13 {
		t.Errorf("%d messages expired, want 12 of events and 1 of records", n)
	}
	publish(t, s, event("brief", "new"))
	closeStream(t, s)
	if got := ids(read(t, open(t, Options{Dir: dir}), Query{})); !slices.Equal(got, []string{"new"}) {
		t.Errorf("after a restart there are %v", got)
	}
}

func TestAClockThatJumpsDeletesNothing(t *testing.T) {
	for _, tt := range []struct {
		name string
		by   time.Duration
	}{
		{"two years forward", days(730)},
		{"a day back", -days(1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, Options{Dir: t.TempDir()})
			e := edgetest.Event(edgetest.EventSpec{Site: "shop", ID: "e1", Name: "page_view", JSON: []byte(`1`), Expires: time.Now().Add(days(396))})
			publish(t, s, e)
			record(s, "shop", "r1", time.Now())
			awaitRecords(t, s, 1)
			jump(s, tt.by)
			check := func(when string) {
				t.Helper()
				if err := s.Expire(t.Context(), func(string) time.Duration { return days(30) }); err != nil {
					t.Fatal(err)
				}
				if got := ids(read(t, s, Query{})); !slices.Equal(got, []string{"e1"}) {
					t.Errorf("%s: the log holds %v", when, got)
				}
				if got := allRecords(t, s); len(got) != 1 {
					t.Errorf("%s: there are records %v", when, got)
				}
				if publish(t, s, e); len(read(t, s, Query{})) != 1 {
					t.Errorf("%s: an event sent again is stored again", when)
				}
			}
			check("after the jump")
			later(s, 20*time.Hour)
			check("20 hours later")
			jump(s, -tt.by)
			check("set right")
			later(s, 40*time.Hour)
			check("two days later")
		})
	}
}

func TestFullLogDropsTheOldestWhereItMay(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir(), MaxLogBytes: 100_000, DropOldest: true})
	var sent []string
	for i := range 30 {
		sent = append(sent, fmt.Sprintf("e%d", i))
		publish(t, s, large(sent[i], 10_000))
	}
	got := ids(read(t, s, Query{}))
	if len(got) < 5 || len(got) > 10 || !slices.Equal(got, sent[30-len(got):]) {
		t.Errorf("a full log holds %v, want the newest", got)
	}
	if st := s.Stats(); st.Dropped != uint64(30-len(got)) || st.Expired != 0 || st.Err != nil {
		t.Errorf("%d messages dropped and %d expired, %v; %d of 30 are left", st.Dropped, st.Expired, st.Err, len(got))
	}
}
