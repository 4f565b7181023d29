// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"strings"
)

// A leaf is one question as each engine spells it.
type leaf struct {
	ours, cel, expr, rego string
	// body says that rego is several literals, which need a rule of their own.
	body bool
	// keyed says that the question reads a key that a map may not have.
	keyed bool
	// equality says that the question's opposite is written with !=.
	equality bool
}

// opposite is a question turned round.
func (l leaf) opposite() leaf {
	for _, text := range []*string{&l.ours, &l.cel, &l.expr, &l.rego} {
		*text = strings.Replace(*text, " == ", " != ", 1)
	}
	return l
}

// everywhere is a question that all engines spell alike; Rego reads its fields
// from the input.
func everywhere(text string, fields ...string) leaf {
	rego := text
	for _, f := range fields {
		rego = strings.ReplaceAll(rego, f, "input."+f)
	}
	return leaf{ours: text, cel: text, expr: text, rego: rego}
}

func quoted(list []string) string {
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprintf("%q", s))
	}
	return strings.Join(out, ", ")
}

// equals, oneOf, begins and ends ask for a text, holds for a list's member.
func equals(field, word string) leaf {
	l := everywhere(fmt.Sprintf("%s == %q", field, word), field)
	l.equality = true
	return l
}

func oneOf(field string, list []string) leaf {
	l := everywhere(fmt.Sprintf("%s in [%s]", field, quoted(list)))
	l.rego = fmt.Sprintf("input.%s in {%s}", field, quoted(list))
	return l
}

func begins(field, word string) leaf { return method(field, "startsWith", word) }
func ends(field, word string) leaf   { return method(field, "endsWith", word) }

func method(field, name, word string) leaf {
	l := everywhere(fmt.Sprintf("%s.%s(%q)", field, name, word))
	l.expr = fmt.Sprintf("%s %s %q", field, name, word)
	l.rego = fmt.Sprintf("%s(input.%s, %q)", strings.ToLower(name), field, word)
	return l
}

func holds(field, word string) leaf { return everywhere(fmt.Sprintf("%q in %s", word, field), field) }

// has asks for a map's key; Rego's in looks at the values.
func has(field, key string) leaf {
	l := holds(field, key)
	l.rego = fmt.Sprintf("input.%s[%q]", field, key)
	return l
}

// member is holds by the function that says so of the visitor's history.
func member(function, field, item string) leaf {
	l := holds(field, item)
	l.ours = fmt.Sprintf("%s(%q)", function, item)
	return l
}

// number compares a field with a number.
func number(field, op string, n int) leaf {
	return everywhere(fmt.Sprintf("%s %s %d", field, op, n), field)
}

// entry asks for at least n under a map's key.
func entry(field, key string, n int) leaf {
	l := everywhere(fmt.Sprintf("%s[%q] >= %d.0", field, key, n), field)
	l.keyed = true
	return l
}

// size asks how much a list holds.
func size(field string, n int) leaf {
	return leaf{
		ours: fmt.Sprintf("size(%s) >= %d", field, n), cel: fmt.Sprintf("size(%s) >= %d", field, n),
		expr: fmt.Sprintf("len(%s) >= %d", field, n), rego: fmt.Sprintf("count(input.%s) >= %d", field, n),
	}
}

func dear(price int) leaf {
	l := everywhere(fmt.Sprintf("cart.exists(i, i.price >= %d.0)", price))
	l.expr = fmt.Sprintf("any(cart, .price >= %d)", price)
	l.rego, l.body = fmt.Sprintf("some i in input.cart\n\ti.price >= %d", price), true
	return l
}

func several(item string) leaf {
	l := everywhere(fmt.Sprintf("cart.exists(i, i.id == %q && i.quantity > 1)", item))
	l.expr = fmt.Sprintf("any(cart, .id == %q && .quantity > 1)", item)
	l.rego, l.body = fmt.Sprintf("some i in input.cart\n\ti.id == %q\n\ti.quantity > 1", item), true
	return l
}

