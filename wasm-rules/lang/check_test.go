// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
)

// testOwn and testAudiences are a site's own fields and audiences.
var (
	testOwn = []edge.OwnField{
		{Name: "shop.tier", Type: "string", Purpose: "personalise"},
		{Name: "shop.score", Type: "f64", Purpose: "context"},
		{Name: "shop.member", Type: "bool", Purpose: "storage"},
		{Name: "shop.labels", Type: "list", Purpose: "measure"},
		{Name: "shop.points", Type: "i64", Purpose: "storage"},
	}
	testAudiences = []edge.Audience{
		{Name: "buyers", When: `size(bought) > 0`},
		{Name: "vip.eu", When: `inAudience("buyers") && geo.country in ["FR", "DE"]`},
	}
)

func testLanguage(t testing.TB) *language {
	t.Helper()
	l, err := newLanguage(testOwn, testAudiences)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestCheckTakes(t *testing.T) {
	l := testLanguage(t)
	for _, source := range []string{
		`true`,
		`geo.country == "FR" && !(lang != "fr") || visitor.returning`,
		`geo.lat > 48 && geo.lat <= 50.5 && shop.score * 2.0 >= 1.0`,
		`time.hour in [9, 10, 11] || shop.points % 3 == -1`,
		`interests["hats"] >= 3.0 && interests.shoes > 1 && "hats" in interests`,
		`cart.exists(i, i.id == "sku" && i.quantity > 2 && i.price < 10.0)`,
		`page.tags.all(t, t.startsWith("a") || t.endsWith("z") || t.contains("m") || t.lowerAscii() == "b")`,
		`["a", lang].exists(x, page.tags.exists(y, x == y))`,
		`(visitor.returning ? recent : bought).exists(x, x == page.item)`,
		`interests.exists(k, interests[k] > 3)`,
		`recent[0] == "x" || cart[visitor.visits].id == "y"`,
		`seen("x") && bought(page.item) && count("view_item", "7d") >= 3 && hash("spring") < 500`,
		`distanceKm(48.85, 2.35) < 30 && inAudience("vip.eu")`,
		`now > timestamp("2026-01-01T00:00:00+01:00") && now.getDayOfWeek() == 0 && now.getFullYear() < 2030`,
		`now - timestamp("2026-01-01T00:00:00Z") > duration("24h") && int(duration("1h")) > 0`,
		`size(page.title) > 3 && page.tags.size() == 2 && int(shop.score) == 1 && double(visitor.visits) > 0.5`,
		strings.Repeat(`geo.country == "FR" || `, 150) + `lang == "é"`,
	} {
		if e, faults := l.condition(source); e == nil {
			t.Errorf("%.60s: %+v", source, faults)
		}
	}
	if e, faults := l.score(`visitor.visits * 10 + (lang == "fr" ? 5 : 0)`); e == nil {
		t.Errorf("a score: %+v", faults)
	}
}

func TestCheckRefuses(t *testing.T) {
	tests := []struct {
		name, source string
		line, column int
		code         string
		message      string // part of it
		hint         string // part of it
	}{
		{"a slip in a name", `geo.contry == "FR"`, 1, 1, codeUnknownName, "geo.contry", "geo.country"},
		{"a slip on the second line, after text that is not Latin", "lang == \"é\" &&\n  shop.teir == \"a\"", 2, 3, codeUnknownName, "shop.teir", "shop.tier"},
		{"columns count characters", `lang == "日本" && nope.x == 1`, 1, 17, codeUnknownName, "nope.x", ""},
		{"one equals sign", `geo.country = "FR"`, 1, 13, codeSyntax, "", "=="},
		{"and in words", `visitor.returning and true`, 1, 19, codeSyntax, "and", "&&"},
		{"and in capitals", `visitor.returning AND true`, 1, 19, codeSyntax, "'AND' cannot stand here", "&&"},
		{"or in words", `visitor.returning or true`, 1, 19, codeSyntax, "or", "||"},
		{"not in words", `not visitor.returning`, 1, 5, codeSyntax, "visitor", "write !"},
		{"another language's unequal", `lang <> "fr"`, 1, 7, codeSyntax, ">", "!="},
		{"one and-sign", `visitor.returning & true`, 1, 19, codeSyntax, "'&'", "&&"},
		{"quotes of a word processor", `lang == “fr”`, 1, 9, codeSyntax, "“", "straight"},
		{"a text without an end", `lang == "fr`, 1, 9, codeSyntax, "a text has no end", "quote"},
		{"a text without an end before another", `lang == "fr && geo.country == "FR"`, 1, 32, codeSyntax, "FR", "quote"},
		{"a text in single quotes without an end", `lang == 'fr`, 1, 9, codeSyntax, "a text has no end", "quote"},
		{"a list without brackets", `lang in "fr", "de"`, 1, 13, codeSyntax, ",", "square"},
		{"a list in round brackets", `lang in ("fr", "de")`, 1, 14, codeSyntax, ",", "square"},
		{"a percent sign", `hash("x") < 20%`, 1, 16, codeSyntax, "ends too early", "rollout"},
		{"if", `if lang == "fr" then true`, 1, 1, codeSyntax, "reserved", "? "},
		{"a text without quotes", `lang == FR`, 1, 9, codeUnknownName, "FR", `quotes: "FR"`},
		{"a field by its last word", `country == "FR"`, 1, 1, codeUnknownName, "country", "geo.country?"},
		{"a field by a word that several end with", `type == "home"`, 1, 1, codeUnknownName, "type", "device.type or page.type?"},
		{"an audience by its name alone", `buyers`, 1, 1, codeUnknownName, "buyers", `inAudience("buyers")`},
		{"yes", `yes`, 1, 1, codeUnknownName, "yes", "write true"},
		{"another name for inAudience", `audience("buyers")`, 1, 1, codeUnsupported, "audience", "inAudience"},
		{"hash without a salt", `hash() < 500`, 1, 1, codeType, "hash", "salt"},
		{"a date without quotes", `now > 2026-12-01`, 1, 5, codeType, "timestamp, int", "timestamp("},
		{"a date in quotes", `now > "2026-12-01"`, 1, 5, codeType, "timestamp, string", "timestamp("},
		{"contains of a list", `page.tags.contains("felt")`, 1, 11, codeType, "contains", "in x"},
		{"contains before its text", `contains(page.path, "hats")`, 1, 1, codeType, "contains", "x.contains(y)"},
		{"a length", `page.title.length > 3`, 1, 11, codeType, "no members", "size(x)"},
		{"an end too early", `lang ==`, 1, 8, codeSyntax, "end", ""},
		{"a whole number beside one with a point", `geo.lat == 48`, 1, 9, codeType, "double, int", "3.0"},
		{"a member that items do not have", `cart.exists(i, i.sku == "x")`, 1, 17, codeType, "sku", ""},
		{"a condition that is none", `visitor.visits`, 1, 8, codeType, "int", "compare"},
		{"a list of two types", `[1, 2.0].exists(x, x > 1)`, 1, 1, codeType, "one simple type", "point"},
		{"a duration in days", `now > now - duration("7d")`, 1, 22, codeType, "duration", "24h"},
		{"a time that is none", `now > timestamp("tomorrow")`, 1, 17, codeType, "time", "2026"},
		{"microseconds", `now > timestamp("2026-01-01T00:00:00.000001Z")`, 1, 17, codeUnsupported, "milliseconds", "three"},
		{"matches", `page.path.matches("a")`, 1, 11, codeUnsupported, "matches", "startsWith"},
		{"filter", `page.tags.filter(x, x == "a").size() > 0`, 1, 11, codeUnsupported, "filter", "exists"},
		{"map", `"a" in page.tags.map(x, x)`, 1, 18, codeUnsupported, "map", "exists"},
		{"exists_one", `page.tags.exists_one(x, x == "a")`, 1, 11, codeUnsupported, "exists_one", "exists"},
		{"has", `has(geo.country)`, 1, 1, codeUnsupported, "has", "leave it out"},
		{"null", `lang == null`, 1, 9, codeUnsupported, "null", "leave it out"},
		{"unsigned", `visitor.visits > 1u`, 1, 18, codeUnsupported, "unsigned", "without u"},
		{"bytes", `b"a" == b"a"`, 1, 1, codeUnsupported, "bytes", "without b"},
		{"a map", `{"a": 1}["a"] == 1`, 1, 1, codeUnsupported, "map", ""},
		{"joined texts", `lang + "x" == "frx"`, 1, 6, codeUnsupported, "joined", "startsWith"},
		{"compared lists", `page.tags == ["a"]`, 1, 11, codeUnsupported, "list(string)", "exists"},
		{"ordered conditions", `visitor.returning < true`, 1, 19, codeUnsupported, "order", "&&"},
		{"a number of a text", `int(shop.tier) > 3`, 1, 1, codeUnsupported, "int()", "text"},
		{"type", `type(lang) == string`, 1, 1, codeUnsupported, "type", ""},
		{"a zone", `now.getHours("Europe/Paris") == 3`, 1, 5, codeUnsupported, "zone", "time.hour"},
		{"a loop over a field in another", `page.tags.exists(t, recent.exists(u, u == t))`, 1, 28, codeUnsupported, "inside another", "in"},
		{"a variable that hides fields", `page.tags.exists(page, page == "x")`, 1, 11, codeShape, "page", "exists(x"},
		{"a visitor's id", `visitor.id == "x"`, 1, 8, codeUnsupported, "visitor.id", "hash"},
		{"counts themselves", `counts["view_item/7d"] > 1`, 1, 1, codeUnsupported, "counts", "count("},
		{"a window that is a number", `count("view_item", 7) > 1`, 1, 20, codeShape, "does not fit", "7d"},
		{"a window too long", `count("view_item", "91d") > 1`, 1, 20, codeShape, "does not fit", "90d"},
		{"a salt that is not written out", `hash(lang) < 500`, 1, 6, codeShape, "does not fit", "salt"},
		{"an audience that is not there", `inAudience("buyer")`, 1, 1, codeUnknownName, "buyer", "buyers"},
		{"a function with too little", `count("view_item") > 1`, 1, 1, codeShape, "count", "7d"},
		{"a function with what it does not take", `true && seen(5)`, 1, 9, codeType, "seen", "sku-7"},
		{"a slip in a function", `lang.startWith("f")`, 1, 6, codeUnknownName, "startWith", "startsWith"},
		{"too many brackets", strings.Repeat("(", 60) + "true" + strings.Repeat(")", 60), 0, 0, codeTooLarge, "brackets", "audience"},
		{"too long", `lang == "` + strings.Repeat("x", edge.MaxExpressionBytes) + `"`, 0, 0, codeTooLarge, "at most 4096", "audience"},
	}
	l := testLanguage(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, faults := l.condition(tt.source)
			if len(faults) == 0 {
				t.Fatalf("%s was taken", tt.source)
			}
			f := faults[0]
			if f.line != tt.line || f.column != tt.column || f.code != tt.code ||
				!strings.Contains(f.message, tt.message) || !strings.Contains(f.hint, tt.hint) {
				t.Errorf("%s:\ngot  %+v\nwant %d:%d %s, %q, %q", tt.source, f, tt.line, tt.column, tt.code, tt.message, tt.hint)
			}
		})
	}
}

// A message that names @ or _==_ would send people to a name that they cannot
// write.
func TestFaultsSpeakTheLanguage(t *testing.T) {
	l := testLanguage(t)
	for _, source := range []string{
		`lang in "fr"`, `seen(5)`, `bought(1.0)`, `count("a", "7d") == "x"`, `hash("x") == "y"`, `distanceKm(1, 2) < 3`,
		`inAudience("buyers") > 3`, `lang == 3`, `-lang == "x"`, `!lang`, `visitor.visits ? true : false`, `lang[0] == "x"`,
		`interests[3] > 1`, `visitor.visits.exists(x, x > 1)`, `size(3) > 1`, `lang.startsWith(3)`,
	} {
		_, faults := l.condition(source)
		if len(faults) == 0 {
			t.Errorf("%s was taken", source)
		}
		for _, f := range faults {
			if strings.ContainsAny(f.message+f.hint, "@_") {
				t.Errorf("%s: %s; %s", source, f.message, f.hint)
			}
		}
	}
}
