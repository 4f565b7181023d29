// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWritePattern(t *testing.T) {
	tests := []struct {
		name, give string
		want       []string // nil if it is refused
	}{
		{"a text", `Googlebot\/`, []string{"=Googlebot/"}},
		{"a beginning", `^curl`, []string{"^curl"}},
		{"either case", `[wW]get`, []string{"=Wget", "=wget"}},
		{"either case of two letters", `[cC]laude[bB]ot`, []string{"=ClaudeBot", "=Claudebot", "=claudeBot", "=claudebot"}},
		{"a choice", `Ahrefs(Bot|SiteAudit)`, []string{"=AhrefsBot", "=AhrefsSiteAudit"}},
		{"a choice of beginnings", `(^| )PTST\/`, []string{"= PTST/", "^PTST/"}},
		{"a choice of all", `Chirp|gotosocial`, []string{"=Chirp", "=gotosocial"}},
		{"an end", `SSL Labs$`, []string{"~SSL Labs\tSSL Labs$"}},
		{"a class that is too wide", `bot\d+x`, []string{"~bot\tbot\\d+x"}},
		{"nothing that must be there", `\d+\.\d+`, nil},
		{"a short text begins a word", `RED\/`, []string{"-RED/"}},
		{"a short beginning", `^BW\/`, []string{"^BW/"}},
		{"too short", `ab`, nil},
		{"no expression", `(`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := writePattern(tt.give)
			slices.Sort(got)
			if !slices.Equal(got, tt.want) || (err != nil) != (tt.want == nil) {
				t.Errorf("writePattern(%q) = %q, %v, want %q", tt.give, got, err, tt.want)
			}
		})
	}
}

func TestMakeReferrers(t *testing.T) {
	var list strings.Builder
	for i := range 1000 { // as many as the list has at least
		fmt.Fprintf(&list, `"search.site%d.example": {"medium": "search"},`, i)
	}
	give := "{" + list.String() + `
		"www.engine.fr": {"medium": "search"}, "mail.engine.fr": {"medium": "email"}, "maps.engine.fr": {"medium": "unknown"},
		"people.example": {"medium": "social"}, "m.people.example": {"medium": "social"}, "jobs.people.example": {"medium": "unknown"},
		"adverts.example": {"medium": "paid"}, "paths.example/search": {"medium": "search"}, "nodots": {"medium": "social"}, "cnn.com": {"medium": "search"}}`
	made, err := makeReferrers([]byte(give))
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]bool{
		"search =engine.fr": true, "mail mail.engine.fr": true, "social people.example": true,
		"referral jobs.people.example": true,  // the name above says otherwise
		"referral maps.engine.fr":      false, // as it is without a line
		"social m.people.example":      false,
		"mail com.google.android.gm":   true, // a correction
		"search =cnn.com":              false,
	} {
		if got := strings.Contains(string(made), "\n"+line+"\n"); got != want {
			t.Errorf("%q is there: %v, want %v", line, got, want)
		}
	}
	for _, word := range []string{"adverts", "paths", "nodots", "www."} {
		if strings.Contains(string(made), word) {
			t.Errorf("%q is there", word)
		}
	}
	if _, err := makeReferrers([]byte(`{}`)); err == nil {
		t.Error("an empty list is taken")
	}
}

func TestPutChecks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table")
	if err := put(path, []byte("a"), true); err == nil {
		t.Error("a file that is missing passes the check")
	}
	if err := put(path, []byte("a"), false); err != nil {
		t.Fatal(err)
	}
	if err := put(path, []byte("a"), true); err != nil {
		t.Error(err)
	}
	if err := put(path, []byte("b"), true); err == nil {
		t.Error("another file passes the check")
	}
}

func TestReadPackageRefusesAnyOtherPackage(t *testing.T) {
	var out bytes.Buffer
	gz := gzip.NewWriter(&out)
	files := tar.NewWriter(gz)
	if err := files.WriteHeader(&tar.Header{Name: crawlerList.file, Mode: 0o600, Size: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Write([]byte("[]")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(files.Close(), gz.Close()); err != nil {
		t.Fatal(err)
	}
	if got, err := extract(out.Bytes(), crawlerList.file); err != nil || string(got) != "[]" {
		t.Errorf("extract = %q, %v", got, err)
	}
	if _, err := extract(out.Bytes(), "package/other"); err == nil {
		t.Error("a file that is not in the package is found")
	}
	path := filepath.Join(t.TempDir(), crawlerList.tarball)
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := crawlerList.readPackage(path); !errors.Is(err, errIntegrity) {
		t.Errorf("readPackage error = %v, want %v", err, errIntegrity)
	}
}
