// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

func letter(sink string, seq uint64, index int) edge.DeadLetter {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return edge.DeadLetter{
		Site: "shop", Sink: sink, Seq: seq, Index: index, Reason: edge.DeadRefused, Detail: "422", Tries: 3, First: now, Last: now.Add(time.Second),
		Event: "e1", Name: "purchase", Transaction: "T-1", Person: edge.PersonKey{1, 2}, Purposes: consent.Measure | consent.Share,
		EventAt: now, Received: now, Expires: now.Add(time.Hour), Body: []byte(`{"v":1,"props":{"a":"<b>"}}`),
	}
}

func putDead(t testing.TB, s *Stream, d edge.DeadLetter) {
	t.Helper()
	if err := s.PutDead(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func deadLetters(t testing.TB, s *Stream, site, sink string) (ids []string) {
	t.Helper()
	if err := s.Dead(t.Context(), site, sink, func(d edge.DeadLetter) error {
		ids = append(ids, d.Site+"/"+d.ID)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestADeadLetterIsKeptWholeUntilItIsDropped(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	give := letter("hook", 12, 3)
	for range 2 { // a sink that was killed may tell twice
		putDead(t, s, give)
	}
	rest := letter("hook", 13, -1)
	rest.Site, rest.Person, rest.Body = "blog", edge.PersonKey{}, nil
	putDead(t, s, rest)
	putDead(t, s, letter("files", 12, 3))
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	for _, tt := range []struct {
		site, sink string
		want       []string
	}{
		{"", "", []string{"shop/hook.12.3", "blog/hook.13.rest", "shop/files.12.3"}},
		{"shop", "", []string{"shop/hook.12.3", "shop/files.12.3"}},
		{"", "hook", []string{"shop/hook.12.3", "blog/hook.13.rest"}},
		{"blog", "files", nil},
		{"*", ">", nil},
	} {
		if got := deadLetters(t, s, tt.site, tt.sink); !slices.Equal(got, tt.want) {
			t.Errorf("letters of %q and %q are %v, want %v", tt.site, tt.sink, got, tt.want)
		}
	}
	got, err := s.DeadLetter(t.Context(), "shop", "hook.12.3")
	give.ID = "hook.12.3"
	if err != nil || !reflect.DeepEqual(got, give) {
		t.Errorf("read %+v, %v\nwant %+v", got, err, give)
	}
	if e := got.Stored().Event(); e.ID() != "e1" || e.Visitor() != give.Person || !bytes.Equal(e.JSON(), give.Body) {
		t.Errorf("its event is %+v", e)
	}
	if err := s.DropDead(t.Context(), "shop", "hook.12.3"); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"hook.12.3", "hook.1", "*.>", "hook.12.*", ""} {
		if err := s.DropDead(t.Context(), "shop", id); !errors.Is(err, ErrNoDead) || !errors.Is(err, edge.ErrNone) {
			t.Errorf("dropping %q: %v, want ErrNoDead", id, err)
		}
	}
	if got := deadLetters(t, s, "", ""); len(got) != 2 {
		t.Errorf("left are %v", got)
	}
	for name, bad := range map[string]func(*edge.DeadLetter){
		"no sink": func(d *edge.DeadLetter) { d.Sink = "a.b" }, "no site": func(d *edge.DeadLetter) { d.Site = "*" },
		"too large": func(d *edge.DeadLetter) { d.Body = make([]byte, MaxEventBytes+1) },
	} {
		d := letter("hook", 1, 1)
		bad(&d)
		if err := s.PutDead(t.Context(), d); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// TestADeadLetterExpiresByTheLogsClock: neither the server nor a jump of the
// machine's clock deletes it before.
func TestADeadLetterExpiresByTheLogsClock(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	putDead(t, s, letter("hook", 1, 0))
	lasting := letter("hook", 2, 0)
	lasting.Expires = time.Time{}
	putDead(t, s, lasting)
	stored := func() uint64 {
		info, err := s.broker.dead.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return info.State.Msgs
	}
	expire := func() {
		if err := s.Expire(t.Context(), func(string) time.Duration { return 0 }); err != nil {
			t.Fatal(err)
		}
	}
	msg, err := s.broker.dead.GetLastMsgForSubject(t.Context(), deadSubject+"shop.hook.1.0")
	if err != nil {
		t.Fatal(err)
	}
	if ttl := msg.Header.Get(jetstream.MsgTTLHeader); ttl != "" {
		t.Errorf("the server deletes it after %s by its own clock", ttl)
	}
	jump(s, days(2))
	if expire(); stored() != 2 || len(deadLetters(t, s, "shop", "hook")) != 2 {
		t.Errorf("%d letters after the clock jumped, want 2", stored())
	}
	jump(s, -days(2))
	later(s, 2*time.Hour)
	if expire(); stored() != 1 {
		t.Errorf("%d letters once one has expired, want 1", stored())
	}
}

func TestADeadLetterExpiresWithItsEvent(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	short := letter("hook", 1, 0)
	short.Expires = time.Now().Add(300 * time.Millisecond)
	putDead(t, s, short)
	putDead(t, s, letter("hook", 2, 0))
	past := letter("hook", 3, 0)
	past.Expires = time.Now().Add(-time.Second)
	putDead(t, s, past)
	if got := deadLetters(t, s, "", ""); !slices.Equal(got, []string{"shop/hook.1.0", "shop/hook.2.0"}) {
		t.Errorf("letters %v", got)
	}
	eventually(t, "it is not shown any more", func() bool { return len(deadLetters(t, s, "", "")) == 1 })
	if _, err := s.DeadLetter(t.Context(), "shop", "hook.1.0"); !errors.Is(err, ErrNoDead) {
		t.Errorf("error %v, want ErrNoDead", err)
	}
	eventually(t, "it is gone", func() bool {
		if err := s.Expire(t.Context(), func(string) time.Duration { return 0 }); err != nil {
			t.Fatal(err)
		}
		info, err := s.broker.dead.Info(t.Context())
		return err == nil && info.State.Msgs == 1
	})
}

func TestAForgottenPersonIsForgottenAcrossAKill(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	person := edge.Person{Site: "shop", Key: edge.PersonKey{1, 2}}
	if _, err := s.Forgetting(t.Context(), person); !errors.Is(err, edge.ErrNone) {
		t.Errorf("error %v, want edge.ErrNone", err)
	}
	for _, bad := range []edge.Person{{Site: "shop"}, {Site: "no shop", Key: person.Key}} {
		if _, err := s.Forget(t.Context(), bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("forget %v: %v, want ErrInvalid", bad, err)
		}
	}
	publish(t, s, event("shop", "e1"), event("blog", "e2"))
	putMark(t, s, "hook", Mark{Seq: 1})
	d := letter("hook", 1, 0)
	d.Body = []byte(`{"marker":"theirs"}`)
	putDead(t, s, d)
	putDead(t, s, letter("hook", 99, 0)) // what they did later
	_, moved := s.Forgettings(0)
	f, err := s.Forget(t.Context(), person)
	if err != nil || f.Before != 2 || len(f.Sinks) != 1 || f.Sinks[0] != (edge.SinkForgetting{Sink: "hook"}) {
		t.Fatalf("Forget() = %+v, %v", f, err)
	}
	select {
	case <-moved:
	default:
		t.Error("nobody was told")
	}
	if got := deadLetters(t, s, "", ""); !slices.Equal(got, []string{"shop/hook.99.0"}) {
		t.Errorf("dead letters %v", got)
	}
	if left := grepDir(t, dir, "theirs"); left != "" {
		t.Errorf("%s still holds the letter", left)
	}
	putDead(t, s, letter("hook", 2, 0)) // one that a sink tells of afterwards is not shown
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	for seq, want := range map[uint64]bool{1: true, 2: true, 3: false} {
		if s.Forgotten(person, seq) != want || s.Forgotten(edge.Person{Site: "blog", Key: person.Key}, seq) || s.Forgotten(edge.Person{Site: "shop"}, seq) {
			t.Errorf("message %d: forgotten is not %v for the person, and for nobody else", seq, want)
		}
	}
	if info, err := s.broker.dead.Info(t.Context()); err != nil || info.State.Msgs != 1 {
		t.Errorf("%d letters are left on disk, %v; want the later one", info.State.Msgs, err)
	}
	all, _ := s.Forgettings(0)
	if len(all) != 1 || all[0].Person != person || all[0].Number != f.Number {
		t.Errorf("forgettings %+v", all)
	}
	putMark(t, s, "hook", Mark{Seq: 2, Forgets: f.Number})
	if f, err = s.Forgetting(t.Context(), person); err != nil || !f.Sinks[0].Done {
		t.Errorf("%+v, %v, want done", f, err)
	}
	publish(t, s, event("shop", "e3"))
	if f, err = s.Forget(t.Context(), person); err != nil || f.Before != 3 || f.Sinks[0].Done {
		t.Errorf("asked again: %+v, %v", f, err)
	}
}

// grepDir returns a file below dir that holds a text, or "".
func grepDir(t *testing.T, dir, text string) (found string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil // the server replaces files meanwhile
		}
		content, err := os.ReadFile(path)
		if err == nil && bytes.Contains(content, []byte(text)) {
			found = path
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	return found
}

// TestAForgottenPersonIsReadByNobody: from the moment on in which somebody is to be
// forgotten, what they did before is in no report and no export.
func TestAForgottenPersonIsReadByNobody(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	ann := edge.Person{Site: "shop", Key: edge.PersonKey{1}}
	of := func(site, id string, person edge.PersonKey) edge.Event {
		return edgetest.Event(edgetest.EventSpec{Site: site, ID: id, Name: "page_view", Visitor: person, JSON: []byte("{}")})
	}
	publish(t, s, of("shop", "a1", ann.Key), of("shop", "b1", edge.PersonKey{2}), of("blog", "a2", ann.Key), of("shop", "n1", edge.PersonKey{}))
	if _, err := s.Forget(t.Context(), ann); err != nil {
		t.Fatal(err)
	}
	later := edgetest.EventSpec{Site: "shop", ID: "a3", Name: "page_view", Visitor: ann.Key, At: time.Now().Add(time.Second), JSON: []byte("{}")}
	late := later
	late.ID, late.At = "late", time.Now().Add(-time.Second)
	publish(t, s, edgetest.Event(late), edgetest.Event(later))
	want := []string{"a2", "a3", "b1", "n1"}
	sorted := func() []string { return slices.Sorted(slices.Values(ids(read(t, s, Query{})))) }
	if got := sorted(); !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	if got := sorted(); !slices.Equal(got, want) {
		t.Errorf("after a restart %v, want %v", got, want)
	}
}

// TestForgettingsGoByTheLogsClock: a machine's clock that is wrong at a start must
// not end what somebody was promised.
func TestForgettingsGoByTheLogsClock(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	ann := edge.Person{Site: "shop", Key: edge.PersonKey{1}}
	if _, err := s.Forget(t.Context(), ann); err != nil {
		t.Fatal(err)
	}
	putDead(t, s, letter("hook", 9, 0))
	if err := s.EraseWaiting(t.Context()); err != nil { // until that is done it stays
		t.Fatal(err)
	}
	jump(s, days(500))
	if err := s.dropForgotten(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !s.Forgotten(ann, 0) || len(deadLetters(t, s, "", "")) != 1 {
		t.Error("a clock that has jumped ends a forgetting, or a dead letter")
	}
	later(s, days(500))
	if err := s.dropForgotten(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s.Forgotten(ann, 0) || len(deadLetters(t, s, "", "")) != 0 {
		t.Error("a forgetting that is older than any event stays, or a dead letter that is over")
	}
}
