// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"

	"cel.dev/cel-go/cel"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// someone is a visitor from Lyon who looked at hats and granted all but geo.
func someone() *visitor {
	v := &visitor{fields: allFields(), granted: consent.All &^ consent.Geo}
	v.values = make([]edge.Value, len(v.fields))
	set := func(name string, value edge.Value) {
		for n, f := range v.fields {
			if f.name == name {
				value.Type = f.kind
				v.values[n] = value
			}
		}
	}
	set("geo.country", edge.Value{Str: "FR"})
	set("geo.city", edge.Value{Str: "Lyon"})
	set("page.path", edge.Value{Str: "/hats/felt"})
	set("visitor.visits", edge.Value{Int: 3})
	set("visitor.returning", edge.Value{Int: 1})
	set("visitor.id", edge.Value{Str: "someone"})
	set("recent", edge.Value{List: []string{"hat-1", "hat-2"}})
	set("bought", edge.Value{})
	set("cart", edge.Value{Items: []edge.Item{{ID: "hat-1", Quantity: 2, Price: 19.5}}})
	set("interests", edge.Value{Map: []edge.Entry{{Key: "hats", Value: 4}}})
	set("counts", edge.Value{Map: []edge.Entry{{Key: "view_item/7d", Value: 5}}})
	set("geo.lat", edge.Value{Float: 45.76})
	set("geo.lon", edge.Value{Float: 4.84})
	set("now", edge.Value{Int: day.UnixMilli()})
	return v
}

func TestConditionsInWords(t *testing.T) {
	l := newLanguage(t, &edge.ReleaseDocument{Fields: siteFields, Audiences: []edge.Audience{
		{Name: "loyal", When: `visitor.visits >= 3`}, {Name: "near", When: `distanceKm(45.0, 5.0) < 100.0`},
	}})
	tests := []struct{ when, words, verdict string }{
		{`geo.country == "FR"`, `geo.country is FR`, "held"},
		{`"FR" == geo.country`, `geo.country is FR`, "held"},
		{`geo.country != "FR"`, `geo.country is not FR`, "failed"},
		{`!(geo.country == "FR")`, `geo.country is not FR`, "failed"},
		{`geo.country in ["FR", "DE"]`, `geo.country is one of FR, DE`, "held"},
		{`!(geo.country in ["FR", "DE"])`, `geo.country is none of FR, DE`, "failed"},
		{`3 <= visitor.visits`, `visitor.visits is at least 3`, "held"},
		{`visitor.visits > 3`, `visitor.visits is more than 3`, "failed"},
		{`visitor.visits < 3 || visitor.visits <= 2`, `visitor.visits is less than 3 or visitor.visits is at most 2`, "failed"},
		{`page.path.startsWith("/hats")`, `page.path starts with /hats`, "held"},
		{`!page.path.endsWith("felt")`, `page.path does not end with felt`, "failed"},
		{`page.path.contains("")`, `page.path contains ""`, "held"},
		{`page.path.lowerAscii().contains("x")`, `page.path.lowerAscii() contains x`, "failed"},
		{`visitor.returning`, `visitor.returning is true`, "held"},
		{`!visitor.returning`, `visitor.returning is not true`, "failed"},
		{`"hats" in interests`, `interests has hats`, "held"},
		{`interests["hats"] >= 3.5`, `interests["hats"] is at least 3.5`, "held"},
		{`interests["caps"] >= 3.5`, `interests["caps"] is at least 3.5`, "unknown"},
		{`seen("hat-1") && !bought("hat-1")`, `recent has hat-1 and bought does not have hat-1`, "held"},
		{`seen(cart[0].id)`, `recent has cart[0].id`, "held"},
		{`count("view_item", "7d") == 5`, `count("view_item", "7d") is 5`, "held"},
		{`count("view_item", "30d") == 5`, `count("view_item", "30d") is 5`, "unknown"},
		{`hash("spring") < 10000`, `hash("spring") is less than 10000`, "held"},
		{`inAudience("loyal")`, `the visitor is in the audience loyal`, "held"},
		{`!inAudience("near")`, `the visitor is not in the audience near`, "unknown"},
		{`distanceKm(45.0, 5.0) < 100.0`, `distanceKm(45.0, 5.0) is less than 100`, "unknown"},
		{`now < timestamp("2026-03-02T00:00:00Z")`, `now is before 2026-03-02T00:00:00Z`, "held"},
		{`!(now >= timestamp("2026-03-02T00:00:00Z"))`, `now is before 2026-03-02T00:00:00Z`, "held"},
		{`cart.exists(i, i.price > 10.0 && i.quantity >= 2)`, `at least one i of cart: i.price is more than 10 and i.quantity is at least 2`, "held"},
		{`!cart.exists(i, i.price > 10.0)`, `no i of cart: i.price is more than 10`, "failed"},
		{`recent.all(x, x.startsWith("hat"))`, `every x of recent: x starts with hat`, "held"},
		{`geo.country == geo.city`, `geo.country is geo.city`, "failed"},
		{`true`, `always`, "held"},
		{`!true`, `never`, "failed"},
		{
			`(geo.country == "FR" || visitor.visits > 9) && !(visitor.returning && "x" in interests)`,
			`(geo.country is FR or visitor.visits is more than 9) and not (visitor.returning is true and interests has x)`, "held",
		},
		{`visitor.returning ? geo.country == "FR" : false`, `if visitor.returning is true then geo.country is FR, else never`, "held"},
		{`visitor.visits / 0 > 1`, `visitor.visits / 0 is more than 1`, "unknown"},
	}
	v := someone()
	for _, tt := range tests {
		t.Run(tt.when, func(t *testing.T) {
			got := l.Describe(check(t, l, tt.when), v.named, v.granted)
			if got.Words != tt.words || got.Verdict != tt.verdict {
				t.Errorf("got %q %s, want %q %s", got.Words, got.Verdict, tt.words, tt.verdict)
			}
		})
	}
}

