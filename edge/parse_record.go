// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// A recordHead is what a record says before its content.
type recordHead struct {
	At      time.Time
	Release uint64
	Granted consent.Purposes
	// builtins is how many built-in fields there were.
	builtins int
	version  byte
}

// A parsedRecord is a decision record taken apart.
type parsedRecord struct {
	recordHead
	views     []recordedView
	decisions []recordedDecision
}

type recordedView struct {
	mask  Mask
	bytes []byte
}

type recordedDecision struct {
	slot, variant, rule, key string
	reason                   Reason
	tries                    []recordedTry
}

// has reports whether the decision's id is id.
func (t *recordedDecision) has(id string) bool {
	return len(id) >= decisionKeyChars && t.key == id[:decisionKeyChars]
}

type recordedTry struct {
	at     ruleAt
	made   madeMark
	view   int // one more than a number of views, 0 for none
	reason Reason
	answer Answer // without words and items
	output uint64
	backs  []heldBack // answers that were not shown
	kept   []int      // candidates in place of those that weights chose
}

// A recordParser reads a record from the front. What is read after an error is
// empty.
type recordParser struct {
	byteReader
	try func(*recordedTry) // reads a try's end as the record's version has it
}

// count reads how many elements follow; each takes at least a byte.
func (r *recordParser) count() int {
	n := r.uvarint()
	if n > uint64(r.left()) {
		r.fail(true)
		return 0
	}
	return int(n)
}

func (r *recordParser) sized() []byte { return r.take(r.count()) }

func (r *recordParser) uint64() uint64 {
	if b := r.take(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

func (r *recordParser) reason() Reason { return r.reasonOf(r.byte()) }

func (r *recordParser) reasonOf(n byte) Reason {
	if int(n) >= len(reasonNames) {
		r.bad = true
		return ReasonDefault
	}
	return Reason(n)
}

func (r *recordParser) head() (recordHead, error) {
	v := r.byte()
	if v == 0 || v > recordVersion {
		return recordHead{}, fmt.Errorf("%w: version %d, this build knows 1 to %d", ErrRecord, v, recordVersion)
	}
	h := recordHead{version: v, At: time.UnixMilli(r.varint()), Release: r.uvarint(), Granted: consent.Purposes(r.uvarint()) & consent.All}
	h.builtins = FirstBuiltinFields
	if v > 1 {
		h.builtins = int(min(r.uvarint(), MaxFields))
	}
	if r.bad {
		return recordHead{}, fmt.Errorf("%w: cut off in its head", ErrRecord)
	}
	if h.builtins < FirstBuiltinFields || h.builtins > BuiltinFields {
		return recordHead{}, fmt.Errorf("%w: made with %d built-in fields, this build knows %d to %d", ErrRecord, h.builtins, FirstBuiltinFields, BuiltinFields)
	}
	return h, nil
}

// parseRecord takes a record apart; it shares the record's memory.
func parseRecord(record []byte) (*parsedRecord, error) {
	if len(record) > MaxRecordBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrRecord, len(record), MaxRecordBytes)
	}
	r := recordParser{byteReader: byteReader{b: record}}
	p := &parsedRecord{}
	var err error
	if p.recordHead, err = r.head(); err != nil {
		return nil, err
	}
	if p.version < 3 {
		r.try = r.tryVersion2
	} else {
		r.try = r.tryVersion3
	}
	var rules []madeMark
	for n := r.count(); n > 0 && !r.bad; n-- {
		rules = append(rules, r.made(p.version))
	}
	left := maxUnpacked
	for n := r.count(); n > 0 && !r.bad; n-- {
		v := r.view(p.version, left)
		left -= len(v.bytes)
		p.views = append(p.views, v)
	}
	for n := r.count(); n > 0 && !r.bad; n-- {
		p.decisions = append(p.decisions, r.decision(rules, len(p.views)))
	}
	if r.bad || r.left() > 0 {
		return nil, fmt.Errorf("%w: damaged", ErrRecord)
	}
	return p, nil
}

// made reads what a rule was made of.
func (r *recordParser) made(version byte) madeMark {
	m := madeMark{id: string(r.sized())}
	if version >= 3 {
		m.sum = r.uint64()
		return m
	}
	var module, settings [32]byte
	copy(module[:], r.take(len(module)))
	copy(settings[:], r.take(len(settings)))
	m.sum = markOf(module, settings)
	return m
}

// view reads a view of at most most bytes.
func (r *recordParser) view(version byte, most int) (v recordedView) {
	count := len(v.mask)
	if version >= 3 {
		count = int(r.byte())
	}
	if count > len(v.mask) {
		r.bad = true
		return v
	}
	for i := range v.mask[:count] {
		v.mask[i] = r.uint64()
	}
	if version >= 3 {
		v.bytes = r.packed(most)
	} else {
		v.bytes = r.sized()
	}
	return v
}

func (r *recordParser) decision(rules []madeMark, views int) recordedDecision {
	d := recordedDecision{slot: string(r.sized()), reason: r.reason()}
	d.variant, d.rule, d.key = string(r.sized()), string(r.sized()), string(r.sized())
	for n := r.count(); n > 0 && !r.bad; n-- {
		t := recordedTry{at: ruleAt{int(r.byte()), int(r.byte())}}
		rule, view := r.uvarint(), r.uvarint()
		if rule >= uint64(len(rules)) || view > uint64(views) {
			r.bad = true
			return d
		}
		t.made, t.view = rules[rule], int(view)
		r.try(&t)
		d.tries = append(d.tries, t)
	}
	return d
}

// tryVersion3 reads what a try came to.
func (r *recordParser) tryVersion3(t *recordedTry) {
	what := r.byte()
	t.reason = r.reasonOf(what &^ (tryAnswers | trySays | tryBack))
	if what&tryAnswers != 0 {
		t.answer = Answer{Variant: int(r.byte()), Score: r.varint(), Fuel: r.varint()}
	}
	if what&trySays != 0 {
		t.output = r.uint64()
	}
	if what&tryBack == 0 {
		return
	}
	for n := r.count(); n > 0 && !r.bad; n-- {
		candidate, why := int(r.byte()), r.byte()
		if why == keptMark {
			r.fail(candidate == 0)
			t.kept = append(t.kept, candidate-1)
			continue
		}
		t.backs = append(t.backs, heldBack{at: t.at, candidate: candidate, reason: r.reasonOf(why)})
	}
}

// tryVersion2 is tryVersion3 for the versions before.
func (r *recordParser) tryVersion2(t *recordedTry) {
	t.reason = r.reason()
	t.answer = Answer{Variant: int(r.byte()), Score: r.varint(), Fuel: r.varint()}
	t.output = r.uint64()
}
