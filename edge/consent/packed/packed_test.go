// SPDX-License-Identifier: Apache-2.0

package packed_test

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/nearside/nearside/edge/consent/packed"
	"github.com/nearside/nearside/edge/consent/packed/packedtest"
)

// putRanges writes a list of ids as ranges, in a coding.
func putRanges(w *packedtest.Writer, coding packed.Coding, ids []int) {
	var pairs [][2]int
	for _, id := range ids {
		if n := len(pairs); n > 0 && pairs[n-1][1] == id-1 {
			pairs[n-1][1] = id
		} else {
			pairs = append(pairs, [2]int{id, id})
		}
	}
	w.Uint(uint64(len(pairs)), 12)
	last := 0
	for _, p := range pairs {
		isRange := uint64(0)
		if p[1] > p[0] {
			isRange = 1
		}
		w.Uint(isRange, 1)
		if coding == packed.Fixed {
			w.Uint(uint64(p[0]), 16)
			if p[1] > p[0] {
				w.Uint(uint64(p[1]), 16)
			}
			continue
		}
		w.Bits(packedtest.Fibonacci(p[0] - last))
		if p[1] > p[0] {
			w.Bits(packedtest.Fibonacci(p[1] - p[0]))
		}
		last = p[1]
	}
}

func TestEveryIDInEveryCoding(t *testing.T) {
	for id := 1; id <= packed.MaxVendor; id++ {
		for _, coding := range []packed.Coding{packed.Fixed, packed.Fibonacci} {
			w := new(packedtest.Writer).Uint(5, 3) // not on a byte
			putRanges(w, coding, []int{id})
			var r packed.Reader
			r.Open(w.Text(24), "test")
			r.Uint("", 3)
			v := r.Ranges("ids", coding, packed.MaxVendor)
			r.Close("test")
			if err := r.Err(); err != nil || !v.Has(id) || v.Has(id-1) || v.Has(id+1) {
				t.Fatalf("id %d in coding %d: %v", id, coding, err)
			}
		}
	}
}

func TestAnIDThatIsTooLarge(t *testing.T) {
	for _, steps := range [][]int{{packed.MaxVendor + 1}, {packed.MaxVendor, 1}, {1 << 30}, {40000, 40000}} {
		w := new(packedtest.Writer).Uint(uint64(len(steps)), 12)
		for _, step := range steps {
			w.Uint(0, 1).Bits(packedtest.Fibonacci(step))
		}
		var r packed.Reader
		r.Open(w.Text(24), "test")
		r.Ranges("ids", packed.Fibonacci, packed.MaxVendor)
		if refused, ok := errors.AsType[*packed.Error](r.Err()); !ok || refused.Code != packed.BadRange {
			t.Errorf("steps %v: %v", steps, r.Err())
		}
	}
}

// Lists of chance, at any bit of the text, are the same walked and written out.
func TestListsOfChance(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		var ids []int
		most := 1 + r.IntN(1+r.IntN(packed.MaxVendor))
		for id := 1; id <= most; id += 1 + r.IntN(1+r.IntN(1+most/20)) {
			ids = append(ids, id)
		}
		ids = ids[:min(len(ids), 4000)]
		for _, coding := range []packed.Coding{packed.Fixed, packed.Fibonacci} {
			skip := r.IntN(24)
			w := new(packedtest.Writer).Uint(0, skip)
			w.Uint(uint64(ids[len(ids)-1]), 16).Uint(1, 1)
			putRanges(w, coding, ids)
			text := w.Text(24)
			if len(text) > packed.MaxBytes {
				continue
			}
			var reader packed.Reader
			reader.Open(text, "test")
			reader.Uint("", skip)
			v := reader.Vendors("ids", coding)
			reader.Close("test")
			if err := reader.Err(); err != nil {
				t.Fatal(err)
			}
			got := v.List()
			if len(got) != len(ids) {
				t.Fatalf("%d ids, want %d", len(got), len(ids))
			}
			for i := range ids {
				if got[i] != ids[i] {
					t.Fatalf("id %d is %d, want %d", i, got[i], ids[i])
				}
			}
			for range 20 {
				id := 1 + r.IntN(most)
				in := false
				for _, one := range ids {
					in = in || one == id
				}
				if v.Has(id) != in {
					t.Fatalf("has %d: %t, want %t", id, v.Has(id), in)
				}
			}
		}
	}
}

func TestSets(t *testing.T) {
	for _, n := range []int{0, 1, 12, 24, 31, 32, 33, 63, 64} {
		for id := 1; id <= n; id++ {
			w := new(packedtest.Writer).Uint(0, 5)
			for i := 1; i <= n; i++ {
				bit := uint64(0)
				if i == id {
					bit = 1
				}
				w.Uint(bit, 1)
			}
			var r packed.Reader
			r.Open(w.Text(24), "test")
			r.Uint("", 5)
			if s := r.Set("set", n); len(s.List()) != 1 || !s.Has(id) || s.Has(0) || s.Has(65) {
				t.Errorf("id %d of %d is read as %v", id, n, s.List())
			}
		}
	}
}