// TestConditionsAsTrees compares whole trees with what pages get.
func TestConditionsAsTrees(t *testing.T) {
	l := newLanguage(t, &edge.ReleaseDocument{
		Fields: siteFields, Audiences: []edge.Audience{{Name: "near", When: `geo.lat > 45 && shop.tier == "gold"`}},
		Slots: []edge.SlotSpec{{Name: "hero", Ladder: []edge.RungSpec{{Rung: "context", Rules: []edge.RuleSpec{{
			Name: "spring", When: `inAudience("near") || count("purchase", "30d") > 0 || cart[9].quantity in [1, 2] || now > timestamp("2026-03-02T00:00:00+01:00")`,
			Rollout: 2000, Show: []edge.ShowSpec{{Variant: "a", Weight: 25}, {Variant: "b", Weight: 75}},
		}, {Name: "rest", Show: []edge.ShowSpec{{Variant: "c"}}}, {
			Name: "half", Rollout: 1250, Show: []edge.ShowSpec{{Variant: "d"}},
		}}}}}},
	})
	v := someone()
	got, err := l.Explain(0, 1, v.named, v.granted)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, got, `{
	 "text": "(inAudience(\"near\") || count(\"purchase\", \"30d\") > 0 || cart[9].quantity in [1, 2] || now > timestamp(\"2026-03-02T00:00:00+01:00\")) && hash(\"hero/spring\") < 2000 && hash(\"hero/spring/show\") >= 2500 && hash(\"hero/spring/show\") < 10000",
	 "words": "(the visitor is in the audience near or count(\"purchase\", \"30d\") is more than 0 or cart[9].quantity is one of 1, 2 or now is after 2026-03-01T23:00:00Z) and among the 20 % of visitors chosen for this rule and among the 75 % of them that are shown b",
	 "op": "and", "verdict": "failed",
	 "parts": [
	  {"text": "inAudience(\"near\") || count(\"purchase\", \"30d\") > 0 || cart[9].quantity in [1, 2] || now > timestamp(\"2026-03-02T00:00:00+01:00\")",
	   "words": "the visitor is in the audience near or count(\"purchase\", \"30d\") is more than 0 or cart[9].quantity is one of 1, 2 or now is after 2026-03-01T23:00:00Z",
	   "op": "or", "verdict": "unknown",
	   "unknown": [
	    {"field": "geo.lat", "cause": "refused", "purpose": "geo"},
	    {"field": "shop.tier", "cause": "absent"},
	    {"field": "count(\"purchase\", \"30d\")", "cause": "warming-up"},
	    {"field": "cart[9]", "cause": "absent"}],
	   "parts": [
	    {"text": "inAudience(\"near\")", "words": "the visitor is in the audience near", "op": "audience", "values": ["near"], "verdict": "unknown",
	     "unknown": [{"field": "geo.lat", "cause": "refused", "purpose": "geo"}, {"field": "shop.tier", "cause": "absent"}],
	     "parts": [{"text": "geo.lat > 45 && shop.tier == \"gold\"", "words": "geo.lat is more than 45 and shop.tier is gold", "op": "and", "verdict": "unknown",
	      "unknown": [{"field": "geo.lat", "cause": "refused", "purpose": "geo"}, {"field": "shop.tier", "cause": "absent"}],
	      "parts": [
	       {"text": "geo.lat > 45", "words": "geo.lat is more than 45", "op": "more-than", "field": "geo.lat", "values": ["45"], "verdict": "unknown", "unknown": [{"field": "geo.lat", "cause": "refused", "purpose": "geo"}]},
	       {"text": "shop.tier == \"gold\"", "words": "shop.tier is gold", "op": "is", "field": "shop.tier", "values": ["gold"], "verdict": "unknown", "unknown": [{"field": "shop.tier", "cause": "absent"}]}]}]},
	    {"text": "count(\"purchase\", \"30d\") > 0", "words": "count(\"purchase\", \"30d\") is more than 0", "op": "more-than", "field": "count(\"purchase\", \"30d\")", "values": ["0"], "verdict": "unknown",
	     "unknown": [{"field": "count(\"purchase\", \"30d\")", "cause": "warming-up"}]},
	    {"text": "cart[9].quantity in [1, 2]", "words": "cart[9].quantity is one of 1, 2", "op": "one-of", "field": "cart[9].quantity", "values": ["1", "2"], "verdict": "unknown",
	     "unknown": [{"field": "cart[9]", "cause": "absent"}]},
	    {"text": "now > timestamp(\"2026-03-02T00:00:00+01:00\")", "words": "now is after 2026-03-01T23:00:00Z", "op": "more-than", "field": "now", "values": ["2026-03-01T23:00:00Z"], "saw": "\"2026-03-01T12:30:45.678Z\"", "verdict": "failed"}]},
	  {"text": "hash(\"hero/spring\") < 2000", "words": "among the 20 % of visitors chosen for this rule", "op": "share", "values": ["20"], "verdict": "failed"},
	  {"text": "hash(\"hero/spring/show\") >= 2500 && hash(\"hero/spring/show\") < 10000", "words": "among the 75 % of them that are shown b", "op": "share", "values": ["75"], "verdict": "held"}]}`)

	kept, err := l.ExplainKept(0, 0, v.named, v.granted)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, &kept.Parts[2], `{"text": "shown a before, which stays", "words": "shown a before, which stays", "op": "other", "verdict": "held"}`)
	if got, err = l.Explain(0, 2, v.named, v.granted); err != nil {
		t.Fatal(err)
	}
	sameJSON(t, got, `{"text": "true", "words": "always", "op": "true", "verdict": "held"}`)
	if got, err = l.Explain(0, 3, v.named, v.granted); err != nil {
		t.Fatal(err)
	}
	sameJSON(t, got, `{"text": "hash(\"hero/half\") < 1250", "words": "among the 12.5 % of visitors chosen for this rule", "op": "share", "values": ["12.5"], "verdict": "failed"}`)
	for _, at := range [][2]int{{0, 4}, {0, -1}, {1, 0}, {-1, 0}} {
		if got, err := l.Explain(at[0], at[1], v.named, v.granted); err == nil {
			t.Errorf("candidate %d of slot %d, which there is not, is explained: %+v", at[1], at[0], got)
		}
	}
}

