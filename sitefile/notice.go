// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"slices"
	"strings"

	"github.com/nearside/nearside/edge"
)

// Notices returns what is allowed in files that Check finds nothing wrong with,
// and mostly not meant: words in a language that the site does not have, content
// without its fallback language, rules that show nothing that is live, and what
// ofRules notices of the document's conditions and scores. ofRules may be nil.
func (f *Files) Notices(ofRules func(doc *edge.ReleaseDocument) []*edge.RuleError) Findings {
	var out Findings
	if ofRules != nil {
		for _, noticed := range ofRules(&f.Document) {
			out.add(f.locateRule(noticed))
		}
	}
	for _, n := range f.index.variants {
		content := n.get("content")
		f.strangers(&out, content)
		if langs := f.Document.Settings.Languages; content != nil && len(langs) > 0 && !slices.ContainsFunc(content.keys, func(k *node) bool { return serves(k.text, langs[0]) }) {
			out.add(content.finding(CodeNotice, "add it, or what is there stands in for it", "there is no text in %s, the site's fallback", langs[0]))
		}
	}
	for name, n := range f.index.rules {
		f.strangers(&out, n.get("because"))
		slot, _, _ := strings.Cut(name, "/")
		if show := n.get("show"); show != nil && !f.anyLive(slot, show) {
			out.add(show.finding(CodeNotice, "only a variant whose state is live is served", "the rule shows nothing that is live"))
		}
	}
	return out.sorted()
}

// strangers notices the keys of a mapping by language that no language of the
// site asks for.
func (f *Files) strangers(out *Findings, byLanguage *node) {
	if byLanguage == nil || byLanguage.kind != mapping {
		return
	}
	langs := f.Document.Settings.Languages
	for _, k := range byLanguage.keys {
		if !slices.ContainsFunc(langs, func(lang string) bool { return serves(k.text, lang) }) {
			out.add(k.finding(CodeNotice, "settings.languages has "+strings.Join(langs, ", "), "the site has no language %s", k.text))
		}
	}
}

// serves reports whether words in a language serve a page in another.
func serves(have, want string) bool {
	base, _, _ := strings.Cut(want, "-")
	return have == want || have == base
}

// anyLive reports whether one of the variants that a rule shows is live.
func (f *Files) anyLive(slot string, show *node) bool {
	live := func(name *node) bool {
		return name != nil && f.index.variants[slot+"/"+name.text].get("state").is("live")
	}
	return live(show) || slices.ContainsFunc(show.kids, func(item *node) bool { return live(item.get("variant")) })
}

// is reports whether a node is a text.
func (n *node) is(value string) bool { return n != nil && n.kind == text && n.text == value }
