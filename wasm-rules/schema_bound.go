// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"fmt"
	"regexp"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// What checking settings may take. The limits of a schema alone would let one
// that means harm keep a processor busy for minutes.
const (
	// maxSchemaWork bounds the schema's nodes times the values in the settings,
	// which is how often one meets the other at most: the dearest, a choice
	// compared with a number, takes up to 5 µs.
	maxSchemaWork = 1 << 18
	// maxMatchSteps bounds the sum, over everything that a pattern is matched
	// with, of the pattern's steps times the bytes: 60 ns each at worst.
	maxMatchSteps = 2 << 20
)

// A settingsSchema checks one module's settings, once.
type settingsSchema struct {
	schema  *jsonschema.Schema
	nodes   int
	matched int // of maxMatchSteps
}

// check checks a JSON value. The error is a *SettingsError.
func (s *settingsSchema) check(value any) error {
	if values := countValues(value); values*s.nodes > maxSchemaWork {
		return &SettingsError{What: fmt.Sprintf("%d values for a schema of %d parts, at most %d for this schema", values, s.nodes, maxSchemaWork/s.nodes)}
	}
	s.matched = 0
	err := s.schema.Validate(value)
	if s.matched > maxMatchSteps {
		return &SettingsError{What: "the schema's patterns take too long to match"}
	}
	if err != nil {
		return settingsError(err)
	}
	return nil
}

// countValues counts a JSON value and those in it.
func countValues(value any) int {
	n := 1
	switch value := value.(type) {
	case []any:
		for _, part := range value {
			n += countValues(part)
		}
	case map[string]any:
		for _, part := range value {
			n += countValues(part)
		}
	}
	return n
}

// A boundedPattern is a schema's pattern. Once the schema's patterns have taken
// all their steps it matches nothing, which check looks at.
type boundedPattern struct {
	*regexp.Regexp
	steps   int // for each byte
	matched *int
}

// MatchString implements jsonschema.Regexp.
func (p *boundedPattern) MatchString(s string) bool {
	*p.matched += p.steps * (len(s) + 1)
	return *p.matched <= maxMatchSteps && p.Regexp.MatchString(s)
}
