// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

func appendAudit(t *testing.T, s *Stream, site, entry string) {
	t.Helper()
	if err := s.AppendAudit(t.Context(), site, []byte(entry)); err != nil {
		t.Fatal(err)
	}
}

// audit returns what the log says of site.
func audit(t *testing.T, s *Stream, site string) (entries []string, err error) {
	t.Helper()
	err = s.Audit(t.Context(), site, func(seq uint64, _ time.Time, entry []byte) error {
		entries = append(entries, fmt.Sprintf("%d %s", seq, entry))
		return nil
	})
	return entries, err
}

func TestAuditTellsWhatWasAppendedOldestFirst(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	if got, err := audit(t, s, ""); len(got) != 0 || err != nil {
		t.Errorf("an empty log tells %v, %v", got, err)
	}
	appendAudit(t, s, "shop", `{"does": "upload", "of":"<a>"}`)
	appendAudit(t, s, "blog", `{"does":"publish"}`)
	appendAudit(t, s, "", `["a token for all"]`)
	breakBroker(t, s)
	appendAudit(t, s, "shop", `{"does":"roll back"}`)
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	appendAudit(t, s, "shop", `5`)
	for site, want := range map[string][]string{
		"shop": {`1 {"does": "upload", "of":"<a>"}`, `4 {"does":"roll back"}`, `5 5`},
		"blog": {`2 {"does":"publish"}`},
		"none": nil,
		"":     {`1 {"does": "upload", "of":"<a>"}`, `2 {"does":"publish"}`, `3 ["a token for all"]`, `4 {"does":"roll back"}`, `5 5`},
	} {
		if got, err := audit(t, s, site); !slices.Equal(got, want) || err != nil {
			t.Errorf("Audit(%q) = %q, %v\nwant %q", site, got, err, want)
		}
	}
	before := time.Time{}
	if err := s.Audit(t.Context(), "", func(seq uint64, at time.Time, _ []byte) error {
		if age := time.Since(at); age < 0 || age > time.Minute || at.Before(before) {
			t.Errorf("entry %d was added at %v, the one before at %v", seq, at, before)
		}
		before = at
		return nil
	}); err != nil {
		t.Error(err)
	}
	stop := errors.New("enough")
	n := 0
	if err := s.Audit(t.Context(), "", func(uint64, time.Time, []byte) error { n++; return stop }); err != stop || n != 1 {
		t.Errorf("error %v after %d entries, want the reader's own after 1", err, n)
	}
}

func TestAuditEntriesThatNoLogCanKeepAreRefused(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	for _, tt := range []struct{ name, site, entry string }{
		{"a site that would be a wildcard", "*", `{}`},
		{"the word that stands for no site", "_", `{}`},
		{"no entry", "shop", ""},
		{"an entry that is no JSON", "shop", `{}}`},
		{"too much", "shop", `"` + strings.Repeat("x", MaxAuditBytes-1) + `"`},
	} {
		if err := s.AppendAudit(t.Context(), tt.site, []byte(tt.entry)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error %v, want ErrInvalid", tt.name, err)
		}
	}
	if err := s.Audit(t.Context(), "*", nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("reading a wildcard: error %v, want ErrInvalid", err)
	}
	if got, err := audit(t, s, ""); len(got) != 0 || err != nil {
		t.Errorf("the log tells %v, %v", got, err)
	}
}

func TestAuditEntriesOfManyAreOneChain(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 5 {
				appendAudit(t, s, fmt.Sprint("site", i%3), `1`)
			}
		})
	}
	wg.Wait()
	if got, err := audit(t, s, ""); len(got) != 40 || err != nil {
		t.Errorf("%d entries, %v, want 40", len(got), err)
	}
}

func TestNobodyCanDeleteFromTheAuditLog(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	appendAudit(t, s, "shop", `1`)
	appendAudit(t, s, "shop", `2`)
	if err := s.broker.audit.DeleteMsg(t.Context(), 1); err == nil {
		t.Error("an entry was deleted")
	}
	if err := s.broker.audit.SecureDeleteMsg(t.Context(), 1); err == nil {
		t.Error("an entry was overwritten")
	}
	if err := s.broker.audit.Purge(t.Context()); err == nil {
		t.Error("the log was purged")
	}
	info, err := s.broker.audit.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	loose := info.Config
	loose.DenyDelete, loose.DenyPurge = false, false
	if _, err := s.broker.js.UpdateStream(t.Context(), loose); err == nil {
		t.Error("the log can be made to lose entries")
	}
	if info.Config.MaxAge != 0 || info.Config.MaxMsgs > 0 {
		t.Errorf("entries go after %v, or past %d", info.Config.MaxAge, info.Config.MaxMsgs)
	}
	if got, err := audit(t, s, ""); len(got) != 2 || err != nil {
		t.Errorf("the log tells %v, %v", got, err)
	}
}

