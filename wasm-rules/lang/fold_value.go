// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"math"
	"math/bits"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nearside/nearside/edge"
)

// Bounds of times and durations in milliseconds. A duration in CEL is an int64
// of nanoseconds.
const (
	minTimeMillis     = -62135596800_000
	maxTimeMillis     = 253402300799_999
	maxDurationMillis = math.MaxInt64 / int64(time.Millisecond)
	// maxTimeSeconds is the most whole seconds between two times of which the
	// difference is a duration.
	maxTimeSeconds = math.MaxInt64 / int64(time.Second)
)

func (b *builder) lower(x *node) *node {
	switch {
	case x.isConst():
		return b.text(lowerASCII(x.text))
	case x.op == opLower:
		return x
	}
	return b.apply(opLower, kindText, x)
}

// match returns one of x.startsWith(y), x.endsWith(y) and x.contains(y).
func (b *builder) match(o op, x, y *node) *node {
	switch {
	case x.isConst() && y.isConst():
		return b.bool(map[op]func(string, string) bool{
			opPrefix: strings.HasPrefix, opSuffix: strings.HasSuffix, opInside: strings.Contains,
		}[o](x.text, y.text))
	case y.isConst() && y.text == "":
		return b.guard(b.bool(true), x)
	case x.op == opLower && y.isConst() && lowerASCII(y.text) != y.text:
		return b.guard(b.bool(false), x)
	}
	return b.apply(o, kindBool, x, y)
}

func (b *builder) size(x *node) *node {
	if x.kind == kindText {
		if x.isConst() {
			return b.int(int64(utf8.RuneCountInString(x.text)))
		}
		if x.op == opLower {
			x = x.args[0]
		}
		return b.apply(opSize, kindInt, x)
	}
	return b.choose(x, func(list *node) *node {
		if list.op == opList {
			return b.guard(b.int(int64(len(list.args))), list.args...)
		}
		return b.apply(opSize, kindInt, list)
	})
}

// get returns m[key].
func (b *builder) get(m, key *node) *node { return b.apply(opGet, kindDouble, m, key) }

// at returns list[i]; k is the kind of the list's elements.
func (b *builder) at(list, i *node, k kind) *node {
	return b.choose(list, func(list *node) *node {
		if list.op != opList {
			if i.isConst() && i.num < 0 {
				return b.unknown(k)
			}
			return b.apply(opAt, k, list, i)
		}
		value := b.unknown(k)
		for n := len(list.args) - 1; n >= 0; n-- {
			value = b.cond(b.equal(i, b.int(int64(n))), list.args[n], value)
		}
		return b.guard(value, list.args...)
	})
}

// arithmetic returns x o y of ints, doubles, times and durations.
func (b *builder) arithmetic(o op, x, y *node) *node {
	k := x.kind
	switch {
	case x.kind == kindDuration && y.kind == kindTime, // a sum
		(o == opAdd || o == opMul) && x.isConst() && !y.isConst() && x.kind == y.kind:
		return b.arithmetic(o, y, x)
	case x.kind == kindTime && y.kind == kindTime:
		k = kindDuration
	}
	if x.isConst() && y.isConst() {
		switch {
		case k == kindDouble:
			return b.double(foldDouble(o, x.double(), y.double()))
		case x.kind == kindTime && y.kind == kindTime:
			return b.folded(k)(foldSpan(x.num, y.num))
		}
		v, ok := foldInt(o, x.num, y.num)
		return b.folded(k)(v, ok && inRange(k, v))
	}
	if k == kindInt && y.isConst() && y.num == 0 && (o == opDiv || o == opMod) {
		return b.unknown(k)
	}
	return b.apply(o, k, x, y)
}

// folded returns what to do with a value that may not be.
func (b *builder) folded(k kind) func(v int64, ok bool) *node {
	return func(v int64, ok bool) *node {
		if !ok {
			return b.unknown(k)
		}
		return b.number(k, v)
	}
}

// inRange reports whether a value is one of its kind.
func inRange(k kind, v int64) bool {
	switch k {
	case kindTime:
		return v >= minTimeMillis && v <= maxTimeMillis
	case kindDuration:
		return v >= -maxDurationMillis && v <= maxDurationMillis
	}
	return true
}

func foldDouble(o op, x, y float64) float64 {
	switch o {
	case opAdd:
		return x + y
	case opSub:
		return x - y
	case opMul:
		return x * y
	}
	return x / y
}

// foldInt is checked arithmetic, as CEL's.
func foldInt(o op, x, y int64) (v int64, ok bool) {
	switch o {
	case opAdd:
		v = x + y
		return v, (x^v)&(y^v) >= 0
	case opSub:
		v = x - y
		return v, (x^y)&(x^v) >= 0
	case opMul:
		high, low := bits.Mul64(uint64(x), uint64(y))
		signed := int64(high) - (x>>63)&y - (y>>63)&x
		return int64(low), signed == int64(low)>>63
	}
	if y == 0 || x == math.MinInt64 && y == -1 {
		return 0, false
	}
	if o == opDiv {
		return x / y, true
	}
	return x % y, true
}

