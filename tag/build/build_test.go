// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	brrr "github.com/molecule-man/go-brrr"
)

// limits are the most that visitors may be made to load, in bytes, compressed as
// hard as it goes.
var limits = map[string]struct{ brotli, gzip int }{
	"tag.js":         {4096, 4608},
	"tag.full.js":    {5632, 6400},
	"tag.measure.js": {1950, 2304},
}

func TestBundlesAreWhatTheSourcesGive(t *testing.T) {
	for _, output := range outputs {
		t.Run(output.name, func(t *testing.T) {
			files, err := bundle("..", output)
			if err != nil {
				t.Fatal(err)
			}
			again, err := bundle("..", output)
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range files {
				have, err := os.ReadFile(filepath.Join("..", "dist", f.name))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(have, f.data) {
					t.Errorf("dist/%s is not what the sources give: run make tag", f.name)
				}
				if !bytes.Equal(again[i].data, f.data) {
					t.Errorf("two builds of %s differ", f.name)
				}
			}
		})
	}
}

func TestTheTagStaysSmall(t *testing.T) {
	table, err := os.ReadFile(filepath.Join("..", "..", "docs", "TAG.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, output := range outputs {
		files, err := bundle("..", output)
		if err != nil {
			t.Fatal(err)
		}
		js := files[0].data
		br := compressedBytes(t, js, func(w io.Writer) (io.WriteCloser, error) { return brrr.NewWriter(w, 11) })
		gz := compressedBytes(t, js, func(w io.Writer) (io.WriteCloser, error) {
			return gzip.NewWriterLevel(w, gzip.BestCompression)
		})
		t.Logf("%s: %d B raw, %d B gzip, %d B brotli", output.name, len(js), gz, br)
		row := fmt.Sprintf("| **nearside %s** | %s | %s | **%s** |", output.name, thousands(len(js)), thousands(gz), thousands(br))
		if output.isLoaded && !strings.Contains(string(table), row) {
			t.Errorf("docs/TAG.md has not the row %s", row)
		}
		if limit, ok := limits[output.name]; ok && (br > limit.brotli || gz > limit.gzip) {
			t.Errorf("%s takes %d B brotli and %d B gzip, want at most %d and %d",
				output.name, br, gz, limit.brotli, limit.gzip)
		}
	}
}

// thousands writes a number below a million as the documents do: 4,096.
func thousands(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
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
