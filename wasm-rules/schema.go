// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/nearside/nearside/edge"
)

// Limits of a settings schema. Together they bound what it costs to check
// settings of MaxSettingsBytes against a schema that means harm.
const (
	maxSchemaBytes = 16 << 10
	// maxSchemaNodes counts objects and what stands in lists, with every $ref
	// replaced by what it names.
	maxSchemaNodes    = 2048
	maxSchemaPatterns = 32
	maxPatternBytes   = 256
	// maxPatternSteps bounds a pattern's program, and with it the steps for
	// each byte that is matched.
	maxPatternSteps = 1000
)

// schemaDraft is the one JSON Schema dialect of settings.
const schemaDraft = "https://json-schema.org/draft/2020-12/schema"

// schemaPlace is where the schema compiler thinks the schema stands. Nothing is
// ever read from there.
const schemaPlace = "nearside:settings"

// A SettingsError says which part of a module's settings its schema refuses.
type SettingsError struct {
	// Member is a JSON pointer into the settings, for example /north; empty for
	// the whole object.
	Member string
	What   string
}

func (e *SettingsError) Error() string {
	if e.Member == "" {
		return "settings: " + e.What
	}
	return "settings: " + e.Member + ": " + e.What
}

// CheckSettings checks settings against a manifest's schema and returns them as
// a module receives them: a JSON object without white space; none are {}. Its
// errors are of type *SettingsError, or *edge.ManifestError if the schema itself
// is wrong.
func CheckSettings(m *edge.Manifest, settings json.RawMessage) ([]byte, error) {
	tidy, err := tidySettings(settings)
	if err != nil {
		return nil, err
	}
	return tidy, checkSchema(m, tidy)
}

// tidySettings is the part of CheckSettings that needs no schema.
func tidySettings(settings json.RawMessage) ([]byte, error) {
	if len(settings) == 0 {
		settings = json.RawMessage("{}")
	}
	if len(settings) > MaxSettingsBytes {
		return nil, &SettingsError{What: fmt.Sprintf("%d bytes, at most %d", len(settings), MaxSettingsBytes)}
	}
	tidy, err := tidyJSON(settings)
	if wrong := (*jsonError)(nil); errors.As(err, &wrong) {
		return nil, &SettingsError{wrong.at, wrong.what}
	}
	if tidy[0] != '{' {
		return nil, &SettingsError{What: "not a JSON object"}
	}
	if len(tidy) > MaxSettingsBytes { // the tidy spelling of a line feed is longer
		return nil, &SettingsError{What: fmt.Sprintf("%d bytes as the module receives them, at most %d", len(tidy), MaxSettingsBytes)}
	}
	return tidy, nil
}

// checkSchema checks tidy settings against a manifest's schema.
func checkSchema(m *edge.Manifest, tidy []byte) error {
	schema, err := compileSchema(m.Settings)
	if schema == nil || err != nil {
		return err
	}
	var value any
	if err := json.Unmarshal(tidy, &value); err != nil {
		return &SettingsError{What: err.Error()}
	}
	return schema.check(value)
}

// settingsError takes the first and deepest of the reasons that a schema gives.
func settingsError(err error) error {
	refused := (*jsonschema.ValidationError)(nil)
	if !errors.As(err, &refused) {
		return &SettingsError{What: err.Error()}
	}
	for len(refused.Causes) > 0 {
		refused = refused.Causes[0]
	}
	at := ""
	for _, member := range refused.InstanceLocation {
		at += "/" + escapePointer(member)
	}
	return &SettingsError{at, shorten(refused.ErrorKind.LocalizedString(message.NewPrinter(language.English)))}
}

// shorten cuts what a schema makes long, such as a list of a thousand choices.
func shorten(what string) string {
	const most = 300
	if len(what) <= most {
		return what
	}
	return strings.ToValidUTF8(what[:most], "") + "…"
}

// compileSchema makes a checker of a manifest's settings schema; no schema makes
// none.
func compileSchema(schema json.RawMessage) (*settingsSchema, error) {
	if len(schema) == 0 {
		return nil, nil
	}
	document, nodes, err := boundSchema(schema)
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.UseLoader(noLoader{})
	bounded := &settingsSchema{nodes: nodes}
	patterns := map[string]bool{}
	compiler.UseRegexpEngine(func(pattern string) (jsonschema.Regexp, error) {
		patterns[pattern] = true
		return compilePattern(pattern, len(patterns), &bounded.matched)
	})
	if err := compiler.AddResource(schemaPlace, document); err != nil {
		return nil, schemaError("%v", err)
	}
	bounded.schema, err = compiler.Compile(schemaPlace)
	if wrong := (*jsonschema.SchemaValidationError)(nil); errors.As(err, &wrong) {
		if reason := (*SettingsError)(nil); errors.As(settingsError(wrong.Err), &reason) {
			return nil, schemaError("%s: %s", reason.Member, reason.What)
		}
	}
	if err != nil {
		return nil, schemaError("%v", err)
	}
	return bounded, nil
}

func schemaError(format string, args ...any) error {
	return &edge.ManifestError{Member: "settings", What: fmt.Sprintf(format, args...)}
}

