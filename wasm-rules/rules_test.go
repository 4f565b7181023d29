// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"errors"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// embedded loads one of the product's own modules.
func embedded(t testing.TB, name, settings string) *rule {
	t.Helper()
	list, err := Embedded().List()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if m.Manifest.Name != name {
			continue
		}
		ref := edge.ModuleRef{Name: name, Version: m.Manifest.Version, Hash: m.Hash, Settings: []byte(settings)}
		r, err := newHost(t, Options{Source: Embedded()}).Load("shop", ref, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r.(*rule)
	}
	t.Fatalf("no module %q", name)
	return nil
}

// choose asks slot 0 and returns the variant's name, "" for no answer.
func choose(t *testing.T, r *rule, visit *edge.Visit, granted consent.Purposes) (variant string, answer edge.Answer) {
	t.Helper()
	answer, err := r.Choose(edgetest.View(visit, declared(*r.manifest), granted), 0)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Variant > 0 {
		variant = r.manifest.Slots[0].Variants[answer.Variant-1]
	}
	return variant, answer
}

func TestSeasonByPlace(t *testing.T) {
	tests := []struct {
		name, settings, country, device string
		want, because                   string
		score                           int64
	}{
		{"winter in the north", "", "FR", "phone", "winter-phone", "It is winter in FR, and you are on a phone", 110},
		{"summer in the south", "", "AU", "desktop", "summer-desktop", "It is summer in AU, and you are on a desktop", 110},
		{"the setting turns the year", `{"north":"summer"}`, "FR", "desktop", "summer-desktop", "It is summer in FR, and you are on a desktop", 110},
		{"and the south with it", `{"north":"summer"}`, "ZA", "phone", "winter-phone", "It is winter in ZA, and you are on a phone", 110},
		{"winter can be said", `{"north":"winter"}`, "NO", "phone", "winter-phone", "It is winter in NO, and you are on a phone", 110},
		{"a tablet shows the wide one", "", "FR", "tablet", "winter-desktop", "It is winter in FR, and you are on a tablet", 110},
		{"a tv shows the wide one", "", "FR", "tv", "winter-desktop", "It is winter in FR", 110},
		{"no country is the north for less", "", "", "phone", "winter-phone", "It is winter in the north, and your country is not known, and you are on a phone", 50},
		{"no device is the wide one", "", "NZ", "", "summer-desktop", "It is summer in NZ", 100},
		{"nothing known is answered", "", "", "", "winter-desktop", "It is winter in the north, and your country is not known", 40},
		{"a country that is none", "", "fr", "", "winter-desktop", "It is winter in fr", 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			visit := &edge.Visit{Place: edge.Place{Country: tt.country}, Device: edge.Device{Type: tt.device}}
			got, answer := choose(t, embedded(t, "season-by-place", tt.settings), visit, consent.Context)
			if got != tt.want || answer.Because != tt.because || answer.Score != tt.score {
				t.Errorf("got %s (%d, %q), want %s (%d, %q)", got, answer.Score, answer.Because, tt.want, tt.score, tt.because)
			}
		})
	}
}

func TestSeasonByPlaceRefusesASeasonThatIsNone(t *testing.T) {
	list, err := Embedded().List()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		ref := edge.ModuleRef{Name: m.Manifest.Name, Version: m.Manifest.Version, Hash: m.Hash, Settings: []byte(`{"north":"autumn"}`)}
		_, err := newHost(t, Options{Source: Embedded()}).Load("shop", ref, nil)
		if err == nil {
			t.Errorf("%s took the settings", m.Manifest.Name)
		}
		if refused := (*SettingsError)(nil); m.Manifest.Name == "season-by-place" && (!errors.As(err, &refused) || refused.Member != "/north") {
			t.Errorf("%s refused the settings with %v, which does not name the member", m.Manifest.Name, err)
		}
	}
}

