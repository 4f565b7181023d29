// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// A writer writes random expressions of each type. What it compares with lies
// near what the visits of visitor have, so that either outcome is frequent.
type writer struct {
	*rand.Rand
	fields    map[edge.Type][]string // what may be named
	audiences []string
	bound     []variable // of the exists and all around
}

// A variable is a string or an item.
type variable struct {
	name string
	item bool
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) }

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// texts are those that visits have and rules compare with: prefixes and parts of
// each other, letters that fold outside ASCII, composed and decomposed, beyond
// the first plane, with bytes that a comparison by sign would order wrongly.
var texts = []string{
	"hats", "hat", "ha", "ts", "Hats", "s", "HATS", "/hats", "/hats/felt", "FR", "DE", "phone", "sku-1", "sku-2", "sku-10",
	"Zürich", "zürich", "ZÜRICH", "Zu\u0308rich", "rich", "日本", "日本語", "本", "🎩", "🎩 hats", "É", "é", "e\u0301", "ß", "İ", "\u212a",
	"a\u00a0b", `quote " and \ and '`, "line\nline", "\x00", "\x7f", "~", "", "view_item", "purchase",
	strings.Repeat("long hat ", 20), strings.Repeat("long hat ", 20) + "!", strings.Repeat("é", 70),
}

var integers = []int64{
	0, 1, 2, 3, 5, 7, 10, 23, 100, -1, -2, -7, 1200, 9999, 1 << 31, -1 << 31, 1<<53 + 1, math.MaxInt64, math.MaxInt64 - 1, math.MinInt64,
}

var doubles = []float64{
	0, 1, 2, 3, 0.5, 1.5, -1, 48.85, 2.35, 52.52, 13.4, 90, -90, 180, 19.99, 100, math.Copysign(0, -1), 1e-310, 1e308, -1e308, 1 << 53, 9.223372036854775807e18,
}

// day is about when the visits come.
var day = time.Date(2026, time.March, 1, 12, 30, 45, 678e6, time.UTC)

func (w *writer) text() string {
	if w.IntN(3) == 0 {
		return pick(w.Rand, texts[:6]) // so that some agree
	}
	return pick(w.Rand, texts)
}

func (w *writer) integer() int64  { return pick(w.Rand, integers[:1+w.IntN(len(integers))]) }
func (w *writer) double() float64 { return pick(w.Rand, doubles[:1+w.IntN(len(doubles))]) }

func (w *writer) quoted() string {
	if w.IntN(2) == 0 {
		return strconv.QuoteToASCII(w.text())
	}
	return strconv.Quote(w.text())
}

// piece quotes a text that many texts begin with, end with or contain.
func (w *writer) piece() string {
	if w.IntN(3) == 0 {
		return w.quoted()
	}
	return strconv.Quote(pick(w.Rand, []string{"h", "ha", "hat", "s", "ts", "t", "Z", "/", "rich", "é", "日", "🎩", "long", " ", "\u0308", ""}[:3+w.IntN(14)]))
}

func (w *writer) number() string {
	n := w.integer()
	if n == math.MinInt64 {
		return "-9223372036854775808"
	}
	return strconv.FormatInt(n, 10)
}

