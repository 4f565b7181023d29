// SPDX-License-Identifier: Apache-2.0

package rights

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

func newPage(t *testing.T) *Page {
	t.Helper()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *Page) text(t *testing.T, v *Visit) string {
	t.Helper()
	var out strings.Builder
	if err := p.Write(&out, v); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// fullVisit is a visitor of whom much is held, to be told in a language.
func fullVisit(lang string) *Visit {
	at := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	weight := edge.DisclosedWeight{At: at, Hour: 1, Day: 2, Fortnight: 3.26}
	d := &edge.Disclosure{
		Site: "shop", Visitor: edge.DisclosedVisitor{ID: "Zx81aB…", Customer: true, First: at, Last: at, Visits: 4, Started: at, Previous: at, Until: at},
		Receipt:    &edge.DisclosedGrant{ID: "r1", At: at, Purposes: []string{"storage", "measure"}, Prompt: "2026-11"},
		Journey:    edge.DisclosedJourney{Stage: "comparing", Views: 12, Intent: "cart", Orders: 2, FirstOrder: at, LastOrder: at, Complaint: at, Settled: at},
		Counts:     []edge.DisclosedCount{{Event: "view_item", Days: []edge.DisclosedDay{{Day: "2026-11-20", Count: 3}}}, {Event: "own_event"}},
		Shown:      []edge.DisclosedShown{{What: "campaign autumn", Times: []time.Time{at}}, {Times: []time.Time{at}}},
		Variations: []edge.DisclosedVariation{{Rule: "hero/split", Variant: "red", At: at}, {At: at}},
	}
	for i := range 12 {
		d.Items = append(d.Items, edge.DisclosedItem{ID: fmt.Sprintf("sku-%d", i), Category: "hats", Viewed: at, Quantity: uint8(i % 2), Cart: at, Price: 49.5})
	}
	for _, c := range []string{"hats", "<b>scarves</b>", "gloves"} {
		d.Interests = append(d.Interests, edge.DisclosedInterest{Category: c, DisclosedWeight: weight})
	}
	d.Activity = []edge.DisclosedActivity{{Event: "purchase", DisclosedWeight: weight}, {Event: "view_item", DisclosedWeight: weight}}
	why := &edge.Why{Rung: "profile", Tried: []edge.Try{{
		Saw:      []edge.Saw{{Field: "device.type", Value: json.RawMessage(`"phone"`)}, {Field: "interests", Value: json.RawMessage(`{"hats":3.2}`)}},
		Withheld: []edge.Withheld{{Field: "geo.city", Purpose: "context"}},
	}}}
	v := &Visit{Site: "shop", Lang: lang, Note: OpenNote, Held: d, RetainDays: 396, MayErase: true, Allowed: map[consent.Purposes]Basis{
		consent.Storage: ByAnswer, consent.Measure: ByNote, consent.Context: ByDefault, consent.Profile: Refused, consent.Share: TakenAway,
	}}
	for reason := edge.ReasonDefault; reason < edge.ReasonUnknownSlot; reason++ {
		v.Decisions = append(v.Decisions, edge.Decision{Slot: "slot-" + reason.String(), Reason: reason, Variant: "spring", Rule: "by-device@1.0.0", Because: "It suits you.", Lang: "en", Why: why})
	}
	v.Decisions = append(v.Decisions, edge.Decision{Slot: "last", Reason: edge.ReasonBot})
	return v
}

// maxPageBytes is what the page may take with much held and five slots.
const maxPageBytes = 20 << 10

func TestThePageIsSmall(t *testing.T) {
	p := newPage(t)
	for _, lang := range Languages {
		v := fullVisit(lang)
		v.Decisions = v.Decisions[:5]
		if got := len(p.text(t, v)); got > maxPageBytes {
			t.Errorf("%s: %d bytes, want at most %d", lang, got, maxPageBytes)
		} else {
			t.Logf("%s: %d bytes", lang, got)
		}
	}
}

// Every branch of the markup has all its words in every language.
func TestEveryVisitCanBeTold(t *testing.T) {
	p := newPage(t)
	for _, lang := range Languages {
		for name, bend := range map[string]func(*Visit){
			"much":       func(*Visit) {},
			"signed in":  func(v *Visit) { v.Held.Person = &edge.DisclosedPerson{ID: "Ab12Cd…"} },
			"handed on":  func(v *Visit) { v.State, v.HandedOn = "AQAB", true },
			"no eraser":  func(v *Visit) { v.MayErase = false },
			"nothing":    func(v *Visit) { v.Note, v.Held, v.Decisions, v.Allowed = NoNote, nil, nil, nil },
			"unread":     func(v *Visit) { v.Note, v.Held = UnreadNote, nil },
			"erased":     func(v *Visit) { v.Note, v.Held = ErasedNote, nil },
			"withdrawn":  func(v *Visit) { v.Done, v.Receipt = Withdraw, "r2" },
			"not proved": func(v *Visit) { v.Done, v.Failed = Withdraw, "unavailable" },
			"forgotten":  func(v *Visit) { v.Done, v.Receipt = Erase, "r2" },
			"later":      func(v *Visit) { v.Failed = "unavailable" },
			"no state":   func(v *Visit) { v.Failed = "no_state" },
			"too late":   func(v *Visit) { v.Failed = "erased" },
			"other":      func(v *Visit) { v.Failed = "not_available" },
		} {
			v := fullVisit(lang)
			bend(v)
			text := p.text(t, v)
			if strings.Contains(text, "ZgotmplZ") || strings.Contains(text, "<b>scarves") || regexp.MustCompile(`\{[a-z]+\}`).MatchString(regexp.MustCompile(`(?s)<(style|script)>.*?</(style|script)>`).ReplaceAllString(text, "")) {
				t.Errorf("%s, %s: something is not filled in or not escaped", lang, name)
			}
			if strings.Contains(text, " style=") || regexp.MustCompile(`<[^>]* on[a-z]+=`).MatchString(text) || strings.Contains(text, "http:") || strings.Contains(text, "https:") {
				t.Errorf("%s, %s: an inline style, a handler or another address is in the markup", lang, name)
			}
			if isKnown := v.Held != nil && v.Held.Person != nil; isKnown != strings.Contains(text, p.languages[lang].texts["held.known"]) {
				t.Errorf("%s, %s: whether the server has a profile is told wrongly", lang, name)
			}
			if (v.State != "") != strings.Contains(text, `name="state"`) {
				t.Errorf("%s, %s: the state is in the page when it came by a cookie, or is lost when it came by a form", lang, name)
			}
		}
	}
	if err := p.Write(&strings.Builder{}, &Visit{Lang: "tlh"}); err == nil {
		t.Error("a language that is not the page's is written")
	}
}

// What the policy names is what is there.
func TestThePolicyKnowsThePagesStyleAndScript(t *testing.T) {
	text := newPage(t).text(t, fullVisit("en"))
	for _, element := range []string{"style", "script"} {
		found := regexp.MustCompile(`(?s)<`+element+`>(.*?)</`+element+`>`).FindAllStringSubmatch(text, -1)
		if len(found) != 1 || !strings.Contains(Policy, element+"-src "+sourceOf(found[0][1])) {
			t.Errorf("the policy does not name the page's %s", element)
		}
	}
}

var placeholder = regexp.MustCompile(`\{[a-z]+\}`)

func TestEveryTextIsThereInEveryLanguage(t *testing.T) {
	scripts := map[string]*unicode.RangeTable{"zh-Hans": unicode.Han, "zh-Hant": unicode.Han, "ru": unicode.Cyrillic, "ar": unicode.Arabic}
	p := newPage(t)
	english := p.languages["en"].texts
	if len(english) < 150 || len(p.languages) != 5 {
		t.Fatalf("%d texts in %d languages", len(english), len(p.languages))
	}
	for _, lang := range Languages {
		texts := p.languages[lang].texts
		for key, text := range english {
			got, want := placeholder.FindAllString(texts[key], -1), placeholder.FindAllString(text, -1)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %s has placeholders %v, want %v", lang, key, got, want)
			}
			if script := scripts[lang]; script != nil && key != "none" && !strings.ContainsFunc(texts[key], func(r rune) bool { return unicode.Is(script, r) }) {
				t.Errorf("%s: %s is %q", lang, key, texts[key])
			}
		}
		if len(texts) != len(english) {
			t.Errorf("%s has %d texts, English %d", lang, len(texts), len(english))
		}
	}
	for _, f := range edge.Fields() {
		if english["field."+f.Name] == "" {
			t.Errorf("%s has no words", f.Name)
		}
	}
	for _, stage := range edge.Stages() {
		if english["stage."+stage] == "" {
			t.Errorf("the stage %s has no words", stage)
		}
	}
}

func TestValuesAreSpelledForPeople(t *testing.T) {
	for raw, want := range map[string]string{
		`"Paris"`: "Paris", `true`: "true", `3.20`: "3.2", `[]`: "–", `["a","b"]`: "a, b", `{"b":2,"a":1}`: "a 1, b 2",
		`[{"id":"sku-1","quantity":2}]`: "sku-1", `nonsense`: "", `"` + strings.Repeat("é", 150) + `"`: strings.Repeat("é", 100) + "…",
	} {
		if got := spell(json.RawMessage(raw)); got != want {
			t.Errorf("%s is spelled %q, want %q", raw, got, want)
		}
	}
}
