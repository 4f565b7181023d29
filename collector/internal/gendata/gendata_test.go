// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
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