// TestATamperedAuditLogIsFound writes a log anew with one thing changed, as
// who has the disk could.
func TestATamperedAuditLogIsFound(t *testing.T) {
	was := open(t, Options{Dir: t.TempDir()})
	for i := range 5 {
		appendAudit(t, was, []string{"shop", "blog"}[i%2], fmt.Sprintf(`{"n":%d}`, i+1))
	}
	type stored struct {
		subject string
		data    []byte
	}
	var good []stored
	at := position{subject: auditSubject + "*"}
	if err := was.broker.readAll(t.Context(), was.broker.audit, &at, 5, func(m message) error {
		good = append(good, stored{m.subject, m.data})
		return nil
	}); err != nil || len(good) != 5 {
		t.Fatalf("%d entries, %v", len(good), err)
	}
	head, err := was.broker.auditHead(t.Context())
	if err != nil || head.Seq != 5 {
		t.Fatalf("newest entry %+v, %v", head, err)
	}
	change := func(i int, old, new string) func([]stored) []stored {
		return func(log []stored) []stored {
			log[i].data = []byte(strings.Replace(string(log[i].data), old, new, 1))
			return log
		}
	}
	tests := []struct {
		name   string
		tamper func(log []stored) []stored
		says   string // "" when nothing is broken
		tells  int
	}{
		{"nothing", func(log []stored) []stored { return log }, "", 5},
		{"an entry", change(1, `{"n":2}`, `{"n":9}`), "at entry 3: the entry does not follow", 5},
		{"a time", change(2, `"at":"20`, `"at":"21`), "at entry 4: the entry does not follow", 5},
		{"the first", change(0, `{"n":1}`, `{"n":9}`), "at entry 2: the entry does not follow", 5},
		{"the newest", change(4, `{"n":5}`, `{"n":9}`), "at entry 5: the entry is not the one", 5},
		{"whom it is about", func(log []stored) []stored { log[1].subject = "audit.shop"; return log }, "at entry 2: the entry is another site's", 5},
		{"an entry that is no JSON", change(1, `{"prev`, `{prev`), "at entry 2: the entry is unreadable", 4},
		{"the order", func(log []stored) []stored { log[1], log[2] = log[2], log[1]; return log }, "at entry 2: the entry does not follow", 5},
		{"one taken out", func(log []stored) []stored { return slices.Delete(log, 1, 2) }, "at entry 2: the entry does not follow", 4},
		{"the newest taken out", func(log []stored) []stored { return log[:4] }, "at entry 5: it ends here", 4},
		{"all taken out", func([]stored) []stored { return nil }, "at entry 1: it ends here", 0},
		{"one put in", func(log []stored) []stored { return slices.Insert(log, 2, log[1]) }, "at entry 3: the entry does not follow", 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := open(t, Options{Dir: t.TempDir()})
			var log []stored
			for _, e := range good {
				log = append(log, stored{e.subject, slices.Clone(e.data)})
			}
			for _, e := range tt.tamper(log) {
				if _, err := s.broker.js.Publish(t.Context(), e.subject, e.data); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.broker.putAuditHead(t.Context(), head); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got, err := audit(t, s, "")
				if errors.Is(err, edge.ErrBroken) != (tt.says != "") || err != nil && !strings.Contains(err.Error(), tt.says) {
					t.Errorf("error %v, want one that says %q", err, tt.says)
				}
				if len(got) != tt.tells {
					t.Errorf("it tells %v, want %d entries", got, tt.tells)
				}
				// What comes later does not hide it, nor does another site.
				if _, err := audit(t, s, "none"); errors.Is(err, edge.ErrBroken) != (tt.says != "") {
					t.Errorf("asked for another site: error %v", err)
				}
				appendAudit(t, s, "shop", `{"n":6}`)
				tt.tells++
				if strings.Contains(tt.says, "it ends here") || strings.Contains(tt.says, "is not the one") {
					tt.says = "the entry does not follow"
				}
			}
		})
	}
}

func TestAnAuditLogOneAheadOfTheLedgerIsWhole(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	appendAudit(t, s, "shop", `1`)
	last, err := s.broker.lastAudit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// As when the process ends between the entry and the note of it.
	if _, err := s.broker.js.Publish(t.Context(), auditSubject+"shop", sealAudit(last.Hash, "shop", time.Now().UTC(), []byte(`2`))); err != nil {
		t.Fatal(err)
	}
	if got, err := audit(t, s, ""); len(got) != 2 || err != nil {
		t.Errorf("it tells %v, %v", got, err)
	}
	appendAudit(t, s, "shop", `3`)
	if got, err := audit(t, s, ""); len(got) != 3 || err != nil {
		t.Errorf("it tells %v, %v", got, err)
	}
}

func TestAnEntryWhoseAnswerWasLostIsNotAppendedTwice(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	appendAudit(t, s, "shop", `1`)
	a := auditAppend{site: "shop", at: time.Now().UTC(), entry: []byte(`2`)}
	for range 2 {
		if err := a.do(t.Context(), s.broker); err != nil {
			t.Fatal(err)
		}
	}
	appendAudit(t, s, "shop", `2`) // another one that says the same
	if got, err := audit(t, s, ""); !slices.Equal(got, []string{"1 1", "2 2", "3 2"}) || err != nil {
		t.Errorf("it tells %v, %v", got, err)
	}
}

func TestFewReadTheAuditLogAtOnce(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	appendAudit(t, s, "shop", `1`)
	reading, read := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for range maxAuditReads {
		wg.Go(func() {
			if err := s.Audit(t.Context(), "", func(uint64, time.Time, []byte) error { reading <- struct{}{}; <-read; return nil }); err != nil {
				t.Error(err)
			}
		})
		<-reading
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Audit(ctx, "", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("one more: error %v, want that it waits until its context ends", err)
	}
	appendAudit(t, s, "shop", `2`) // who writes does not wait
	close(read)
	wg.Wait()
	if got, err := audit(t, s, ""); len(got) != 2 || err != nil {
		t.Errorf("it tells %v, %v", got, err)
	}
}
