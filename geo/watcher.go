// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// maxFileBytes bounds what is read into memory: about three times the largest
// database of MaxMind's schema that is sold.
const maxFileBytes = 1 << 30

// A watcher puts the files that were given into service in db, at first and
// whenever one of them has changed. It belongs to the goroutine that calls it.
type watcher struct {
	db     *DB
	given  []string // files, or a directory of them
	logger *slog.Logger

	tried    []found // the files last opened, whether they serve or were refused
	changing []found // files seen once that differ from tried
	missing  bool    // the files could not be looked at the last time
}

// A found is a file as it was when it was looked at.
type found struct {
	path string
	info os.FileInfo
}

// run polls until ctx ends.
func (w *watcher) run(ctx context.Context, every time.Duration) {
	defer close(w.db.done)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			w.poll()
		}
	}
}

// poll reloads the files if one has changed and then all stayed the same since
// the poll before. Refused files are not tried again until one changes.
func (w *watcher) poll() {
	now, err := look(w.given)
	if err != nil {
		if !w.missing {
			w.refuse(err)
		}
		w.missing = true
		return
	}
	w.missing = false
	switch {
	case slices.EqualFunc(now, w.tried, same):
		w.changing = nil
	case slices.EqualFunc(now, w.changing, same):
		w.reload()
	default:
		w.changing = now
	}
}

func (w *watcher) reload() {
	if err := w.open(); err != nil {
		w.refuse(err)
		return
	}
	w.db.reloads.Add(1)
	w.tell("geo database reloaded")
}

// tell logs what each file was found to be.
func (w *watcher) tell(what string) {
	status := w.db.Status()
	for _, f := range status.Files {
		attrs := []any{"file", f.Name, "type", f.Type, "shape", f.Shape.String(), "built", f.Built,
			"networks_ipv4", f.NetworksIPv4, "networks_ipv6", f.NetworksIPv6}
		if f.Shape == ShapeFlat {
			attrs = append(attrs, "regions", f.Regions, "regions_unknown", f.RegionsUnknown)
		}
		w.logger.Info(what, attrs...)
	}
}

func (w *watcher) refuse(err error) {
	w.db.reloadErrors.Add(1)
	names := make([]string, len(w.given))
	for i, path := range w.given {
		names[i] = filepath.Base(path)
	}
	w.logger.Error("geo database refused, the one before goes on serving",
		"file", strings.Join(names, ","), "error", err)
}

// open reads the files aside and puts them into service together. On an error
// what was serving stays. A Locate under way finishes with the database that it
// began with.
func (w *watcher) open() error {
	w.changing = nil
	files, err := look(w.given)
	if err != nil {
		return err
	}
	// If a file changes while it is read, the next poll sees that it did.
	w.tried = files
	sources := make([]source, len(files))
	for i, f := range files {
		sources[i] = source{filepath.Base(f.path), f.read}
	}
	next, err := openDatabase(w.db.known, sources...)
	if err != nil {
		return err
	}
	w.db.current.Store(next)
	return nil
}

// look finds the files that given stands for, in the order of given or of
// their names.
func look(given []string) ([]found, error) {
	paths := given
	if len(given) == 1 {
		if info, err := os.Stat(given[0]); err == nil && info.IsDir() {
			if paths, err = filesIn(given[0]); err != nil {
				return nil, err
			}
		}
	}
	if len(paths) > 2 {
		return nil, fmt.Errorf("%d files, want one, or two of one address family each", len(paths))
	}
	files := make([]found, len(paths))
	for i, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		files[i] = found{path, info}
	}
	return files, nil
}

// filesIn returns the databases in a directory, and not those that a careful
// copier is still writing under another name.
func filesIn(directory string) ([]string, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, entry := range entries {
		if name := entry.Name(); filepath.Ext(name) == ".mmdb" && !strings.HasPrefix(name, ".") {
			paths = append(paths, filepath.Join(directory, name))
		}
	}
	switch len(paths) {
	case 1, 2:
		return paths, nil
	case 0:
		return nil, fmt.Errorf("no .mmdb file in %s", filepath.Base(directory))
	default:
		return nil, fmt.Errorf("%d .mmdb files in %s, want one, or two of one address family each", len(paths), filepath.Base(directory))
	}
}

// read returns the file's bytes.
func (f found) read() ([]byte, error) {
	// Opening a pipe would wait for its writer.
	if !f.info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if f.info.Size() > maxFileBytes {
		return nil, fmt.Errorf("%d bytes are too many: at most %d", f.info.Size(), maxFileBytes)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	data := make([]byte, f.info.Size())
	_, err = io.ReadFull(file, data)
	return data, errors.Join(err, file.Close())
}

// same reports whether a and b are one file with the same content, as far as
// its identity, size and time tell. One that is nowhere equals nothing.
func same(a, b found) bool {
	return a.path == b.path && a.info != nil && b.info != nil && os.SameFile(a.info, b.info) &&
		a.info.Size() == b.info.Size() && a.info.ModTime().Equal(b.info.ModTime())
}
