// SPDX-License-Identifier: Apache-2.0

package datafile

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAnyOtherPackageIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "some.tgz")
	if err := os.WriteFile(path, tarOf(t, "package/data", "another database"), 0o600); err != nil {
		t.Fatal(err)
	}
	pinned := Package{Spec: "@some/data@1.0.0", Integrity: "sha512-" + strings.Repeat("A", 86) + "=="}
	if _, err := pinned.File(path, "package/data"); !errors.Is(err, ErrIntegrity) {
		t.Errorf("File error = %v, want %v", err, ErrIntegrity)
	}
}

func TestExtract(t *testing.T) {
	got, err := extract(tarOf(t, "package/data", "the database"), "package/data")
	if err != nil || string(got) != "the database" {
		t.Errorf("extract = %q, %v", got, err)
	}
	if _, err := extract(tarOf(t, "package/other", "x"), "package/data"); err == nil {
		t.Error("extract of a file that is not there gave no error")
	}
}

func TestReadBounded(t *testing.T) {
	if got, err := readBounded(bytes.NewReader([]byte("1234")), 4); err != nil || len(got) != 4 {
		t.Errorf("readBounded of 4 bytes = %q, %v", got, err)
	}
	if _, err := readBounded(bytes.NewReader([]byte("12345")), 4); err == nil {
		t.Error("readBounded of 5 bytes gave no error")
	}
}

func tarOf(t *testing.T, name, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	gz := gzip.NewWriter(&out)
	files := tar.NewWriter(gz)
	if err := files.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(files.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestFileNameIsNpms(t *testing.T) {
	for spec, want := range map[string]string{
		"@some/data@1.0.0": "some-data-1.0.0.tgz",
		"data@1.0.0":       "data-1.0.0.tgz",
	} {
		if got := (Package{Spec: spec}).fileName(); got != want {
			t.Errorf("fileName of %s = %s, want %s", spec, got, want)
		}
	}
}

func TestPutChecks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table")
	if err := Put(path, []byte("a"), true); err == nil {
		t.Error("a file that is missing passes the check")
	}
	if err := Put(path, []byte("a"), false); err != nil {
		t.Fatal(err)
	}
	if err := Put(path, []byte("a"), true); err != nil {
		t.Error(err)
	}
	if err := Put(path, []byte("b"), true); err == nil {
		t.Error("another file passes the check")
	}
}
