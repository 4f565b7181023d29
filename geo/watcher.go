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
	"time"
)

// maxFileBytes bounds what is read into memory: about three times the largest
// database of this schema that is sold.
const maxFileBytes = 1 << 30

// A watcher puts the file at path into service in db, at first and whenever it
// has changed. It belongs to the goroutine that calls it.
type watcher struct {
	db     *DB
	path   string
	logger *slog.Logger

	tried    os.FileInfo // the file last opened, whether it serves or was refused
	changing os.FileInfo // a file seen once that differs from tried
	missing  bool        // the file could not be looked at the last time
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

// poll reloads the file if it has changed and then stayed the same since the
// poll before. A refused file is not tried again until it changes.
func (w *watcher) poll() {
	now, err := os.Stat(w.path)
	if err != nil {
		if !w.missing {
			w.refuse(err)
		}
		w.missing = true
		return
	}
	w.missing = false
	switch {
	case sameFile(now, w.tried):
		w.changing = nil
	case sameFile(now, w.changing):
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
	status := w.db.Status()
	w.logger.Info("geo database reloaded", "file", status.Source, "type", status.Type, "built", status.Built)
}

func (w *watcher) refuse(err error) {
	w.db.reloadErrors.Add(1)
	w.logger.Error("geo database refused, the one before goes on serving",
		"file", w.name(), "error", err)
}

// open reads and verifies the file aside and puts it into service. On an error
// what was serving stays. A Locate under way finishes with the database that it
// began with.
func (w *watcher) open() error {
	w.changing = nil
	info, data, err := readFile(w.path)
	if info != nil {
		w.tried = info
	}
	if err != nil {
		return fmt.Errorf("read database: %w", err)
	}
	next, err := openDatabase(data, w.name(), w.db.countries)
	if err != nil {
		return fmt.Errorf("open %s: %w", w.name(), err)
	}
	if err := next.verify(data); err != nil {
		return fmt.Errorf("verify %s: %w", w.name(), err)
	}
	w.db.current.Store(next)
	return nil
}

// name is the part of the path that is shown.
func (w *watcher) name() string { return filepath.Base(w.path) }

// readFile returns the file's bytes and what it was like before they were read:
// if it changes meanwhile, the next poll sees that it did.
func readFile(path string) (os.FileInfo, []byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	// Opening a pipe would wait for its writer.
	if !info.Mode().IsRegular() {
		return info, nil, errors.New("not a regular file")
	}
	if info.Size() > maxFileBytes {
		return info, nil, fmt.Errorf("%d bytes are too many: at most %d", info.Size(), maxFileBytes)
	}
	file, err := os.Open(path)
	if err != nil {
		return info, nil, err
	}
	data := make([]byte, info.Size())
	_, err = io.ReadFull(file, data)
	return info, data, errors.Join(err, file.Close())
}

// sameFile reports whether a and b are one file with the same content, as far
// as its identity, size and time tell. Nil equals nothing.
func sameFile(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) &&
		a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
