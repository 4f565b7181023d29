// SPDX-License-Identifier: Apache-2.0

package sink

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// writeSynced writes a file so that it is whole, old or new, whenever the machine
// stops.
func writeSynced(name string, text []byte) error {
	temp := name + newSuffix
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// discard deletes a file for good, if it is there.
func discard(name string) error {
	if err := os.Rename(name, name+wipeSuffix); errors.Is(err, fs.ErrNotExist) {
		return nil // somebody took it away
	} else if err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(name)); err != nil {
		return err
	}
	return wipe(name + wipeSuffix)
}

// wipe overwrites a file's bytes and deletes it. A file that has another name
// still, because a rewrite was cut off, loses this name only. Where a file system
// writes to new places, the old ones are freed but not overwritten.
func wipe(name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if other, err := os.Stat(strings.TrimSuffix(name, wipeSuffix)); err != nil || !os.SameFile(info, other) {
		zeros := make([]byte, 64<<10)
		for left := info.Size(); left > 0; left -= int64(len(zeros)) {
			if _, err := f.Write(zeros[:min(left, int64(len(zeros)))]); err != nil {
				return err
			}
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return os.Remove(name)
}
