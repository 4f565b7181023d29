// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// FormatVersion is the version of the data directory that this program writes.
//
//	1  events and releases
//	2  and modules, notes, the audit log and decision records. A program that
//	   knows 1 would publish without an entry in the audit log.
//	3  and marks of the log's readers, whom they must forget, and dead letters. A
//	   program that knows 2 would show what is to be forgotten.
//	4  and packed frames of events and decision records. A program that knows 3
//	   would take them for damaged ones.
//	5  and a ring of sealing keys, and messages of logs that were written anew. A
//	   program that knows 4 would seal with the first key again and open nothing
//	   that another sealed, and it would not find the messages.
//
// Opening a directory of an older version brings it to this one; what it lacks
// is made beside what it holds.
const FormatVersion = 5

// The parts of a data directory. Others may keep files of their own beside
// them.
const (
	formatFile = "format"
	lockFile   = "lock"
	serverDir  = "jetstream" // the name is the server's choice
	probeFile  = "probe"
)

// ErrLocked reports a data directory that another process has open.
var ErrLocked = errors.New("data directory is in use by another process")

// ErrFormat reports a data directory that this program cannot read: written by
// a newer one, or not a data directory.
var ErrFormat = errors.New("data directory format")

// openDir makes dir if need be, locks it and checks its format. The lock goes
// with the returned file, and with the process.
func openDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Join(dir, serverDir), 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	if err := checkFormat(dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// lockDir locks a directory for this process.
func lockDir(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	switch err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = fmt.Errorf("%w: %s", ErrLocked, dir)
		return nil, errors.Join(err, lock.Close())
	case err != nil:
		err = fmt.Errorf("lock data directory: %w", err)
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// checkFormat reads the format file, or writes it into a directory without
// data. It writes the newer version before anything that needs it is there.
func checkFormat(dir string) error {
	name := filepath.Join(dir, formatFile)
	text, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		stored, err := os.ReadDir(filepath.Join(dir, serverDir))
		if err != nil {
			return fmt.Errorf("read data directory: %w", err)
		}
		if len(stored) > 0 {
			return fmt.Errorf("%w: %s holds data but no %s file: is it what a restore left that did not end?", ErrFormat, dir, formatFile)
		}
		return writeFormat(dir, name)
	case err != nil:
		return fmt.Errorf("read format file: %w", err)
	}
	version, err := strconv.Atoi(strings.TrimSpace(string(text)))
	switch {
	case err != nil || version < 1:
		return fmt.Errorf("%w: %s does not hold a version", ErrFormat, name)
	case version > FormatVersion:
		return fmt.Errorf("%w: %s has version %d, this program knows versions up to %d: use a newer program", ErrFormat, dir, version, FormatVersion)
	case version < FormatVersion:
		return writeFormat(dir, name)
	}
	return nil
}

func writeFormat(dir, name string) error {
	if err := writeSynced(name, []byte(strconv.Itoa(FormatVersion)+"\n")); err != nil {
		return fmt.Errorf("write format file: %w", err)
	}
	if err := syncFile(dir); err != nil {
		return fmt.Errorf("write format file: %w", err)
	}
	return nil
}

// writeSynced writes a file so that it is whole or absent, whenever the
// machine stops.
func writeSynced(name string, text []byte) error {
	temp := name + ".new"
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp)) // it takes room
	}
	return nil
}

// syncStored brings to disk whatever an earlier process wrote there and did
// not live to sync. Without it an event that the log holds only in the
// system's memory would be taken for kept when it comes again.
func syncStored(dir string) error {
	return filepath.WalkDir(filepath.Join(dir, serverDir), func(path string, d fs.DirEntry, err error) error {
		if err == nil && (d.IsDir() || strings.HasSuffix(path, ".blk")) {
			err = syncFile(path)
		}
		if err != nil {
			return fmt.Errorf("sync stored data: %w", err)
		}
		return nil
	})
}

// holdsData reports whether a stream has messages on disk, or may have.
func holdsData(dir, stream string) bool {
	blocks, err := os.ReadDir(filepath.Join(dir, serverDir, "$G", "streams", stream, "msgs"))
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	return err != nil || slices.ContainsFunc(blocks, func(d fs.DirEntry) bool {
		info, err := d.Info()
		return strings.HasSuffix(d.Name(), ".blk") && (err != nil || info.Size() > 0)
	})
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// probeDisk reports whether the disk takes a group's worth of bytes again.
func probeDisk(dir string) error {
	name := filepath.Join(dir, probeFile)
	err := writeSynced(name, make([]byte, 2*MaxFrameBytes))
	os.Remove(name)
	os.Remove(name + ".new")
	if err != nil {
		return fmt.Errorf("probe disk: %w", err)
	}
	return nil
}
