// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// Forget implements Sink. What was gathered becomes files first. A file that
// cannot be read or written anew holds up neither the others nor new ones.
func (d *folder) Forget(ctx context.Context, f edge.Forgetting) error {
	if err := d.commit(); err != nil {
		return err
	}
	person := f.Key.String()
	drop := func(of string, seq uint64) bool { return of == person && seq <= f.Before }
	var left error
	err := d.walk(f.Site, func(name string) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var err error
		switch {
		case strings.HasSuffix(name, d.format.extension()):
			err = d.rewrite(name, drop)
		case strings.HasSuffix(name, wipeSuffix): // one that could not be overwritten before
			if err = wipe(name); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		}
		if err != nil && left == nil {
			left = fmt.Errorf("%w: rewrite %s: %w", ErrLeft, filepath.Base(name), err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return left
}

// rewrite takes events out of a file, if it has any. Its old bytes are
// overwritten.
func (d *folder) rewrite(name string, drop dropper) error {
	old, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // somebody took it away
	}
	if err != nil {
		return err
	}
	defer old.Close()
	if has, err := d.format.holds(old, drop); err != nil || !has {
		return err
	}
	if _, err := old.Seek(0, 0); err != nil {
		return err
	}
	kept, err := d.copyTo(name+newSuffix, old, drop)
	if err != nil {
		os.Remove(name + newSuffix)
		return err
	}
	if kept == 0 {
		os.Remove(name + newSuffix)
		return discard(name)
	}
	if err := os.Link(name, name+wipeSuffix); err != nil {
		return err
	}
	if err := os.Rename(name+newSuffix, name); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(name)); err != nil {
		return err
	}
	return wipe(name + wipeSuffix)
}

func (d *folder) copyTo(name string, old *os.File, drop dropper) (kept int, err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o640)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	w, err := d.format.create(f)
	if err != nil {
		return 0, err
	}
	if kept, err = d.format.copy(w, old, drop); err != nil {
		return 0, err
	}
	return kept, errors.Join(w.finish(), f.Sync())
}

// sweep deletes the files of which no event may be kept any more.
func (d *folder) sweep(now time.Time) error {
	today := now.UTC().Format(untilFormat)
	return d.walk("", func(name string) error {
		base, ok := strings.CutSuffix(name, d.format.extension())
		if at := strings.LastIndex(base, "-until-"); ok && at >= 0 && base[at+len("-until-"):] < today {
			return discard(name)
		}
		return nil
	})
}
