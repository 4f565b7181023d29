// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	brrr "github.com/molecule-man/go-brrr"
)

// The most that visitors may be made to load, compressed as hard as it goes.
const (
	maxBrotliBytes = 4096
	maxGzipBytes   = 4608
)

func TestBundlesAreWhatTheSourcesGive(t *testing.T) {
	for _, output := range outputs {
		t.Run(output.name, func(t *testing.T) {
			want, err := bundle("..", output.drop)
			if err != nil {
				t.Fatal(err)
			}
			have, err := os.ReadFile(filepath.Join("..", "dist", output.name))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(have, want) {
				t.Errorf("dist/%s is not what the sources give: run go run ./tag/build", output.name)
			}
			again, err := bundle("..", output.drop)
			if err != nil || !bytes.Equal(again, want) {
				t.Errorf("two builds of the same sources differ (%v)", err)
			}
		})
	}
}

func TestTheTagStaysSmall(t *testing.T) {
	for _, output := range outputs {
		js, err := bundle("..", output.drop)
		if err != nil {
			t.Fatal(err)
		}
		br := compressedBytes(t, js, func(w io.Writer) (io.WriteCloser, error) { return brrr.NewWriter(w, 11) })
		gz := compressedBytes(t, js, func(w io.Writer) (io.WriteCloser, error) {
			return gzip.NewWriterLevel(w, gzip.BestCompression)
		})
		t.Logf("%s: %d B raw, %d B gzip, %d B brotli", output.name, len(js), gz, br)
		if output.name == "tag.js" && (br > maxBrotliBytes || gz > maxGzipBytes) {
			t.Errorf("%s takes %d B brotli and %d B gzip, want at most %d and %d",
				output.name, br, gz, maxBrotliBytes, maxGzipBytes)
		}
	}
}

func compressedBytes(t *testing.T, data []byte, open func(io.Writer) (io.WriteCloser, error)) int {
	t.Helper()
	var buf bytes.Buffer
	w, err := open(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Len()
}
