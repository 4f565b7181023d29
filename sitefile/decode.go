// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/nearest"
)

// A decoder makes a document of files whose shapes were checked. What is of a
// wrong shape was reported and is passed over here.
type decoder struct {
	doc      edge.ReleaseDocument
	index    index
	findings Findings
	// language is that of texts which name none: the site's first.
	language string
	kinds    map[string]string // of content, by slot
	rules    []placedRule
}

// A placedRule is a rule with its place.
type placedRule struct {
	slot string
	rule edge.RuleSpec
	node *node
}

// decode reads all files: first what others depend on.
func (d *decoder) decode(files []*file) {
	d.doc = edge.ReleaseDocument{Schema: edge.ReleaseSchema, Slots: []edge.SlotSpec{}, Variants: []edge.Variant{}, Modules: []edge.ModuleRef{}}
	d.kinds = map[string]string{}
	if n := d.only(files, "site"); n != nil {
		d.doc.Site = n.text
	}
	if n := d.only(files, "settings"); n != nil {
		d.settings(n)
	}
	if len(d.doc.Settings.Languages) > 0 {
		d.language = d.doc.Settings.Languages[0]
	}
	d.each(files, "fields", func(n *node) {
		d.doc.Fields = append(d.doc.Fields, edge.OwnField{
			Name: n.str("name"), Type: n.str("type"), Purpose: n.str("purpose"), Origin: n.str("origin"),
			From: n.str("from"), Value: n.get("value").json(), Event: n.str("event"), Prop: n.str("prop"), ExpireDays: n.number("expireDays"),
		})
		d.named(d.index.fields, n, n.str("name"), "the field")
	})
	d.each(files, "audiences", func(n *node) {
		d.doc.Audiences = append(d.doc.Audiences, edge.Audience{Name: n.str("name"), Description: n.str("description"), When: n.str("when")})
		d.named(d.index.audiences, n, n.str("name"), "the audience")
	})
	d.each(files, "campaigns", d.campaign)
	d.each(files, "modules", func(n *node) {
		ref := edge.ModuleRef{Name: n.str("name"), Version: n.str("version"), Hash: n.str("hash"), Settings: n.get("settings").json(), Signature: n.str("signature")}
		d.doc.Modules = append(d.doc.Modules, ref)
		d.named(d.index.modules, n, ref.ID(), "the module")
	})
	d.each(files, "slots", d.slot)
	for _, f := range files {
		d.variants(f.root.get("variants"))
	}
	d.order()
	d.references()
}

// only returns the value of a key that stands in one file alone.
func (d *decoder) only(files []*file, key string) *node {
	var found *node
	for _, f := range files {
		n := f.root.get(key)
		switch {
		case n == nil:
		case found == nil:
			found = n
			d.index.site[key] = n
		default:
			d.findings.add(n.finding(CodeDuplicate, "", "%s stands in %s already, line %d", key, found.file.name, found.line))
		}
	}
	if found == nil && !slices.ContainsFunc(files, func(f *file) bool { return f.root != nil && f.root.kind != mapping }) {
		d.findings.add(Finding{Code: CodeMissing, Message: "no file has the key " + key})
	}
	return found
}

// each calls yield with every mapping of a list in all files.
func (d *decoder) each(files []*file, key string, yield func(n *node)) {
	for _, f := range files {
		if n := f.root.get(key); n != nil {
			for _, item := range n.kids {
				if item.kind == mapping {
					yield(item)
				}
			}
		}
	}
}

// named remembers where something with a name stands, and reports one that is
// taken.
func (d *decoder) named(known map[string]*node, n *node, name, what string) {
	at := n.get("name")
	if at == nil {
		return
	}
	if first := known[name]; first != nil {
		d.findings.add(at.finding(CodeDuplicate, "", "%s %.64s stands in %s already, line %d", what, name, first.file.name, first.line))
		return
	}
	known[name] = n
}

func (d *decoder) settings(n *node) {
	s := &d.doc.Settings
	s.Origins, s.Languages = n.strs("origins"), n.strs("languages")
	s.Currency, s.TimeZone = n.str("currency"), n.str("timezone")
	s.RetainDays, s.Prompts = n.number("retainDays"), n.strs("prompts")
	s.ProfileDays = n.number("profileDays")
	s.StateEpoch, s.BoughtDays, s.Cap = uint32(n.number("stateEpoch")), n.number("boughtDays"), n.limit("cap")
	for _, surface := range edge.Surfaces {
		if c := n.get("caps").limit(surface); c != nil {
			if s.Caps == nil {
				s.Caps = map[string]edge.Cap{}
			}
			s.Caps[surface] = *c
		}
	}
	s.Why, s.SecondPerson = n.yes("why"), n.yes("secondPerson")
	policy := n.get("consent")
	s.Consent.StrictGPC, s.Consent.ContextBeforeAnswer = policy.yes("strictGpc"), policy.yes("contextBeforeAnswer")
	s.Consent.TCF, s.Consent.PurposeOneTreatment = policy.tcfReading("tcf"), policy.yes("purposeOneTreatment")
	open := policy.get("open")
	s.Consent.Open = consent.Openings{UK: open.purposes("uk"), USOptOut: open.purposes("us-optout"), Elsewhere: open.purposes("elsewhere")}
}

