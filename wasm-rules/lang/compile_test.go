// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"testing"

	"github.com/nearside/nearside/edge"
)

// full is a visit in which much is known.
var full = visit{
	"geo.country": textValue("FR"), "geo.lat": floatValue(48.85), "geo.lon": floatValue(2.35), "lang": textValue("fr-CA"),
	"page.path": textValue("/hats/felt"), "page.tags": listValue("felt", "Wool"), "page.item": textValue("sku-7"),
	"page.title": textValue("Chapeaux d'été 日本"), "time.hour": intValue(14), "visitor.visits": intValue(3),
	"visitor.returning": boolValue(true), "recent": listValue("sku-1", "sku-7"), "bought": listValue(),
	"interests":  mapValue(edge.Entry{Key: "hats", Value: 3}, edge.Entry{Key: "shoes", Value: 1.5}),
	"counts":     mapValue(edge.Entry{Key: "view_item/7d", Value: 4}),
	"cart":       itemsValue(edge.Item{ID: "sku-7", Quantity: 2, Price: 12.5}, edge.Item{ID: "sku-9", Quantity: 1, Price: 100}),
	"now":        timeValue(1781524800123), // 2026-06-15T12:00:00.123Z
	"visitor.id": textValue("v-1"), "shop.tier": textValue("gold"), "shop.score": floatValue(0.5), "shop.member": boolValue(false),
	"shop.points": intValue(1 << 62),
}

