// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/wire from what the tag sends")

func itoa(n int) string { return strconv.Itoa(n) }

// wantGolden compares a beacon the browser sent with testdata/wire, where it is
// kept for whoever reads beacons. What differs from run to run is made equal:
// the page's id and address, the browser's clock and its window.
func wantGolden(t *testing.T, name string, b *beacon) {
	t.Helper()
	raw := string(b.raw)
	if b.Page.ID != "" {
		raw = strings.ReplaceAll(raw, b.Page.ID, "p7Qm2k")
	}
	for pattern, with := range map[string]string{
		`http://(127\.0\.0\.1|localhost):\d+`: "https://shop.example",
		`"(sent|at)":\d+`:                     `"$1":1795305600000`,
		`"(viewport|screen)":\[\d+,\d+\]`:     `"$1":[1000,800]`,
		`"tz":"[^"]*"`:                        `"tz":"Europe/Paris"`,
		`"langs":\[[^\]]*\]`:                  `"langs":["fr-FR","en"]`,
		`"engagement_time_msec":\d+`:          `"engagement_time_msec":2000`,
	} {
		raw = regexp.MustCompile(pattern).ReplaceAllString(raw, with)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, []byte(raw), "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	path := filepath.Join("testdata", "wire", name)
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the beacon is not %s (-update rewrites it):\n%s", path, got.Bytes())
	}
}
