// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/edgetest"
)

var ann = edge.Person{Site: "shop", Key: edge.PersonKey{0xa1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}}

// hers are what ann is known by in what is stored.
var hers = []string{"ann-visitor-id", "ann-customer-id", "ann-attribute"}

// of is an event of a person, nobody's with the zero key.
func of(site, id string, key edge.PersonKey) edge.Event {
	who := `"bob-visitor-id"`
	if key == ann.Key {
		who = `"` + strings.Join(hers, `","`) + `"`
	}
	return edgetest.Event(edgetest.EventSpec{
		Site: site, ID: id, Name: "page_view", Visitor: key, At: time.Now().Add(-time.Minute),
		JSON: fmt.Appendf(nil, `{"id":%q,"who":[%s],"room":%q}`, id, who, strings.Repeat("packed ", 20)),
	})
}

func recordOf(s *Stream, key edge.PersonKey, text string) {
	r := edge.StoredRecord{Site: "shop", At: time.Now().Add(-time.Minute), Visitor: key, Bytes: []byte(text)}.Record()
	s.Record(&r)
}

// eraseNow erases persons at once.
func eraseNow(t testing.TB, s *Stream, persons ...edge.Person) {
	t.Helper()
	s.calm = 0
	for _, p := range persons {
		if _, err := s.Forget(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.EraseWaiting(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// checkGone looks for ann in every file of a Stream, packed or not.
func checkGone(t testing.TB, s *Stream) {
	t.Helper()
	found, err := s.Find(t.Context(), edge.Traces{Person: ann, Texts: hers})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Found > 0 {
			t.Errorf("%s still holds ann in %d messages", f.Place, f.Found)
		}
	}
}

// checkThere is checkGone's counterpart: it finds what is to be found.
func checkThere(t testing.TB, s *Stream, places ...string) {
	t.Helper()
	found, err := s.Find(t.Context(), edge.Traces{Person: ann, Texts: hers})
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range places {
		if !slices.ContainsFunc(found, func(f Found) bool { return f.Place == place && f.Found > 0 }) {
			t.Errorf("nothing of ann is found in %s: %+v", place, found)
		}
	}
}

// withoutAnn takes ann's events out of what was read.
func withoutAnn(all []LogEvent) []LogEvent {
	return slices.DeleteFunc(all, func(e LogEvent) bool { return e.Visitor == ann.Key && e.Site == ann.Site })
}

// next reads the log as a sink does, from a message on.
func frames(t testing.TB, s *Stream, after uint64) (out []LogFrame) {
	t.Helper()
	_, newest, err := s.Ends(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for after < newest {
		f, err := s.Next(t.Context(), after)
		if err != nil {
			t.Fatal(err)
		}
		out, after = append(out, f), f.Seq
	}
	return out
}

// fillStores puts ann and others into every store that events get into.
func fillStores(t testing.TB, s *Stream) {
	t.Helper()
	bob := edge.PersonKey{0xb0, 15: 1}
	for i := range 40 {
		id := func(who string) string { return fmt.Sprintf("%s%d", who, i) }
		switch i % 4 {
		case 0: // among others
			publish(t, s, of("shop", id("b"), bob), of("shop", id("a"), ann.Key), of("shop", id("n"), edge.PersonKey{}), of("blog", id("x"), edge.PersonKey{0xb1}))
		case 1: // alone
			publish(t, s, of("shop", id("a"), ann.Key))
		default:
			publish(t, s, of("shop", id("b"), bob))
		}
	}
	for i := range 6 {
		recordOf(s, ann.Key, "record of ann-visitor-id "+fmt.Sprint(i))
		recordOf(s, bob, "record of bob "+fmt.Sprint(i))
		if i == 2 {
			awaitRecords(t, s, 6)
		}
	}
	recordOf(s, edge.PersonKey{}, "record of nobody")
	awaitRecords(t, s, 13)
	for i, key := range []edge.PersonKey{ann.Key, bob} {
		d := letter("hook", uint64(2+i), 0)
		e := of("shop", "d", key)
		d.Person, d.Body = key, e.JSON()
		putDead(t, s, d)
	}
}

// TestAnErasedPersonIsInNoFile: found before, in none after, and all else is as it
// was, byte for byte, under the same numbers and places, also after a restart.
func TestAnErasedPersonIsInNoFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	fillStores(t, s)
	checkThere(t, s, "events", "records", "dead")
	want, wantFrames := withoutAnn(read(t, s, Query{})), frames(t, s, 0)
	eraseNow(t, s, ann)
	check := func(t *testing.T) {
		t.Helper()
		checkGone(t, s)
		if got := read(t, s, Query{}); !reflect.DeepEqual(got, want) {
			t.Errorf("events are %v\nwant %v", ids(got), ids(want))
		}
		got := frames(t, s, 0)
		if len(got) != len(wantFrames) {
			t.Fatalf("%d messages, want %d", len(got), len(wantFrames))
		}
		for i, f := range got {
			w := wantFrames[i]
			if f.Seq != w.Seq || !f.Received.Equal(w.Received) || f.Lost != 0 || len(f.Events) != len(w.Events) {
				t.Errorf("message %+v, want %+v", f, w)
				continue
			}
			for j := range f.Events {
				switch hers := w.Events[j].Visitor == ann.Key && w.Site == ann.Site; {
				case hers != f.Events[j].Erased():
					t.Errorf("event %d of message %d: erased is %v", j, f.Seq, !hers)
				case !hers && !reflect.DeepEqual(f.Events[j], w.Events[j]):
					t.Errorf("event %d of message %d changed", j, f.Seq)
				}
			}
		}
		var left []string
		for _, said := range allRecords(t, s) {
			left = append(left, said[:len("record of bob")])
		}
		if slices.Sort(left); !slices.Equal(left, append(slices.Repeat([]string{"record of bob"}, 6), "record of nob")) {
			t.Errorf("records %q", left)
		}
		if letters := deadLetters(t, s, "", ""); !slices.Equal(letters, []string{"shop/hook.3.0"}) {
			t.Errorf("letters %v", letters)
		}
		for _, after := range []uint64{0, 1, 7, 39} {
			if b, err := s.Backlog(t.Context(), after); err != nil || b.Messages != uint64(50-after) {
				t.Errorf("backlog behind %d: %+v, %v", after, b, err)
			}
		}
		e, err := s.Erasure(ann)
		if err != nil || !e.Done() {
			t.Errorf("%+v, %v", e, err)
		}
	}
	check(t)
	if st := s.Stats(); st.ErasedEvents != 20 || st.ErasedRecords != 6 || st.ErasuresWaiting != 0 || st.Rewritten < 20 {
		t.Errorf("%+v", st)
	}
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	t.Run("after a restart", check)
	// What comes late is not stored, and what others send again is still known.
	publish(t, s, of("shop", "late", ann.Key), of("shop", "b4", edge.PersonKey{0xb0, 15: 1}))
	t.Run("after what came late", check)
	recordOf(s, ann.Key, "late ann-visitor-id")
	if st := s.Stats(); st.ErasedLate != 2 || st.Repeats != 1 {
		t.Errorf("%d came late and %d again", st.ErasedLate, st.Repeats)
	}
}

// TestAnotherErasureOfTheSameMessages leaves nothing of the first rewriting.
func TestAnotherErasureOfTheSameMessages(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	bob := edge.Person{Site: "shop", Key: edge.PersonKey{9}}
	publish(t, s, of("shop", "a1", ann.Key), of("shop", "b1", bob.Key), of("shop", "n1", edge.PersonKey{}))
	eraseNow(t, s, bob)
	checkThere(t, s, "rewritten")
	eraseNow(t, s, ann)
	checkGone(t, s)
	if got := ids(read(t, s, Query{Site: "shop"})); !slices.Equal(got, []string{"n1"}) {
		t.Errorf("left are %v", got)
	}
	if info, err := s.broker.rewritten.Info(t.Context()); err != nil || info.State.Msgs != 1 {
		t.Errorf("%d messages are written anew, %v; want 1", info.State.Msgs, err)
	}
	// The site's time is over for it too.
	later(s, days(401))
	if err := s.Expire(t.Context(), func(string) time.Duration { return 0 }); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, Query{}); len(got) != 0 {
		t.Errorf("after its time %v", ids(got))
	}
	if info, err := s.broker.rewritten.Info(t.Context()); err != nil || info.State.Msgs != 0 {
		t.Errorf("%d messages are written anew after their time, %v", info.State.Msgs, err)
	}
}

// TestABackupKeepsWhatARestoreErases: the bytes stay in the backup; what was asked
// since is asked again of what it made.
func TestABackupKeepsWhatARestoreErases(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	fillStores(t, s)
	bob := edge.Person{Site: "shop", Key: edge.PersonKey{0xb0, 15: 1}}
	eraseNow(t, s, bob)
	want := read(t, s, Query{Site: "blog"})
	var backup bytes.Buffer
	if _, err := s.Backup(t.Context(), &backup, "test"); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "restored")
	if _, err := Restore(t.Context(), &backup, Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	r := open(t, Options{Dir: dir})
	checkThere(t, r, "events", "rewritten", "dead")
	if !r.Erased(bob, time.Now().Add(-time.Hour)) || r.Erased(ann, time.Time{}) {
		t.Error("the backup does not tell who was erased before it")
	}
	r.calm = 0
	asked := time.Now().Add(-time.Second)
	if _, err := r.ForgetAt(t.Context(), ann, asked); err != nil {
		t.Fatal(err)
	}
	if err := r.EraseWaiting(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkGone(t, r)
	if got := read(t, r, Query{Site: "blog"}); !reflect.DeepEqual(got, want) {
		t.Errorf("others' events are %v, want %v", ids(got), ids(want))
	}
	if !r.Erased(ann, asked) || r.Erased(ann, asked.Add(time.Second)) {
		t.Error("it is not erased from when it was asked")
	}
}

// TestErasuresOfOtherNodesAreKnownSoon: another process puts it into the store.
func TestErasuresOfOtherNodesAreKnownSoon(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		if err := s.FollowErasures(ctx); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.broker.flow.Put(ctx, personPrefix+"shop."+ann.Key.String(), []byte(`{"at":"2026-11-28T00:00:00Z","before":0}`)); err != nil {
		t.Fatal(err)
	}
	asked := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	began := time.Now()
	eventually(t, "the node knows", func() bool { return s.Erased(ann, asked) })
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
	breakBroker(t, s)
	if allocs := testing.AllocsPerRun(100, func() { s.Erased(ann, asked) }); allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}

// TestTheClockSurvivesAnErasureOfTheNewestMessage: of an erased message the server
// does not know the time any more once it has read its files anew.
func TestTheClockSurvivesAnErasureOfTheNewestMessage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	publish(t, s, of("shop", "b1", edge.PersonKey{2}), of("shop", "b2", edge.PersonKey{2}))
	publish(t, s, of("shop", "a1", ann.Key))
	eraseNow(t, s, ann)
	closeStream(t, s)
	if err := os.Remove(filepath.Join(storeBlocks(dir, eventStream), stateFile)); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Dir: dir})
	if off := time.Since(s.Now()); off.Abs() > time.Minute {
		t.Errorf("the log's clock is off by %v", off)
	}
	publish(t, s, of("shop", "b1", edge.PersonKey{2}), of("shop", "b3", edge.PersonKey{2}))
	if got := ids(read(t, s, Query{})); !slices.Equal(got, []string{"b1", "b2", "b3"}) {
		t.Errorf("read %v", got)
	}
	if all := frames(t, s, 0); len(all) != 3 || all[2].Seq != 3 {
		t.Errorf("messages %+v", all)
	}
}

