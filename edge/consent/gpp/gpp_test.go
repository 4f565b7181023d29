// SPDX-License-Identifier: Apache-2.0

package gpp

import (
	"encoding/json"
	"errors"
	"runtime"
	"testing"

	"github.com/nearside/nearside/edge/consent/packed"
	"github.com/nearside/nearside/edge/consent/packed/packedtest"
)

// hostile is a tcfcav1 near the bound whose three lists of vendors are in
// Fibonacci coding, as many short ranges as fit: the slowest section there is.
func hostile() string {
	const n = 4090
	list := func(w *packedtest.Writer) *packedtest.Writer {
		w.Uint(3*n-1, 16).Uint(1, 1).Uint(n, 12).Bits("1" + "11" + "11") // 1 to 2
		for range n - 1 {
			w.Bits("1" + "011" + "11") // two on, and one more
		}
		return w
	}
	core := list(list(canada())).Uint(0, 12).Text(24)
	return header(TCFCAV1) + "~" + core + "." + list(new(packedtest.Writer).Uint(canadaDisclosed, 3)).Text(24)
}

func TestHostileStringIsWithinTheBound(t *testing.T) {
	text := hostile()
	var g String
	if err := g.Decode(text); err != nil || len(text) > packed.MaxBytes || len(text) < packed.MaxBytes*3/4 {
		t.Fatalf("the hostile string has %d bytes: %v", len(text), err)
	}
	if v := g.TCFCA.DisclosedVendors; !v.Has(1) || !v.Has(2) || v.Has(3) || !v.Has(4) {
		t.Error("the hostile string is not what it was made to be")
	}
}

// The place of the precise location is that of each state's own specification,
// and nothing else in the section is read for it.
func TestLocation(t *testing.T) {
	places := map[string]int{"usca": 3, "usde": 9, "usor": 11, "usco": 0, "usmd": 0} // 8 elsewhere
	for i := range layouts {
		l := &layouts[i]
		place, special := places[l.name]
		if !special {
			place = 8
		}
		most := sensitiveOptional
		for _, f := range l.fields {
			if f.name == sensitiveDataProcessing {
				most = f.count
			}
		}
		for n := 1; n <= most; n++ {
			var g String
			if err := g.Decode(header(l.id) + "~" + withSensitive(l, n)); err != nil {
				t.Fatalf("%s: %v", l.name, err)
			}
			want := 0
			if n == place {
				want = NotOptedOut
			}
			if got := g.Sections()[0].US.Location(); got != want {
				t.Errorf("%s version %d with kind %d: the location is %d, want %d", l.name, l.version, n, got, want)
			}
		}
	}
}

// withSensitive writes a section whose n-th kind of sensitive data alone is
// agreed to.
func withSensitive(l *layout, n int) string {
	list := func(w *packedtest.Writer, count int) {
		for i := 1; i <= count; i++ {
			if i == n {
				w.Uint(NotOptedOut, valueBits)
			} else {
				w.Uint(0, valueBits)
			}
		}
	}
	w := new(packedtest.Writer).Uint(uint64(l.version), versionBits)
	for _, f := range l.fields {
		if f.name == sensitiveDataProcessing {
			list(w, f.count)
		} else {
			w.Uint(0, f.count*valueBits)
		}
	}
	if l.optional != sensitiveSegment {
		return w.Text(24)
	}
	beside := new(packedtest.Writer)
	list(beside, sensitiveOptional)
	return w.Text(24) + "." + beside.Text(24)
}

func TestDecodeAllocs(t *testing.T) {
	all := append([]vector{{Text: hostile()}}, vectors(t)...)
	var g String
	sink := 0
	if n := testing.AllocsPerRun(20, func() {
		for i := range all {
			if err := g.Decode(all[i].Text); err != nil {
				t.Fatal(err)
			}
			for j := range g.Sections() {
				us := &g.Sections()[j].US
				sink += us.Value(SaleOptOut, 1) + us.Location()
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d strings", n, len(all))
	}
	runtime.KeepAlive(sink)
}

func FuzzGPP(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.Text)
	}
	f.Add("DBABLA~" + goodUsnat + ".YA")
	f.Fuzz(func(t *testing.T, text string) {
		var g, again String
		if err := g.Decode(text); err != nil {
			refused, ok := errors.AsType[*packed.Error](err)
			if !ok || refused.Code == "" || refused.Field == "" {
				t.Fatalf("an error without code or field: %v", err)
			}
			return
		}
		if len(text) > packed.MaxBytes || len(g.Sections()) > MaxSections {
			t.Fatal("a bound does not hold")
		}
		last := 0
		for _, s := range g.Sections() {
			if s.ID <= last || g.Section(s.ID).ID != s.ID {
				t.Fatalf("section %d after %d", s.ID, last)
			}
			last = s.ID
			if v := s.US.Value(SaleOptOut, 1); v > 2 || s.US.Value(SaleOptOut, 2) != 0 {
				t.Fatalf("SaleOptOut is %d", v)
			}
		}
		first, err := json.Marshal(g.Model())
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Decode(text); err != nil {
			t.Fatal(err)
		}
		if second, _ := json.Marshal(again.Model()); string(first) != string(second) {
			t.Fatalf("read again it differs: %s, %s", first, second)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	run := func(name string, texts ...string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var g String
			for i := 0; b.Loop(); i++ {
				if err := g.Decode(texts[i%len(texts)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	var texts []string
	for _, v := range vectors(b) {
		texts = append(texts, v.Text)
	}
	run("vectors", texts...)
	run("usca", header(8)+"~BEhpmhGY.YA")
	run("hostile", hostile())
}

// The agreement's version is what the section says first from Maryland on: it is
// read whatever it is, and means nothing unless it is known.
func TestAnUnknownMSPAVersionIsReadAndNotKnown(t *testing.T) {
	for _, tt := range []struct {
		text    string
		version int
		known   bool
	}{{"DBABCYA~AUho.mBI", 0, false}, {"DBABCYA~BUho.mBI", 1, true}, {"DBABCYA~CUho.mBI", 2, false}} {
		var g String
		if err := g.Decode(tt.text); err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		us := &g.Sections()[0].US
		if us.Version() != tt.version || us.IsKnown() != tt.known || us.Value(SaleOptOut, 1) == 0 {
			t.Errorf("%s: version %d, known: %v, SaleOptOut %d", tt.text, us.Version(), us.IsKnown(), us.Value(SaleOptOut, 1))
		}
	}
}
