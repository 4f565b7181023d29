// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A settingsForm asks for a module's settings: a field for each member where the
// schema is flat, one box of JSON where it is not. Whether they are right is the
// desk's to say.
type settingsForm struct {
	Fields []setting
	// AsJSON shows the box, which holds JSON.
	AsJSON bool
	JSON   string
}

// A setting is one member as a form shows it.
type setting struct {
	Name        string
	Title       string
	Description string
	Kind        string // text, number, boolean or choice
	Required    bool
	Choices     []choice
	// Value is what the field holds; "true" for a box that is ticked.
	Value string

	Min, Max, Step string // of a number
	MaxLength      int    // of a text, 0 for any
	Problem        string // text key
}

// A choice is one of a setting's values.
type choice struct {
	Value string // as JSON
	Label string
}

// A memberSchema is what a form understands of a member's JSON Schema.
type memberSchema struct {
	Type        string            `json:"type"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Enum        []json.RawMessage `json:"enum"`
	Default     json.RawMessage   `json:"default"`
	Minimum     *json.Number      `json:"minimum"`
	Maximum     *json.Number      `json:"maximum"`
	MultipleOf  *json.Number      `json:"multipleOf"`
	MaxLength   int               `json:"maxLength"`
}

// settingsFieldPrefix begins the names of the form's fields.
const settingsFieldPrefix = "settings."

// settingsJSON is the box's name.
const settingsJSON = "settings"

// newSettingsForm returns the form for a schema, filled with the current
// settings, or with the schema's defaults where there are none.
func newSettingsForm(schema, current json.RawMessage) settingsForm {
	f := settingsForm{JSON: "{}"}
	if len(current) > 0 {
		f.JSON = indented(current)
	}
	var known struct {
		Type       string                     `json:"type"`
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
	}
	var values map[string]json.RawMessage
	if len(current) > 0 && json.Unmarshal(current, &values) != nil || len(schema) == 0 ||
		json.Unmarshal(schema, &known) != nil || len(known.Properties) == 0 {
		f.AsJSON = len(known.Properties) > 0 || !closed(schema)
		return f
	}
	for _, name := range orderOf(schema) {
		member, ok := newSetting(name, known.Properties[name])
		if !ok {
			f.AsJSON, f.Fields = true, nil
			return f
		}
		member.Required = slices.Contains(known.Required, name)
		if value, ok := values[name]; ok {
			member.fill(value)
		}
		f.Fields = append(f.Fields, member)
	}
	return f
}

// closed reports whether a schema without properties takes no member at all.
func closed(schema json.RawMessage) bool {
	var s struct {
		AdditionalProperties json.RawMessage `json:"additionalProperties"`
	}
	return json.Unmarshal(schema, &s) == nil && string(s.AdditionalProperties) == "false"
}

// orderOf returns the names of a schema's properties as their author wrote
// them.
func orderOf(schema json.RawMessage) []string {
	var s struct {
		Properties json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(schema, &s) != nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(s.Properties))
	var names []string
	if _, err := d.Token(); err != nil {
		return nil
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return names
		}
		names = append(names, name.(string)) // an object's keys are strings
		var skipped json.RawMessage
		if d.Decode(&skipped) != nil {
			return names
		}
	}
	return names
}

// newSetting returns a member's field, or that a form cannot ask for it.
func newSetting(name string, schema json.RawMessage) (setting, bool) {
	var m memberSchema
	if json.Unmarshal(schema, &m) != nil {
		return setting{}, false // among others, several types at once
	}
	s := setting{Name: name, Title: m.Title, Description: m.Description, MaxLength: m.MaxLength}
	if s.Title == "" {
		s.Title = name
	}
	switch {
	case len(m.Enum) > 0:
		s.Kind = "choice"
		for _, value := range m.Enum {
			s.Choices = append(s.Choices, choice{compact(value), plain(value)})
		}
	case m.Type == "string":
		s.Kind = "text"
	case m.Type == "integer", m.Type == "number":
		s.Kind, s.Step = "number", "any"
		if m.Type == "integer" {
			s.Step = "1"
		}
		s.Min, s.Max = numberText(m.Minimum), numberText(m.Maximum)
		if m.MultipleOf != nil {
			s.Step = m.MultipleOf.String()
		}
	case m.Type == "boolean":
		s.Kind = "boolean"
	default:
		return setting{}, false
	}
	if len(m.Default) > 0 {
		s.fill(m.Default)
	}
	return s, true
}

func numberText(n *json.Number) string {
	if n == nil {
		return ""
	}
	return n.String()
}

// fill puts a value into the field.
func (s *setting) fill(value json.RawMessage) {
	if s.Kind == "choice" {
		s.Value = compact(value)
		return
	}
	s.Value = plain(value)
}

// read takes the settings from a posted form and returns them as JSON, or the
// name of the field that cannot be read.
func (f *settingsForm) read(form url.Values) (settings json.RawMessage, wrong string) {
	if f.AsJSON {
		f.JSON = form.Get(settingsJSON)
		var any map[string]json.RawMessage
		if text := strings.TrimSpace(f.JSON); text == "" {
			return nil, ""
		} else if json.Unmarshal([]byte(text), &any) != nil {
			return nil, settingsJSON
		}
		return json.RawMessage(f.JSON), ""
	}
	if len(f.Fields) == 0 {
		return nil, ""
	}
	values := map[string]json.RawMessage{}
	for i := range f.Fields {
		s := &f.Fields[i]
		s.Value = form.Get(settingsFieldPrefix + s.Name)
		value, err := s.json()
		if err != nil {
			s.Problem = "settings.unreadable"
			wrong = settingsFieldPrefix + s.Name
		} else if value != nil {
			values[s.Name] = value
		}
	}
	settings, err := json.Marshal(values)
	if err != nil || wrong != "" {
		return nil, wrong
	}
	return settings, ""
}

var errSetting = errors.New("cannot be read")

// json returns the field's value, nil for one that is left empty.
func (s *setting) json() (json.RawMessage, error) {
	switch s.Kind {
	case "boolean":
		return json.Marshal(s.Value == "true")
	case "choice":
		if s.Value == "" {
			return nil, nil
		}
		if !slices.ContainsFunc(s.Choices, func(c choice) bool { return c.Value == s.Value }) {
			return nil, errSetting
		}
		return json.RawMessage(s.Value), nil
	case "number":
		text := strings.TrimSpace(s.Value)
		if text == "" {
			return nil, nil
		}
		if _, err := strconv.ParseFloat(text, 64); err != nil || !json.Valid([]byte(text)) {
			return nil, errSetting
		}
		return json.RawMessage(text), nil
	}
	if s.Value == "" && !s.Required {
		return nil, nil
	}
	return json.Marshal(s.Value)
}

// plain spells a value for people: a string without its quotes.
func plain(value json.RawMessage) string {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text
	}
	return compact(value)
}

func compact(value json.RawMessage) string {
	var out bytes.Buffer
	if json.Compact(&out, value) != nil {
		return string(value)
	}
	return out.String()
}

func indented(value json.RawMessage) string {
	var out bytes.Buffer
	if json.Indent(&out, value, "", "  ") != nil {
		return string(value)
	}
	return out.String()
}
