// SPDX-License-Identifier: Apache-2.0

package edge

import (
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
		if !slices.Contains([]string{"draft", "review", "approved", "live", "archived"}, spec.State) {
			c.bad("variants: %s: state %q is not draft, review, approved, live or archived", at, spec.State)
		}
		v := &variant{name: spec.Name, live: spec.State == "live"}
		v.from = c.validity(at, "from", spec.From)
		v.until = c.validity(at, "until", spec.Until)
		v.texts = c.texts(at, kind, spec)
		if out[spec.Slot] == nil {
			out[spec.Slot] = map[string]*variant{}
		}
		out[spec.Slot][spec.Name] = v
	}
	return out
}

func (c *compiler) validity(at, member, value string) time.Time {
	if value == "" || c.release.zone == nil {
		return time.Time{}
	}
	t, err := time.ParseInLocation(validityLayout, value, c.release.zone)
	if err != nil {
		c.bad("variants: %s: %s %q is not like %s", at, member, value, validityLayout)
	}
	return t
}

// texts compiles a variant's content and picks one for each site language.
func (c *compiler) texts(at string, kind Kind, spec *Variant) map[string]text {
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
		compiled[lang] = text{lang: lang, dir: direction(lang), content: wire}
		order = append(order, lang)
	}
	if len(order) == 0 {
		c.bad("variants: %s: content is missing", at)
		return nil
	}
	slices.Sort(order)
	langs := c.release.doc.Settings.Languages
	out := map[string]text{}
	for _, want := range langs {
		base, _, _ := strings.Cut(want, "-")
		for _, try := range append([]string{want, base}, append(langs[:1:1], order...)...) {
			if t, ok := compiled[try]; ok {
				out[want] = t
				break
			}
		}
	}
	return out
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
