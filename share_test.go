// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

func TestAShareIsAPartOfTheVisitors(t *testing.T) {
	tests := []struct {
		give string
		want share // -1 for one that is refused
	}{
		{"0", 0}, {"2500", 2500}, {"10000", 10000}, {"25%", 2500}, {"12.34%", 1234}, {"0.01%", 1}, {"100%", 10000}, {"1e3", 1000},
		{"10001", -1}, {"-1", -1}, {"0.001%", -1}, {"12.5", -1}, {"101%", -1}, {"", -1}, {"%", -1}, {"half", -1}, {"NaN", -1}, {"Inf", -1},
	}
	for _, tt := range tests {
		got := share(-1)
		err := got.Set(tt.give)
		if got != tt.want || (err != nil) != (tt.want < 0) {
			t.Errorf("%q is %d, %v; want %d", tt.give, got, err, tt.want)
		}
	}
	if got := share(1250); got.String() != "12.5%" {
		t.Errorf("1250 reads %s", got.String())
	}
}