func (d *decoder) campaign(n *node) {
	var quiet *edge.QuietHours
	if q := n.get("quiet"); q != nil {
		quiet = &edge.QuietHours{From: q.str("from"), Until: q.str("until")}
	}
	d.doc.Campaigns = append(d.doc.Campaigns, edge.Campaign{
		Name: n.str("name"), Owner: n.str("owner"), Hypothesis: n.str("hypothesis"), Goal: n.str("goal"), Segment: n.str("segment"),
		Moment: n.str("moment"), Tactic: n.str("tactic"), State: n.str("state"), From: n.str("from"), Until: n.str("until"),
		Cap: n.limit("cap"), Quiet: quiet, Transactional: n.yes("transactional"),
	})
	d.named(d.index.campaigns, n, n.str("name"), "the campaign")
}

func (d *decoder) slot(n *node) {
	s := edge.SlotSpec{Name: n.str("name"), Kind: n.str("kind"), Ladder: []edge.RungSpec{}}
	d.named(d.index.slots, n, s.Name, "the slot")
	d.kinds[s.Name] = s.Kind
	ladder := n.get("ladder")
	for _, rung := range edge.Rungs {
		list := ladder.get(rung)
		if list == nil {
			continue
		}
		spec := edge.RungSpec{Rung: rung, Rules: []edge.RuleSpec{}}
		for _, item := range list.kids {
			if item.kind != mapping {
				continue
			}
			rule := d.rule(item)
			spec.Rules = append(spec.Rules, rule)
			d.indexRule(s.Name, &rule, item)
			d.rules = append(d.rules, placedRule{s.Name, rule, item})
		}
		s.Ladder = append(s.Ladder, spec)
	}
	d.doc.Slots = append(d.doc.Slots, s)
}

// indexRule remembers where a rule stands. One module may stand in a slot
// several times; the first is where a finding about it is shown.
func (d *decoder) indexRule(slot string, rule *edge.RuleSpec, n *node) {
	if rule.Name != "" {
		d.named(d.index.rules, n, slot+"/"+rule.Name, "the rule")
		return
	}
	if key := slot + "/" + rule.Module; d.index.rules[key] == nil {
		d.index.rules[key] = n
	}
	if before := n.get("before"); before != nil && rule.Before != nil {
		d.indexRule(slot, rule.Before, before)
	}
}

func (d *decoder) rule(n *node) edge.RuleSpec {
	r := edge.RuleSpec{
		Name: n.str("name"), When: n.str("when"), Show: d.show(n.get("show")), Score: n.str("score"), Campaign: n.str("campaign"),
		Module: n.str("module"), Role: n.str("role"), Priority: n.number("priority"), Rollout: n.share("rollout"),
		Shadow: n.yes("shadow"), Settings: n.get("settings").json(), Because: d.because(n.get("because")),
	}
	if before := n.get("before"); before != nil {
		older := d.rule(before)
		r.Before = &older
	}
	return r
}

func (d *decoder) show(n *node) []edge.ShowSpec {
	switch {
	case n == nil:
		return nil
	case n.kind == text:
		return []edge.ShowSpec{{Variant: n.text}}
	}
	var out []edge.ShowSpec
	for _, item := range n.kids {
		out = append(out, edge.ShowSpec{Variant: item.str("variant"), Weight: item.number("weight")})
	}
	return out
}

func (d *decoder) because(n *node) map[string]string {
	if n == nil {
		return nil
	}
	if n.kind == text {
		return map[string]string{d.language: n.text}
	}
	out := map[string]string{}
	for i, k := range n.keys {
		out[k.text] = n.kids[i].text
	}
	return out
}

func (d *decoder) variants(n *node) {
	if n == nil {
		return
	}
	for i, slot := range n.keys {
		kind, known := d.kinds[slot.text]
		if !known {
			d.findings.add(slot.finding(CodeReference, "", "there is no slot %.64s", slot.text))
			continue
		}
		for _, item := range n.kids[i].kids {
			if item.kind != mapping {
				continue
			}
			v := edge.Variant{
				Slot: slot.text, Name: item.str("name"), State: item.str("state"), Owner: item.str("owner"), Tags: item.strs("tags"),
				From: item.str("from"), Until: item.str("until"), Promotes: item.strs("promotes"), Cap: item.limit("cap"), Content: map[string]json.RawMessage{},
			}
			content := item.get("content")
			for j, lang := range content.langs() {
				v.Content[lang.text] = d.content(content.kids[j], kind)
			}
			d.doc.Variants = append(d.doc.Variants, v)
			d.named(d.index.variants, item, v.Slot+"/"+v.Name, "the variant")
		}
	}
}

// langs are a mapping's keys; nil for no mapping.
func (n *node) langs() []*node {
	if n == nil {
		return nil
	}
	return n.keys
}

