// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

func TestThePackageIsReadyForNPM(t *testing.T) {
	out := filepath.Join(t.TempDir(), "package")
	if err := pack("..", out, "1.2.3-beta.1"); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"LICENSE", "README.md", "dist/tag.debug.js", "dist/tag.debug.js.map", "dist/tag.dev.js", "dist/tag.dev.js.map",
		"dist/tag.full.js", "dist/tag.full.js.map", "dist/tag.js", "dist/tag.js.map", "dist/tag.json",
		"dist/tag.measure.js", "dist/tag.measure.js.map", "index.d.ts", "index.js", "package.json",
	}
	for _, name := range want {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s is missing or empty (%v)", name, err)
		}
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("no npm on this machine: make test installs it")
	}
	command := exec.Command(npm, "pack", "--dry-run", "--json", "--offline")
	command.Dir = out
	said, err := command.Output()
	if err != nil {
		t.Fatalf("npm pack: %v", err)
	}
	var packed []struct {
		Name, Version string
		Files         []struct{ Path string }
	}
	if err := json.Unmarshal(said, &packed); err != nil || len(packed) != 1 {
		t.Fatalf("npm pack said %s (%v)", said, err)
	}
	var got []string
	for _, f := range packed[0].Files {
		got = append(got, f.Path)
	}
	slices.Sort(got)
	if packed[0].Name != "@nearside/tag" || packed[0].Version != "1.2.3-beta.1" || !slices.Equal(got, want) {
		t.Errorf("npm packs %s %s with %q, want %q", packed[0].Name, packed[0].Version, got, want)
	}
}
