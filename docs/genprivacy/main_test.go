// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"os"
	"testing"
)

func TestDocumentIsWhatTheEngineDoes(t *testing.T) {
	want, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../PRIVACY.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/PRIVACY.md is not what the engine does; run: make generate")
	}
}

func TestEventMembersNeedTheirPurposes(t *testing.T) {
	members, err := eventMembers()
	if err != nil {
		t.Fatal(err)
	}
	needs := make(map[string]string)
	for _, m := range members {
		needs[m.Name] = m.Needs
	}
	for name, want := range map[string]string{
		"name":         "",
		"page.path":    "",
		"visitor.id":   "storage",
		"session":      "storage",
		"geo.country":  "context",
		"geo.lat":      "geo",
		"click.id":     "share",
		"device.model": "device",
	} {
		got, ok := needs[name]
		if !ok {
			t.Errorf("no member %s in an event of a visitor who granted everything", name)
		} else if got != want {
			t.Errorf("%s needs %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"recent", "bought", "cart", "interests", "counters"} {
		if _, ok := needs[name]; ok {
			t.Errorf("an event holds %s, which personalise unlocks", name)
		}
	}
}
