// SPDX-License-Identifier: Apache-2.0

package tcf

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge/consent/packed"
	"github.com/nearside/nearside/edge/consent/packed/packedtest"
)

// hostile is a string near the bound that is as much work as can be: ranges of
// single ids in each of the lists, and a restriction of every vendor for every
// purpose and type.
func hostile() string {
	w := head()
	var pairs [][2]uint64
	for id := uint64(1); len(pairs) < 2000; id += 3 {
		pairs = append(pairs, [2]uint64{id, id + 1})
	}
	for range 1 {
		ranges(packed.MaxVendor, pairs...)(w)
	}
	w.Uint(0, 17).Uint(189, 12)
	for purpose := uint64(1); purpose <= 63; purpose++ {
		for kind := range uint64(3) {
			w.Uint(purpose, 6).Uint(kind, 2)
			entries(w, [2]uint64{1, packed.MaxVendor})
		}
	}
	text := w.Text(24)
	rest := (packed.MaxBytes-len(text)-1)*6 - 100
	d := new(packedtest.Writer).Uint(1, 3).Uint(packed.MaxVendor, 16).Uint(1, 1)
	n := min(rest/17, 4095)
	d.Uint(uint64(n), 12)
	for id := range n {
		d.Uint(0, 1).Uint(uint64(id)*2+1, 16)
	}
	return text + "." + d.Text(24)
}

func TestHostileStringIsWithinTheBound(t *testing.T) {
	text := hostile()
	if len(text) > packed.MaxBytes || len(text) < packed.MaxBytes*3/4 {
		t.Fatalf("the hostile string has %d bytes", len(text))
	}
	var s String
	if err := s.Decode(text); err != nil {
		t.Fatal(err)
	}
	if !s.VendorConsents.Has(1) || s.VendorConsents.Has(3) || s.PublisherRestrictions.Len() != 189 {
		t.Error("the hostile string is not what it was made to be")
	}
}

func TestDecodeAllocs(t *testing.T) {
	texts := append([]vector{{Text: hostile()}}, vectors(t)...)
	var s String
	sink := false
	if n := testing.AllocsPerRun(20, func() {
		for i := range texts {
			if err := s.Decode(texts[i].Text); err != nil {
				t.Fatal(err)
			}
			sink = sink != s.VendorConsents.Has(700)
			sink = sink != s.PublisherRestrictions.Of(12)[0].Has(2)
		}
	}); n != 0 {
		t.Errorf("%v allocations for %d strings", n, len(texts))
	}
	runtime.KeepAlive(sink)
}

func FuzzTC(f *testing.F) {
	for i, v := range vectors(f) {
		if i%8 == 0 {
			f.Add(v.Text)
		}
	}
	f.Add(restricted([3]uint64{0, 1, 7}))
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		var s String
		err := s.Decode(text)
		if err != nil {
			refused, ok := errors.AsType[*packed.Error](err)
			if !ok || refused.Code == "" || refused.Field == "" {
				t.Fatalf("an error without code or field: %v", err)
			}
			return
		}
		if len(text) > packed.MaxBytes {
			t.Fatal("longer than the bound")
		}
		checkLists(t, &s)
		var again String
		if err := again.Decode(strings.Clone(text)); err != nil || again.PurposeConsents != s.PurposeConsents {
			t.Fatalf("read again it differs: %v", err)
		}
	})
}

// checkLists holds what is walked to what is listed.
func checkLists(t *testing.T, s *String) {
	for _, list := range []packed.Vendors{s.VendorConsents, s.VendorLegitimateInterests, s.VendorsDisclosed, s.VendorsAllowed} {
		checkRuns(t, list)
	}
	var want [3]packed.Set
	for r := range s.PublisherRestrictions.All() {
		checkRuns(t, r.Vendors)
		if r.Vendors.Has(9) {
			want[r.Type] |= 1 << (r.Purpose - 1)
		}
	}
	if got := s.PublisherRestrictions.Of(9); got != want {
		t.Fatalf("vendor 9 is restricted by %v, listed %v", got, want)
	}
}

func checkRuns(t *testing.T, list packed.Vendors) {
	last := -1
	for first, end := range list.All() {
		if first < 1 || first <= last+1 && last > 0 || end < first || end > packed.MaxVendor {
			t.Fatalf("run %d to %d after %d", first, end, last)
		}
		if !list.Has(first) || !list.Has(end) || list.Has(first-1) || list.Has(end+1) {
			t.Fatalf("run %d to %d is listed and not walked so", first, end)
		}
		last = end
	}
}

func BenchmarkDecode(b *testing.B) {
	all := vectors(b)
	texts, size := []string{}, 0
	for _, v := range all {
		texts, size = append(texts, v.Text), size+len(v.Text)
	}
	b.Run("vectors", func(b *testing.B) {
		b.ReportAllocs()
		b.ReportMetric(float64(size)/float64(len(texts)), "characters")
		var s String
		for i := 0; b.Loop(); i++ {
			if err := s.Decode(texts[i%len(texts)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("hostile", func(b *testing.B) {
		b.ReportAllocs()
		text := hostile()
		var s String
		for b.Loop() {
			if err := s.Decode(text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
