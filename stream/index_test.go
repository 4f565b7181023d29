// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"
)

func testKey(n int) key {
	h := hasher{seed: 1}
	return h.event("shop", strconv.Itoa(n))
}

func TestKeysDoNotMixUp(t *testing.T) {
	h := hasher{seed: 1}
	keys := map[key]string{}
	for _, tt := range []struct {
		name string
		give key
	}{
		{"event", h.event("a", "b")},
		{"another site with the same letters", h.event("ab", "")},
		{"another site", h.event("b", "b")},
		{"another id", h.event("a", "c")},
		{"a transaction", h.transaction("a", "b", "")},
		{"a refund", h.transaction("a", "refund", "1")},
		{"a purchase", h.transaction("a", "purchase", "1")},
	} {
		if other, ok := keys[tt.give]; ok {
			t.Errorf("%s has the key of %s", tt.name, other)
		}
		keys[tt.give] = tt.name
	}
	if (&hasher{seed: 2}).event("a", "b") == h.event("a", "b") {
		t.Error("the seed changes nothing")
	}
}

func TestTableAgreesWithAMap(t *testing.T) {
	var table table
	want := map[key]uint32{}
	r := rand.New(rand.NewPCG(1, 2))
	for step := range 200_000 {
		k := testKey(r.IntN(3000))
		switch op := r.IntN(10); {
		case op < 5:
			_, known := want[k]
			if table.put(k, uint32(step)) == known {
				t.Fatalf("step %d: put says new = %v", step, known)
			}
			want[k] = uint32(step)
		case op < 9:
			table.remove(k)
			delete(want, k)
		case step%1000 == 0:
			old := uint32(step / 2)
			n := table.sweep(func(seq uint32) bool { return seq < old })
			n += table.sweep(func(seq uint32) bool { return seq < old })
			before := len(want)
			maps.DeleteFunc(want, func(_ key, seq uint32) bool { return seq < old })
			if n != before-len(want) {
				t.Fatalf("step %d: swept %d, want %d", step, n, before-len(want))
			}
		}
		wantSeq, wantOK := want[k]
		if seq, ok := table.get(k); ok != wantOK || ok && seq != wantSeq {
			t.Fatalf("step %d: get = %d, %v, want %d, %v", step, seq, ok, wantSeq, wantOK)
		}
		if table.used != len(want) {
			t.Fatalf("step %d: %d entries, want %d", step, table.used, len(want))
		}
	}
	for k, seq := range want {
		if got, ok := table.get(k); !ok || got != seq {
			t.Errorf("get = %d, %v, want %d", got, ok, seq)
		}
	}
}

func TestIndexForgetsAfterADay(t *testing.T) {
	x := newIndex(1000)
	now := time.Unix(1e9, 0)
	x.open(1, now)
	x.add(testKey(1), 1)
	x.open(2, now.Add(30*time.Minute))
	x.add(testKey(2), 2)
	x.open(3, now.Add(2*time.Hour))
	x.add(testKey(3), 3)
	x.open(4, now.Add(remember+30*time.Minute))
	for n := 1; n <= 3; n++ {
		if seq, ok := x.find(testKey(n)); !ok || seq != uint32(n) {
			t.Errorf("after 24.5 hours: find(%d) = %d, %v; the hour it came in is not a day old as a whole", n, seq, ok)
		}
	}
	x.open(5, now.Add(remember+2*time.Hour))
	for n, want := range map[int]bool{1: false, 2: false, 3: true} {
		if _, ok := x.find(testKey(n)); ok != want {
			t.Errorf("after 26 hours: find(%d) = %v, want %v", n, ok, want)
		}
	}
	x.add(testKey(1), 5)
	if seq, ok := x.find(testKey(1)); !ok || seq != 5 {
		t.Errorf("an event taken in again: find = %d, %v", seq, ok)
	}
	for range indexShards {
		x.open(6, now.Add(remember+2*time.Hour))
	}
	if x.live != 2 || x.dead != 0 {
		t.Errorf("%d entries, %d of them dead, want 2 and 0", x.live, x.dead)
	}
}