func TestConditions(t *testing.T) {
	tests := []struct {
		source string
		full   verdict // in the visit full
		empty  verdict // where nothing is known
	}{
		{`geo.country == "FR"`, isTrue, isNeither},
		{`geo.country != "FR"`, isFalse, isNeither},
		{`"DE" == geo.country`, isFalse, isNeither},
		{`geo.country == ""`, isFalse, isNeither},
		{`true || geo.country == "FR"`, isTrue, isTrue},
		{`false && geo.country == "FR"`, isFalse, isFalse},
		{`geo.country == "FR" || geo.country != "FR"`, isTrue, isNeither},
		{`geo.country == "FR" && ref.host == "x"`, isNeither, isNeither},
		{`geo.country == "DE" && ref.host == "x"`, isFalse, isNeither},
		{`geo.country == "FR" || ref.host == "x"`, isTrue, isNeither},
		{`!(ref.host == "x") || visitor.returning`, isTrue, isNeither},
		{`visitor.returning`, isTrue, isNeither},
		{`shop.member`, isFalse, isNeither},
		{`visitor.returning == shop.member`, isFalse, isNeither},
		{`visitor.returning != shop.member`, isTrue, isNeither},
		{`lang.startsWith("fr")`, isTrue, isNeither},
		{`lang.startsWith("fr-CA-x")`, isFalse, isNeither},
		{`lang.endsWith("-CA")`, isTrue, isNeither},
		{`lang.endsWith("xxfr-CA")`, isFalse, isNeither},
		{`lang.contains("r-C")`, isTrue, isNeither},
		{`lang.contains("r-c")`, isFalse, isNeither},
		{`lang.contains("")`, isTrue, isNeither},
		{`lang.lowerAscii() == "fr-ca"`, isTrue, isNeither},
		{`lang.lowerAscii() == "fr-CA"`, isFalse, isNeither},
		{`lang.lowerAscii().contains("-c")`, isTrue, isNeither},
		{`lang.lowerAscii().startsWith("fr-c") && lang.lowerAscii().endsWith("ca")`, isTrue, isNeither},
		{`lang.lowerAscii() in ["en", "fr-ca", "de"]`, isTrue, isNeither},
		{`page.path == "/hats/felt" && page.path.startsWith("/hats/fel") && page.path.endsWith("hats/felt")`, isTrue, isNeither},
		{`page.path == "/hats/fell"`, isFalse, isNeither},
		{`page.path == "/hats/felt/with-a-name-that-is-longer-than-what-is-inline"`, isFalse, isNeither},
		{`geo.country in ["DE", "FR", "IT", "GBR", ""]`, isTrue, isNeither},
		{`geo.country in ["DE", "IT"]`, isFalse, isNeither},
		{`geo.country in []`, isFalse, isNeither},
		{`geo.country in ["DE", lang]`, isFalse, isNeither},
		{`"FR" in ["FR", ref.host]`, isNeither, isNeither},
		{`time.hour in [9, 14, 20]`, isTrue, isNeither},
		{`time.hour in [-9223372036854775807, 9223372036854775807, 14]`, isTrue, isNeither},
		{`time.hour in [15, 16]`, isFalse, isNeither},
		{`shop.score in [0.25, 0.5]`, isTrue, isNeither},
		{`visitor.returning in [false, shop.member]`, isFalse, isNeither},
		{`visitor.visits >= 3`, isTrue, isNeither},
		{`visitor.visits > 3`, isFalse, isNeither},
		{`visitor.visits < 4 && visitor.visits <= 3 && visitor.visits == 3`, isTrue, isNeither},
		{`visitor.visits > 2.5`, isTrue, isNeither},
		{`geo.lat > 48`, isTrue, isNeither},
		{`geo.lat < 48.0`, isFalse, isNeither},
		{`lang < "g" && lang > "fr" && lang >= "fr-CA" && lang <= "fr-CAx"`, isTrue, isNeither},
		{`lang < "fr-CA"`, isFalse, isNeither},
		{`"felt" in page.tags`, isTrue, isNeither},
		{`"wool" in page.tags`, isFalse, isNeither},
		{`"x" in bought`, isFalse, isNeither},
		{`!("x" in bought)`, isTrue, isNeither},
		{`page.item in recent`, isTrue, isNeither},
		{`seen("sku-1")`, isTrue, isNeither},
		{`seen(ref.host)`, isNeither, isNeither},
		{`bought("sku-1")`, isFalse, isNeither},
		{`"hats" in interests`, isTrue, isNeither},
		{`interests["hats"] >= 3.0`, isTrue, isNeither},
		{`interests.shoes < 1.5`, isFalse, isNeither},
		{`interests["none"] > 0.0`, isNeither, isNeither},
		{`interests["none"] > 0.0 || true`, isTrue, isTrue},
		{`interests[page.tags[0]] > 0.0`, isNeither, isNeither},
		{`count("view_item", "7d") == 4`, isTrue, isNeither},
		{`count("view_item", "30d") == 4`, isNeither, isNeither},
		{`page.tags.exists(x, x.startsWith("W"))`, isTrue, isNeither},
		{`page.tags.exists(x, x == "none")`, isFalse, isNeither},
		{`page.tags.exists(x, x == ref.host)`, isNeither, isNeither},
		{`page.tags.exists(x, x == "felt" || x == ref.host)`, isTrue, isNeither},
		{`page.tags.all(x, size(x) == 4)`, isTrue, isNeither},
		{`page.tags.all(x, x == "felt")`, isFalse, isNeither},
		{`bought.all(x, x == "felt")`, isTrue, isNeither},
		{`bought.exists(x, x == ref.host)`, isFalse, isNeither},
		{`bought.exists(x, true)`, isFalse, isNeither},
		{`recent.exists(x, true)`, isTrue, isNeither},
		{`cart.exists(i, i.id == "sku-7" && i.quantity == 2 && i.price == 12.5)`, isTrue, isNeither},
		{`cart.exists(i, i.price > 100.0)`, isFalse, isNeither},
		{`cart.all(i, i.quantity > 0 && bought.size() == 0)`, isTrue, isNeither},
		{`cart[1].id == "sku-9" && cart[0].quantity == 2`, isTrue, isNeither},
		{`cart[2].id == "sku-9"`, isNeither, isNeither},
		{`cart[-1].id == "sku-9"`, isNeither, isNeither},
		{`recent[1] == page.item`, isTrue, isNeither},
		{`recent[visitor.visits - 3] == "sku-1"`, isTrue, isNeither},
		{`interests.exists(k, interests[k] < 2.0 && k.endsWith("s"))`, isTrue, isNeither},
		{`interests.all(k, k == "hats")`, isFalse, isNeither},
		{`["sku-7", lang].exists(x, x in recent)`, isTrue, isNeither},
		{`["sku-7", "b"].all(x, x in recent)`, isFalse, isNeither},
		{`[1, 2, 3].exists(x, x == visitor.visits)`, isTrue, isNeither},
		{`["a", "b", "FR"][2] == geo.country`, isTrue, isNeither},
		{`["a", "b"][visitor.visits] == "a"`, isNeither, isNeither},
		{`(visitor.returning ? recent : bought).exists(x, x == "sku-1")`, isTrue, isNeither},
		{`(shop.member ? recent : ["a"]).size() == 1`, isTrue, isNeither},
		{`visitor.returning ? geo.country == "FR" : ref.host == "x"`, isTrue, isNeither},
		{`(shop.member ? lang : geo.country) == "FR"`, isTrue, isNeither},
		{`(shop.member ? lang : geo.country.lowerAscii()) == "fr"`, isTrue, isNeither},
		{`(ref.host == "x" ? "a" : "a") == "a"`, isNeither, isNeither},
		{`size(page.title) == 17 && page.title.size() == 17`, isTrue, isNeither},
		{`size(page.tags) == 2 && size(bought) == 0 && size(interests) == 2 && cart.size() == 2`, isTrue, isNeither},
		{`visitor.visits + 1 == 4 && visitor.visits - 5 == -2 && visitor.visits * -7 == -21`, isTrue, isNeither},
		{`-visitor.visits == -3 && 7 / visitor.visits == 2 && -7 / visitor.visits == -2 && -7 % visitor.visits == -1`, isTrue, isNeither},
		{`shop.points * 2 > 0`, isNeither, isNeither},
		{`shop.points * -2 < 0`, isTrue, isNeither},
		{`shop.points + shop.points > 0`, isNeither, isNeither},
		{`-shop.points - shop.points < 0`, isTrue, isNeither},
		{`-shop.points - shop.points - 1 < 0`, isNeither, isNeither},
		{`visitor.visits / (visitor.visits - 3) == 1`, isNeither, isNeither},
		{`visitor.visits % 0 == 1`, isNeither, isNeither},
		{`1 / 0 == 1 || true`, isTrue, isTrue},
		{`shop.score + 0.25 == 0.75 && shop.score * 4.0 == 2.0 && shop.score / 0.0 > 1000.0 && -shop.score == -0.5`, isTrue, isNeither},
		{`shop.score - shop.score / 0.0 < 0.0`, isTrue, isNeither},
		{`0.0 / 0.0 == 0.0 / 0.0`, isFalse, isFalse},
		{`shop.score * 0.0 / 0.0 != 1.0`, isTrue, isNeither},
		{`!(shop.score * 0.0 / 0.0 < 1.0)`, isTrue, isNeither},
		{`int(shop.score * -5.0) == -2`, isTrue, isNeither},
		{`int(shop.score / 0.0) == 1`, isNeither, isNeither},
		{`int(9.3e18) > 0`, isNeither, isNeither},
		{`double(visitor.visits) / 2.0 == 1.5`, isTrue, isNeither},
		{`now > timestamp("2026-06-15T12:00:00Z") && now < timestamp("2026-06-15T14:00:00.124+02:00")`, isTrue, isNeither},
		{`now.getFullYear() == 2026 && now.getMonth() == 5 && now.getDate() == 15 && now.getDayOfMonth() == 14`, isTrue, isNeither},
		{`now.getDayOfWeek() == 1 && now.getDayOfYear() == 165 && now.getHours() == 12`, isTrue, isNeither},
		{`now.getMinutes() == 0 && now.getSeconds() == 0 && now.getMilliseconds() == 123`, isTrue, isNeither},
		{`now - timestamp("2026-06-14T12:00:00.123Z") == duration("24h")`, isTrue, isNeither},
		{`(now - timestamp("2026-06-14T12:00:00.123Z")).getHours() == 24`, isTrue, isNeither},
		{`now + duration("1h") > timestamp("2026-06-15T13:00:00Z") && duration("1h") + now - duration("2h") < now`, isTrue, isNeither},
		{`now - timestamp("0001-01-01T00:00:00Z") > duration("1h")`, isNeither, isNeither},
		{`int(now) == 1781524800 && int(duration("1s")) == 1000000000`, isTrue, isNeither},
		{`now in [timestamp("2026-06-15T12:00:00.123Z")]`, isTrue, isNeither},
		{`hash("spring") >= 0 && hash("spring") < 10000`, isTrue, isNeither},
		{`distanceKm(48.85, 2.35) == 0.0`, isTrue, isNeither},
		{`distanceKm(52.52, 13.405) > 870 && distanceKm(52.52, 13.405) < 890`, isTrue, isNeither},
		{`distanceKm(-33.87, 151.21) > 16950 && distanceKm(-33.87, 151.21) < 16970`, isTrue, isNeither},
		{`distanceKm(91.0, 0.0) > 0.0`, isNeither, isNeither},
		{`distanceKm(shop.score * 200.0, 0.0) > 0.0`, isNeither, isNeither},
		{`inAudience("buyers")`, isFalse, isNeither},
		{`inAudience("vip.eu") || shop.tier == "gold"`, isTrue, isNeither},
	}
	var sources []string
	for _, tt := range tests {
		sources = append(sources, tt.source)
	}
	m := load(t, conditions(sources...))
	inFull, inEmpty := m.verdicts(full), m.verdicts(visit{})
	for i, tt := range tests {
		if inFull[i] != tt.full {
			t.Errorf("%s: %s, want %s", tt.source, inFull[i], tt.full)
		}
		if inEmpty[i] != tt.empty {
			t.Errorf("%s, where nothing is known: %s, want %s", tt.source, inEmpty[i], tt.empty)
		}
	}
}
