// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOpenRefusesADirectoryItCannotRead(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, dir string)
		says    string
	}{
		{"written by a newer program", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, formatFile), fmt.Sprintln(FormatVersion+1))
		}, "use a newer program"},
		{"with an empty format file", func(t *testing.T, dir string) { write(t, filepath.Join(dir, formatFile), "") }, "does not hold a version"},
		{"with a version below the first", func(t *testing.T, dir string) { write(t, filepath.Join(dir, formatFile), "0") }, "does not hold a version"},
		{"with data of unknown format", func(t *testing.T, dir string) { write(t, filepath.Join(dir, serverDir, "x"), "") }, "no format file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			tt.prepare(t, dir)
			s, err := Open(Options{Dir: dir})
			if err == nil {
				closeStream(t, s)
			}
			if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("error %v, want ErrFormat that says %q", err, tt.says)
			}
		})
	}
}

// TestOpenBringsAnOlderDirectoryToThisFormat opens what the program before
// format 2 wrote: testdata/format1.tar.gz, which nobody can make again.
func TestOpenBringsAnOlderDirectoryToThisFormat(t *testing.T) {
	dir := t.TempDir()
	unpack(t, "testdata/format1.tar.gz", dir)
	for round := range 2 {
		s := open(t, Options{Dir: dir, MaxAge: 100 * 365 * 24 * time.Hour})
		// The events of the archive live for a day, which is over.
		later(s, time.Until(time.Date(2026, time.November, 27, 2, 0, 0, 0, time.UTC)))
		if text, err := os.ReadFile(filepath.Join(dir, formatFile)); string(text) != fmt.Sprintln(FormatVersion) || err != nil {
			t.Errorf("round %d: the format is %q, %v", round, text, err)
		}
		if got := ids(read(t, s, Query{Site: "shop"})); !slices.Equal(got, []string{"e0", "e1", "e2"}) {
			t.Errorf("round %d: read %v", round, got)
		}
		if got := ids(read(t, s, Query{Site: "blog"})); len(got) != 3+round {
			t.Errorf("round %d: read %v", round, got)
		}
		number, doc, err := s.Release(t.Context(), "shop")
		if number != uint64(2+round) || len(doc) != 200_000 || err != nil {
			t.Errorf("round %d: live is release %d of %d bytes, %v", round, number, len(doc), err)
		}
		if doc, err := s.ReleaseAt(t.Context(), "shop", 1); string(doc) != `{"release":1}` || err != nil {
			t.Errorf("round %d: release 1 is %s, %v", round, doc, err)
		}
		// What it lacked can be used.
		publish(t, s, event("blog", fmt.Sprint("more", round)))
		put(t, s, "shop", number, number+1, string(doc))
		putModule(t, s, []byte("module"))
		putNote(t, s, fmt.Sprint("note", round), `1`, 0)
		appendAudit(t, s, "shop", `1`)
		if got, err := audit(t, s, "shop"); len(got) != 1+round || err != nil {
			t.Errorf("round %d: the audit log tells %v, %v", round, got, err)
		}
		record(s, "shop", "record", time.Now())
		awaitRecords(t, s, 1)
		if got := allRecords(t, s); len(got) != 1+round {
			t.Errorf("round %d: records are %v", round, got)
		}
		closeStream(t, s)
	}
}

// unpack writes the files of an archive below dir.
func unpack(t *testing.T, archive, dir string) {
	t.Helper()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	zip, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(zip); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		text, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, h.Name), string(text))
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestADirectoryIsOpenOnlyOnce(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second Open: error %v, want ErrLocked that names the directory", err)
	}
	publish(t, s, event("shop", "e1"))
	closeStream(t, s)
	again := open(t, Options{Dir: dir})
	if got := ids(read(t, again, Query{})); len(got) != 1 {
		t.Errorf("after closing and opening: %v", got)
	}
}

func TestOpenWantsADirectory(t *testing.T) {
	if _, err := Open(Options{}); err == nil {
		t.Error("opened without a directory")
	}
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	if _, err := Open(Options{Dir: file}); err == nil {
		t.Error("opened a file")
	}
}

func TestTheServerListensNowhere(t *testing.T) {
	srv := open(t, Options{Dir: t.TempDir()}).broker.srv
	for name, addr := range map[string]net.Addr{"clients": srv.Addr(), "cluster": srv.ClusterAddr(), "monitor": srv.MonitorAddr()} {
		if v := reflect.ValueOf(addr); v.IsValid() && !v.IsNil() {
			t.Errorf("it listens for %s at %v", name, addr)
		}
	}
}

func TestDataIsTheOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "data")
	s := open(t, Options{Dir: dir})
	publish(t, s, event("shop", "e1"))
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		seen++
		if perm := info.Mode().Perm(); perm&0o077 != 0 {
			t.Errorf("%s has mode %v", path, perm)
		}
		return err
	})
	if err != nil || seen < 5 {
		t.Errorf("looked at %d files: %v", seen, err)
	}
}

func TestAStreamThatCannotBeLoadedIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	s := open(t, Options{Dir: dir})
	publish(t, s, event("shop", "e1"))
	closeStream(t, s)
	meta := filepath.Join(dir, serverDir, "$G", "streams", eventStream, "meta.inf")
	good, err := os.ReadFile(meta)
	if err != nil {
		t.Fatal(err)
	}
	write(t, meta, "{}")
	if s, err := Open(Options{Dir: dir}); err == nil {
		closeStream(t, s)
		t.Fatal("opened")
	} else if !strings.Contains(err.Error(), "could not load stream EVENTS") {
		t.Errorf("error %v, want one that names the stream", err)
	}
	write(t, meta, string(good))
	if got := ids(read(t, open(t, Options{Dir: dir}), Query{})); len(got) != 1 {
		t.Errorf("after mending the file: %v", got)
	}
}
