// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"slices"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// A slot's answer depends on what its texts name, as on what its rules read.
func TestWhatATextNamesIsAnInput(t *testing.T) {
	release, err := edge.CompileRelease(editRelease(t, "texts", nil), edgetest.Loader(caseRules()))
	if err != nil {
		t.Fatal(err)
	}
	in := release.Inputs()["hero"]
	want := []string{"device.type", "geo.city", "geo.country", "page.lang", "page.title", "shop.price"}
	if !slices.Equal(in.Reads, want) || consent.Purposes(in.Purposes) != consent.Context|consent.Measure {
		t.Errorf("inputs %+v, want %v under context and measure", in, want)
	}
}
