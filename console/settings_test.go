// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
)

func TestSettingsForm(t *testing.T) {
	const flat = `{"type":"object","properties":{
		"z":{"type":"string","title":"Zed","maxLength":9},"a":{"type":"integer","minimum":1,"maximum":5,"default":3},
		"f":{"type":"number","multipleOf":0.5},"b":{"type":"boolean"},"e":{"enum":["x",2,true]}},"required":["z"]}`
	form := newSettingsForm(json.RawMessage(flat), json.RawMessage(`{"z":"hello","e":2}`))
	var got []string
	for _, s := range form.Fields {
		got = append(got, strings.Join([]string{s.Name, s.Title, s.Kind, s.Value, s.Min, s.Max, s.Step}, " "))
	}
	want := []string{"z Zed text hello   ", "a a number 3 1 5 1", "f f number    0.5", "b b boolean    ", "e e choice 2   "}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("fields\n%q, want\n%q", got, want)
	}
	if !form.Fields[0].Required || form.Fields[1].Required || form.Fields[0].MaxLength != 9 {
		t.Errorf("fields %+v", form.Fields)
	}

	for _, tt := range []struct {
		name, give, want, wrong string
	}{
		{"everything", "settings.z=ho&settings.a=4&settings.f=1.5&settings.b=true&settings.e=%22x%22", `{"a":4,"b":true,"e":"x","f":1.5,"z":"ho"}`, ""},
		{"what is empty is left out, but for what must be there", "", `{"b":false,"z":""}`, ""},
		{"markup is text", "settings.z=%3Cb%3E", `{"b":false,"z":"\u003cb\u003e"}`, ""},
		{"a number that is a word", "settings.a=four", "", "settings.a"},
		{"a number that JSON does not know", "settings.f=0x1p3", "", "settings.f"},
		{"a number that is infinite", "settings.f=Inf", "", "settings.f"},
		{"a choice that is none", "settings.e=%22y%22", "", "settings.e"},
	} {
		values, err := url.ParseQuery(tt.give)
		if err != nil {
			t.Fatal(err)
		}
		f := newSettingsForm(json.RawMessage(flat), nil)
		got, wrong := f.read(values)
		if string(got) != tt.want || wrong != tt.wrong {
			t.Errorf("%s: %s, wrong %q, want %s, %q", tt.name, got, wrong, tt.want, tt.wrong)
		}
	}
}

func TestSettingsThatAFormCannotAskForAreJSON(t *testing.T) {
	for name, schema := range map[string]string{
		"no schema takes any object": ``,
		"an object":                  `{"type":"object","properties":{"a":{"type":"object"}}}`,
		"a list":                     `{"properties":{"a":{"type":"array"}}}`,
		"two types":                  `{"properties":{"a":{"type":["string","null"]}}}`,
		"a reference":                `{"properties":{"a":{"$ref":"#/$defs/a"}}}`,
		"no properties":              `{"type":"object"}`,
		"no object":                  `true`,
	} {
		form := newSettingsForm(json.RawMessage(schema), json.RawMessage(`{"a":1}`))
		if !form.AsJSON || len(form.Fields) != 0 || form.JSON != "{\n  \"a\": 1\n}" {
			t.Errorf("%s: %+v", name, form)
		}
		if got, wrong := form.read(url.Values{settingsJSON: {`{"a":2}`}}); string(got) != `{"a":2}` || wrong != "" {
			t.Errorf("%s: read %s, %q", name, got, wrong)
		}
		if got, wrong := form.read(url.Values{settingsJSON: {`[1]`}}); got != nil || wrong != settingsJSON {
			t.Errorf("%s: read %s, %q", name, got, wrong)
		}
		if got, wrong := form.read(url.Values{settingsJSON: {" "}}); got != nil || wrong != "" {
			t.Errorf("%s: read %s, %q", name, got, wrong)
		}
	}
	if form := newSettingsForm(json.RawMessage(`{"type":"object","additionalProperties":false}`), nil); form.AsJSON || len(form.Fields) > 0 {
		t.Errorf("a module without settings is asked for some: %+v", form)
	}
}

// FuzzSettingsForm checks that no schema, settings or form break the page.
func FuzzSettingsForm(f *testing.F) {
	f.Add(`{"properties":{"a":{"type":"string"}}}`, `{"a":"b"}`, "settings.a=c")
	f.Add(`{"properties":{"a":{"enum":[1,"2",null]}},"required":["a"]}`, ``, "settings.a=1")
	f.Add(`{"properties":[]}`, `[]`, "settings={}")
	f.Fuzz(func(t *testing.T, schema, current, form string) {
		values, _ := url.ParseQuery(form)
		asked := newSettingsForm(json.RawMessage(schema), json.RawMessage(current))
		got, wrong := asked.read(values)
		if wrong == "" && got != nil && !json.Valid(got) {
			t.Errorf("settings %q", got)
		}
	})
}
