// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// SchemaFile is where the JSON Schema stands in an exported directory.
const SchemaFile = ".nearside/site.schema.json"

// Render writes a release as site files, by path: site.yaml, audiences.yaml,
// campaigns.yaml and slots/SLOT.yaml. Reading them gives the document again, in
// the order that Read gives it. Number, Compiled and Inputs are not written.
func Render(doc *edge.ReleaseDocument) (map[string][]byte, error) {
	doc = canonical(doc)
	r := renderer{doc: doc, files: map[string][]byte{}}
	if len(doc.Settings.Languages) > 0 {
		r.language = doc.Settings.Languages[0]
	}
	r.write("site.yaml", "The site and its settings.", r.site())
	if len(doc.Audiences) > 0 {
		r.write("audiences.yaml", "Audiences are conditions with a name. A rule asks for one by\ninAudience(\"name\").", pairs{{key: "audiences", value: r.audiences()}})
	}
	if len(doc.Campaigns) > 0 {
		r.write("campaigns.yaml", "Campaigns own rules across slots.", pairs{{key: "campaigns", value: r.campaigns()}})
	}
	for i := range doc.Slots {
		slot := &doc.Slots[i]
		if !namePattern.MatchString(slot.Name) {
			return nil, fmt.Errorf("slot %.64q is no name of a file", slot.Name)
		}
		says := "The slot " + slot.Name + ": its rules, and below them what they may show."
		r.write("slots/"+slot.Name+".yaml", says, r.slot(slot))
	}
	return r.files, errors.Join(r.errs...)
}

// SchemaLine is the comment by which editors find the JSON Schema from a file.
func SchemaLine(file string) string {
	return "# yaml-language-server: $schema=" + strings.Repeat("../", strings.Count(file, "/")) + SchemaFile
}

// A renderer makes files of a document.
type renderer struct {
	doc      *edge.ReleaseDocument
	language string // of texts that name none
	files    map[string][]byte
	errs     []error
}

func (r *renderer) write(file, says string, content pairs) {
	var w emitter
	w.WriteString(SchemaLine(file) + "\n#\n")
	for line := range strings.SplitSeq(says, "\n") {
		w.WriteString("# " + line + "\n")
	}
	w.WriteString("\n")
	w.pairs(0, content)
	w.WriteString("\n")
	r.files[file] = []byte(w.String())
}

func (r *renderer) site() pairs {
	d := r.doc
	out := pairs{{key: "site", value: d.Site}, {key: "settings", value: r.settings()}}
	var fields items
	for _, f := range d.Fields {
		p := pairs{{key: "name", value: f.Name}, {key: "type", value: f.Type}, {key: "purpose", value: f.Purpose}, {key: "origin", value: f.Origin}, {key: "from", value: f.From}}
		if f.Value != nil {
			p.set("value", r.json("field "+f.Name, f.Value))
		}
		p.put("event", f.Event)
		p.put("prop", f.Prop)
		p.put("expireDays", f.ExpireDays)
		fields = append(fields, p)
	}
	out.put("fields", fields)
	var modules items
	for _, m := range d.Modules {
		p := pairs{{key: "name", value: m.Name}}
		p.put("version", m.Version)
		p.put("hash", m.Hash)
		if m.Settings != nil {
			p.set("settings", r.json("module "+m.Name, m.Settings))
		}
		p.put("signature", m.Signature)
		modules = append(modules, p)
	}
	out.put("modules", modules)
	return out
}

