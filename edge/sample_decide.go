// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// A SampledDecision is what a slot would show to a sample visit, and why.
type SampledDecision struct {
	Slot     string          `json:"slot"`
	Variant  string          `json:"variant"` // "" for the page's own content
	Kind     string          `json:"kind"`
	Lang     string          `json:"lang,omitempty"`
	Dir      string          `json:"dir,omitempty"`
	Reason   string          `json:"reason"`
	Rule     string          `json:"rule,omitempty"`
	Campaign string          `json:"campaign,omitempty"`
	Because  string          `json:"because,omitempty"`
	Content  json.RawMessage `json:"content,omitempty"`
	Why      *Why            `json:"why,omitempty"`
}

// Sample decides slots, nil for all in the release's order, for a sample visit as
// Engine.Decide would for a real one. Beside fields it may name page.lang, the
// language of the page, without which lang tells the content's. The time is the
// field now, else the time of the call; an own field with a value in the site's
// settings has that value where the visit gives none. Modules spend and fail as
// for a visitor, so who only looks loads the release from a rehearsal.
func (r *Release) Sample(s *SampleVisit, slots []string) ([]SampledDecision, error) {
	d, err := r.sampler(s)
	if err != nil {
		return nil, err
	}
	if slots == nil {
		for i := range r.doc.Slots {
			slots = append(slots, r.doc.Slots[i].Name)
		}
	}
	for _, name := range slots {
		if r.slots[name] == nil {
			return nil, fmt.Errorf("slot %q: no such slot", name)
		}
		d.slots = append(d.slots, r.slots[name])
	}
	out := make([]SampledDecision, 0, len(slots))
	for i, s := range d.slots {
		d.slot = i
		shown := Decision{Why: &Why{Tried: []Try{}}}
		d.walk(s, s.ladder, 0, &shown)
		out = append(out, SampledDecision{
			Slot: shown.Slot, Variant: shown.Variant, Kind: shown.Kind.String(), Lang: shown.Lang, Dir: shown.Dir,
			Reason: shown.Reason.String(), Rule: shown.Rule, Campaign: shown.Campaign, Because: shown.Because,
			Content: shown.Content, Why: shown.Why,
		})
	}
	return out, nil
}

// sampler returns a work space in which every view is of the sample's values.
func (r *Release) sampler(s *SampleVisit) (*decider, error) {
	given := maps.Clone(s.Fields)
	var page Value
	if raw, ok := given[inputPageLang]; ok {
		var err error
		if page, err = sampleValue(TypeString, raw); err != nil {
			return nil, fmt.Errorf("field %q: %w", inputPageLang, err)
		}
		delete(given, inputPageLang)
	}
	values, err := sampleValues(given, r.doc.Fields)
	if err != nil {
		return nil, err
	}
	for n := range values {
		if v := &values[n]; v.Type == TypeString && v.Str == "" {
			*v = Value{} // as in a visit, where an empty text is none
		}
	}
	now := time.Now()
	if v := &values[FieldNow]; v.Known() {
		now = time.UnixMilli(v.Int)
	} else {
		*v = Value{Type: TypeTime, Int: now.UnixMilli()}
	}
	for i := range r.own {
		if v := &values[r.own[i].Number]; !v.Known() {
			*v = r.own[i].fixed
		}
	}
	d := &decider{passing: passing{values: values}}
	d.begin(r, consent.Purposes(s.Granted)&consent.All, true)
	d.visit = Visit{Site: r.Site(), Now: now, Lang: values[FieldLang].Str, Page: Page{Lang: page.Str}}
	d.lang = r.language(orElse(page.Str, values[FieldLang].Str))
	return d, nil
}
