// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"slices"
	"strconv"

	"github.com/nearside/nearside/edge/consent"
)

// inputPageLang is how SlotInputs calls the language of the content.
const inputPageLang = "page.lang"

// Inputs returns what the answer of each of the release's slots depends on, by
// slot. Shadows, which show nothing, do not count. The caller owns it.
func (r *Release) Inputs() map[string]SlotInputs {
	out := make(map[string]SlotInputs, len(r.slots))
	for name, s := range r.slots {
		in := inputs{release: r}
		for i := range s.ladder {
			for j := range s.ladder[i].rules {
				in.rule(s, &s.ladder[i].rules[j])
			}
		}
		in.codeless(s)
		slices.Sort(in.reads)
		out[name] = SlotInputs{Purposes: consent.Set(in.purposes), Reads: slices.Compact(in.reads)}
	}
	return out
}

// inputs gathers what one slot's answer depends on.
type inputs struct {
	release  *Release
	purposes consent.Purposes
	reads    []string
}

// fields adds whole fields.
func (in *inputs) fields(mask Mask) {
	for n := mask.Next(0); n >= 0; n = mask.Next(n + 1) {
		f := in.release.field(n)
		in.purposes |= f.Purpose
		in.reads = append(in.reads, f.Name)
	}
}

// bucket adds a bucket that the visitor's id tells.
func (in *inputs) bucket(salt string) {
	in.purposes |= fields[FieldVisitorID].Purpose
	in.reads = append(in.reads, "hash("+strconv.Quote(salt)+")")
}

// rule adds a rule with a module, and the one before its roll-out. A module does
// not run without what it needs.
func (in *inputs) rule(s *slot, rule *boundRule) {
	in.purposes |= rule.needs
	in.fields(rule.mask)
	if rule.partial() {
		in.bucket(rule.salt)
	}
	for _, v := range rule.variants {
		in.variant(v)
		in.holdBack(s, nil, v)
	}
	if rule.before != nil {
		in.rule(s, rule.before)
	}
}

// codeless adds the slot's rules without code.
func (in *inputs) codeless(s *slot) {
	if len(s.candidates) == 0 {
		return
	}
	if slots := in.release.compiled.set.Slots(); s.number < len(slots) { // else they are not loaded here
		in.reads = append(in.reads, slots[s.number].Inputs...)
	}
	var reads Mask
	for i := range s.candidates {
		c := &s.candidates[i]
		reads = reads.Or(c.reads)
		if c.rule.partial() {
			in.bucket(RolloutSalt(s.name, c.rule.id))
		}
		if len(c.rule.spec.Show) > 1 {
			in.bucket(ShowSalt(s.name, c.rule.id))
			in.purposes |= consent.Personalise
			in.reads = append(in.reads, inputVariations)
		}
		if c.rule.campaign != nil {
			in.period(&c.rule.campaign.period)
		}
		in.variant(c.variant)
		in.holdBack(s, c.rule.campaign, c.variant)
	}
	for n := reads.Next(0); n >= 0; n = reads.Next(n + 1) {
		in.purposes |= in.release.field(n).Purpose
	}
}

// How SlotInputs calls what is no field: how often something was shown, whether a
// complaint is open, and what was seen of rules that choose by weight.
const (
	inputShown      = "shown"
	inputComplaint  = "complaint"
	inputVariations = "variations"
)

// holdBack adds what may keep back a variant of a campaign, nil for none.
func (in *inputs) holdBack(s *slot, c *campaign, v *variant) {
	if c != nil && c.quiet != nil {
		in.purposes |= fields[FieldHour].Purpose
		in.reads = append(in.reads, fields[FieldHour].Name)
	}
	if isPromotion(c, v) {
		in.purposes |= consent.Personalise
		in.reads = append(in.reads, inputComplaint)
	}
	if len(v.promotes) > 0 || s.kind == KindItems {
		in.fields(Mask{}.With(FieldBought).With(FieldCart))
	}
	for surface := range in.release.surfaceLimits {
		in.release.eachLimit(c, v, surface, in.limit)
	}
	in.release.eachLimit(c, v, "", in.limit)
}

func (in *inputs) limit(*limit) {
	in.purposes |= consent.Storage
	in.reads = append(in.reads, inputShown)
}

// variant adds what a variant's being served and its content depend on.
func (in *inputs) variant(v *variant) {
	in.period(&v.period)
	in.fields(v.reads)
	langs := map[string]bool{}
	for _, t := range v.texts {
		langs[t.lang] = true
	}
	if len(langs) > 1 {
		in.reads = append(in.reads, inputPageLang)
	}
}

// period adds the time where it alone may move something in or out.
func (in *inputs) period(p *period) {
	if p.live && (!p.from.IsZero() || !p.until.IsZero()) {
		in.reads = append(in.reads, fields[FieldNow].Name)
	}
}
