// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// variants compiles every variant's content, by slot and name.
func (c *compiler) variants() map[string]map[string]*variant {
	r := c.release
	if n := len(r.doc.Variants); n > maxReleaseVariants {
		c.bad("variants: %d, at most %d", n, maxReleaseVariants)
		return nil
	}
	kindOf := map[string]Kind{}
	for _, s := range r.doc.Slots {
		kindOf[s.Name], _ = ParseKind(s.Kind)
	}
	out := map[string]map[string]*variant{}
	r.variants = out
	for i := range r.doc.Variants {
		spec := &r.doc.Variants[i]
		at := spec.Slot + "/" + spec.Name
		kind, ok := kindOf[spec.Slot]
		if !ok {
			c.bad("variants: %s: there is no such slot", at)
			continue
		}
		if len(spec.Name) > MaxNameBytes || !namePattern.MatchString(spec.Name) || out[spec.Slot][spec.Name] != nil {
			c.bad("variants: %s: the name is taken or not lower-case words joined by dashes", at)
			continue
		}
		v := &variant{name: spec.Name, period: c.period("variants: "+at, spec.State, spec.From, spec.Until)}
		v.lists = kind == KindItems
		v.texts = c.texts(at, kind, spec)
		v.promotes, v.limit = c.promotes(at, spec.Promotes), c.limit("variants: "+at, spec.Cap, capVariant, at)
		for _, t := range v.texts {
			if t.template != nil {
				v.reads = v.reads.Or(t.template.reads)
			}
		}
		if out[spec.Slot] == nil {
			out[spec.Slot] = map[string]*variant{}
		}
		out[spec.Slot][spec.Name] = v
	}
	return out
}

// A period is when something takes part: a variant, or the rules of a campaign.
type period struct {
	live        bool
	from, until time.Time // zero for no bound
}

// always reports whether any time is in the period.
func (p *period) always() bool { return p.live && p.from.IsZero() && p.until.IsZero() }

// includes reports whether a time is in the period.
func (p *period) includes(now time.Time) bool {
	return p.live && (p.from.IsZero() || !now.Before(p.from)) && (p.until.IsZero() || now.Before(p.until))
}

func (c *compiler) period(at, state, from, until string) period {
	if !slices.Contains([]string{"draft", "review", "approved", "live", "archived"}, state) {
		c.bad("%s: state %q is not draft, review, approved, live or archived", at, state)
	}
	p := period{live: state == "live", from: c.siteTime(at, "from", from), until: c.siteTime(at, "until", until)}
	// What is live already goes on with what it has.
	if !c.partly && !p.from.IsZero() && !p.until.IsZero() && !p.from.Before(p.until) {
		c.bad("%s: until %q is not after from %q", at, until, from)
	}
	return p
}

// siteTime reads a time as site files write it, in the site's zone; the zero
// time for an empty one.
func (c *compiler) siteTime(at, member, value string) time.Time {
	if value == "" || c.release.zone == nil {
		return time.Time{}
	}
	t, err := time.ParseInLocation(validityLayout, value, c.release.zone)
	if err != nil {
		c.bad("%s: %s %q is not a date and time like 2026-12-24T18:00", at, member, value)
	}
	return t
}

// texts compiles a variant's content and picks one for each site language.
func (c *compiler) texts(at string, kind Kind, spec *Variant) []text {
	compiled := map[string]text{}
	var order []string
	for lang, content := range spec.Content {
		if !langPattern.MatchString(lang) {
			c.bad("variants: %s: %q is not a language", at, lang)
			continue
		}
		if len(content) > MaxContentBytes {
			c.bad("variants: %s: %s: %d bytes, at most %d", at, lang, len(content), MaxContentBytes)
			continue
		}
		wire, err := kinds[kind].compile(content)
		if err != nil {
			c.bad("variants: %s: %s: %w", at, lang, err)
			continue
		}
		t := text{lang: lang, dir: direction(lang)}
		t.look = string(appendLook(nil, spec.Slot, spec.Name, kind, &t))
		if t.template, t.content, err = c.release.newTemplate(kind, wire); err != nil {
			c.bad("variants: %s: %s: %w", at, lang, err)
		}
		if kind == KindItems {
			t.items = listedItems(wire)
		}
		compiled[lang] = t
		order = append(order, lang)
	}
	if len(order) == 0 {
		if len(spec.Content) == 0 {
			c.bad("variants: %s: content is missing", at)
		}
		return nil
	}
	slices.Sort(order)
	langs := c.release.doc.Settings.Languages
	out := make([]text, len(langs))
	for i, want := range langs {
		base, _, _ := strings.Cut(want, "-")
		for _, try := range append([]string{want, base}, append(langs[:1:1], order...)...) {
			if t, ok := compiled[try]; ok {
				out[i] = t
				break
			}
		}
	}
	return out
}

// listedItems are the items of content of kind items, as it goes over the wire.
func listedItems(wire []byte) []AnswerItem {
	var c struct {
		Items []AnswerItem `json:"items"`
	}
	if json.Unmarshal(wire, &c) != nil {
		return nil // it has a template in it
	}
	return c.Items
}

// direction returns the writing direction of a language: its script when it
// names one, else the scripts its speakers use (Unicode CLDR).
func direction(lang string) string {
	base, rest, _ := strings.Cut(lang, "-")
	if script, _, _ := strings.Cut(rest, "-"); len(script) == 4 {
		if slices.Contains([]string{"Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm", "Rohg"}, script) {
			return "rtl"
		}
		return "ltr"
	}
	if slices.Contains([]string{"ar", "he", "fa", "ur", "ps", "sd", "ug", "yi", "dv", "ckb"}, base) {
		return "rtl"
	}
	return "ltr"
}
