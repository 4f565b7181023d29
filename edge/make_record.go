// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"hash/fnv"
	"math/bits"
	"slices"

	"github.com/nearside/nearside/edge/consent"
)

// The encoding of a decision record. Integers are varints unless they say
// their size, texts and bytes have their length before them.
//
//	record   = version:u8 at:milliseconds release granted builtins rules views decisions
//	rule     = id module:32 bytes settings:32 bytes
//	view     = mask:32 bytes, the record as the rule received it
//	decision = slot reason:u8 variant rule key tries
//	try      = rung:u8 place:u8 rule view reason:u8 variant:u8 score fuel output:u64
//
// Lists have their count before them. builtins is how many built-in fields there
// were: the site's own are numbered after them, in masks as in the record a rule
// received. A try's rule is a number in rules, its view one more than a number in
// views, 0 when the rule did not run. key is the beginning of the decision's id.
//
// A rung's rules without code are one try, whose place is codelessPlace: its rule
// is what they were compiled to, its variant one more than the number of the
// candidate that won and its output a checksum of all that held in the slot.
//
// Version 1 had no rules without code and did not tell builtins, which were
// FirstBuiltinFields.
const (
	recordVersion    = 2
	decisionKeyChars = 16 // 80 bits of the id's nonce
)

// An attempt is one rule's part in a decision.
type attempt struct {
	choice choice // without a rule when it gave no answer
	reason Reason
	view   int // of d.views, -1 when the rule did not run
	answer Answer
}

// A tried is an attempt as a record keeps it.
type tried struct {
	slot int
	at   ruleAt
	rule *boundRule
	attempt
}

// makeRecord builds the beacon's decision record where measure is granted. It
// holds what the rules saw, which is what was declared and granted.
func (e *Engine) makeRecord(d *decider, r *Request, out *Outcome) {
	if len(d.tries) == 0 || r.Bot || !d.granted.Has(consent.Measure) {
		return
	}
	rules := d.rules[:0]
	for i := range d.tries {
		if !slices.Contains(rules, d.tries[i].rule) {
			rules = append(rules, d.tries[i].rule)
		}
	}
	d.rules = rules
	b := append(out.recordSpace[:0], recordVersion)
	b = binary.AppendVarint(b, r.Now.UnixMilli())
	b = binary.AppendUvarint(b, d.release.Number())
	b = binary.AppendUvarint(b, uint64(d.granted))
	b = binary.AppendUvarint(b, uint64(BuiltinFields))
	b = binary.AppendUvarint(b, uint64(len(rules)))
	for _, rule := range rules {
		b = appendSized(b, rule.made.id)
		b = append(append(b, rule.made.module[:]...), rule.made.settings[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(d.views)))
	for i := range d.views {
		v := &d.views[i]
		for _, word := range v.mask {
			b = binary.LittleEndian.AppendUint64(b, word)
		}
		if v.encoded {
			b = appendSized(b, v.record)
		} else {
			b = append(b, 0)
		}
	}
	b = d.appendDecisions(b, out.Decisions, rules)
	out.recordSpace = b
	if len(b) > MaxRecordBytes {
		return
	}
	out.record = Record{site: d.release.Site(), visitor: d.person(), at: r.Now, body: b}
	out.Record = &out.record
}

// appendDecisions appends the decisions that the release had a slot for, each
// slot's once.
func (d *decider) appendDecisions(b []byte, decisions []Decision, rules []*boundRule) []byte {
	count := 0
	for i := range decisions {
		if isRecorded(decisions, i) {
			count++
		}
	}
	b = binary.AppendUvarint(b, uint64(count))
	for i := range decisions {
		if !isRecorded(decisions, i) {
			continue
		}
		decision := &decisions[i]
		b = append(appendSized(b, decision.Slot), byte(decision.Reason))
		b = appendSized(appendSized(b, decision.Variant), decision.Rule)
		b = appendSized(b, decision.ID[:decisionKeyChars])
		var tries []tried
		if from := slices.IndexFunc(d.tries, func(t tried) bool { return t.slot == i }); from >= 0 {
			for tries = d.tries[from:]; tries[len(tries)-1].slot != i; {
				tries = tries[:len(tries)-1]
			}
		}
		b = binary.AppendUvarint(b, uint64(len(tries)))
		for j := range tries {
			t := &tries[j]
			b = append(b, byte(t.at.rung), byte(t.at.rule))
			b = binary.AppendUvarint(b, uint64(slices.Index(rules, t.rule)))
			b = binary.AppendUvarint(b, uint64(t.view+1))
			b = append(b, byte(t.reason), byte(t.answer.Variant))
			b = binary.AppendVarint(b, t.answer.Score)
			b = binary.AppendVarint(b, t.answer.Fuel)
			b = binary.LittleEndian.AppendUint64(b, d.outputSum(t, d.release.slots[decision.Slot]))
		}
	}
	return b
}

// isRecorded reports whether a decision is of a slot of the release, and the
// first of its slot.
func isRecorded(decisions []Decision, i int) bool {
	id := decisions[i].ID
	return id != "" && !slices.ContainsFunc(decisions[:i], func(d Decision) bool { return d.ID == id })
}

func appendSized[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// outputSum is a checksum of what an attempt in a slot came to beside variant and
// score, so that a replay can tell a difference without keeping it; 0 for nothing.
func (d *decider) outputSum(t *tried, s *slot) uint64 {
	if t.at.rule == codelessPlace {
		return d.holding.of(s).sum()
	}
	a := &t.answer
	if a.Because == "" && len(a.Items) == 0 {
		return 0
	}
	h := fnv.New64a()
	write := func(s string) {
		_, _ = h.Write([]byte(s)) // a hash takes everything
		_, _ = h.Write([]byte{0})
	}
	write(a.Because)
	for _, item := range a.Items {
		write(item.ID)
		write(item.Reason)
		write(item.Text)
	}
	return h.Sum64()
}

// sum is a checksum of what holds and of its scores; 0 for no answer.
func (h *Held) sum() uint64 {
	if h == nil {
		return 0
	}
	sum := fnv.New64a()
	var word [8]byte
	write := func(n uint64) {
		binary.LittleEndian.PutUint64(word[:], n)
		_, _ = sum.Write(word[:]) // a hash takes everything
	}
	for i, held := range h.Bits {
		write(held)
		for ; held != 0; held &= held - 1 {
			write(uint64(h.Scores[i<<6+bits.TrailingZeros64(held)]))
		}
	}
	return sum.Sum64()
}
