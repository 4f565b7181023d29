// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"strings"
	"testing"
	"time"
)

func TestEveryCountryOfTheTableLoadsItsZone(t *testing.T) {
	countries, err := newCountryZones()
	if err != nil {
		t.Fatal(err)
	}
	before := ""
	lines := 0
	for line := range strings.Lines(countryZoneTable) {
		lines++
		country, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		if code(country, 2, 2) == "" || country <= before {
			t.Errorf("country %q after %q: not a code, or out of order", country, before)
			continue
		}
		before = country
		zone := countries.of(country)
		if zone == nil || zone.String() != name {
			t.Errorf("country %s has zone %v, want %s", country, zone, name)
		}
		if _, err := time.LoadLocation(name); err != nil {
			t.Errorf("country %s: %v", country, err)
		}
	}
	if lines < 248 {
		t.Errorf("%d countries, want those of ISO 3166-1 but BV and HM, and XK", lines)
	}
	for _, country := range []string{"", "BV", "ZZ"} {
		if zone := countries.of(country); zone != nil {
			t.Errorf("country %q has zone %v, want none", country, zone)
		}
	}
}
