// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// TestErasingWhileOthersWriteAndRead: a sink, a follower and publishers go on, and
// each of them has every event of others once and in order.
func TestErasingWhileOthersWriteAndRead(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	bob := edge.PersonKey{0xb0}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	var wg, writers sync.WaitGroup
	var sunk, followed []string
	wg.Go(func() {
		for after := uint64(0); ; {
			f, err := s.Next(t.Context(), after)
			if err != nil {
				return
			}
			after = f.Seq
			for i := range f.Events {
				if e := &f.Events[i]; !e.Erased() && e.Visitor == bob {
					sunk = append(sunk, e.ID)
				}
			}
			if sunk != nil && strings.HasPrefix(sunk[len(sunk)-1], "end") {
				return
			}
			time.Sleep(time.Millisecond) // so that it lies behind
		}
	})
	wg.Go(func() {
		err := s.Events(t.Context(), Query{Site: "shop", Follow: true}, func(e LogEvent) error {
			if e.Visitor == bob {
				followed = append(followed, e.ID)
			}
			if strings.HasPrefix(e.ID, "end") {
				return errEnd
			}
			return nil
		})
		if !errors.Is(err, errEnd) {
			t.Error(err)
		}
	})
	var want []string
	persons := make(chan edge.Person, 1000)
	writers.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			p := edge.Person{Site: "shop", Key: edge.PersonKey{1, byte(i / 20), byte(i / 20 >> 8)}}
			id := fmt.Sprintf("b%d", i)
			publish(t, s, of("shop", id, bob), of("shop", "p"+id, p.Key))
			if want = append(want, id); i%20 == 19 {
				select {
				case persons <- p:
				default:
				}
			}
		}
	})
	writers.Go(func() {
		for ctx.Err() == nil {
			select {
			case p := <-persons:
				if _, err := s.Forget(t.Context(), p); err != nil {
					t.Error(err)
				}
				s.calm = 20 * time.Millisecond
				if err := s.EraseWaiting(t.Context()); err != nil {
					t.Error(err)
				}
			case <-ctx.Done():
			}
		}
	})
	writers.Wait()
	publish(t, s, of("shop", "end", bob))
	wg.Wait()
	want = append(want, "end")
	if !slices.Equal(sunk, want) || !slices.Equal(followed, want) {
		t.Errorf("of %d events a sink has %d, a follower %d", len(want), len(sunk), len(followed))
	}
	if got := s.Stats().ErasedEvents; got < 20 {
		t.Errorf("only %d events were erased", got)
	}
	t.Logf("%d events of others, %d erased", len(want), s.Stats().ErasedEvents)
}

// TestAFullDiskHoldsUpAnErasureAndNobodyElse.
func TestAFullDiskHoldsUpAnErasureAndNobodyElse(t *testing.T) {
	s := open(t, Options{Dir: t.TempDir()})
	fillStores(t, s)
	want := withoutAnn(read(t, s, Query{}))
	free := uint64(0)
	s.room, s.calm = func(string) (uint64, error) { return free, nil }, 0
	if _, err := s.Forget(t.Context(), ann); err != nil { // the request itself is kept
		t.Fatal(err)
	}
	if err := s.EraseWaiting(t.Context()); !errors.Is(err, errNoRoom) {
		t.Fatalf("error %v, want errNoRoom", err)
	}
	publish(t, s, of("blog", "meanwhile", edge.PersonKey{}))
	if got := read(t, s, Query{}); !reflect.DeepEqual(got[:len(want)], want) || len(got) != len(want)+1 {
		t.Errorf("read %v", ids(got))
	}
	if e, err := s.Erasure(ann); err != nil || e.Done() || s.Stats().ErasuresWaiting != 1 || s.Stats().Replaced != 0 {
		t.Errorf("%+v, %v: it waits", e, err)
	}
	free = wipeRoom
	if err := s.EraseWaiting(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkGone(t, s)
}

// TestAnErasureOnASmallDisk fills a file system of its own: an erasure waits for
// room, events go on being stored, and the store behind them never breaks.
func TestAnErasureOnASmallDisk(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no disk of its own can be mounted: %s", out)
	}
	t.Cleanup(func() {
		if err := exec.Command("umount", dir).Run(); err != nil {
			t.Error(err)
		}
	})
	s := open(t, Options{Dir: filepath.Join(dir, "data")})
	fillStores(t, s)
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 80<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	s.calm = 0
	if _, err := s.Forget(t.Context(), ann); err != nil {
		t.Fatal(err)
	}
	if err := s.EraseWaiting(t.Context()); !errors.Is(err, errNoRoom) {
		t.Errorf("error %v, want errNoRoom", err)
	}
	var kept []string
	for i := range 20 {
		id := fmt.Sprintf("m%d", i)
		publish(t, s, large(id, 100_000))
		kept = append(kept, id)
	}
	if st := s.Stats(); st.Replaced != 0 || st.Failed != 0 {
		t.Errorf("%d servers were replaced, %d groups failed", st.Replaced, st.Failed)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := s.EraseWaiting(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkGone(t, s)
	if got := ids(read(t, s, Query{After: 50})); !slices.Equal(got, kept) {
		t.Errorf("read %v, want %v", got, kept)
	}
}

// TestErasingTakesBoundedMemory: however long the log is, a pass holds a piece of
// it.
func TestErasingTakesBoundedMemory(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("it measures memory")
	}
	s := open(t, Options{Dir: t.TempDir()})
	const messages, bytes = 800, 200_000
	for i := range messages {
		events := []edge.Event{large(fmt.Sprintf("m%d", i), bytes), of("shop", fmt.Sprintf("n%d", i), edge.PersonKey{2})}
		if i%40 == 0 {
			events = append(events, of("shop", fmt.Sprintf("a%d", i), ann.Key))
		}
		publish(t, s, events...)
	}
	s.calm = 0
	if _, err := s.Forget(t.Context(), ann); err != nil {
		t.Fatal(err)
	}
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	ctx, stop := context.WithCancel(t.Context())
	var peak uint64
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			runtime.ReadMemStats(&now)
			peak = max(peak, now.HeapAlloc)
			time.Sleep(2 * time.Millisecond)
		}
	})
	if err := s.EraseWaiting(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	watching.Wait()
	checkGone(t, s)
	t.Logf("%d MB of log, %d MB of heap before, %d MB at most", messages*bytes>>20, before.HeapAlloc>>20, peak>>20)
	if grown := int64(peak) - int64(before.HeapAlloc); grown > 100<<20 {
		t.Errorf("it took %d MB for %d MB of log", grown>>20, messages*bytes>>20)
	}
}

// TestAStreamOpensWithoutRoomToErase: what is to be wiped waits.
func TestAStreamOpensWithoutRoomToErase(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	publish(t, s, of("shop", "a1", ann.Key), of("shop", "b1", edge.PersonKey{2}))
	closeStream(t, s)
	if err := errors.Join(os.WriteFile(filepath.Join(dir, wipeFile), []byte(eventStream+" 1\n"), 0o600),
		os.Mkdir(blockFile(dir, eventStream, 1)+".new", 0o700)); err != nil { // no file can be written there
		t.Fatal(err)
	}
	s = open(t, Options{Dir: dir})
	publish(t, s, of("shop", "b2", edge.PersonKey{2}))
	if got := ids(read(t, s, Query{})); !slices.Equal(got, []string{"a1", "b1", "b2"}) {
		t.Errorf("read %v", got)
	}
	if _, err := os.Stat(filepath.Join(dir, wipeFile)); err != nil {
		t.Error(err)
	}
}
