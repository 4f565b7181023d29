// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/edgetest"
)

// located is a site whose files each fault below is put into.
const located = `site: shop
settings:
  origins: [https://shop.example]
  languages: [en, fr]
fields:
  - {name: shop.season, type: string, purpose: context, origin: first, from: settings, value: winter}
audiences:
  - name: snowed-in
    when: |
      geo.country in ["NO"]
        && shop.season == "winter"
campaigns:
  - {name: snow, state: live, from: 2026-11-01T00:00}
slots:
  - name: hero
    kind: html
    ladder:
      profile:
        - name: lovers
          when: "interests[\"hats\"] > 3.0 && \
            bought(\"sku\")"
          show: winter
          score: int(1)
      context:
        - module: device
variants:
  hero:
    - name: winter
      state: live
      until: 2026-12-01T00:00
      content:
        en: |
          <h2>Snow</h2>
          <p>Gloves</p>
        fr: {html: "<p>é</p><b>gants</b>"}
modules:
  - name: device
    version: 1.0.0
    hash: 00000000000000000000000000000000000000000000000000000000000000aa
`

func TestLocateFindsARulesPlace(t *testing.T) {
	files, err := Read(fstest.MapFS{"a.yaml": {Data: []byte(located)}})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		give edge.RuleError
		want string
	}{
		{"in a block", edge.RuleError{Audience: "snowed-in", Member: "when", Line: 2, Column: 6, Code: "type", Message: "m"}, "a.yaml:11:12: type: m"},
		{"at the begin of a block", edge.RuleError{Audience: "snowed-in", Member: "when", Line: 1, Column: 1, Code: "type", Message: "m", Hint: "h"}, "a.yaml:10:7: type: m; h"},
		{"after escapes", edge.RuleError{Slot: "hero", Rule: "lovers", Member: "when", Line: 1, Column: 21, Code: "c", Message: "m"}, "a.yaml:20:40: c: m"},
		{"after an escaped end of line", edge.RuleError{Slot: "hero", Rule: "lovers", Member: "when", Line: 1, Column: 28, Code: "c", Message: "m"}, "a.yaml:21:13: c: m"},
		{"in plain text", edge.RuleError{Slot: "hero", Rule: "lovers", Member: "score", Line: 1, Column: 5, Code: "c", Message: "m"}, "a.yaml:23:22: c: m"},
		{"without a place", edge.RuleError{Slot: "hero", Rule: "lovers", Member: "when", Code: "c", Message: "m"}, "a.yaml:20:17: c: m"},
		{"of what is shown", edge.RuleError{Slot: "hero", Rule: "lovers", Member: "show", Code: "shape", Message: "m"}, "a.yaml:22:17: shape: m"},
		{"of the rule", edge.RuleError{Slot: "hero", Rule: "lovers", Code: "c", Message: "m"}, "a.yaml:19:17: c: m"},
		{"of a member that is not there", edge.RuleError{Audience: "snowed-in", Member: "score", Line: 1, Column: 3, Code: "c", Message: "m"}, "a.yaml:8:11: c: m"},
		{"of nothing that is there", edge.RuleError{Audience: "gone", Code: "c", Message: "m"}, "a.yaml:1:7: c: audiences: gone: m"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, err := range []error{&tt.give, errors.Join(&tt.give), wrapped{errors.Join(&tt.give)}} {
				if got := files.Locate(err).Error(); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			}
		})
	}
	if files.Locate(nil) != nil {
		t.Error("nothing wrong is found somewhere")
	}
}

type wrapped struct{ error }

func (w wrapped) Error() string { return "release: " + w.error.Error() }
func (w wrapped) Unwrap() error { return w.error }