func single() leaf {
	return leaf{
		ours: "cart.all(i, i.quantity == 1)", cel: "cart.all(i, i.quantity == 1)", expr: "all(cart, .quantity == 1)",
		rego: "every i in input.cart { i.quantity == 1 }", body: true,
	}
}

func tagged(prefix string) leaf {
	l := everywhere(fmt.Sprintf("page.tags.exists(t, t.startsWith(%q))", prefix))
	l.expr = fmt.Sprintf("any(page.tags, # startsWith %q)", prefix)
	l.rego, l.body = fmt.Sprintf("some t in input.page.tags\n\tstartswith(t, %q)", prefix), true
	return l
}

func titled(word string) leaf {
	l := everywhere(fmt.Sprintf("page.title.lowerAscii().contains(%q)", word))
	l.expr = fmt.Sprintf("lower(page.title) contains %q", word)
	l.rego = fmt.Sprintf("contains(lower(input.page.title), %q)", word)
	return l
}

// counted asks how often something happened in a window; the peers read the map
// that the function reads.
func counted(event string, days, n int) leaf {
	l := entry("counts", fmt.Sprintf("%s/%dd", event, days), n)
	l.ours = fmt.Sprintf(`count(%q, "%dd") >= %d`, event, days, n)
	return l
}

func near(lat, lon float64, km int) leaf {
	peers := fmt.Sprintf("distanceKm(geo.lat, geo.lon, %v, %v) < %d.0", lat, lon, km)
	l := everywhere(peers, "geo.lat", "geo.lon")
	l.ours = fmt.Sprintf("distanceKm(%v, %v) < %d.0", lat, lon, km)
	return l
}

func bucketed(salt string, below int) leaf {
	l := everywhere(fmt.Sprintf("hash(%q, visitor.id) < %d", salt, below), "visitor.id")
	l.ours = fmt.Sprintf("hash(%q) < %d", salt, below)
	return l
}

func between(field string, from, until int) leaf {
	l := everywhere(fmt.Sprintf("(%s >= %d && %s < %d)", field, from, field, until))
	l.rego, l.body = fmt.Sprintf("input.%s >= %d\n\tinput.%s < %d", field, from, field, until), true
	return l
}

func weekdays(days string) leaf {
	l := everywhere("time.weekday in [" + days + "]")
	l.rego = "input.time.weekday in {" + days + "}"
	return l
}

// since asks for a date; who knows no dates compares milliseconds.
func since(day int) leaf {
	at := now.AddDate(0, 0, -day)
	l := everywhere(fmt.Sprintf("now >= timestamp(%q)", at.Format("2006-01-02T15:04:05Z")))
	l.expr = fmt.Sprintf("now >= %d", at.UnixMilli())
	l.rego = "input." + l.expr
	return l
}