func (r *renderer) settings() pairs {
	s := &r.doc.Settings
	out := pairs{{key: "origins", value: textItems(s.Origins)}, {key: "languages", value: textItems(s.Languages), comment: "The first is the fallback, and the language of texts that name none."}}
	out.put("currency", s.Currency)
	out.put("timezone", s.TimeZone)
	var policy, open pairs
	policy.put("strictGpc", s.Consent.StrictGPC)
	if s.Consent.TCF == consent.ByPublisher {
		policy.put("tcf", s.Consent.TCF.String())
	} else {
		policy.put("tcf", int(s.Consent.TCF)) // a vendor; the default is 0 and left out
	}
	policy.put("purposeOneTreatment", s.Consent.PurposeOneTreatment)
	policy.put("contextBeforeAnswer", s.Consent.ContextBeforeAnswer)
	for _, o := range []struct {
		key string
		set consent.Set
	}{{"uk", s.Consent.Open.UK}, {"us-optout", s.Consent.Open.USOptOut}, {"elsewhere", s.Consent.Open.Elsewhere}} {
		if names := consent.Purposes(o.set).Names(); len(names) > 0 {
			open.set(o.key, textItems(names))
		}
	}
	policy.put("open", open)
	out.put("consent", policy)
	if len(s.Prompts) > 0 {
		out.set("prompts", textItems(s.Prompts))
	}
	out.put("retainDays", s.RetainDays)
	putCap(&out, "cap", s.Cap)
	var caps pairs
	for _, surface := range edge.Surfaces {
		if c, ok := s.Caps[surface]; ok {
			putCap(&caps, surface, &c)
		}
	}
	out.put("caps", caps)
	out.put("boughtDays", s.BoughtDays)
	out.put("profileDays", s.ProfileDays)
	out.put("stateEpoch", int(s.StateEpoch))
	out.put("why", s.Why)
	out.put("secondPerson", s.SecondPerson)
	return out
}

// putCap adds a cap where there is one.
func putCap(out *pairs, key string, c *edge.Cap) {
	if c != nil {
		out.set(key, pairs{{key: "times", value: c.Times}, {key: "hours", value: c.Hours}})
	}
}

func (r *renderer) audiences() items {
	var out items
	for _, a := range r.doc.Audiences {
		p := pairs{{key: "name", value: a.Name}}
		p.put("description", a.Description)
		p.set("when", a.When)
		out = append(out, p)
	}
	return out
}

func (r *renderer) campaigns() items {
	var out items
	for _, c := range r.doc.Campaigns {
		p := pairs{{key: "name", value: c.Name}}
		for _, e := range []entry{
			{key: "owner", value: c.Owner}, {key: "hypothesis", value: c.Hypothesis}, {key: "goal", value: c.Goal}, {key: "segment", value: c.Segment},
			{key: "moment", value: c.Moment}, {key: "tactic", value: c.Tactic}, {key: "state", value: c.State}, {key: "from", value: c.From}, {key: "until", value: c.Until},
		} {
			p.put(e.key, e.value)
		}
		putCap(&p, "cap", c.Cap)
		if c.Quiet != nil {
			p.set("quiet", pairs{{key: "from", value: c.Quiet.From}, {key: "until", value: c.Quiet.Until}})
		}
		p.put("transactional", c.Transactional)
		out = append(out, p)
	}
	return out
}

func (r *renderer) slot(s *edge.SlotSpec) pairs {
	ladder := pairs{}
	for _, rung := range s.Ladder {
		rules := items{}
		for i := range rung.Rules {
			rules = append(rules, r.rule(&rung.Rules[i]))
		}
		ladder.set(rung.Rung, rules)
	}
	out := pairs{{key: "slots", value: items{pairs{{key: "name", value: s.Name}, {key: "kind", value: s.Kind}, {key: "ladder", value: ladder}}}}}
	var variants items
	for i := range r.doc.Variants {
		if v := &r.doc.Variants[i]; v.Slot == s.Name {
			variants = append(variants, r.variant(v, s.Kind))
		}
	}
	if variants != nil {
		out = append(out, entry{key: "variants", value: pairs{{key: s.Name, value: variants}}})
	}
	return out
}

func (r *renderer) rule(spec *edge.RuleSpec) pairs {
	var p pairs
	p.put("name", spec.Name)
	p.put("module", spec.Module)
	p.put("role", spec.Role)
	p.put("when", spec.When)
	if len(spec.Show) == 1 && spec.Show[0].Weight == 0 {
		p.set("show", spec.Show[0].Variant)
	} else if len(spec.Show) > 0 {
		var show items
		for _, s := range spec.Show {
			line := pairs{{key: "variant", value: s.Variant}}
			line.put("weight", s.Weight)
			show = append(show, row(line))
		}
		p.set("show", show)
	}
	if wholePattern.MatchString(spec.Score) {
		p.set("score", literal(spec.Score))
	} else {
		p.put("score", spec.Score)
	}
	p.put("campaign", spec.Campaign)
	p.put("priority", spec.Priority)
	if spec.Rollout > 0 {
		p.set("rollout", spellShare(spec.Rollout))
	}
	if spec.Before != nil {
		p.set("before", r.rule(spec.Before))
	}
	p.put("shadow", spec.Shadow)
	if spec.Settings != nil {
		p.set("settings", r.json("rule "+spec.Module, spec.Settings))
	}
	if len(spec.Because) > 0 {
		p.set("because", r.words(spec.Because))
	}
	return p
}

