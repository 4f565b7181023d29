// SPDX-License-Identifier: Apache-2.0

package edge

import "encoding/json"

// A saying is why a rule answers, in the words that a site has for it in a language.
type saying struct{ lang, because, wire string }

// say makes what the rule says ready for answers.
func (b *boundRule) say() {
	b.wire = string(appendCause(nil, ReasonRule, b.id, ""))
	for lang, because := range b.spec.Because {
		if because != "" { // else the rule's own words are shown
			b.said = append(b.said, saying{lang, because, string(appendCause(nil, ReasonRule, b.id, because))})
		}
	}
}

// explains gives a decision for the rule's answer, in a language, the reason why. own are
// the rule's own words, for where the site has none.
func (b *boundRule) explains(d *Decision, lang, own string) {
	d.Reason, d.Rule, d.Campaign = ReasonRule, b.id, b.spec.Campaign
	for i := range b.said {
		if b.said[i].lang == lang {
			d.Because, d.cause = b.said[i].because, b.said[i].wire
			return
		}
	}
	if d.Because = own; own == "" {
		d.cause = b.wire
	}
}

// AppendJSON appends the decision as answers have it. Html asks for the content as HTML
// where its kind has that. An explanation apart, nothing is encoded by encoding/json; of
// what a rule shows most was when the release was published.
func (d *Decision) AppendJSON(b []byte, html bool) []byte {
	b = append(b, '{')
	if d.ID != "" { // in base64url, which needs no escapes
		b = append(append(append(b, `"id":"`...), d.ID...), `",`...)
	}
	if d.look != "" {
		b = append(b, d.look...)
	} else {
		b = appendLook(b, d.Slot, d.Variant, d.Kind, &text{lang: d.Lang, dir: d.Dir})
	}
	if d.cause != "" {
		b = append(b, d.cause...)
	} else {
		b = appendCause(b, d.Reason, d.Rule, d.Because)
	}
	shown, isHTML := "", false
	if html {
		shown, isHTML = d.HTML()
	}
	if isHTML {
		b = AppendString(append(b, `,"html":`...), shown)
	} else if len(d.Content) > 0 {
		b = append(append(b, `,"content":`...), d.Content...)
	}
	if d.Why != nil {
		if why, err := json.Marshal(d.Why); err == nil {
			b = append(append(b, `,"why":`...), why...)
		}
	}
	return append(b, '}')
}

// appendLook appends what a decision shows, but for the content itself.
func appendLook(b []byte, slot, variant string, kind Kind, t *text) []byte {
	b = AppendString(append(b, `"slot":`...), slot)
	b = AppendMember(b, `,"variant":`, variant)
	b = AppendMember(b, `,"kind":`, kind.String())
	b = AppendMember(b, `,"lang":`, t.lang)
	return AppendMember(b, `,"dir":`, t.dir)
}

// appendCause appends why a decision shows it.
func appendCause(b []byte, reason Reason, rule, because string) []byte {
	b = AppendMember(b, `,"reason":`, reason.String())
	b = AppendMember(b, `,"rule":`, rule)
	return AppendMember(b, `,"because":`, because)
}

// AppendMember appends a member of a JSON object whose value is a text, unless that is empty.
// name is all that stands before the value, as in `,"code":`.
func AppendMember(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return AppendString(append(b, name...), value)
}
