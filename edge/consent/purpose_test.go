// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestRowsAreTheWireFormat(t *testing.T) {
	want := []string{"storage", "measure", "context", "profile", "personalise", "share", "geo", "device"}
	list := Rows()
	if len(list) != len(want) {
		t.Fatalf("%d rows, want %d", len(list), len(want))
	}
	for i, row := range list {
		if row.Bit != 1<<i || row.Name != want[i] {
			t.Errorf("row %d is %s with bit %d, want %s with bit %d", i, row.Name, row.Bit, want[i], 1<<i)
		}
		if strings.Count(row.Text, ".") != 1 || !strings.HasSuffix(row.Text, ".") {
			t.Errorf("%s is explained by %q, want one sentence", row.Name, row.Text)
		}
	}
	if All != 255 {
		t.Errorf("All is %d, want 255", All)
	}
	list[0].Name = "changed by a caller"
	if Rows()[0].Name != "storage" {
		t.Error("a caller can change the table")
	}
}

func TestPurposesText(t *testing.T) {
	tests := []struct {
		give  Purposes
		want  string
		names []string
	}{
		{0, "none", []string{}},
		{Storage | Context, "storage+context", []string{"storage", "context"}},
		{Device | Measure, "measure+device", []string{"measure", "device"}},
		{Geo | 1<<8, "geo+0x100", []string{"geo"}},
		{All, "storage+measure+context+profile+personalise+share+geo+device",
			[]string{"storage", "measure", "context", "profile", "personalise", "share", "geo", "device"}},
	}
	for _, tt := range tests {
		if got := tt.give.String(); got != tt.want {
			t.Errorf("%d is %q, want %q", uint32(tt.give), got, tt.want)
		}
		if got := tt.give.Names(); !slices.Equal(got, tt.names) {
			t.Errorf("%d is named %q, want %q", uint32(tt.give), got, tt.names)
		}
		if back, err := ParsePurposes(tt.names...); err != nil || back != tt.give&All {
			t.Errorf("ParsePurposes(%q) = %v, %v, want %v", tt.names, back, err, tt.give&All)
		}
	}
}

func TestHas(t *testing.T) {
	p := Storage | Measure
	if !p.Has(0) || !p.Has(Storage) || !p.Has(Storage|Measure) {
		t.Error("a set does not have its own members")
	}
	if p.Has(Context) || p.Has(Storage|Context) {
		t.Error("a set has what is not in it")
	}
}

func TestParsePurposesRefusesUnknownNames(t *testing.T) {
	for _, name := range []string{"", "Storage", "storage ", "personalize", "all", strings.Repeat("x", 1000)} {
		got, err := ParsePurposes("context", name)
		if !errors.Is(err, ErrUnknownPurpose) || got != 0 {
			t.Errorf("ParsePurposes(%.20q) = %v, %v, want ErrUnknownPurpose and nothing", name, got, err)
		} else if len(err.Error()) > 100 {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	}
}

func TestSetJSON(t *testing.T) {
	for bits := range Purposes(256) {
		data, err := json.Marshal(Set(bits))
		if err != nil {
			t.Fatal(err)
		}
		var back Set
		if err := json.Unmarshal(data, &back); err != nil || Purposes(back) != bits {
			t.Fatalf("%v became %s and then %v, %v", bits, data, Purposes(back), err)
		}
	}
	if data, _ := json.Marshal(Set(Context | Storage)); string(data) != `["storage","context"]` {
		t.Errorf("a set is written as %s", data)
	}
	if data, _ := json.Marshal(Set(0)); string(data) != `[]` {
		t.Errorf("the empty set is written as %s", data)
	}
	if _, err := json.Marshal(Set(1 << 9)); !errors.Is(err, ErrUnknownPurpose) {
		t.Errorf("a bit that is no purpose: %v, want ErrUnknownPurpose", err)
	}
	kept := Set(Geo)
	for _, text := range []string{`["geo","ads"]`, `"geo"`, `3`, `[1]`, `{"geo":true}`} {
		if err := json.Unmarshal([]byte(text), &kept); err == nil || Purposes(kept) != Geo {
			t.Errorf("%s was read as %v, %v", text, Purposes(kept), err)
		}
	}
	if data, err := json.Marshal(Context | Storage); err != nil || string(data) != "5" {
		t.Errorf("Purposes are %s on the wire, want 5", data)
	}
}