// foldSpan returns the duration between two times. CEL takes whole seconds
// first, and a difference of seconds that is no duration is an error.
func foldSpan(x, y int64) (v int64, ok bool) {
	seconds := floorDiv(x, 1000) - floorDiv(y, 1000)
	return x - y, seconds <= maxTimeSeconds && seconds >= -maxTimeSeconds && inRange(kindDuration, x-y)
}

func floorDiv(x, y int64) int64 {
	q := x / y
	if x%y < 0 {
		q--
	}
	return q
}

func (b *builder) negate(x *node) *node {
	switch {
	case !x.isConst():
		return b.apply(opNeg, x.kind, x)
	case x.kind == kindDouble:
		return b.double(-x.double())
	}
	v, ok := foldInt(opSub, 0, x.num)
	return b.folded(kindInt)(v, ok)
}

// toInt returns int(x).
func (b *builder) toInt(x *node) *node {
	switch {
	case x.kind == kindInt:
		return x
	case !x.isConst():
		return b.apply(opInt, kindInt, x)
	case x.kind == kindTime:
		return b.int(floorDiv(x.num, 1000))
	case x.kind == kindDuration:
		return b.int(x.num * int64(time.Millisecond))
	}
	v := x.double()
	if !(v > math.MinInt64 && v < math.MaxInt64) {
		return b.unknown(kindInt)
	}
	return b.int(int64(v))
}

// toDouble returns double(x).
func (b *builder) toDouble(x *node) *node {
	switch {
	case x.kind == kindDouble:
		return x
	case x.isConst():
		return b.double(float64(x.num))
	}
	return b.apply(opDouble, kindDouble, x)
}

// hash returns the bucket of a visitor.
func (b *builder) hash(salt string, visitor *node) *node {
	if visitor.op == opError {
		return b.unknown(kindInt)
	}
	return b.make(node{op: opHash, kind: kindInt, args: []*node{visitor}, text: salt})
}

// km returns the distance between two places.
func (b *builder) km(args ...*node) *node {
	for i, limit := range [...]float64{90, 180, 90, 180} {
		if args[i].isConst() && !(math.Abs(args[i].double()) <= limit) {
			return b.unknown(kindDouble)
		}
	}
	return b.apply(opKm, kindDouble, args...)
}

// A part is a part of a time or duration.
type part int64

const (
	partYear part = iota
	partMonth
	partDate
	partMonthDay
	partWeekday
	partYearDay
	partHour
	partMinute
	partSecond
	partMilli
)

// parts are named by the functions that return them.
var parts = map[string]part{
	"getFullYear": partYear, "getMonth": partMonth, "getDate": partDate, "getDayOfMonth": partMonthDay,
	"getDayOfWeek": partWeekday, "getDayOfYear": partYearDay, "getHours": partHour, "getMinutes": partMinute,
	"getSeconds": partSecond, "getMilliseconds": partMilli,
}

// part returns a part of a time, or of a duration as a whole.
func (b *builder) part(p part, x *node) *node {
	if !x.isConst() {
		if x.op == opError {
			return b.unknown(kindInt)
		}
		return b.make(node{op: opPart, kind: kindInt, args: []*node{x}, num: int64(p)})
	}
	if x.kind == kindDuration {
		return b.int(x.num / int64(durationUnits[p]/time.Millisecond))
	}
	return b.int(partValue(p, time.UnixMilli(x.num).UTC()))
}

// durationUnits are what parts of a duration count.
var durationUnits = map[part]time.Duration{
	partHour: time.Hour, partMinute: time.Minute, partSecond: time.Second, partMilli: time.Millisecond,
}

func partValue(p part, t time.Time) int64 {
	return int64([...]int{
		partYear: t.Year(), partMonth: int(t.Month()) - 1, partDate: t.Day(), partMonthDay: t.Day() - 1,
		partWeekday: int(t.Weekday()), partYearDay: t.YearDay() - 1, partHour: t.Hour(), partMinute: t.Minute(),
		partSecond: t.Second(), partMilli: t.Nanosecond() / int(time.Millisecond),
	}[p])
}

// kindOf returns the kind of a field's values.
func kindOf(t edge.Type) kind {
	return map[edge.Type]kind{
		edge.TypeInt: kindInt, edge.TypeFloat: kindDouble, edge.TypeBool: kindBool, edge.TypeTime: kindTime,
		edge.TypeString: kindText, edge.TypeList: kindTexts, edge.TypeItems: kindItems, edge.TypeMap: kindMap,
	}[t]
}