// words writes text by language: in the site's first alone without its name.
func (r *renderer) words(byLanguage map[string]string) any {
	if alone, ok := byLanguage[r.language]; ok && len(byLanguage) == 1 {
		return alone
	}
	var out pairs
	for _, lang := range r.languages(slices.Collect(maps.Keys(byLanguage))) {
		out.set(lang, byLanguage[lang])
	}
	return out
}

// languages orders languages: the site's as they stand in its settings, then
// others by name.
func (r *renderer) languages(langs []string) []string {
	place := func(lang string) int {
		if i := slices.Index(r.doc.Settings.Languages, lang); i >= 0 {
			return i
		}
		return len(r.doc.Settings.Languages)
	}
	slices.SortFunc(langs, func(a, b string) int {
		if d := place(a) - place(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return langs
}

func (r *renderer) variant(v *edge.Variant, kind string) pairs {
	p := pairs{{key: "name", value: v.Name}, {key: "state", value: v.State}}
	p.put("owner", v.Owner)
	if len(v.Tags) > 0 {
		p.set("tags", textItems(v.Tags))
	}
	p.put("from", v.From)
	p.put("until", v.Until)
	if len(v.Promotes) > 0 {
		p.set("promotes", textItems(v.Promotes))
	}
	putCap(&p, "cap", v.Cap)
	content := pairs{}
	for _, lang := range r.languages(slices.Collect(maps.Keys(v.Content))) {
		value := r.json("variant "+v.Slot+"/"+v.Name, v.Content[lang])
		if full, ok := value.(pairs); ok && len(full) == 1 && full[0].key == kind && (kind == "text" || kind == "html") {
			if short, ok := full[0].value.(string); ok {
				value = short
			}
		}
		content.set(lang, value)
	}
	p.set("content", content)
	return p
}

// json returns JSON as what can be written, its keys in their order.
func (r *renderer) json(at string, raw json.RawMessage) any {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	value, err := decodeJSON(dec, maxDepth-16) // what is around it is no deeper
	if err != nil {
		r.errs = append(r.errs, fmt.Errorf("%s: %w", at, err))
	}
	return value
}

var errDeep = errors.New("its JSON is deeper than site files are")

func decodeJSON(dec *json.Decoder, depth int) (any, error) {
	if depth == 0 {
		return nil, errDeep
	}
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		if v == '[' {
			return decodeList(dec, depth)
		}
		return decodeObject(dec, depth)
	case json.Number:
		return literal(v), nil
	default:
		return v, nil // text, true, false or nil
	}
}

func decodeList(dec *json.Decoder, depth int) (any, error) {
	out := items{}
	for dec.More() {
		item, err := decodeJSON(dec, depth-1)
		if err != nil {
			return nil, err
		}
		out = append(out, item)
	}
	_, err := dec.Token()
	return out, err
}

// decodeObject keeps the last of several members of one name, as decoders do.
func decodeObject(dec *json.Decoder, depth int) (any, error) {
	out, at := pairs{}, map[string]int{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		value, err := decodeJSON(dec, depth-1)
		if err != nil {
			return nil, err
		}
		name, _ := key.(string)
		if i, twice := at[name]; twice {
			out[i].value = value
			continue
		}
		at[name] = len(out)
		out.set(name, value)
	}
	_, err := dec.Token()
	return out, err
}

func textItems(words []string) items {
	out := items{}
	for _, w := range words {
		out = append(out, w)
	}
	return out
}

// spellShare writes a number of buckets as a share of the visitors: 12.5%.
func spellShare(buckets int) string {
	return strconv.FormatFloat(float64(buckets)/(edge.Buckets/100), 'f', -1, 64) + "%"
}
