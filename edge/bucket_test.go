// SPDX-License-Identifier: Apache-2.0

package edge

import "testing"

// The wanted numbers are the published vectors of GrowthBook's SDKs for hash
// version 2, times 10,000.
func TestBucketAgreesWithGrowthBook(t *testing.T) {
	tests := []struct {
		salt, visitor string
		want          int
	}{
		{"seed", "a", 505},
		{"seed", "b", 2696},
		{"foo", "ab", 2575},
		{"foo", "def", 2019},
		{"89123klj", "8952klfjas09ujkasdf", 1240},
		{"90850943850283058242805", "123", 7516},
		{"()**(%$##$%#$#", "___)((*\":&", 128},
	}
	for _, tt := range tests {
		if got := Bucket(tt.salt, tt.visitor); got != tt.want {
			t.Errorf("Bucket(%q, %q) = %d, want %d", tt.salt, tt.visitor, got, tt.want)
		}
	}
}
