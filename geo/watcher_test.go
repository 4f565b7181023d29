// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

var testAddr = netip.MustParseAddr("91.160.0.0")

// aCity is a database whose one network is the city called name.
func aCity(t testing.TB, name string) []byte {
	return buildDatabase(t, "GeoIP2-City", testRecord{network: "91.160.0.0/16", country: "FR", city: name})
}

// replaceFile puts data at path as careful programs do: beside it, then renamed.
func replaceFile(t testing.TB, path string, data []byte) {
	t.Helper()
	next := path + ".next"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, path); err != nil {
		t.Fatal(err)
	}
}

// overwriteFile writes data into the file at path, as careless programs do.
func overwriteFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until claim holds, for at most ten seconds.
func eventually(t testing.TB, what string, claim func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !claim() {
		if time.Now().After(deadline) {
			t.Fatalf("did not come true: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// watched opens a file of data whose watcher the test drives by hand, so that
// no test depends on when a poll comes.
func watched(t testing.TB, data []byte) (*watcher, *lockedBuffer) {
	t.Helper()
	path := writeDatabase(t, data)
	log := new(lockedBuffer)
	w := &watcher{
		db:     mustOpen(t, Options{Files: []string{path}, ReloadEvery: -1}),
		given:  []string{path},
		logger: logTo(log),
	}
	if err := w.open(); err != nil {
		t.Fatal(err)
	}
	// File systems stamp times by a clock of some milliseconds. A change of
	// equal size within one tick could not be told.
	time.Sleep(20 * time.Millisecond)
	return w, log
}

// settle polls often enough for any change to be taken or refused.
func settle(w *watcher) {
	for range 5 {
		w.poll()
	}
}

func TestAChangedFileIsReloaded(t *testing.T) {
	tests := []struct {
		name   string
		change func(testing.TB, string, []byte)
	}{
		{"replaced by renaming", replaceFile},
		{"written in place", overwriteFile},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, log := watched(t, aCity(t, "Paris"))
			if got := w.db.Locate(testAddr).City; got != "Paris" {
				t.Fatalf("City = %q, want Paris", got)
			}
			settle(w)
			if s := w.db.Status(); s.Reloads != 0 {
				t.Errorf("Status() = %+v, want no reload of a file that did not change", s)
			}
			// The same length, so that only time or identity can tell.
			tt.change(t, w.given[0], aCity(t, "Lyons"))
			settle(w)
			if got := w.db.Locate(testAddr).City; got != "Lyons" {
				t.Errorf("City = %q, want Lyons from the new file", got)
			}
			if s := w.db.Status(); s.Reloads != 1 || s.ReloadErrors != 0 {
				t.Errorf("Status() = %+v, want one reload and no error", s)
			}
			if n := strings.Count(log.String(), "geo database reloaded"); n != 1 {
				t.Errorf("%d lines are logged, want 1:\n%s", n, log.String())
			}
		})
	}
}

func TestABrokenFileIsRefusedWhileTheOldOneServes(t *testing.T) {
	good := aCity(t, "Paris")
	asn := buildWith(t, mmdbwriter.Options{DatabaseType: "GeoLite2-ASN"}, func(tree *mmdbwriter.Tree) {
		insertRecord(t, tree, "91.160.0.0/16", mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(1)})
	})
	tests := []struct {
		name   string
		damage func(testing.TB, string)
	}{
		{"cut short", func(t testing.TB, path string) { overwriteFile(t, path, good[:len(good)/2]) }},
		{"emptied", func(t testing.TB, path string) { overwriteFile(t, path, nil) }},
		{"garbage", func(t testing.TB, path string) { replaceFile(t, path, []byte("garbage")) }},
		{"an ASN database", func(t testing.TB, path string) { replaceFile(t, path, asn) }},
		{"a database without countries", func(t testing.TB, path string) {
			replaceFile(t, path, buildDatabase(t, "GeoIP2-City", testRecord{network: "91.160.0.0/16", city: "Atlantis"}))
		}},
		{"a tree that leads astray", func(t testing.TB, path string) {
			astray := append([]byte(nil), good...)
			copy(astray[20:], "\xff\xff\xff\xff\xff\xff")
			replaceFile(t, path, astray)
		}},
		{"gone", func(t testing.TB, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, log := watched(t, good)
			tt.damage(t, w.given[0])
			settle(w)
			if s := w.db.Status(); s.ReloadErrors != 1 || s.Reloads != 0 {
				t.Errorf("Status() = %+v, want one error however often the file is looked at", s)
			}
			if n := strings.Count(log.String(), "geo database refused"); n != 1 {
				t.Errorf("%d lines are logged, want 1:\n%s", n, log.String())
			}
			for _, addr := range []string{"91.160.0.0", "91.160.9.0"} {
				if got := w.db.Locate(netip.MustParseAddr(addr)).City; got != "Paris" {
					t.Errorf("City of %s = %q, want Paris from the file before", addr, got)
				}
			}
			replaceFile(t, w.given[0], aCity(t, "Lyons"))
			settle(w)
			if got := w.db.Locate(testAddr).City; got != "Lyons" {
				t.Errorf("City = %q, want Lyons once a good file is there", got)
			}
		})
	}
}

func TestAFileIsNotReadWhileItGrows(t *testing.T) {
	w, _ := watched(t, aCity(t, "Paris"))
	next := aCity(t, "Lyons")
	file, err := os.OpenFile(w.given[0], os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for len(next) > 0 {
		chunk := next[:min(100, len(next))]
		next = next[len(chunk):]
		if _, err := file.Write(chunk); err != nil {
			t.Fatal(err)
		}
		w.poll()
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if s := w.db.Status(); s.Reloads != 0 || s.ReloadErrors != 0 {
		t.Errorf("Status() = %+v, want no attempt while the file grows", s)
	}
	w.poll()
	if got := w.db.Locate(testAddr).City; got != "Lyons" {
		t.Errorf("City = %q, want Lyons", got)
	}
}

func TestHammerLocateDuringReloads(t *testing.T) {
	path := writeDatabase(t, aCity(t, "City0"))
	db := mustOpen(t, Options{Files: []string{path}, ReloadEvery: 10 * time.Millisecond})
	var stop atomic.Bool
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			for i := worker; !stop.Load(); i++ {
				addr := netip.AddrFrom4([4]byte{91, 160, byte(i), 0})
				got := db.Locate(addr)
				if got.Country != "FR" || !strings.HasPrefix(got.City, "City") || got.Zone == nil {
					t.Errorf("Locate(%v) = %+v", addr, got)
					return
				}
				db.Status()
			}
		})
	}
	for i := 1; i <= 20; i++ {
		name := fmt.Sprintf("City%d", i)
		replaceFile(t, path, aCity(t, name))
		eventually(t, name+" is served", func() bool { return db.Locate(testAddr).City == name })
	}
	stop.Store(true)
	wait.Wait()
	if s := db.Status(); s.Reloads != 20 || s.ReloadErrors != 0 {
		t.Errorf("Status() = %+v, want 20 reloads and no error", s)
	}
}

func TestCloseStopsTheWatcherAndKeepsAnswering(t *testing.T) {
	path := writeDatabase(t, aCity(t, "Paris"))
	db := mustOpen(t, Options{Files: []string{path}, ReloadEvery: time.Millisecond})
	for range 2 {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-db.done:
	default:
		t.Error("the watcher runs after Close")
	}
	replaceFile(t, path, aCity(t, "Lyons"))
	time.Sleep(20 * time.Millisecond)
	if got := db.Locate(testAddr).City; got != "Paris" {
		t.Errorf("City after Close = %q, want Paris", got)
	}
}

// A lockedBuffer collects a log that is written while it is read.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func logTo(log *lockedBuffer) *slog.Logger { return slog.New(slog.NewTextHandler(log, nil)) }
