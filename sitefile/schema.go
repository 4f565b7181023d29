// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"bytes"
	"encoding/json"
)

// SchemaID is the name of the JSON Schema, not an address that is fetched.
const SchemaID = "urn:nearside:site.schema.json"

// Schema returns the JSON Schema (2020-12) of a site file. It says all that the
// reader checks in one file; what is about several, like a name that is taken,
// the reader alone knows. It is made from the reader's own table.
func Schema() []byte {
	w := &schemaWriter{defs: map[*shape]bool{}}
	root := w.shape(siteShape)
	out := object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"$id", SchemaID},
		{"title", "A site file of Nearside"},
	}
	out = append(append(out, root...), member{"$defs", w.order})
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(out); err != nil {
		panic(err) // it is made of text, numbers and lists
	}
	return text.Bytes()
}

// An object is a JSON object whose members keep their order.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(jsonText(m.name))
		b.WriteByte(':')
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// A schemaWriter writes each shape that has a name once.
type schemaWriter struct {
	defs  map[*shape]bool
	order object
}

// of returns the schema of a shape where it is used.
func (w *schemaWriter) of(s *shape) object {
	if s.name == "" {
		return w.shape(s)
	}
	if !w.defs[s] {
		w.defs[s] = true
		at := len(w.order)
		w.order = append(w.order, member{name: s.name}) // before those that it uses
		w.order[at].value = w.shape(s)
	}
	return object{{"$ref", "#/$defs/" + s.name}}
}

func (w *schemaWriter) shape(s *shape) object {
	out := object{{"description", s.says}}
	if len(s.or) == 0 {
		return append(out, w.one(s)...)
	}
	var any []object
	for _, o := range s.options() {
		any = append(any, append(object{{"description", o.says}}, w.one(o)...))
	}
	return append(out, member{"anyOf", any})
}

// one returns the schema of a shape without its alternatives.
func (w *schemaWriter) one(s *shape) object {
	var out object
	add := func(name string, value any) { out = append(out, member{name, value}) }
	switch s.kind {
	case text:
		add("type", "string")
		w.text(s, add)
	case boolean:
		add("type", "boolean")
	case whole:
		add("type", "integer")
		if s.most > 0 {
			add("minimum", s.least)
			add("maximum", s.most)
		}
	case list:
		add("type", "array")
		if s.least > 0 {
			add("minItems", s.least)
		}
		add("items", w.of(s.each))
	case mapping:
		add("type", "object")
		if s.least > 0 {
			add("minProperties", s.least)
		}
		if !s.any {
			w.mapping(s, add)
		}
	}
	return out
}

func (w *schemaWriter) text(s *shape, add func(string, any)) {
	if s.least > 0 {
		add("minLength", s.least)
	}
	if s.most > 0 {
		add("maxLength", s.most)
	}
	if s.words != nil {
		add("enum", s.words)
	}
	if s.pattern != nil {
		add("pattern", s.pattern.String())
	}
	if s.example != "" {
		add("examples", []string{s.example})
	}
}

func (w *schemaWriter) mapping(s *shape, add func(string, any)) {
	if s.names != nil {
		add("propertyNames", object{{"pattern", s.names.String()}})
		add("additionalProperties", w.of(s.each))
		return
	}
	var properties object
	var must []string
	for _, k := range s.keys {
		properties = append(properties, member{k.name, w.of(k.shape)})
		if k.must {
			must = append(must, k.name)
		}
	}
	add("properties", properties)
	if must != nil {
		add("required", must)
	}
	add("additionalProperties", false)
	var ways []object
	for _, way := range s.ways {
		not := object{}
		for _, name := range way.not {
			not = append(not, member{name, false})
		}
		ways = append(ways, object{{"title", way.title}, {"required", way.needs}, {"properties", not}})
	}
	if ways != nil {
		add("oneOf", ways)
	}
}
