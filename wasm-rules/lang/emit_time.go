// SPDX-License-Identifier: Apache-2.0

package lang

import "time"

// seconds turns the time on the stack into whole seconds, rounded down.
func (e *emitter) seconds() {
	e.i64(minTimeMillis)
	e.op(i64Sub)
	e.i64(1000)
	e.op(i64DivU)
	e.i64(minTimeMillis / 1000)
	e.op(i64Add)
}

// span turns two times on the stack into the duration between them, as foldSpan
// does.
func (e *emitter) span(l label) {
	x, y := e.local(typeI64), e.local(typeI64)
	e.set(y)
	e.tee(x)
	e.seconds()
	e.get(y)
	e.seconds()
	e.op(i64Sub)
	e.i64(maxTimeSeconds)
	e.op(i64Add)
	e.i64(2 * maxTimeSeconds)
	e.op(i64GtU)
	e.brIf(l)
	e.get(x)
	e.get(y)
	e.op(i64Sub)
	e.within(kindDuration, l)
	e.release(x, y)
}

// part pushes a part of a time, in UTC, or of a duration as a whole.
func (e *emitter) part(n *node, l label) {
	p := part(n.num)
	e.value(n.args[0], l)
	if n.args[0].kind == kindDuration {
		e.i64(int64(durationUnits[p] / time.Millisecond))
		e.op(i64DivS)
		return
	}
	e.i64(minTimeMillis)
	e.op(i64Sub)
	cycle := func(unit, most int64) {
		e.i64(unit)
		e.op(i64DivU)
		e.i64(most)
		e.op(i64RemU)
	}
	switch p {
	case partHour:
		cycle(3_600_000, 24)
	case partMinute:
		cycle(60_000, 60)
	case partSecond:
		cycle(1000, 60)
	case partMilli:
		cycle(1, 1000)
	case partWeekday: // 1 January of the year 1 was a Monday
		e.i64(24 * 3_600_000)
		e.op(i64DivU)
		e.i64(1)
		e.op(i64Add)
		e.i64(7)
		e.op(i64RemU)
	default:
		e.i64(24 * 3_600_000)
		e.op(i64DivU)
		e.i32(int(p))
		e.call(helpCivil)
	}
}