// content reads content in one language: text alone is short for the member
// that the slot's kind calls its own.
func (d *decoder) content(n *node, kind string) json.RawMessage {
	if n.kind != text {
		d.contentKeys(n, kind)
		return n.json()
	}
	if kind != "text" && kind != "html" && slices.Contains(kindNames, kind) {
		d.findings.add(n.finding(CodeType, "", "content of kind %s is text, want a mapping", kind))
		return json.RawMessage("null")
	}
	return json.RawMessage(`{"` + kind + `":` + string(jsonText(n.text)) + `}`)
}

// contentKeys reports keys of content of another kind.
func (d *decoder) contentKeys(n *node, kind string) {
	own, known := contentKeys[kind]
	for _, k := range n.keys {
		if known && !slices.Contains(own, k.text) && contentShape.or[0].key(k.text) != nil {
			d.findings.add(k.finding(CodeUnknownKey, "there are "+strings.Join(own, ", "), "content of kind %s has no %s", kind, k.text))
		}
	}
}

// order gives the document the order that does not depend on files.
func (d *decoder) order() {
	slices.SortStableFunc(d.doc.Slots, func(a, b edge.SlotSpec) int { return strings.Compare(a.Name, b.Name) })
	slices.SortStableFunc(d.doc.Variants, func(a, b edge.Variant) int { return strings.Compare(a.Slot, b.Slot) })
}

// references reports names in rules of what is not there.
func (d *decoder) references() {
	for i := range d.rules {
		p := &d.rules[i]
		if c := p.rule.Campaign; c != "" && d.index.campaigns[c] == nil {
			d.findings.add(p.node.get("campaign").finding(CodeReference, near("", c, d.index.campaigns), "there is no campaign %.64s", c))
		}
		for j, show := range p.rule.Show {
			if show.Variant == "" || d.index.variants[p.slot+"/"+show.Variant] != nil {
				continue
			}
			at := p.node.get("show")
			if at.kind == list {
				at = at.kids[j].get("variant")
			}
			d.findings.add(at.finding(CodeReference, near(p.slot+"/", show.Variant, d.index.variants), "the slot %s has no variant %.64s", p.slot, show.Variant))
		}
	}
}

// near hints at the name that is most like one that is not there, among those
// with a prefix.
func near(prefix, name string, known map[string]*node) string {
	var names []string
	for k := range known {
		if rest, ok := strings.CutPrefix(k, prefix); ok {
			names = append(names, rest)
		}
	}
	slices.Sort(names)
	return nearest.Hint(name, names)
}

// str returns a key's text, "" without it. A number stands for its text.
func (n *node) str(key string) string {
	if v := n.get(key); v != nil && (v.kind == text || v.kind == whole) {
		return v.text
	}
	return ""
}

// tcfReading reads the word or the vendor's number; the shape has checked which.
func (n *node) tcfReading(key string) consent.TCFReading {
	if id := n.number(key); id > 0 && id <= consent.MaxTCFVendor {
		return consent.TCFReading(id)
	}
	reading, err := consent.ParseTCFReading(n.str(key))
	if err != nil {
		return consent.ByPurpose // what is no reading was refused with the file
	}
	return reading
}

func (n *node) strs(key string) []string {
	list := n.get(key)
	if list == nil {
		return nil
	}
	out := []string{}
	for _, item := range list.kids {
		out = append(out, item.text)
	}
	return out
}

func (n *node) yes(key string) bool {
	v := n.get(key)
	return v != nil && v.kind == boolean && (v.text[0] == 't' || v.text[0] == 'T')
}

// limit reads a cap, nil for none.
func (n *node) limit(key string) *edge.Cap {
	c := n.get(key)
	if c == nil {
		return nil
	}
	return &edge.Cap{Times: c.number("times"), Hours: c.number("hours")}
}

func (n *node) number(key string) int {
	if v := n.get(key); v != nil && v.kind == whole {
		i, _ := v.integer() // the shape was checked
		return i
	}
	return 0
}

// integer reads a whole number as YAML writes it.
func (n *node) integer() (int, error) {
	i, err := strconv.ParseInt(wholeText(n.text), 0, 64)
	return int(i), err
}

// wholeText is a whole number's text for package strconv, which takes a leading
// zero for another base.
func wholeText(text string) string {
	if strings.HasPrefix(text, "0x") || strings.HasPrefix(text, "0o") {
		return text
	}
	sign := ""
	if text[0] == '-' {
		sign = "-"
	}
	digits := strings.TrimLeft(strings.TrimLeft(text, "+-"), "0")
	return sign + cmp.Or(digits, "0")
}

// share reads 20% as buckets.
func (n *node) share(key string) int {
	percent, ok := strings.CutSuffix(n.str(key), "%")
	if !ok {
		return 0
	}
	units, decimals, _ := strings.Cut(percent, ".")
	i, err := strconv.Atoi(units + (decimals + "00")[:2])
	if err != nil {
		return 0
	}
	return i
}

func (n *node) purposes(key string) consent.Set {
	p, _ := consent.ParsePurposes(n.strs(key)...) // a word that is none was reported
	return consent.Set(p)
}