// What the engine says of a release in words is found in the files.
func TestLocateFindsWhatTheEngineRefuses(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"a time zone that is none", "languages: [en, fr]\n", "languages: [en, fr]\n  timezone: Europe/Bergen\n", "a.yaml:5:13: release: settings.timezone"},
		{"a time zone the other way round", "languages: [en, fr]\n", "languages: [en, fr]\n  timezone: Oslo/Europe\n", `a.yaml:5:13: release: settings.timezone: "Oslo/Europe" is not an IANA time zone; did you mean Europe/Oslo?`},
		{"a city alone", "languages: [en, fr]\n", "languages: [en, fr]\n  timezone: New York\n", `a.yaml:5:13: release: settings.timezone: "New York" is not an IANA time zone; did you mean America/New_York?`},
		{"a time zone of nowhere", "languages: [en, fr]\n", "languages: [en, fr]\n  timezone: Nowhere\n", `a.yaml:5:13: release: settings.timezone: "Nowhere" is not an IANA time zone; write it like Europe/Berlin`},
		{"a field whose value is of another type", "value: winter", "value: 1", `a.yaml:6:95: release: fields: "shop.season": value is not a string`},
		{"a field of a word that is taken", "name: shop.season", "name: cart.season", `a.yaml:6:12: release: fields: "cart.season": "cart" is a member of every event`},
		{"a campaign's date", "2026-11-01T00:00", "2026-11-31T00:00", `a.yaml:13:37: release: campaigns: snow: from "2026-11-31T00:00" is not a date and time`},
		{"a campaign that ends before it begins", "from: 2026-11-01T00:00", "until: 2026-10-01T00:00, from: 2026-11-01T00:00", "a.yaml:13:38: release: campaigns: snow: until"},
		{"a variant's date", "2026-12-01T00:00", "2026-12-32T00:00", `a.yaml:30:14: release: variants: hero/winter: until "2026-12-32T00:00" is not a date and time`},
		{"markup in a block", "<p>Gloves</p>", "<p onclick=\"x\">Gloves</p>", "a.yaml:34:14: content: "},
		{"a field that is not there, named in a block", "<p>Gloves</p>", "<p>é {{ geo.citty | here }}</p>", "a.yaml:34:16: release: variants: hero/winter: en: {{geo.citty}}: there is no such field; did you mean geo.city?"},
		{"a field that is no text, named in quotes", "<b>gants</b>", "<b>{{cart}}</b>", "a.yaml:35:32: release: variants: hero/winter: fr: {{cart}}: the field is of type items"},
		{"markup in quotes, in full", "<b>gants</b>", "<script>x</script>", "a.yaml:35:29: content: <script>"},
		{"a tree that is none", `{html: "<p>é</p><b>gants</b>"}`, `{nodes: x}`, `a.yaml:35:13: content: `},
		{"a module that is not there", "module: device", "module: magic", "a.yaml:25:19: release: slots: hero: rule magic: there is no such module"},
		{"a module that cannot be loaded", "name: device\n", "name: phone\n", "a.yaml:37:5: release: modules: phone"},
	}
	// The rules without code are another's business here.
	codeless := located[strings.Index(located, "      profile:"):strings.Index(located, "      context:")]
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(located, tt.old, tt.new, 1)
			if text == located {
				t.Fatalf("the file does not hold %s", tt.old)
			}
			// As many empty lines keep the places.
			text = strings.Replace(text, codeless, strings.Repeat("\n", strings.Count(codeless, "\n")), 1)
			files, err := Read(fstest.MapFS{"a.yaml": {Data: []byte(text)}})
			if err != nil {
				t.Fatal(err)
			}
			raw, _ := jsonOf(files)
			rules := edgetest.Loader{"device": {Declares: edge.Manifest{Name: "device", Version: "1.0.0", Slots: []edge.ManifestSlot{{Name: "hero", Variants: []string{"winter"}}}}}}
			_, err = edge.CompileRelease(raw, rules)
			got := files.Locate(err)
			if !slices.ContainsFunc(got, func(f Finding) bool { return strings.HasPrefix(f.String(), tt.want) }) {
				t.Errorf("got %v of %v, want %s", got, err, tt.want)
			}
		})
	}
}

// One check reports what is wrong with files and with rules.
func TestCheckReportsFilesAndRulesAtOnce(t *testing.T) {
	whole := &edge.RuleError{Audience: "snowed-in", Member: "when", Line: 1, Column: 1, Code: "type", Message: "compiled"}
	half := &edge.RuleError{Slot: "hero", Rule: "lovers", Code: "shape", Message: "compiled"}
	compile := func(*edge.ReleaseDocument) ([]byte, error) { return nil, errors.Join(whole, half) }
	tests := []struct {
		name, old, new string
		want           []string
	}{
		{"a right file", "", "", []string{"a.yaml:10:7: type: compiled", "a.yaml:19:17: shape: compiled"}},
		{"a rule without what it shows", "          show: winter\n", "", []string{"a.yaml:10:7: type: compiled", "a.yaml:19:11: missing: a rule without code has no show"}},
		{"an audience that is half one", "  - name: snowed-in\n", "  -\n", []string{"a.yaml:9:5: missing: an audience has no name"}},
		{"no YAML", "fields:", "fields: ]", []string{"a.yaml:5:9: syntax: while parsing a block node: did not find expected node content"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := Check(fstest.MapFS{"a.yaml": {Data: []byte(strings.Replace(located, tt.old, tt.new, 1))}}, compile)
			if want := strings.Join(tt.want, "\n"); err == nil || err.Error() != want {
				t.Errorf("got\n%v\nwant\n%s", err, want)
			}
		})
	}
}
