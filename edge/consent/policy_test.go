// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestPolicyJSON(t *testing.T) {
	tests := []struct {
		name string
		give Policy
		want string
	}{
		{"the shipped policy is an empty object", Policy{}, `{}`},
		{"every setting", Policy{
			StrictGPC:           true,
			TCF:                 ByPublisher,
			PurposeOneTreatment: true,
			ContextBeforeAnswer: true,
			Open:                Openings{UK: Set(Measure), USOptOut: Set(Device), Elsewhere: Set(Storage | Context)},
		}, `{"strictGpc":true,"tcf":"publisher","purposeOneTreatment":true,"contextBeforeAnswer":true,"open":{"uk":["measure"],"us-optout":["device"],"elsewhere":["storage","context"]}}`},
		{"a vendor is a number", Policy{TCF: 755}, `{"tcf":755}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data, err := json.Marshal(tt.give)
			if err != nil || string(data) != tt.want {
				t.Fatalf("written as %s, %v, want %s", data, err, tt.want)
			}
			var back Policy
			if err := json.Unmarshal(data, &back); err != nil || back != tt.give {
				t.Errorf("read back as %+v, %v", back, err)
			}
		})
	}
}

func TestPolicyRefuses(t *testing.T) {
	tests := []struct {
		name string
		give string
		want error // nil if any error will do
	}{
		{"an unknown purpose", `{"open":{"elsewhere":["context","tracking"]}}`, ErrUnknownPurpose},
		{"a misspelt setting", `{"strictGcp":true}`, nil},
		{"an unknown class", `{"open":{"eea":["context"]}}`, nil},
		{"the strict class", `{"open":{"strict":["context"]}}`, nil},
		{"storage in the UK before an answer", `{"open":{"uk":["measure","storage"]}}`, ErrNotOpenable},
		{"geo in a US opt-out state before an answer", `{"open":{"us-optout":["geo"]}}`, ErrNotOpenable},
		{"a string for a switch", `{"strictGpc":"yes"}`, nil},
		{"a number for a set", `{"open":{"uk":2}}`, nil},
		{"a list", `[]`, nil},
		{"a TCF reading that is none", `{"tcf":"vendor"}`, ErrTCFReading},
		{"a vendor as a text", `{"tcf":"755"}`, ErrTCFReading},
		{"vendor 0", `{"tcf":0}`, ErrTCFReading},
		{"a vendor that is too large", `{"tcf":65536}`, ErrTCFReading},
		{"a vendor that is no whole number", `{"tcf":7.5}`, ErrTCFReading},
		{"a vendor below 0", `{"tcf":-7}`, ErrTCFReading},
		{"a list of vendors", `{"tcf":[7]}`, ErrTCFReading},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			kept := Policy{StrictGPC: true}
			err := json.Unmarshal([]byte(tt.give), &kept)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("%s: error %v, want %v", tt.give, err, tt.want)
			}
			if kept != (Policy{StrictGPC: true}) {
				t.Errorf("a refused policy changed the one in force to %+v", kept)
			}
		})
	}
}

func TestPolicyThatWasNeverValidatedIsNoWider(t *testing.T) {
	wide := Policy{Open: Openings{UK: Set(All), USOptOut: Set(All), Elsewhere: Set(All)}}
	tests := []struct {
		where Region
		page  PagePolicy
		want  Purposes
	}{
		{Region{Country: "FR"}, USOptOut, 0},
		{Region{Country: "GB"}, UK, Measure},
		{Region{Country: "US"}, USOptOut, All &^ Geo},
	}
	for _, tt := range tests {
		s := Signals{Claimed: All, PagePolicy: tt.page}
		if got := Evaluate(&s, &wide, tt.where, testNow); got.Granted != tt.want {
			t.Errorf("%v grants %v, want %v", tt.where, got.Granted, tt.want)
		}
	}
}

func TestParsePagePolicy(t *testing.T) {
	tests := []struct {
		word string
		want PagePolicy
		ok   bool
	}{
		{"", Strict, true},
		{"strict", Strict, true},
		{"uk", UK, true},
		{"us-optout", USOptOut, true},
		{"elsewhere", Strict, false},
		{"US-OPTOUT", Strict, false},
		{"none", Strict, false},
	}
	for _, tt := range tests {
		if got, ok := ParsePagePolicy([]byte(tt.word)); got != tt.want || ok != tt.ok {
			t.Errorf("ParsePagePolicy(%q) = %v, %t, want %v, %t", tt.word, got, ok, tt.want, tt.ok)
		}
		if tt.ok && tt.word != "" && tt.want.String() != tt.word {
			t.Errorf("%q is shown as %q", tt.word, tt.want)
		}
	}
}

func TestRegionClass(t *testing.T) {
	all := map[Class][]string{
		Strict: {"AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE", "IT", "LV",
			"LT", "LU", "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE", // 27 members
			"IS", "LI", "NO", "CH", "AX", "GF", "GP", "MF", "MQ", "RE", "YT", "EU", "GG", "GI", "IM", "JE",
			"", "XX", "ZZ", "gb", "us", "U", "USA", "T1", "\xff\xfe", "United States"},
		UK:        {"GB"},
		Elsewhere: {"JP", "BR", "CA", "AU", "CN", "RU", "SA", "PR", "XK"},
		USOptOut:  {"US"},
	}
	for want, codes := range all {
		for _, code := range codes {
			if got := (Region{Country: code}).class(); got != want {
				t.Errorf("%q is %v, want %v", code, got, want)
			}
		}
	}
	for _, state := range []string{"CA", "VA", "CO", "UT", "CT", "FL", "MT", "OR", "TX", "DE", "IA", "NE", "NH",
		"NJ", "TN", "MN", "MD", "IN", "KY", "RI", "", "ca", "California", "?"} {
		if got := (Region{"US", state}).class(); got != USOptOut {
			t.Errorf("US-%s is %v, want %v", state, got, USOptOut)
		}
	}
	for _, state := range []string{"NY", "WA", "NV", "DC", "AK"} {
		if got := (Region{"US", state}).class(); got != Elsewhere {
			t.Errorf("US-%s is %v, want %v", state, got, Elsewhere)
		}
	}
	if got := (Region{"CA", "TX"}).class(); got != Elsewhere {
		t.Errorf("a Canadian subdivision named as a US state is %v, want %v", got, Elsewhere)
	}
}
