// SPDX-License-Identifier: Apache-2.0

package geo

import (
	"fmt"
	"strings"
	"sync"
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

func TestNamedZonesAreBounded(t *testing.T) {
	var zones namedZones
	if zone := zones.find("Europe/Paris"); zone == nil || zone.String() != "Europe/Paris" {
		t.Fatalf("find(Europe/Paris) = %v", zone)
	}
	for i := range 2 * maxNamedZones {
		if zone := zones.find(fmt.Sprintf("No/Zone%d", i)); zone != nil {
			t.Fatalf("an invented name has zone %v", zone)
		}
	}
	if n := len(*zones.known.Load()); n != maxNamedZones {
		t.Errorf("%d names are kept, want %d", n, maxNamedZones)
	}
	if zone := zones.find("Europe/Paris"); zone == nil {
		t.Error("a name that was known is forgotten when the table is full")
	}
	if zone := zones.find("Asia/Tokyo"); zone != nil {
		t.Errorf("a new name has zone %v though the table is full", zone)
	}
}

func TestHammerNamedZones(t *testing.T) {
	names := []string{"Europe/Paris", "Asia/Tokyo", "America/New_York", "No/Zone", "Australia/Sydney", "Africa/Cairo"}
	var zones namedZones
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			for i := range 200 {
				name := names[(worker+i)%len(names)]
				zone := zones.find(name)
				if (zone == nil) != (name == "No/Zone") || zone != nil && zone.String() != name {
					t.Errorf("find(%s) = %v", name, zone)
					return
				}
			}
		})
	}
	wait.Wait()
	if n := len(*zones.known.Load()); n != len(names) {
		t.Errorf("%d names are kept, want %d", n, len(names))
	}
}