func TestByDevice(t *testing.T) {
	r := embedded(t, "by-device", "")
	for device, want := range map[string]string{"phone": "phone", "tablet": "tablet", "desktop": "desktop", "tv": "", "other": "", "": ""} {
		got, answer := choose(t, r, &edge.Visit{Device: edge.Device{Type: device}}, consent.Context)
		if because := map[bool]string{true: "You are on a " + want}[want != ""]; got != want || answer.Because != because {
			t.Errorf("%q: got %q, %q", device, got, answer.Because)
		}
	}
	if got, _ := choose(t, r, &edge.Visit{Device: edge.Device{Type: "phone"}}, consent.All&^consent.Context); got != "" {
		t.Errorf("without context it answered %q", got)
	}
}

func TestOfferByHistory(t *testing.T) {
	type happened struct {
		name string
		item edge.ItemEvent
	}
	view := func(item, category string) happened {
		return happened{"view_item", edge.ItemEvent{Item: item, Category: category}}
	}
	add := func(item string, quantity uint8) happened {
		return happened{"add_to_cart", edge.ItemEvent{Item: item, Category: "hats", Quantity: quantity}}
	}
	buy := func(item string) happened { return happened{"purchase", edge.ItemEvent{Item: item}} }
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	tests := []struct {
		name    string
		visits  uint32
		events  []happened
		want    string
		because string
		score   int64
	}{
		{"a first visit has no answer", 1, nil, "", "", 0},
		{"a return is welcomed", 4, nil, "welcome-back", "This is your visit number 4", 104},
		{"many returns count no more than fifty", 900, nil, "welcome-back", "This is your visit number 900", 150},
		{"a thing looked at", 1, []happened{view("a", "hats")}, "recently-viewed", "You looked at 1 thing and have not bought it", 310},
		{"things looked at", 2, []happened{view("a", "hats"), view("b", "socks")}, "recently-viewed", "You looked at 2 things and have not bought them", 320},
		{"a habit beats a glance", 1, []happened{view("a", "hats"), view("a", "hats"), view("a", "hats"), view("a", "hats"), view("a", "hats")},
			"favourite-category", "You often look at hats", 325},
		{"the favourite is the most frequent", 1, []happened{view("a", "boots"), view("b", "шапки"), view("b", "шапки"), view("b", "шапки"), view("b", "шапки"), view("b", "шапки")},
			"favourite-category", "You often look at шапки", 325},
		{"a cart beats everything", 9, []happened{view("b", "hats"), add("a", 1)}, "complete-cart", "1 thing waits in your cart", 520},
		{"a fuller cart", 9, []happened{add("a", 2), add("b", 1)}, "complete-cart", "3 things wait in your cart", 560},
		{"what was bought is not looked at", 1, []happened{view("a", ""), buy("a")}, "", "", 0},
		{"what was bought does not count among others", 1, []happened{view("a", ""), view("b", ""), buy("a")}, "recently-viewed", "You looked at 1 thing and have not bought it", 310},
		{"what was bought and put in the cart again", 1, []happened{buy("a"), add("a", 1)}, "", "", 0},
	}
	r := embedded(t, "offer-by-history", "")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			visit := &edge.Visit{Now: now, State: &edge.State{Visits: tt.visits}}
			for _, e := range tt.events {
				visit.State.Learn(e.name, now, e.item)
			}
			got, answer := choose(t, r, visit, consent.Storage|consent.Personalise)
			if got != tt.want || answer.Because != tt.because || answer.Score != tt.score {
				t.Errorf("got %q (%d, %q), want %q (%d, %q)", got, answer.Score, answer.Because, tt.want, tt.score, tt.because)
			}
		})
	}
}

func TestOfferByHistoryKnowsNothingWithoutConsent(t *testing.T) {
	visit := typicalVisit()
	r := embedded(t, "offer-by-history", "")
	if got, _ := choose(t, r, visit, consent.All); got != "complete-cart" {
		t.Errorf("with consent: %q", got)
	}
	if got, _ := choose(t, r, visit, consent.All&^consent.Personalise); got != "welcome-back" {
		t.Errorf("without personalise: %q", got)
	}
	if got, _ := choose(t, r, visit, consent.All&^consent.Personalise&^consent.Storage); got != "" {
		t.Errorf("without personalise and storage: %q", got)
	}
}
