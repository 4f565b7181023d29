// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge"
)

// canonical returns a document as files give it, so that two that say the same
// are the same: slots and variants in the order that Read gives them, lists that
// are empty and not missing, JSON spelt in one way, and nothing of what
// publishing adds: number, compiled rules and inputs. doc is not changed.
func canonical(doc *edge.ReleaseDocument) *edge.ReleaseDocument {
	out := *doc
	out.Number, out.Compiled, out.Inputs = 0, nil, nil
	out.Fields = slices.Clone(doc.Fields)
	for i := range out.Fields {
		out.Fields[i].Value = canonicalJSON(out.Fields[i].Value)
	}
	out.Modules = append([]edge.ModuleRef{}, doc.Modules...)
	for i := range out.Modules {
		out.Modules[i].Settings = canonicalSettings(out.Modules[i].Settings)
	}
	out.Slots = append([]edge.SlotSpec{}, doc.Slots...)
	for i := range out.Slots {
		ladder := append([]edge.RungSpec{}, out.Slots[i].Ladder...)
		for j := range ladder {
			rules := append([]edge.RuleSpec{}, ladder[j].Rules...)
			for k := range rules {
				canonicalRule(&rules[k])
			}
			ladder[j].Rules = rules
		}
		out.Slots[i].Ladder = ladder
	}
	out.Variants = append([]edge.Variant{}, doc.Variants...)
	for i := range out.Variants {
		content := make(map[string]json.RawMessage, len(out.Variants[i].Content))
		for lang, raw := range out.Variants[i].Content {
			content[lang] = canonicalJSON(raw)
		}
		out.Variants[i].Content = content
	}
	slices.SortStableFunc(out.Slots, func(a, b edge.SlotSpec) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(out.Variants, func(a, b edge.Variant) int { return strings.Compare(a.Slot, b.Slot) })
	return &out
}

func canonicalRule(r *edge.RuleSpec) {
	r.Settings = canonicalSettings(r.Settings)
	words := map[string]string{}
	for lang, text := range r.Because {
		if languagePattern.MatchString(lang) { // others are nobody's to read
			words[lang] = text
		}
	}
	r.Because = words
	if r.Before != nil {
		before := *r.Before
		canonicalRule(&before)
		r.Before = &before
	}
}

// canonicalSettings is canonicalJSON of an object that may be missing: null is
// none.
func canonicalSettings(raw json.RawMessage) json.RawMessage {
	if raw = canonicalJSON(raw); string(raw) == "null" {
		return nil
	}
	return raw
}

// canonicalJSON spells JSON in one way. The order of members and the digits of
// numbers stay; what is no JSON stays as it is.
func canonicalJSON(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	value, err := decodeJSON(dec, maxDepth)
	if err != nil {
		return raw
	}
	return appendValue(nil, value)
}

// appendValue appends a value of decodeJSON as JSON.
func appendValue(b []byte, value any) []byte {
	switch v := value.(type) {
	case pairs:
		b = append(b, '{')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, jsonText(e.key)...), ':')
			b = appendValue(b, e.value)
		}
		return append(b, '}')
	case items:
		b = append(b, '[')
		for i, item := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendValue(b, item)
		}
		return append(b, ']')
	case string:
		return append(b, jsonText(v)...)
	}
	return append(b, flow(value)...)
}
