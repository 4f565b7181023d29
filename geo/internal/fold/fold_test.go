// SPDX-License-Identifier: Apache-2.0

package fold

import "testing"

func TestNamesFold(t *testing.T) {
	tests := []struct{ name, folded, bare string }{
		{"Île-de-France", "ile de france", "ile france"},
		{"Moscow Oblast", "moscow oblast", "moscow"},
		{"Kharkivs’ka Oblast’", "kharkivska oblast", "kharkivska"},
		{"St.-Petersburg", "st petersburg", "st petersburg"},
		{"Łódź Voivodeship", "lodz voivodeship", "lodz"},
		{"  Province  ", "province", "province"},
		{"东京", "", ""},
		{"", "", ""},
	}
	for _, tt := range tests {
		folded := Name(tt.name)
		if bare := Bare(folded); folded != tt.folded || bare != tt.bare {
			t.Errorf("%q folds to %q, bare %q; want %q, %q", tt.name, folded, bare, tt.folded, tt.bare)
		}
	}
}