func TestFullIndexForgetsTheOldestFirst(t *testing.T) {
	const limit, perGroup, groups = 4096, 64, 512
	x := newIndex(limit)
	now := time.Unix(1e9, 0)
	for g := range groups {
		x.open(uint32(g), now)
		for i := range perGroup {
			x.add(testKey(g*perGroup+i), uint32(g))
			if x.live > limit {
				t.Fatalf("%d entries, the bound is %d", x.live, limit)
			}
		}
	}
	known := 0
	for n := groups*perGroup - 1; n >= 0; n-- {
		if _, ok := x.find(testKey(n)); !ok {
			break
		}
		known++
	}
	if least := limit * (generationShare - 2) / generationShare; known < least {
		t.Errorf("the newest %d are known, want at least %d", known, least)
	}
	if got := x.live - x.dead; got != known {
		t.Errorf("%d remembered, %d of them the newest", got, known)
	}
	if want := uint64(groups*perGroup - known); x.early != want {
		t.Errorf("%d counted as forgotten early, want %d", x.early, want)
	}
	if _, ok := x.find(testKey(0)); ok {
		t.Error("the oldest is known")
	}
}

func TestIndexWorksWhereGroupNumbersWrap(t *testing.T) {
	x := newIndex(100)
	now := time.Unix(1e9, 0)
	seq := uint32(math.MaxUint32 - 2)
	for n := range 6 {
		x.open(seq, now.Add(time.Duration(n)*time.Hour))
		x.add(testKey(n), seq)
		seq++
	}
	for n := range 6 {
		if got, ok := x.find(testKey(n)); !ok || got != uint32(math.MaxUint32-2)+uint32(n) {
			t.Errorf("find(%d) = %d, %v", n, got, ok)
		}
	}
	x.remove(testKey(3), seq-3)
	if _, ok := x.find(testKey(3)); ok || x.live != 5 {
		t.Errorf("removed entry is known: %v, %d entries", ok, x.live)
	}
	x.remove(testKey(4), 99)
	if _, ok := x.find(testKey(4)); !ok {
		t.Error("an entry of another group was removed")
	}
	x.open(seq, now.Add(remember+2*time.Hour))
	if _, ok := x.find(testKey(0)); ok {
		t.Error("the generation before the wrap is known after its day")
	}
	if _, ok := x.find(testKey(5)); !ok {
		t.Error("the generation after the wrap is forgotten")
	}
}

// TestIndexBytesPerEntry holds the figure that Options.DedupEvents gives, while
// the index fills and while it forgets. A process of its own has no other
// test's memory to give back meanwhile.
func TestIndexBytesPerEntry(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	if os.Getenv(childEnv) == "" {
		if out, err := child(t, t.TempDir()).Output(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	const limit = 400_000
	for _, entries := range []int{100_000, 300_000, 2 * limit} {
		x := newIndex(limit)
		h := hasher{seed: 1}
		var id []byte
		for n := range entries {
			if n%1000 == 0 {
				x.open(uint32(n/1000), time.Unix(1e9, 0))
			}
			id = strconv.AppendInt(id[:0], int64(n), 36)
			x.add(h.event("shop", string(id)), uint32(n/1000))
		}
		with := heapBytes()
		runtime.KeepAlive(x)
		x = nil
		per := float64(with-heapBytes()) / float64(min(entries, limit))
		t.Logf("%d entries of at most %d: %.1f bytes each", entries, limit, per)
		if per > 42 || per < 20 {
			t.Errorf("%.1f bytes an entry, the documents promise at most 42", per)
		}
	}
}

func heapBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkIndex(b *testing.B) {
	x := newIndex(1_000_000)
	now := time.Unix(1e9, 0)
	h := hasher{seed: 1}
	var id []byte
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		if n%100 == 0 {
			x.open(uint32(n/100), now)
		}
		id = strconv.AppendInt(id[:0], int64(n), 36)
		k := h.event("shop", string(id))
		if _, ok := x.find(k); !ok {
			x.add(k, uint32(n/100))
		}
		n++
	}
}
