// SPDX-License-Identifier: Apache-2.0

package nearest_test

import (
	"strings"
	"testing"

	"github.com/nearside/nearside/edge/nearest"
)

func TestTheNearestNameIsTheOneThatWasMeant(t *testing.T) {
	known := []string{"geo.country", "geo.city", "device.type", "lang", "now", "Hats"}
	tests := []struct{ name, give, want string }{
		{"a letter left out", "geo.contry", "geo.country"},
		{"two letters exchanged", "dveice.type", "device.type"},
		{"other capitals", "Geo.Country", "geo.country"},
		{"capitals that are known", "hat", "Hats"},
		{"nothing like it", "weather", ""},
		{"a short word with all letters changed", "ab", ""},
		{"nothing", "", ""},
		{"a third of a long name", "device.tip", "device.type"},
		{"far longer than a name", strings.Repeat("x", 1<<20), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := nearest.Of(tt.give, known); got != tt.want {
				t.Errorf("Of(%.20q) = %q, want %q", tt.give, got, tt.want)
			}
			if got := nearest.Hint(tt.give, known); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("Hint(%.20q) = %q, want %q in it", tt.give, got, tt.want)
			}
		})
	}
}

func TestDistanceCountsWhatDiffers(t *testing.T) {
	for _, tt := range []struct {
		a, b        string
		limit, want int
	}{{"", "", 3, 0}, {"hat", "hat", 3, 0}, {"hat", "hut", 3, 1}, {"hat", "hats", 3, 1}, {"kitten", "sitting", 9, 3}, {"a", "abcd", 3, 3}} {
		if got := nearest.Distance(tt.a, tt.b, tt.limit); got != tt.want {
			t.Errorf("Distance(%q, %q, %d) = %d, want %d", tt.a, tt.b, tt.limit, got, tt.want)
		}
	}
}
