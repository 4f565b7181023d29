// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/binary"
	"slices"

	"github.com/nearside/nearside/edge/consent"
)

// The encoding of a decision record. Integers are varints unless they say
// their size, texts and bytes have their length before them.
//
//	record   = version:u8 at:milliseconds release granted builtins rules views decisions
//	rule     = id mark:u64
//	view     = words:u8 word:u64… packed
//	decision = slot reason:u8 variant rule key tries
//	try      = rung:u8 place:u8 rule view what:u8 [variant:u8 score fuel] [output:u64] [back]
//	back     = n×(variant:u8 reason:u8), where the reason keptMark says that the candidate
//	           took the place of the one that its rule's weights chose
//
// Lists have their count before them. builtins is how many built-in fields there
// were: the site's own are numbered after them, in masks as in the record a rule
// received. A rule's mark tells what it was made of. A view is its mask, without
// the zero words at the end, and the record as the rule received it, packed. A
// try's rule is a number in rules, its view one more than a number in views, 0 when
// the rule did not run; what is its reason and whether it has an answer and an
// output, which are 0 otherwise, and whether answers were held back and why. key is the beginning of the decision's id.
//
// A rung's rules without code are one try, whose place is codelessPlace: its rule
// is what they were compiled to, its variant one more than the number of the
// candidate that won and its output a checksum of all that held in the slot.
//
// Until version 4 nothing was kept. Until version 3 nothing was held back. Until version 2 a rule was id module:32 bytes settings:32 bytes, a view mask:32
// bytes and the record as it was, and a try had all its members:
//
//	try      = rung:u8 place:u8 rule view reason:u8 variant:u8 score fuel output:u64
//
// Version 1 had no rules without code and did not tell builtins, which were
// FirstBuiltinFields.
const (
	recordVersion    = 5
	decisionKeyChars = 16 // 80 bits of the id's nonce

	tryAnswers = 0x80 // in what: variant, score and fuel follow
	trySays    = 0x40 // in what: output follows
	tryBack    = 0x20 // in what: answers that were held back or kept follow
	keptMark   = 0xff // in place of a reason

	// maxUnpacked bounds what a record's views are together, unpacked.
	maxUnpacked = 1 << 20
)

// makeRecord builds the beacon's decision record where measure is granted. It
// holds what the rules saw, which is what was declared and granted.
func (e *Engine) makeRecord(d *decider, r *Request, out *Outcome) {
	if len(d.tries) == 0 || r.Bot || r.Ahead || !d.granted.Has(consent.Measure) {
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
		b = binary.LittleEndian.AppendUint64(appendSized(b, rule.made.id), rule.made.sum)
	}
	b = binary.AppendUvarint(b, uint64(len(d.views)))
	unpacked := 0
	for i := range d.views {
		v := &d.views[i]
		b = appendPacked(v.mask.appendWords(b), v.record)
		unpacked += len(v.record)
	}
	b = d.appendDecisions(b, out.Decisions)
	out.recordSpace = b
	if len(b) > MaxRecordBytes || unpacked > maxUnpacked {
		return
	}
	out.record = Record{site: d.release.Site(), visitor: d.person(), at: r.Now, body: b}
	out.Record = &out.record
}

// appendDecisions appends the decisions that the release had a slot for, each
// slot's once.
func (d *decider) appendDecisions(b []byte, decisions []Decision) []byte {
	count := 0
	for i := range d.slots {
		if d.isDecided(i) {
			count++
		}
	}
	b = binary.AppendUvarint(b, uint64(count))
	tries := d.tries // in the order of the slots
	for i := range decisions {
		if !d.isDecided(i) {
			continue
		}
		decision := &decisions[i]
		b = append(appendSized(b, decision.Slot), byte(decision.Reason))
		b = appendSized(appendSized(b, decision.Variant), decision.Rule)
		b = appendSized(b, decision.ID[:decisionKeyChars])
		n := 0
		for n < len(tries) && tries[n].slot == i {
			n++
		}
		b = binary.AppendUvarint(b, uint64(n))
		held := d.holding.of(d.slots[i]).sum()
		for j := range tries[:n] {
			t := &tries[j]
			b = append(b, byte(t.at.rung), byte(t.at.rule))
			b = binary.AppendUvarint(b, uint64(slices.Index(d.rules, t.rule)))
			b = binary.AppendUvarint(b, uint64(t.view+1))
			output := held
			if t.at.rule != codelessPlace {
				output = t.answer.sum()
			}
			b = d.appendAnswer(b, t, output)
		}
		tries = tries[n:]
	}
	return b
}

// appendAnswer appends what an attempt came to.
func (d *decider) appendAnswer(b []byte, t *tried, output uint64) []byte {
	at, a := len(b), &t.answer
	b = append(b, byte(t.reason))
	if a.Variant != 0 || a.Score != 0 || a.Fuel != 0 {
		b[at] |= tryAnswers
		b = binary.AppendVarint(binary.AppendVarint(append(b, byte(a.Variant)), a.Score), a.Fuel)
	}
	if output != 0 {
		b[at] |= trySays
		b = binary.LittleEndian.AppendUint64(b, output)
	}
	back := 0
	for i := range d.backs {
		if d.backs[i].slot == t.slot && d.backs[i].at == t.at {
			back++
		}
	}
	var kept []keptVariation
	if t.at.rule == codelessPlace { // all of the slot's, for the output is of them all
		kept = d.keptIn(t.slot)
	}
	if back+len(kept) == 0 {
		return b
	}
	b[at] |= tryBack
	b = binary.AppendUvarint(b, uint64(back+len(kept)))
	for i := range d.backs {
		if h := &d.backs[i]; h.slot == t.slot && h.at == t.at {
			b = append(b, byte(h.candidate), byte(h.reason))
		}
	}
	for _, k := range kept {
		b = append(b, byte(k.candidate+1), keptMark)
	}
	return b
}

// appendWords appends the mask's words up to the last that is not zero.
func (m *Mask) appendWords(b []byte) []byte {
	n := len(m)
	for n > 0 && m[n-1] == 0 {
		n--
	}
	b = append(b, byte(n))
	for _, word := range m[:n] {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	return b
}

// isDecided reports whether one of the beacon's slots, by number, is one of the release
// and the first of its name.
func (d *decider) isDecided(i int) bool {
	s := d.slots[i]
	return s != nil && !slices.Contains(d.slots[:i], s)
}

func appendSized[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}