// questions are what marketers ask, the likelier ones with more weight. A rule
// asks about each thing once.
var questions = []struct {
	weight int
	about  string
	ask    func(dice) leaf
}{
	{5, "path", func(d dice) leaf { return begins("page.path", "/"+d.one(words.langs)+"/"+d.one(words.categories)) }},
	{5, "type", func(d dice) leaf { return equals("page.type", d.one(words.types)) }},
	{4, "category", func(d dice) leaf { return oneOf("page.category", d.some(words.categories, 1+d.IntN(3))) }},
	{4, "tags", func(d dice) leaf { return holds("page.tags", d.one(words.tags)) }},
	{2, "tags", func(d dice) leaf { return tagged(d.one([]string{"winter", "wom", "out"})) }},
	{1, "title", func(d dice) leaf { return titled(d.one([]string{"gift", "sale", "shoes"})) }},
	{2, "item", func(d dice) leaf { return equals("page.item", d.sku()) }},
	{7, "country", func(d dice) leaf { return equals("geo.country", d.one(words.countries)) }},
	{6, "country", func(d dice) leaf { return oneOf("geo.country", d.some(words.countries, 2+d.IntN(5))) }},
	{2, "place", func(d dice) leaf { return equals("geo.city", places[d.IntN(len(places))].City) }},
	{1, "place", func(d dice) leaf { return equals("geo.region", places[d.IntN(len(places))].Region) }},
	{2, "place", func(d dice) leaf { p := places[d.IntN(4)]; return near(p.Lat, p.Lon, 10*(1+d.IntN(4))) }},
	{7, "device", func(d dice) leaf { return equals("device.type", d.one(words.devices)) }},
	{1, "device", func(d dice) leaf { return begins("device.model", d.one([]string{"iPhone", "iPad", "SM-", "Pixel"})) }},
	{1, "device", func(d dice) leaf { return number("viewport", "<", 400+100*d.IntN(10)) }},
	{4, "hour", func(d dice) leaf { return between("time.hour", 6+d.IntN(8), 14+d.IntN(9)) }},
	{3, "weekday", func(d dice) leaf { return weekdays(d.one([]string{"6, 7", "1, 2, 3, 4, 5", "5"})) }},
	{2, "now", func(d dice) leaf { return since(d.IntN(30)) }},
	{4, "channel", func(d dice) leaf { return equals("source.channel", d.one(words.channels)) }},
	{2, "medium", func(d dice) leaf { return oneOf("utm.medium", d.some(words.media, 1+d.IntN(2))) }},
	{3, "campaign", func(d dice) leaf {
		return begins("utm.campaign", d.one([]string{"winter-", "spring-", "newsletter", "black"}))
	}},
	{2, "campaign", func(d dice) leaf { return equals("source.campaign", d.one(words.campaigns)) }},
	{1, "referrer", func(d dice) leaf { return ends("ref.host", d.one([]string{"google.com", "bing.com", ".example"})) }},
	{5, "visits", func(d dice) leaf { return number("visitor.visits", ">", d.IntN(15)) }},
	{2, "visits", func(d dice) leaf { return number("visitor.visits", "==", 1) }},
	{2, "visits", func(dice) leaf { return everywhere("visitor.returning", "visitor.returning") }},
	{2, "absence", func(d dice) leaf { return number("visitor.days_since", ">=", 7*(1+d.IntN(6))) }},
	{1, "absence", func(d dice) leaf {
		return number("visitor.visits * 3 + visitor.days_since", ">", 30+d.IntN(60)).reading("visitor.visits", "visitor.days_since")
	}},
	{1, "visits", func(d dice) leaf {
		return number("visitor.visits % 5", "==", d.IntN(5)).reading("visitor.visits")
	}},
	{4, "interests", func(d dice) leaf { return entry("interests", d.one(words.categories), 1+d.IntN(4)) }},
	{2, "interests", func(d dice) leaf { return has("interests", d.one(words.categories)) }},
	{2, "counters", func(d dice) leaf {
		return entry("counters", d.one([]string{"view_item", "add_to_cart", "purchase"}), 1+d.IntN(4))
	}},
	{4, "counts", func(d dice) leaf {
		w := windows[d.IntN(len(windows))]
		return counted(w.Event, w.Days, 1+d.IntN(8))
	}},
	{3, "recent", func(d dice) leaf { return member("seen", "recent", d.sku()) }},
	{2, "bought", func(d dice) leaf { return member("bought", "bought", d.sku()) }},
	{1, "recent", func(d dice) leaf { return size("recent", 2+d.IntN(5)) }},
	{2, "cart", func(d dice) leaf { return size("cart", 1+d.IntN(3)) }},
	{2, "cart", func(d dice) leaf { return dear(20 * (2 + d.IntN(6))) }},
	{1, "cart", func(d dice) leaf { return several(d.sku()) }},
	{1, "cart", func(dice) leaf { return single() }},
	{1, "bucket", func(d dice) leaf { return bucketed(d.one(words.campaigns), 1000*(1+d.IntN(5))) }},
}

// reading spells a leaf for Rego whose fields stand within an expression.
func (l leaf) reading(fields ...string) leaf { return everywhere(l.ours, fields...) }
