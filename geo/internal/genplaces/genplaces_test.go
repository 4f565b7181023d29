// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"testing"
)

// cityLine is a line of the gazetteer.
func cityLine(country string, lat, lon float64, population int, zone string) string {
	fields := make([]string, columns)
	fields[columnLat], fields[columnLon] = fmt.Sprint(lat), fmt.Sprint(lon)
	fields[columnCountry], fields[columnPopulation], fields[columnZone] = country, fmt.Sprint(population), zone
	return strings.Join(fields, "\t") + "\n"
}

func TestMakeZonesKeepsWhatTellsZonesApart(t *testing.T) {
	gazetteer := cityLine("FR", 48.85, 2.35, 9, "Europe/Paris") +
		cityLine("ES", 40.4, -3.7, 9, "Europe/Madrid") + // the largest of its zone
		cityLine("ES", 41.4, 2.1, 8, "Europe/Madrid") + // nearer to Madrid than to Las Palmas: not needed
		cityLine("ES", 28.1, -15.4, 3, "Atlantic/Canary") +
		cityLine("ES", 35.9, -5.3, 2, "Africa/Ceuta") +
		cityLine("ES", 36.1, -5.4, 1, "Europe/Madrid") // nearer to Ceuta than to Madrid: needed
	got, err := makeZones([]byte(gazetteer))
	if err != nil {
		t.Fatal(err)
	}
	want := "ES Africa/Ceuta 3590,-530\nES Atlantic/Canary 2810,-1540\nES Europe/Madrid 4040,-370 3610,-540\n"
	if string(got) != want {
		t.Errorf("makeZones gave\n%swant\n%s", got, want)
	}
	for _, bad := range []string{"one\tcolumn\n", strings.Replace(gazetteer, "48.85", "north", 1)} {
		if _, err := makeZones([]byte(bad)); err == nil {
			t.Errorf("makeZones of %q gave no error", bad[:10])
		}
	}
}

func TestANameBelongsToOneRegion(t *testing.T) {
	n := naming{taken: make(map[string]string), regions: map[string]*region{
		"ES-MD": {top: true}, "ES-M": {}, "FR-69": {}, "FR-ARA": {top: true},
	}}
	n.add("ES-M", "Madrid")
	n.add("ES-MD", "Madrid [Comunidad]") // takes the name from the region below it
	n.add("ES-M", "Madrid")
	n.add("FR-69", "Rhône (département)")
	n.add("ZZ-1", "Nowhere")
	want := "ES MD madrid;comunidad\nFR 69 rhone;departement\n"
	if got := string(n.write()); got != want {
		t.Errorf("the table is\n%swant\n%s", got, want)
	}
}

func TestMakeRegionsRefuses(t *testing.T) {
	if _, err := makeRegions([]byte("{}"), []byte("code: 'AD-02',\n name: 'Canillo',\n parent: 'AD'"), []byte("[]")); err == nil {
		t.Error("one current code is taken for all of them")
	}
}
