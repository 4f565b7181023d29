// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAKilledErasureGoesOn stops the process at each step. Nothing of others is
// lost or doubled, and the next start ends it.
func TestAKilledErasureGoesOn(t *testing.T) {
	if dir := os.Getenv(childEnv); dir != "" {
		eraseUntil(t, dir, os.Getenv("STREAM_TEST_STEP"))
		return
	}
	for _, step := range []string{"rewrite 1", "rewrite 7", "rewritten 1", "rewritten 2", "wipe 1", "wipe 2", "wipe 9", "deleted 1", "deleted 5", "finish 1"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, Options{Dir: dir})
			fillStores(t, s)
			want := withoutAnn(read(t, s, Query{}))
			closeStream(t, s)
			cmd := child(t, dir)
			cmd.Args[1] = "-test.run=^TestAKilledErasureGoesOn$"
			cmd.Env = append(cmd.Env, "STREAM_TEST_STEP="+step)
			if err := cmd.Run(); err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("the child ended with %v", err)
			}
			s = open(t, Options{Dir: dir})
			if got := read(t, s, Query{}); !reflect.DeepEqual(got, want) {
				t.Errorf("after the kill %v\nwant %v", ids(got), ids(want))
			}
			if off := time.Since(s.Now()); off.Abs() > time.Minute {
				t.Errorf("the log's clock is off by %v", off)
			}
			s.calm = 0
			if err := s.EraseWaiting(t.Context()); err != nil {
				t.Fatal(err)
			}
			checkGone(t, s)
			if got := read(t, s, Query{}); !reflect.DeepEqual(got, want) {
				t.Errorf("in the end %v\nwant %v", ids(got), ids(want))
			}
			var followed []LogEvent
			for _, f := range frames(t, s, 0) {
				for i, e := range f.Events {
					if !e.Erased() {
						followed = append(followed, LogEvent{f.Seq, i, f.Received, e})
					}
				}
			}
			if got := ids(followed); !slices.Equal(got, ids(want)) {
				t.Errorf("a sink reads %v\nwant %v", got, ids(want))
			}
			if _, err := os.Stat(filepath.Join(dir, wipeFile)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the wipe file is left: %v", err)
			}
		})
	}
}

// eraseUntil erases ann and kills the process when it reaches a step for the nth
// time. At "deleted" the server has noted that a message is deleted, and has not
// overwritten it.
func eraseUntil(t *testing.T, dir, until string) {
	s := open(t, Options{Dir: dir})
	s.calm = 0
	step, nth := "", 0
	if _, err := fmt.Sscan(until, &step, &nth); err != nil {
		t.Fatal(err)
	}
	kill := func() {
		self, err := os.FindProcess(os.Getpid())
		if err == nil {
			err = self.Kill()
		}
		t.Error(err)
		select {}
	}
	seen := map[string]int{}
	s.reach = func(at string) error {
		if at == "wipe" && step == "deleted" {
			if seen["deleted"]++; seen["deleted"] == nth {
				deleteNamed(t, s)
				kill()
			}
		}
		if seen[at]++; at == step && seen[at] == nth {
			kill()
		}
		return nil
	}
	if _, err := s.Forget(t.Context(), ann); err != nil {
		t.Error(err)
	}
	t.Error(s.EraseWaiting(t.Context()), "and nobody was killed")
}

// deleteNamed deletes what the wipe file names, without overwriting it.
func deleteNamed(t *testing.T, s *Stream) {
	text, err := os.ReadFile(filepath.Join(s.o.Dir, wipeFile))
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(text)) {
		var store string
		var seq uint64
		if _, err := fmt.Sscan(line, &store, &seq); err != nil {
			t.Error(err)
		}
		stream, err := s.broker.js.Stream(t.Context(), store)
		if err == nil {
			err = stream.DeleteMsg(t.Context(), seq)
		}
		if err != nil {
			t.Log(err) // it was wiped before
		}
	}
}

// TestAStoppedErasureGoesOn: a server that was closed in between has noted what its
// files hold, and what is wiped behind its back is in its notes still.
func TestAStoppedErasureGoesOn(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	fillStores(t, s)
	for i := range 50 { // so that they are not in the newest block
		publish(t, s, large(fmt.Sprint("m", i), 200_000))
	}
	want := withoutAnn(read(t, s, Query{}))
	stop := errors.New("stop")
	n := 0
	s.calm = 0
	s.reach = func(step string) error {
		if step != "wipe" {
			return nil
		}
		if n++; n == 3 {
			return stop
		}
		return nil
	}
	if _, err := s.Forget(t.Context(), ann); err != nil {
		t.Fatal(err)
	}
	if err := s.EraseWaiting(t.Context()); !errors.Is(err, stop) {
		t.Fatalf("error %v, want that of the step", err)
	}
	closeStream(t, s)
	s = open(t, Options{Dir: dir})
	if got := read(t, s, Query{}); !reflect.DeepEqual(got, want) {
		t.Errorf("read %v, want %v", ids(got), ids(want))
	}
	count := func() (n uint64) {
		t.Helper()
		err := s.broker.readThrough(t.Context(), s.broker.events, position{subject: eventSubject + "*", seq: 1}, func(message) error { n++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if info, err := s.broker.events.Info(t.Context()); err != nil || info.State.Msgs != count() {
		t.Errorf("the server counts %d messages, %v, and has %d", info.State.Msgs, err, count())
	}
	s.calm = 0
	if err := s.EraseWaiting(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkGone(t, s)
	if got := read(t, s, Query{}); !reflect.DeepEqual(got, want) {
		t.Errorf("in the end %v, want %v", ids(got), ids(want))
	}
}
