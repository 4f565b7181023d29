// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// keyFile is key 0 in the data directory. All that a house's nodes must share of
// keys is in it: the others lie in the store, kept under it.
const keyFile = "key"

// openSealer returns a sealer with the data directory's key, which it makes on
// first use, and when its file was written. The key file is 0600: one that others can
// read is refused, since whoever has it can read and forge every visitor's state.
func openSealer(data string) (*edge.Sealer, time.Time, error) {
	path := filepath.Join(data, keyFile)
	err := makeKey(path)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, time.Time{}, fmt.Errorf("make key: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, time.Time{}, fmt.Errorf("read key: %s has mode %04o and must be 0600", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("read key: %s is not a key in hex", path)
	}
	sealer, err := edge.NewSealer(key)
	return sealer, info.ModTime(), err
}

// makeKey writes a new key whole or not at all: a link fails if the name is
// taken, so two processes agree on one key.
func makeKey(path string) error {
	if _, err := os.Stat(path); err == nil {
		return fs.ErrExist
	}
	var key [edge.KeyBytes]byte
	rand.Read(key[:])
	file, err := os.CreateTemp(filepath.Dir(path), "key-*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if _, err = fmt.Fprintln(file, hex.EncodeToString(key[:])); err == nil {
		err = file.Sync()
	}
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Link(file.Name(), path)
}
