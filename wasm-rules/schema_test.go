// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
)

func withSchema(schema string) *edge.Manifest { return &edge.Manifest{Settings: []byte(schema)} }

func TestCheckSettings(t *testing.T) {
	const schema = `{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
		"$defs":{"share":{"type":"number","minimum":0,"maximum":1}},
		"properties":{"north":{"enum":["winter","summer"]},"share":{"$ref":"#/$defs/share"},"shelves":{"items":{"$ref":"#/$defs/share"}},
		"code":{"type":"string","pattern":"^[a-z]+$"},"a/b":{"type":"boolean"}},
		"required":["north"],"additionalProperties":false}`
	tests := []struct{ name, give, member, want string }{
		{"good ones lose their white space", "{ \"north\" : \"winter\",\n\"share\": 0.50 }", "", `{"north":"winter","share":0.50}`},
		{"one spelling of strings", `{"n\u006frth":"w\u0069nter"}`, "", `{"north":"winter"}`},
		{"another value than the list has", `{"north":"autumn"}`, "/north", "value must be one of 'winter', 'summer'"},
		{"a number beyond its bound", `{"north":"winter","share":2}`, "/share", "maximum: got 2, want 1"},
		{"a number beyond its bound in a list", `{"north":"winter","shelves":[0,1,2]}`, "/shelves/2", "maximum: got 2, want 1"},
		{"a text that does not match", `{"north":"winter","code":"A"}`, "/code", "does not match pattern"},
		{"a name with a slash", `{"north":"winter","a/b":1}`, "/a~1b", "got number, want boolean"},
		{"one that is missing", `{}`, "", "missing property 'north'"},
		{"none where one must be", ``, "", "missing property 'north'"},
		{"one too many", `{"north":"winter","south":1}`, "", "additional properties 'south' not allowed"},
		{"a member twice", `{"north":"winter","north":"summer"}`, "/north", "stands twice"},
		{"a list", `["winter"]`, "", "not a JSON object"},
		{"no JSON", `{"north"`, "/north", "not JSON"},
		{"a number with an exponent without end", `{"north":"winter","share":1e1000000000}`, "/share", "too large"},
		{"a number without end", `{"north":"winter","share":0.` + strings.Repeat("1", 100) + `}`, "/share", "too long"},
		{"too many bytes", `{"north":"` + strings.Repeat("x", MaxSettingsBytes) + `"}`, "", "at most 16384"},
		{"too many bytes once they are tidy", `{"north":"` + strings.Repeat(`\n`, 3000) + `"}`, "", "18012 bytes as the module receives them, at most 16384"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := CheckSettings(withSchema(schema), []byte(tt.give))
			if err == nil {
				if string(got) != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
				return
			}
			refused := (*SettingsError)(nil)
			if !errors.As(err, &refused) || refused.Member != tt.member || !strings.Contains(refused.What, tt.want) {
				t.Errorf("error %v, want one about %q with %q", err, tt.member, tt.want)
			}
		})
	}
	if got, err := CheckSettings(&edge.Manifest{}, []byte(`{ "any": [1, {"thing": null}] }`)); err != nil || string(got) != `{"any":[1,{"thing":null}]}` {
		t.Errorf("without a schema: %s, %v", got, err)
	}
}