func TestWhatIsNotThereIsAbsentAndWhatCannotBeCalculatedAnError(t *testing.T) {
	l := newLanguage(t, &edge.ReleaseDocument{Fields: siteFields})
	v := someone()
	for when, want := range map[string]edge.UnknownField{
		`interests["caps"] >= 3.5`:     {Field: `interests["caps"]`, Cause: "absent"},
		`interests.caps >= 3.5`:        {Field: `interests.caps`, Cause: "absent"},
		`recent[2] == "hat-3"`:         {Field: `recent[2]`, Cause: "absent"},
		`bought(bought[0])`:            {Field: `bought[0]`, Cause: "absent"},
		`visitor.visits / 0 > 1`:       {Field: `visitor.visits / 0`, Cause: "error"},
		`recent[visitor.visits/0]!=""`: {Field: `visitor.visits / 0`, Cause: "error"},
	} {
		got := l.Describe(check(t, l, when), v.named, v.granted)
		if len(got.Unknown) != 1 || got.Unknown[0] != want {
			t.Errorf("%s is unknown for %+v, want %+v", when, got.Unknown, want)
		}
	}
}

func TestWhatWasSeenIsTold(t *testing.T) {
	l := newLanguage(t, &edge.ReleaseDocument{Fields: siteFields})
	v := someone()
	for when, saw := range map[string]string{
		`geo.country == "DE"`:                     `"FR"`,
		`visitor.visits * 2 > 1`:                  `6`,
		`interests["hats"] > 1.0`:                 `4`,
		`"hats" in interests`:                     `{"hats":4}`,
		`seen("x")`:                               `["hat-1","hat-2"]`,
		`visitor.returning == true`:               `true`,
		`geo.lat > 1`:                             ``,
		`hash("spring") < 10000`:                  ``,
		`hash("spring") % 7 in [1, 2]`:            ``,
		`cart[0].id == "hat-1"`:                   `"hat-1"`,
		`(now - now) < duration("1h")`:            `"0s"`,
		`now > timestamp("2026-03-02T00:00:00Z")`: `"2026-03-01T12:30:45.678Z"`,
	} {
		if got := l.Describe(check(t, l, when), v.named, v.granted); got.Saw != saw {
			t.Errorf("%s saw %s, want %s", when, got.Saw, saw)
		}
	}
}