func (w *writer) decimal() string {
	s := strconv.FormatFloat(w.double(), 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// choose writes one of the forms; the deeper it may go, the more of them are
// within reach. The first forms have no operands of their own.
func (w *writer) choose(depth, flat int, forms ...func() string) string {
	if depth <= 0 {
		return forms[w.IntN(flat)]()
	}
	return forms[w.IntN(len(forms))]()
}

func (w *writer) field(t edge.Type) string { return pick(w.Rand, w.fields[t]) }

var orders = []string{"<", "<=", ">", ">=", "==", "!="}

// Bool writes a condition.
func (w *writer) Bool(depth int) string {
	d := depth - 1
	two := func(operator string) func() string {
		return func() string { return "(" + w.Bool(d) + operator + w.Bool(d) + ")" }
	}
	return w.choose(depth, 12,
		func() string { return w.field(edge.TypeBool) },
		func() string { return "(" + w.Text(0) + " " + pick(w.Rand, orders) + " " + w.Text(0) + ")" },
		func() string { return "(" + w.Int(0) + " " + pick(w.Rand, orders) + " " + w.number() + ")" },
		func() string { return "(" + w.Double(0) + " " + pick(w.Rand, orders) + " " + w.decimal() + ")" },
		func() string { return "(" + w.Text(0) + " in " + w.texts() + ")" },
		func() string { return "(" + w.quoted() + " in " + w.field(edge.TypeList) + ")" },
		func() string { return "(" + w.quoted() + " in " + w.field(edge.TypeMap) + ")" },
		func() string {
			return w.Text(0) + pick(w.Rand, []string{".startsWith(", ".endsWith(", ".contains("}) + w.quoted() + ")"
		},
		func() string { return w.field(edge.TypeString) + ".startsWith(" + w.piece() + ")" },
		func() string { return fmt.Sprintf("%s(%s)", pick(w.Rand, []string{"seen", "bought"}), w.quoted()) },
		func() string { return pick(w.Rand, []string{"true", "false"}) },
		w.audience,
		two(" && "), two(" && "), two(" || "), two(" || "),
		func() string { return "!(" + w.Bool(d) + ")" },
		func() string { return "(" + w.Bool(d) + " ? " + w.Bool(d) + " : " + w.Bool(d) + ")" },
		func() string { return "(" + w.Bool(d) + " " + pick(w.Rand, orders[4:]) + " " + w.Bool(d) + ")" },
		func() string { return "(" + w.Int(d) + " " + pick(w.Rand, orders) + " " + w.Int(d) + ")" },
		func() string { return "(" + w.Double(d) + " " + pick(w.Rand, orders) + " " + w.Double(d) + ")" },
		func() string { return "(" + w.Int(d) + " " + pick(w.Rand, orders[:4]) + " " + w.Double(d) + ")" },
		func() string { return "(" + w.Double(d) + " " + pick(w.Rand, orders[:4]) + " " + w.Int(d) + ")" },
		func() string { return "(" + w.Text(d) + " " + pick(w.Rand, orders) + " " + w.Text(d) + ")" },
		func() string { return "(" + w.Time(d) + " " + pick(w.Rand, orders) + " " + w.Time(d) + ")" },
		func() string { return "(" + w.Duration(d) + " " + pick(w.Rand, orders) + " " + w.Duration(d) + ")" },
		func() string { return "(" + w.Text(d) + " in " + w.List() + ")" },
		func() string { return "(" + w.Text(d) + " in " + w.field(edge.TypeMap) + ")" },
		func() string {
			return "(" + w.Int(d) + " in [" + w.number() + ", " + w.Int(d) + ", " + w.number() + "])"
		},
		func() string { return "(" + w.Double(d) + " in [" + w.decimal() + ", " + w.decimal() + "])" },
		func() string {
			return w.Text(d) + pick(w.Rand, []string{".startsWith(", ".endsWith(", ".contains("}) + w.Text(d) + ")"
		},
		func() string { return fmt.Sprintf("%s(%s)", pick(w.Rand, []string{"seen", "bought"}), w.Text(d)) },
		func() string { return w.each(d) }, func() string { return w.each(d) }, func() string { return w.each(d) },
	)
}

func (w *writer) audience() string {
	if len(w.audiences) == 0 {
		return "true"
	}
	return `inAudience("` + pick(w.Rand, w.audiences) + `")`
}

// each writes exists or all over a list; inside another, over one in brackets.
func (w *writer) each(depth int) string {
	v := variable{name: "v" + strconv.Itoa(len(w.bound)), item: w.IntN(2) == 0}
	over := w.List()
	switch {
	case len(w.bound) > 0:
		v.item, over = false, w.texts()
	case v.item:
		over = w.field(edge.TypeItems)
	}
	w.bound = append(w.bound, v)
	defer func() { w.bound = w.bound[:len(w.bound)-1] }()
	return over + pick(w.Rand, []string{".exists(", ".all("}) + v.name + ", " + w.Bool(depth) + ")"
}

// texts writes a list of texts in brackets.
func (w *writer) texts() string {
	list := make([]string, 1+w.IntN(4))
	for i := range list {
		list[i] = w.quoted()
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// List writes a list of strings.
func (w *writer) List() string {
	if w.IntN(4) == 0 {
		return w.texts()
	}
	return w.field(edge.TypeList)
}

// variable writes a bound variable, or its member, or else the form otherwise.
func (w *writer) variable(item bool, member string, otherwise func() string) string {
	for _, v := range w.bound {
		if v.item == item && w.IntN(4) > 0 {
			return v.name + member
		}
	}
	return otherwise()
}

// Text writes an expression of type string.
func (w *writer) Text(depth int) string {
	d := depth - 1
	field := func() string { return w.field(edge.TypeString) }
	return w.choose(depth, 4,
		field,
		func() string { return w.variable(false, "", field) },
		func() string { return w.variable(true, ".id", field) },
		w.quoted,
		func() string { return w.Text(d) + ".lowerAscii()" },
		func() string { return w.field(edge.TypeList) + "[" + w.Int(d-1) + "]" },
		func() string { return w.field(edge.TypeList) + "[0]" },
		func() string { return w.field(edge.TypeItems) + "[" + strconv.Itoa(w.IntN(3)) + "].id" },
		func() string { return "(" + w.Bool(d) + " ? " + w.Text(d) + " : " + w.Text(d) + ")" },
	)
}

var parts = []string{
	"getFullYear", "getMonth", "getDayOfYear", "getDate", "getDayOfMonth", "getDayOfWeek", "getHours", "getMinutes", "getSeconds", "getMilliseconds",
}

// Int writes an expression of type int.
func (w *writer) Int(depth int) string {
	d := depth - 1
	field := func() string { return w.field(edge.TypeInt) }
	return w.choose(depth, 6,
		field, field,
		func() string { return w.variable(true, ".quantity", field) },
		w.number,
		func() string { return fmt.Sprintf(`count(%q, %q)`, pick(w.Rand, events), pick(w.Rand, windows)) },
		func() string { return `hash("` + pick(w.Rand, []string{"spring", "été"}) + `")` },
		func() string {
			return "(" + w.Int(d) + " " + pick(w.Rand, []string{"+", "-", "*", "/", "%"}) + " " + w.Int(d) + ")"
		},
		func() string {
			return "(" + w.Int(d) + " " + pick(w.Rand, []string{"+", "-", "*", "/", "%"}) + " " + w.number() + ")"
		},
		func() string { return "-(" + w.Int(d) + ")" },
		func() string { return "int(" + w.Double(d) + ")" },
		func() string { return "int(" + w.Time(d) + ")" },
		func() string { return "size(" + w.Text(d) + ")" },
		func() string {
			return w.field(pick(w.Rand, []edge.Type{edge.TypeList, edge.TypeItems, edge.TypeMap})) + ".size()"
		},
		func() string { return w.Time(d) + "." + pick(w.Rand, parts) + "()" },
		func() string { return "now." + pick(w.Rand, parts) + "()" },
		func() string { return w.Duration(d) + "." + pick(w.Rand, parts[6:]) + "()" },
		func() string { return w.field(edge.TypeItems) + "[" + strconv.Itoa(w.IntN(3)) + "].quantity" },
		func() string { return "(" + w.Bool(d) + " ? " + w.Int(d) + " : " + w.Int(d) + ")" },
	)
}

// Double writes an expression of type double.
func (w *writer) Double(depth int) string {
	d := depth - 1
	field := func() string { return w.field(edge.TypeFloat) }
	return w.choose(depth, 5,
		field,
		func() string { return w.variable(true, ".price", field) },
		w.decimal,
		func() string { return w.field(edge.TypeMap) + "[" + w.quoted() + "]" },
		func() string { return fmt.Sprintf("distanceKm(%v, %v)", w.Float64()*180-90, w.Float64()*360-180) },
		func() string { return w.field(edge.TypeMap) + "[" + w.Text(d) + "]" },
		func() string {
			return "(" + w.Double(d) + " " + pick(w.Rand, []string{"+", "-", "*", "/"}) + " " + w.Double(d) + ")"
		},
		func() string { return "-(" + w.Double(d) + ")" },
		func() string { return "double(" + w.Int(d) + ")" },
		func() string { return "distanceKm(" + w.decimal() + ", " + w.Double(d) + ")" },
		func() string { return "(" + w.Bool(d) + " ? " + w.Double(d) + " : " + w.Double(d) + ")" },
	)
}

// Time writes an expression of type timestamp.
func (w *writer) Time(depth int) string {
	d := depth - 1
	return w.choose(depth, 3,
		func() string { return "now" }, func() string { return "now" },
		func() string {
			t := day.Add(time.Duration(w.IntN(5)-2) * 12 * time.Hour)
			if w.IntN(6) == 0 {
				t = pick(w.Rand, []time.Time{time.Unix(-62135596800, 0), time.Unix(253402300799, 999e6), time.Unix(-1, 5e6), time.Unix(951782400, 0)})
			}
			return `timestamp("` + t.UTC().Format(time.RFC3339Nano) + `")`
		},
		func() string { return "(" + w.Time(d) + " + " + w.Duration(d) + ")" },
		func() string { return "(" + w.Duration(d) + " + " + w.Time(d) + ")" },
		func() string { return "(" + w.Time(d) + " - " + w.Duration(d) + ")" },
		func() string { return "(" + w.Bool(d) + " ? " + w.Time(d) + " : " + w.Time(d) + ")" },
	)
}

var spans = []string{"0s", "1s", "90m", "24h", "-24h", "36h", "720h", "1ms", "-1ms", "2562047h", "-2562047h", "1h30m0.5s"}

// Duration writes an expression of type duration.
func (w *writer) Duration(depth int) string {
	d := depth - 1
	return w.choose(depth, 1,
		func() string { return `duration("` + pick(w.Rand, spans) + `")` },
		func() string { return "(" + w.Time(d) + " - " + w.Time(d) + ")" },
		func() string {
			return "(" + w.Duration(d) + " " + pick(w.Rand, []string{"+", "-"}) + " " + w.Duration(d) + ")"
		},
		func() string { return "(" + w.Bool(d) + " ? " + w.Duration(d) + " : " + w.Duration(d) + ")" },
	)
}

// events and windows are those that expressions count in.
var (
	events  = []string{"view_item", "purchase"}
	windows = []string{"1d", "7d", "30d"}
)
