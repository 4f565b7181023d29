// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

const keepProfiles = 396 * 24 * time.Hour

func openProfiles(t testing.TB, s *Stream, o ProfileOptions) *Profiles {
	t.Helper()
	p := s.OpenProfiles(o)
	t.Cleanup(func() { closeProfiles(t, p) })
	return p
}

func closeProfiles(t testing.TB, p *Profiles) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := p.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// bought is a change by one purchase.
func bought(id, item string) *edge.ProfileChange {
	c := edge.NewProfileChange(time.Now(), keepProfiles)
	c.Learn(&edge.BeaconEvent{ID: id, Name: "purchase", Props: fmt.Appendf(nil, `{"items":[{"item_id":%q}]}`, item)}, time.Now())
	return c
}

// orders waits until a node sees a number of orders of a person.
func orders(t testing.TB, p *Profiles, id edge.ProfileID, want uint32) {
	t.Helper()
	var got uint32
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if profile, known := p.Profile("shop", id, time.Second); known && profile != nil {
			if got = profile.Journey.Orders; got == want {
				return
			}
		}
	}
	t.Fatalf("%d orders, want %d", got, want)
}

// storeProfile puts a profile on disk.
func storeProfile(t testing.TB, s *Stream) {
	t.Helper()
	p := s.OpenProfiles(ProfileOptions{})
	p.Change("shop", edge.ProfileID{1}, bought("a", "hat"))
	closeProfiles(t, p)
}

func TestAProfileIsSeenAtOnceAndElsewhereWithinASecond(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	here, there := openProfiles(t, s, ProfileOptions{}), openProfiles(t, s, ProfileOptions{})
	id := edge.ProfileID{1}
	for _, p := range []*Profiles{here, there} {
		if profile, known := p.Profile("shop", id, time.Second); profile != nil || !known {
			t.Fatalf("nobody is %+v, known %v", profile, known)
		}
	}
	begun := time.Now()
	now := here.Change("shop", id, bought("a", "hat"))
	if now == nil || now.Journey.Orders != 1 {
		t.Fatalf("at once it is %+v", now)
	}
	if profile, known := here.Profile("shop", id, 0); !known || profile.Journey.Orders != 1 {
		t.Errorf("the next decision sees %+v", profile)
	}
	orders(t, there, id, 1)
	if took := time.Since(begun); took > time.Second {
		t.Errorf("another node saw it after %v", took)
	}
	if profile, _ := there.Profile("blog", id, time.Second); profile != nil {
		t.Error("another site has the profile")
	}
	there.Change("shop", id, bought("b", "sock"))
	there.Change("shop", id, bought("a", "hat")) // the same event, told there too
	orders(t, here, id, 2)
}

func TestAProfileIsOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	p := s.OpenProfiles(ProfileOptions{})
	for i := range 100 {
		p.Change("shop", edge.ProfileID{byte(i)}, bought("a", "hat"))
	}
	closeProfiles(t, p)
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	p = openProfiles(t, s, ProfileOptions{})
	for i := range 100 {
		orders(t, p, edge.ProfileID{byte(i)}, 1)
	}
	if st := p.Stats(); st.Misses < 100 || st.Cached < 1 || st.CachedBytes < 400*st.Cached {
		t.Errorf("%+v", st)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	p := openProfiles(t, s, ProfileOptions{MaxCached: 50, Window: time.Millisecond})
	for i := range 500 {
		p.Change("shop", edge.ProfileID{byte(i), byte(i >> 8)}, bought("a", "hat"))
	}
	waitUntil(t, func() bool { return p.Stats().Queued == 0 })
	for i := range 500 {
		orders(t, p, edge.ProfileID{byte(i), byte(i >> 8)}, 1)
	}
	if st := p.Stats(); st.Cached > 50 || st.CachedBytes > 50*4096 {
		t.Errorf("%d in memory, %d bytes", st.Cached, st.CachedBytes)
	}
	small := openProfiles(t, s, ProfileOptions{MaxQueuedBytes: 10})
	if small.Change("shop", edge.ProfileID{1}, bought("b", "hat")) != nil || small.Stats().Dropped != 1 {
		t.Errorf("what does not fit: %+v", small.Stats())
	}
}

func waitUntil(t testing.TB, is func() bool) {
	t.Helper()
	for end := time.Now().Add(wait); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not come")
		}
	}
}

func TestErasedIsErasedEverywhere(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	here, there := openProfiles(t, s, ProfileOptions{}), openProfiles(t, s, ProfileOptions{})
	id := edge.ProfileID{1}
	c := bought("a", "hat")
	c.Join([16]byte{9}, &edge.History{})
	here.Change("shop", id, c)
	orders(t, there, id, 1)
	here.Change("shop", id, bought("b", "sock")) // still waits
	if err := here.Erase(t.Context(), "shop", id); err != nil {
		t.Fatal(err)
	}
	for _, p := range []*Profiles{here, there} {
		waitUntil(t, func() bool {
			profile, known := p.Profile("shop", id, time.Second)
			return known && profile == nil
		})
	}
	time.Sleep(300 * time.Millisecond) // what waited would be written by now
	if _, err := here.Stored(t.Context(), "shop", id); !errors.Is(err, edge.ErrNone) {
		t.Errorf("erased and still there: %v", err)
	}
	if err := there.Erase(t.Context(), "shop", id); !errors.Is(err, edge.ErrNone) {
		t.Errorf("erase again: %v", err)
	}
	here.Change("shop", id, bought("c", "cap"))
	orders(t, there, id, 1)
}

