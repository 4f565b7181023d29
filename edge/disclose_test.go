// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// disclosedRelease caps a variant, a campaign, a surface and everything.
func disclosedRelease(t *testing.T) *Release {
	t.Helper()
	r, err := CompileRelease([]byte(`{"schema":1,"site":"shop","settings":{"origins":["https://shop.example"],"languages":["en"],
		"cap":{"times":2,"hours":24},"caps":{"web":{"times":3,"hours":24}}},
		"campaigns":[{"name":"autumn","state":"live","cap":{"times":1,"hours":24}}],
		"slots":[{"name":"hero","kind":"text","ladder":[]}],
		"variants":[{"slot":"hero","name":"hat","state":"live","cap":{"times":4,"hours":24},"content":{"en":{"text":"x"}}}],"modules":[]}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	hero := r.slots["hero"] // with a rule that chooses by weight
	hero.weighted = []weighted{{id: "spring", key: eventKey(ShowSalt("hero", "spring")), until: 1}}
	hero.candidates = []candidate{{variant: r.variants["hero"]["hat"], key: eventKey("hat")}}
	return r
}

// fullState has something in every member that a state can hold.
func fullState(now time.Time) *State {
	s := busyState(now)
	s.Customer, s.Epoch, s.PreviousLast = true, 2, s.First
	s.Learn("form_start", now.Add(-time.Minute))
	s.Learn(ComplaintSettled, now.Add(-24*time.Hour))
	s.Learn(ComplaintOpened, now.Add(-time.Hour))
	s.Journey.Compared = true
	at := minuteOf(now)
	s.Known = StatePerson{Profile: ProfileID{1}, Since: at, Edition: 3}
	s.Attributes = []Attribute{{Name: "shop.style", Value: `"modern"`, Origin: 3, Purpose: consent.Personalise, AtMillis: now.UnixMilli(), ExpiresMillis: now.UnixMilli() + 1}}
	s.Variations = []Variation{{Rule: eventKey(ShowSalt("hero", "spring")), Variant: eventKey("hat"), At: at}}
	for _, name := range []string{capVariant + "hero/hat", capCampaign + "autumn", capSurface + "web", capAll, capVariant + "gone/gone"} {
		shown := ShownTimes{Key: eventKey(name), Count: 1}
		shown.At[0] = at
		s.Shown = append(s.Shown, shown)
	}
	return s
}

// Whatever a state holds is in the disclosure: a member of State that is added later
// has to be disclosed too, and then be counted here.
func TestADisclosureTellsAllThatAStateHolds(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	s := fullState(now)
	d := disclosedRelease(t).Disclose(s, now)
	d.Profile = json.RawMessage(`{}`)
	for _, v := range []any{*d, d.Visitor, *d.Receipt, d.Journey, d.Items[len(d.Items)-1], d.Interests[0], d.Activity[0], d.Counts[0], d.Shown[0], d.Variations[0], *d.Person, d.Tells[0]} {
		of := reflect.ValueOf(v)
		for i := range of.NumField() {
			name := of.Type().Name() + "." + of.Type().Field(i).Name
			empty := []string{"DisclosedItem.Bought", "DisclosedItem.Price", "DisclosedItem.Quantity", "DisclosedItem.Cart", "DisclosedItem.Viewed", "DisclosedItem.Category"}
			if of.Field(i).IsZero() && !slices.Contains(empty, name) {
				t.Errorf("%s is empty", name)
			}
		}
	}
	for typ, want := range map[reflect.Type]int{
		reflect.TypeFor[State](): 17, reflect.TypeFor[History](): 9, reflect.TypeFor[Variation](): 3, reflect.TypeFor[StatePerson](): 3, reflect.TypeFor[Attribute](): 6, reflect.TypeFor[Journey](): 9, reflect.TypeFor[StateItem](): 7,
		reflect.TypeFor[StateReceipt](): 4, reflect.TypeFor[EventCount](): 3, reflect.TypeFor[ShownTimes](): 3, reflect.TypeFor[Decayed](): 2,
	} {
		if got := typ.NumField(); got != want {
			t.Errorf("%v has %d members, want %d: disclose the others, if they are about the visitor", typ, got, want)
		}
	}
	if len(d.Items) != len(s.Items) || len(d.Activity) != len(s.Activity) || len(d.Counts) != len(s.Counters) {
		t.Errorf("%d items, %d activities, %d counts of %d, %d, %d", len(d.Items), len(d.Activity), len(d.Counts), len(s.Items), len(s.Activity), len(s.Counters))
	}
	var shown []string
	for _, what := range d.Shown {
		shown = append(shown, what.What)
	}
	if want := []string{"variant hero/hat", "campaign autumn", "surface web", "all", ""}; !slices.Equal(shown, want) {
		t.Errorf("shown %q, want %q", shown, want)
	}
	if got, want := d.Counts[0], (DisclosedCount{"add_to_cart", "2026-11-13", []DisclosedDay{{"2026-11-13", 1}, {"2026-11-22", 300}}}); !reflect.DeepEqual(got, want) {
		t.Errorf("counts %+v, want %+v", got, want)
	}
	if want := now.Add(StateMaxAge); !d.Visitor.Until.Equal(want) || d.Visitor.ID != s.VisitorID() {
		t.Errorf("visitor %+v, want until %v", d.Visitor, want)
	}
}

func TestAStateIsGivenUpAtTheEndOfItsLifeWhateverTheVisits(t *testing.T) {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	s := newState(now.Add(-StateMaxLife + time.Hour))
	s.touch(now)
	if got, want := s.until(), now.Add(time.Hour); !got.Equal(want) {
		t.Errorf("until %v, want %v", got, want)
	}
}

func TestAPagesScriptsDoNotLearnIDs(t *testing.T) {
	s := fullState(time.Now())
	d := disclosedRelease(t).Disclose(s, time.Now())
	d.HideIDs()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{s.VisitorID(), s.SessionID()} {
		if strings.Contains(string(text), id) || !strings.Contains(string(text), `"`+id[:6]+"…") {
			t.Errorf("%s is not shortened in %s", id, text)
		}
	}
}

// The document names every member of the export.
func TestTheExportIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/RIGHTS.md")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	d := disclosedRelease(t).Disclose(fullState(now), now)
	d.Profile = json.RawMessage(`{"x":1}`)
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`"([a-zA-Z]+)":`).FindAllStringSubmatch(strings.Replace(string(text), `"x":`, "", 1), -1) {
		if !strings.Contains(string(page), "`"+m[1]+"`") {
			t.Errorf("docs/RIGHTS.md does not name %s", m[1])
		}
	}
}