// noLoader reads no schema from anywhere.
type noLoader struct{}

// Load implements jsonschema.URLLoader.
func (noLoader) Load(url string) (any, error) { return nil, fmt.Errorf("%s is not read", url) }

// compilePattern compiles the n-th regular expression of a schema, which adds to
// the steps that were matched.
func compilePattern(pattern string, n int, matched *int) (jsonschema.Regexp, error) {
	if n > maxSchemaPatterns {
		return nil, fmt.Errorf("more than %d patterns", maxSchemaPatterns)
	}
	if len(pattern) > maxPatternBytes {
		return nil, fmt.Errorf("a pattern of %d bytes, at most %d", len(pattern), maxPatternBytes)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return nil, err
	}
	if len(program.Inst) > maxPatternSteps {
		return nil, fmt.Errorf("pattern %q takes %d steps, at most %d", pattern, len(program.Inst), maxPatternSteps)
	}
	compiled, err := regexp.Compile(pattern)
	return &boundedPattern{compiled, len(program.Inst), matched}, err
}

// boundSchema parses a schema, counts its nodes and refuses what would make
// checking it reach outside or grow without bound.
func boundSchema(schema json.RawMessage) (document map[string]any, nodes int, err error) {
	if len(schema) > maxSchemaBytes {
		return nil, 0, schemaError("a schema of %d bytes, at most %d", len(schema), maxSchemaBytes)
	}
	tidy, err := tidyJSON(schema)
	if err != nil {
		return nil, 0, schemaError("%v", err)
	}
	if tidy[0] != '{' || json.Unmarshal(tidy, &document) != nil {
		return nil, 0, schemaError("not a JSON object")
	}
	if dialect, ok := document["$schema"]; ok && dialect != schemaDraft {
		return nil, 0, schemaError("/$schema: %v is not %s", dialect, schemaDraft)
	}
	size := schemaSize{root: document, known: map[string]int{}}
	if nodes, err = size.of(document, ""); err != nil {
		return nil, 0, err
	}
	return document, nodes, nil
}

// A schemaSize counts the objects of a schema, and what stands in its lists, as
// it is when every $ref is replaced by what it names. It takes any object for a part of the schema, also
// one in a constant, which can only make the count larger.
type schemaSize struct {
	root map[string]any
	// known are the sizes by JSON pointer; beingCounted while one is under way.
	known map[string]int
}

const beingCounted = -1

// elsewhere are the keywords that give a schema a place of its own or look for
// another by something else than its place in this document.
var elsewhere = []string{"$schema", "$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "$recursiveAnchor", "$recursiveRef", "$vocabulary"}

func (s *schemaSize) of(node any, at string) (int, error) {
	if n, ok := s.known[at]; ok {
		if n == beingCounted {
			return 0, schemaError("%s: a schema that contains itself", at)
		}
		return n, nil
	}
	s.known[at] = beingCounted
	total := 0
	add := func(part any, at string) error {
		n, err := s.of(part, at)
		if total += n; total > maxSchemaNodes && err == nil {
			err = schemaError("more than %d parts, those that $ref names included", maxSchemaNodes)
		}
		return err
	}
	switch node := node.(type) {
	case []any:
		for i, part := range node {
			if _, object := part.(map[string]any); !object {
				total++ // a choice, for example, that is compared with each value
			}
			if err := add(part, at+"/"+strconv.Itoa(i)); err != nil {
				return 0, err
			}
		}
	case map[string]any:
		total = 1
		for _, keyword := range elsewhere {
			if _, ok := node[keyword].(string); ok && (at != "" || keyword != "$schema") {
				return 0, schemaError("%s/%s: not allowed; $ref \"#/…\" names a part of this schema", at, keyword)
			}
		}
		for _, name := range slices.Sorted(maps.Keys(node)) {
			if err := add(node[name], at+"/"+escapePointer(name)); err != nil {
				return 0, err
			}
		}
		if ref, ok := node["$ref"].(string); ok {
			target, place, err := s.resolve(ref)
			if err != nil {
				return 0, schemaError("%s/$ref: %v", at, err)
			}
			if err := add(target, place); err != nil {
				return 0, err
			}
		}
	}
	s.known[at] = total
	return total, nil
}

// resolve finds what a $ref names and its JSON pointer.
func (s *schemaSize) resolve(ref string) (target any, place string, err error) {
	pointer, local := strings.CutPrefix(ref, "#")
	if !local || pointer != "" && pointer[0] != '/' || strings.Contains(pointer, "%") {
		return nil, "", fmt.Errorf("%.64q is not in this schema: want \"#/…\", without escapes", ref)
	}
	target = s.root
	for _, part := range strings.Split(pointer, "/")[1:] {
		name := strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		found := false
		switch parent := target.(type) {
		case map[string]any:
			target, found = parent[name]
		case []any:
			if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(parent) && strconv.Itoa(i) == name {
				target, found = parent[i], true
			}
		}
		if !found {
			return nil, "", fmt.Errorf("there is no %.64q in this schema", ref)
		}
		place += "/" + escapePointer(name)
	}
	return target, place, nil
}