func TestAudiencesOfAudiencesAreToldOnce(t *testing.T) {
	doc := &edge.ReleaseDocument{Audiences: []edge.Audience{{Name: "a0", When: `geo.country == "FR"`}}}
	for i := range 14 {
		name := fmt.Sprintf("a%d", i)
		doc.Audiences = append(doc.Audiences, edge.Audience{Name: fmt.Sprintf("a%d", i+1), When: strings.Repeat("inAudience("+strconv.Quote(name)+") && ", 40) + "true"})
	}
	l := newLanguage(t, doc)
	v := someone()
	got := l.Describe(check(t, l, `inAudience("a14") && inAudience("a14")`), v.named, v.granted)
	if got.Verdict != "held" {
		t.Errorf("got %s", got.Verdict)
	}
	if first, second := got.Parts[0], got.Parts[1]; len(first.Parts) != 1 || len(second.Parts) != 0 || second.Verdict != "held" {
		t.Errorf("got %d parts and %d of the same audience again", len(first.Parts), len(second.Parts))
	}
	if text, err := json.Marshal(got); err != nil || len(text) > 200e3 {
		t.Errorf("%d bytes, %v", len(text), err)
	}
}

func newLanguage(t testing.TB, doc *edge.ReleaseDocument) *lang.Language {
	t.Helper()
	l, err := lang.NewLanguage(doc)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func check(t testing.TB, l *lang.Language, source string) lang.Expression {
	t.Helper()
	e, err := l.Check(source, cel.BoolType)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func sameJSON(t *testing.T, got any, want string) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(want), &value); err != nil {
		t.Fatal(err)
	}
	var condition edge.Condition
	decoder := json.NewDecoder(strings.NewReader(want))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&condition); err != nil {
		t.Fatal(err)
	}
	a, _ := json.MarshalIndent(got, "", " ")
	b, _ := json.MarshalIndent(condition, "", " ")
	if string(a) != string(b) {
		t.Errorf("got\n%s\nwant\n%s", a, b)
	}
}

func TestHammerExplain(t *testing.T) {
	wasm, err := lang.Compile(randomDocument(newRand(3), 1, 4))
	if err != nil {
		t.Fatal(err)
	}
	program, err := lang.Read(wasm)
	if err != nil {
		t.Fatal(err)
	}
	want := make([]edge.Condition, len(program.Slots()[0].Candidates))
	v := someone()
	var group sync.WaitGroup
	for n := range want {
		group.Go(func() {
			told, err := program.Explain(0, n, false, v.named, v.granted)
			if err != nil {
				t.Error(err)
				return
			}
			want[n] = *told
		})
	}
	group.Wait()
	for range 4 {
		group.Go(func() {
			for n := range want {
				if told, err := program.Explain(0, n, false, v.named, v.granted); err != nil || !reflect.DeepEqual(*told, want[n]) {
					t.Errorf("candidate %d: %v, %v", n, told, err)
				}
			}
		})
	}
	group.Wait()
}