// An erased profile's bytes are overwritten.
func TestAnErasedProfileIsNotOnDisk(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	p := openProfiles(t, s, ProfileOptions{})
	isOnDisk := func() (found bool) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil // a file that is gone by now is no place for it
			}
			raw, err := os.ReadFile(path)
			found = found || bytes.Contains(raw, []byte("marker-hat"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	p.Change("shop", edge.ProfileID{1}, bought("a", "marker-hat"))
	waitUntil(t, func() bool { return p.Stats().Queued == 0 && isOnDisk() })
	if err := p.Erase(t.Context(), "shop", edge.ProfileID{1}); err != nil {
		t.Fatal(err)
	}
	if isOnDisk() {
		t.Error("what was erased is on disk")
	}
}

// A search finds a profile, and once it is erased not the note that it is deleted.
func TestASearchFindsNothingOfAnErasedProfile(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	p := openProfiles(t, s, ProfileOptions{})
	id := edge.ProfileID{1}
	who := edge.Traces{Person: edge.Person{Site: "shop", Key: edge.PersonKeyOf("shop", id.String())}, Texts: []string{id.String()}}
	found := func() uint64 {
		t.Helper()
		places, err := s.Find(t.Context(), who)
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range places {
			if place.Place == "profiles" {
				return place.Found
			}
		}
		t.Fatal("profiles are not searched")
		return 0
	}
	p.Change("shop", id, bought("a", "hat"))
	waitUntil(t, func() bool { return found() == 1 })
	if err := p.Erase(t.Context(), "shop", id); err != nil {
		t.Fatal(err)
	}
	if n := found(); n != 0 {
		t.Errorf("%d messages are found after the erasure", n)
	}
}

func TestProfilesExpireBySite(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	p := openProfiles(t, s, ProfileOptions{})
	put(t, s, "shop", 0, 1, "one")
	put(t, s, "blog", 0, 1, "one")
	id := edge.ProfileID{1}
	p.Change("shop", id, bought("a", "hat"))
	waitUntil(t, func() bool { return p.Stats().Queued == 0 })
	p.Change("blog", id, bought("a", "hat"))
	waitUntil(t, func() bool { return p.Stats().Queued == 0 })
	keep := func(site string) time.Duration {
		if site == "blog" {
			return time.Nanosecond
		}
		return keepProfiles
	}
	if err := p.Expire(t.Context(), keep); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, func() bool {
		profile, known := p.Profile("blog", id, time.Second)
		return known && profile == nil
	})
	orders(t, p, id, 1)
	if err := p.Expire(t.Context(), keep); err != nil {
		t.Errorf("again: %v", err)
	}
}

// Two nodes change few profiles at once, each event at both now and then: none is
// lost and none counts twice.
func TestHammerProfiles(t *testing.T) {
	if conflicts := hammerProfiles(t, func(*Stream) {}); conflicts == 0 {
		t.Error("no conflict: the test proves nothing")
	}
}

// The same while the server under the profiles breaks and is replaced.
func TestHammerProfilesOverABrokenServer(t *testing.T) {
	hammerProfiles(t, func(s *Stream) {
		for range 3 {
			time.Sleep(15 * time.Millisecond)
			breakBroker(t, s)
			_ = s.Publish([]edge.Event{event("shop", "nudge")}, wait) // finds out
		}
	})
}

func hammerProfiles(t *testing.T, disturb func(*Stream)) (conflicts uint64) {
	const people, events, workers = 5, 40, 4
	s := open(t, Options{Dir: t.TempDir()})
	nodes := []*Profiles{
		openProfiles(t, s, ProfileOptions{Window: time.Millisecond}),
		openProfiles(t, s, ProfileOptions{Window: 3 * time.Millisecond, MaxCached: 3}),
	}
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			r := rand.New(rand.NewPCG(1, uint64(w)))
			for i := range events / workers {
				for who := range people {
					id := fmt.Sprintf("e%d.%d", w, i)
					at := r.IntN(len(nodes))
					nodes[at].Change("shop", edge.ProfileID{byte(who)}, bought(id, "hat"))
					if r.IntN(4) == 0 {
						nodes[1-at].Change("shop", edge.ProfileID{byte(who)}, bought(id, "hat"))
					}
				}
				time.Sleep(time.Duration(r.IntN(4)) * time.Millisecond)
			}
		})
	}
	disturb(s)
	all.Wait()
	for who := range people {
		for _, p := range nodes {
			orders(t, p, edge.ProfileID{byte(who)}, events)
		}
	}
	conflicts = nodes[0].Stats().Conflicts + nodes[1].Stats().Conflicts
	t.Logf("%d writes, %d conflicts", nodes[0].Stats().Writes+nodes[1].Stats().Writes, conflicts)
	return conflicts
}

// BenchmarkProfileWrites writes a thousand people's changes at once.
func BenchmarkProfileWrites(b *testing.B) {
	s := open(b, Options{Dir: b.TempDir()})
	p := openProfiles(b, s, ProfileOptions{Window: time.Millisecond})
	n := 0
	for b.Loop() {
		for who := range 1000 {
			p.Change("shop", edge.ProfileID{byte(who), byte(who >> 8)}, bought(fmt.Sprint("e", n), "hat"))
			n++
		}
		waitUntil(b, func() bool { return p.Stats().Queued == 0 })
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(n), "µs/profile")
}