// TestWhatTheServerLetGoIsWipedToo: what a store let go by age, and a letter in
// whose place came another, stay in a file that the server does not write any more.
func TestWhatTheServerLetGoIsWipedToo(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	publish(t, s, of("shop", "a1", ann.Key), of("shop", "b1", edge.PersonKey{2}))
	publish(t, s, of("shop", "b2", edge.PersonKey{2}))
	d := letter("hook", 1, 0)
	d.Person = ann.Key
	putDead(t, s, d)
	d.Tries++
	putDead(t, s, d)
	if err := s.broker.events.Purge(t.Context(), jetstream.WithPurgeSequence(2)); err != nil {
		t.Fatal(err)
	}
	checkThere(t, s, "events", "dead")
	var loading sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	kept := []string{"b2"}
	loading.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			id := fmt.Sprintf("m%d", i)
			publish(t, s, of("shop", id, edge.PersonKey{3})) // nobody is refused meanwhile
			kept = append(kept, id)
		}
	})
	eraseNow(t, s, ann)
	stop()
	loading.Wait()
	checkGone(t, s)
	if got := ids(read(t, s, Query{})); !slices.Equal(got, kept) {
		t.Errorf("read %d events, want %d", len(got), len(kept))
	}
}

// TestASearchTellsWhatItCouldNotRead: of a file that is damaged, "nothing found"
// is no proof.
func TestASearchTellsWhatItCouldNotRead(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	publish(t, s, of("shop", "a1", ann.Key))
	unread := func() (n uint64) {
		t.Helper()
		found, err := s.Find(t.Context(), edge.Traces{Person: ann})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			n += f.Unread
		}
		return n
	}
	if n := unread(); n != 0 {
		t.Errorf("%d files are unread", n)
	}
	content, err := os.ReadFile(blockFile(s.o.Dir, eventStream, 1))
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-3] ^= 1
	if err := os.WriteFile(blockFile(s.o.Dir, eventStream, 0), content, 0o600); err != nil {
		t.Fatal(err)
	}
	if n := unread(); n != 1 {
		t.Errorf("%d files are unread, want 1", n)
	}
	if err := os.Remove(blockFile(s.o.Dir, eventStream, 0)); err != nil {
		t.Fatal(err)
	}
}
