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
	made   ruleMade
	view   int // one more than a number of views, 0 for none
	reason Reason
	answer Answer // without words and items
	output uint64
}

// A recordParser reads a record from the front. What is read after an error is
// empty.
type recordParser struct{ byteReader }

func (r *recordParser) varint() int64 {
	n, size := binary.Varint(r.b)
	r.advance(size)
	return n
}

// advance passes over a varint of a size, which is 0 or less for none.
func (r *recordParser) advance(size int) {
	if size <= 0 {
		r.bad, r.b = true, nil
		return
	}
	r.b = r.b[size:]
}

// count reads how many elements follow; each takes at least a byte.
func (r *recordParser) count() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *recordParser) sized() []byte { return r.take(r.count()) }

func (r *recordParser) reason() Reason {
	n := r.byte()
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
	h := recordHead{At: time.UnixMilli(r.varint()), Release: r.uvarint(), Granted: consent.Purposes(r.uvarint()) & consent.All}
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
	r := recordParser{byteReader{b: record}}
	p := &parsedRecord{}
	var err error
	if p.recordHead, err = r.head(); err != nil {
		return nil, err
	}
	var rules []ruleMade
	for n := r.count(); n > 0 && !r.bad; n-- {
		made := ruleMade{id: string(r.sized())}
		copy(made.module[:], r.take(len(made.module)))
		copy(made.settings[:], r.take(len(made.settings)))
		rules = append(rules, made)
	}
	for n := r.count(); n > 0 && !r.bad; n-- {
		var v recordedView
		words := r.take(8 * len(v.mask))
		for i := range v.mask {
			if !r.bad {
				v.mask[i] = binary.LittleEndian.Uint64(words[8*i:])
			}
		}
		v.bytes = r.sized()
		p.views = append(p.views, v)
	}
	for n := r.count(); n > 0 && !r.bad; n-- {
		p.decisions = append(p.decisions, r.decision(rules, len(p.views)))
	}
	if r.bad || len(r.b) > 0 {
		return nil, fmt.Errorf("%w: damaged", ErrRecord)
	}
	return p, nil
}

func (r *recordParser) decision(rules []ruleMade, views int) recordedDecision {
	d := recordedDecision{slot: string(r.sized()), reason: r.reason()}
	d.variant, d.rule, d.key = string(r.sized()), string(r.sized()), string(r.sized())
	for n := r.count(); n > 0 && !r.bad; n-- {
		t := recordedTry{at: ruleAt{int(r.byte()), int(r.byte())}}
		rule, view := r.uvarint(), r.uvarint()
		if rule >= uint64(len(rules)) || view > uint64(views) {
			r.bad = true
			return d
		}
		t.made, t.view, t.reason = rules[rule], int(view), r.reason()
		t.answer.Variant = int(r.byte())
		t.answer.Score, t.answer.Fuel = r.varint(), r.varint()
		if sum := r.take(8); !r.bad {
			t.output = binary.LittleEndian.Uint64(sum)
		}
		d.tries = append(d.tries, t)
	}
	return d
}
