// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// WriteSite writes the rules as a site's files for `nearside apply`.
func (c *Corpus) WriteSite(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	site := fmt.Sprintf("site: %s\nsettings:\n  origins: [%s]\n  languages: [%s]\n", Site, Origin, strings.Join(Languages, ", "))
	if err := os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(site), 0o644); err != nil {
		return err
	}
	for _, slot := range Slots {
		if err := os.WriteFile(filepath.Join(dir, slot+".yaml"), []byte(c.slotFile(slot)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (c *Corpus) slotFile(slot string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "slots:\n  - name: %s\n    kind: json\n    ladder:\n      context:\n", slot)
	for _, r := range c.of(slot) {
		fmt.Fprintf(&b, "        - name: %s\n          when: %s\n          show: %s\n", r.Name, r.condition(), r.Variant)
	}
	fmt.Fprintf(&b, "variants:\n  %s:\n", slot)
	for _, v := range variants(slot) {
		content, _ := json.Marshal(ContentOf(v))
		fmt.Fprintf(&b, "    - name: %s\n      state: live\n      owner: bench\n      content:\n        en: {json: %s}\n", v, content)
	}
	return b.String()
}

// of returns a slot's rules in order.
func (c *Corpus) of(slot string) []Rule {
	var own []Rule
	for _, r := range c.Rules {
		if r.Slot == slot {
			own = append(own, r)
		}
	}
	return own
}

func variants(slot string) []string {
	names := make([]string, variantsPerSlot)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d", slot, i)
	}
	return names
}

// condition is the rule in the product's language.
func (r *Rule) condition() string {
	parts := make([]string, len(r.Conditions))
	for i, c := range r.Conditions {
		parts[i] = fmt.Sprintf(`%s in ["%s"]`, c.Field, strings.Join(c.In, `", "`))
	}
	return strings.Join(parts, " && ")
}

// GrowthBook returns the rules as features of GrowthBook: one a slot, whose
// forced values are variants.
func (c *Corpus) GrowthBook() ([]byte, error) {
	type rule struct {
		Condition map[string]any `json:"condition"`
		Force     string         `json:"force"`
	}
	type feature struct {
		Default string `json:"defaultValue"`
		Rules   []rule `json:"rules"`
	}
	features := map[string]feature{}
	for _, slot := range Slots {
		var f feature
		for _, r := range c.of(slot) {
			when := map[string]any{}
			for _, c := range r.Conditions {
				when[contextName(c.Field)] = map[string]any{"$in": c.In}
			}
			f.Rules = append(f.Rules, rule{when, r.Variant})
		}
		features[slot] = f
	}
	return json.Marshal(features)
}

// Rego returns the rules as a policy of OPA, package near: one complete rule a
// slot, whose branches are tried in order.
func (c *Corpus) Rego() string {
	var b strings.Builder
	b.WriteString("package near\n\nimport rego.v1\n\n")
	for _, slot := range Slots {
		for i, r := range c.of(slot) {
			if i > 0 {
				b.WriteString(" else ")
			} else {
				b.WriteString(slot + " ")
			}
			fmt.Fprintf(&b, ":= %q if {\n", r.Variant)
			for _, c := range r.Conditions {
				fmt.Fprintf(&b, "\tinput.%s in {\"%s\"}\n", contextName(c.Field), strings.Join(c.In, `", "`))
			}
			b.WriteString("}")
		}
		b.WriteString(" else := \"\"\n\n")
	}
	return b.String()
}

// Lua returns the rules and contents as JSON for a script: a list of slots with
// their rules, conditions as sets, and the contents by variant.
func (c *Corpus) Lua() ([]byte, error) {
	type condition struct {
		Field string          `json:"field"`
		In    map[string]bool `json:"in"`
	}
	type rule struct {
		Name       string      `json:"name"`
		Variant    string      `json:"variant"`
		Conditions []condition `json:"conditions"`
	}
	rules := map[string][]rule{}
	contents := map[string]Content{}
	for _, r := range c.Rules {
		one := rule{Name: r.Name, Variant: r.Variant}
		for _, c := range r.Conditions {
			in := map[string]bool{}
			for _, v := range c.In {
				in[v] = true
			}
			one.Conditions = append(one.Conditions, condition{contextName(c.Field), in})
		}
		rules[r.Slot] = append(rules[r.Slot], one)
		contents[r.Variant] = ContentOf(r.Variant)
	}
	return json.Marshal(map[string]any{"rules": rules, "contents": contents, "languages": Languages, "origin": Origin})
}
