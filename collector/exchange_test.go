// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"reflect"
	"testing"

	"github.com/nearside/nearside/edge"
)

// A beacon is read without forgetting an earlier one first: that has been done.
func TestAFreeExchangeHoldsNoBeacon(t *testing.T) {
	d := newDrill(t, []byte(beaconOf(usual, say{
		"page":     say{"id": "p1", "url": "https://shop.example/", "ref": "https://a.example/", "title": "A", "tags": []string{"a", "b"}, "type": 1},
		"client":   say{"langs": []string{"fr"}, "viewport": []int{1, 2}, "screen": []int{1, 2}, "tz": "Europe/Paris"},
		"events":   append(eventsOf("a", "b"), say{"id": "c"}),
		"slots":    []any{"hero", say{"name": "bare", "limit": 2, "item": "\u00e9\n"}, 3},
		"shown":    []string{"a"},
		"state":    "\u0041",
		"identify": "a",
		"why":      true,
	})))
	var x exchange
	x.hear(&d.ctx)
	if err := d.answerBeacon(&x); err != nil {
		t.Fatal(err)
	}
	if len(x.beacon.Events) == 0 || len(x.beacon.Slots) == 0 || len(x.decoder.Rejected()) == 0 || len(x.decoder.passedOver()) == 0 {
		t.Fatalf("the beacon is not what it should be: %+v", x.beacon)
	}
	x.free()
	held := x.beacon
	held.Page.Tags, held.Client.Langs, held.Consent.GPPSections, held.Events, held.Slots, held.Shown = nil, nil, nil, nil, nil, nil
	if lists := len(x.beacon.Page.Tags) + len(x.beacon.Client.Langs) + len(x.beacon.Events) + len(x.beacon.Slots) + len(x.beacon.Shown) + len(x.beacon.Consent.GPPSections); lists > 0 || !reflect.DeepEqual(held, edge.Beacon{}) {
		t.Errorf("the beacon holds %+v", x.beacon)
	}
	scratch := x.decoder.scan.scratch
	x.decoder.scan.scratch = nil
	if len(scratch) > 0 || !reflect.DeepEqual(x.decoder.scan, scanner{}) || x.decoder.trail != (trail{}) || len(x.decoder.Rejected())+len(x.decoder.passedOver()) > 0 || x.decoder.mayPass {
		t.Errorf("the decoder holds %+v", x.decoder)
	}
}