func TestSchemasThatAreRefused(t *testing.T) {
	patterns := func(n int) string {
		many := make([]string, n)
		for i := range many {
			many[i] = fmt.Sprintf(`"p%d":{"pattern":"a%d"}`, i, i)
		}
		return `{"properties":{` + strings.Join(many, ",") + `}}`
	}
	if _, err := compileSchema([]byte(patterns(maxSchemaPatterns))); err != nil {
		t.Errorf("as many patterns as may be: %v", err)
	}
	tests := []struct{ name, give, want string }{
		{"a $ref to elsewhere", `{"$ref":"https://example.org/schema"}`, "/$ref: \"https://example.org/schema\" is not in this schema"},
		{"a $ref to a file", `{"properties":{"a":{"$ref":"file:///etc/passwd"}}}`, "/properties/a/$ref: \"file:///etc/passwd\" is not in this schema"},
		{"a $ref to another path", `{"$ref":"other.json#/a"}`, "is not in this schema"},
		{"a $ref to a name", `{"$ref":"#name"}`, "is not in this schema"},
		{"a $ref to nothing", `{"$ref":"#/$defs/missing"}`, "there is no \"#/$defs/missing\""},
		{"a $ref with escapes", `{"$ref":"#/%24defs/a"}`, "without escapes"},
		{"a name of its own", `{"$id":"https://example.org/a"}`, "/$id: not allowed"},
		{"an anchor", `{"$defs":{"a":{"$anchor":"a"}}}`, "/$defs/a/$anchor: not allowed"},
		{"a reference by scope", `{"$dynamicRef":"#a"}`, "/$dynamicRef: not allowed"},
		{"another dialect", `{"$schema":"http://json-schema.org/draft-07/schema#"}`, "/$schema: http://json-schema.org/draft-07/schema# is not"},
		{"another dialect inside", `{"properties":{"a":{"$schema":"http://json-schema.org/draft-07/schema#"}}}`, "/properties/a/$schema: not allowed"},
		{"itself", `{"$ref":"#"}`, "contains itself"},
		{"itself by a detour", `{"$defs":{"a":{"items":{"$ref":"#/$defs/b"}},"b":{"items":{"$ref":"#/$defs/a"}}}}`, "contains itself"},
		{"a type that is none", `{"properties":{"a":{"type":"thing"}}}`, "/properties/a/type"},
		{"a pattern that is none", `{"pattern":"("}`, "pattern"},
		{"a pattern without end", `{"pattern":"` + strings.Repeat("a", maxPatternBytes+1) + `"}`, "is not valid regex: a pattern of 257"},
		{"a pattern that grows", `{"pattern":"((a{30}){30}){30}"}`, "pattern"},
		{"too many patterns", patterns(maxSchemaPatterns + 1), "more than 32 patterns"},
		{"a list", `[]`, "not a JSON object"},
		{"too many bytes", `{"title":"` + strings.Repeat("x", maxSchemaBytes) + `"}`, "at most 16384"},
		{"a member twice", `{"type":"object","type":"string"}`, "/type: stands twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := compileSchema([]byte(tt.give))
			wrong := (*edge.ManifestError)(nil)
			if !errors.As(err, &wrong) || wrong.Member != "settings" || !strings.Contains(wrong.What, tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
}

// TestAHostileSchemaEnds: each level names the next one twice, so that checking
// one value would take 2³⁰ steps, which no test would live to see.
func TestAHostileSchemaEnds(t *testing.T) {
	levels := make([]string, 30)
	for i := range levels {
		levels[i] = fmt.Sprintf(`"l%d":{"allOf":[{"$ref":"#/$defs/l%d"},{"$ref":"#/$defs/l%d"}]}`, i, i+1, i+1)
	}
	schema := `{"$ref":"#/$defs/l0","$defs":{` + strings.Join(levels, ",") + `,"l30":{"type":"object"}}}`
	if _, err := CheckSettings(withSchema(schema), nil); err == nil || !strings.Contains(err.Error(), "more than 2048 parts") {
		t.Errorf("error %v", err)
	}
}

// TestCheckingSettingsIsBounded: a part of a schema costs for each value that it
// looks at, a pattern for each byte, however often $ref repeats them.
func TestCheckingSettingsIsBounded(t *testing.T) {
	list := func(n int, what string) string { return strings.Repeat(what+",", n-1) + what }
	times := func(n int, part string) string {
		return `{"$defs":{"part":` + part + `},"properties":{"a":{"items":{"allOf":[` + list(n, `{"$ref":"#/$defs/part"}`) + `]}}}}`
	}
	slow := `{"pattern":"(?:[a-z]?){200}[0-9]"}` // 404 steps for each byte
	tests := []struct{ name, schema, give, want string }{
		{"every part looks at every value", times(60, `{"type":"number"}`), list(1000, "1"), ""},
		{"too many parts for so many values", times(100, `{"type":"number"}`), list(2000, "1"), "2002 values for a schema of 206 parts, at most 1272"},
		{"too many choices", times(20, `{"enum":[`+list(50, "1")+`]}`), list(2000, "1"), "2002 values for a schema of 1"},
		{"a slow pattern on a short text", times(20, slow), `"` + strings.Repeat("a", 60) + `1"`, ""},
		{"a slow pattern on a long text", times(1, slow), `"` + strings.Repeat("a", 16000) + `1"`, "take too long to match"},
		{"a slow pattern on many texts", times(20, slow), list(20, `"`+strings.Repeat("a", 60)+`1"`), "take too long to match"},
		{"a slow pattern that must not match", times(350, `{"not":`+slow+`}`), `"` + strings.Repeat("a", 60) + `"`, "take too long to match"},
		{"a slow pattern for names", times(1, `{"patternProperties":{"(?:[a-z]?){200}[0-9]":true}}`), `{"` + strings.Repeat("a", 16000) + `":1}`, "take too long to match"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := CheckSettings(withSchema(tt.schema), []byte(`{"a":[`+tt.give+`]}`))
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// FuzzCheckSettings checks that no schema and no settings panic, and that what
// was let through is let through again unchanged.
func FuzzCheckSettings(f *testing.F) {
	f.Add(`{"type":"object"}`, `{"a":1}`)
	f.Add(`{"properties":{"a":{"$ref":"#/$defs/b"}},"$defs":{"b":{"multipleOf":0.1,"pattern":"^a+$"}}}`, `{"a":1.5,"b":["\u0000\\"]}`)
	f.Add(`{"patternProperties":{"^a":{"type":"number"}},"unevaluatedProperties":false}`, `{"a":1e300}`)
	f.Fuzz(func(t *testing.T, schema, settings string) {
		if len(schema) > 1024 || len(settings) > 1024 {
			return
		}
		m := withSchema(schema)
		first, err := CheckSettings(m, []byte(settings))
		if err != nil {
			return
		}
		if second, err := CheckSettings(m, first); err != nil || string(second) != string(first) {
			t.Fatalf("%q became %q, %v", first, second, err)
		}
	})
}
