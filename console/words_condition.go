// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge"
)

// conditionOps are the ways in which a condition without parts is told in the
// reader's language. Others are shown as they are written.
var conditionOps = []string{
	"is", "is-not", "one-of", "at-least", "more-than", "at-most", "less-than", "starts-with", "ends-with", "contains", "has", "true", "audience",
}

// joins are the ways in which a condition joins its parts.
var joins = []string{"and", "or", "not"}

// conditionWords say a condition, or how its parts are joined, in a language. It
// is "" for one that nobody has words for.
func (l *language) conditionWords(c edge.Condition) (string, error) {
	if slices.Contains(joins, c.Op) {
		return l.say(fmt.Sprintf("condition.%s", c.Op))
	}
	switch {
	case c.Op == "share" && len(c.Values) == 1:
		share, err := l.share(c.Values[0], 100)
		if err != nil {
			return "", err
		}
		return l.say("condition.share", "share", share)
	case c.Op == "true" && c.Field == "":
		return l.say("rules.always")
	case !slices.Contains(conditionOps, c.Op), c.Field == "" && c.Op != "audience":
		return "", nil
	}
	field, err := l.subject(c.Field)
	if err != nil {
		return "", err
	}
	values := make([]string, len(c.Values))
	for i, v := range c.Values {
		values[i] = l.value(c.Field, v)
	}
	return l.say(fmt.Sprintf("condition.%s", c.Op), "field", field, "values", strings.Join(values, ", "))
}

// sawWords say what a condition's field was, "" where that is not known.
func (l *language) sawWords(c edge.Condition) (string, error) {
	if c.Saw == "" || c.Op == "true" {
		return "", nil
	}
	return l.say("condition.saw", "value", l.value(c.Field, c.Saw))
}

// months is what a condition about the month is about; it counts from 0.
const months = "now.getMonth()"

// value is a value of what a condition is about, in words.
func (l *language) value(field, value string) string {
	if month, ok := l.texts["month."+value]; ok && field == months {
		return month
	}
	return plainValue(value)
}

// causeWords say why a condition could not be told.
func (l *language) causeWords(u edge.UnknownField) (string, error) {
	field, err := l.subject(u.Field)
	if err != nil {
		return "", err
	}
	purpose := ""
	if u.Purpose != "" {
		if purpose, err = l.say(fmt.Sprintf("purpose.%s", u.Purpose)); err != nil {
			return "", err
		}
	}
	return l.say(fmt.Sprintf("cause.%s", u.Cause), "field", field, "purpose", purpose)
}

// What a condition may be about that is no field's bare name.
var (
	entryOf    = regexp.MustCompile(`^([a-z_.]+)\[(.+)\]$`)
	countOf    = regexp.MustCompile(`^count\(\s*["'](.+?)["']\s*,\s*["'](\d+)d["']\s*\)$`)
	sizeOf     = regexp.MustCompile(`^(?:size\((.+)\)|(.+)\.size\(\))$`)
	distanceOf = regexp.MustCompile(`^distanceKm\((.+)\)$`)
	hashOf     = regexp.MustCompile(`^hash\((.+)\)$`)
	lowerOf    = regexp.MustCompile(`^(.+)\.lowerAscii\(\)$`)
)

// subject says what a condition is about: a field, a part of one, or what is
// worked out of some. What nobody has words for stays as it is written.
func (l *language) subject(written string) (string, error) {
	if l.has("field." + written) {
		return l.say(fmt.Sprintf("field.%s", written))
	}
	if written == months {
		return l.say("condition.month")
	}
	if m := entryOf.FindStringSubmatch(written); m != nil && l.has("field."+m[1]) {
		return l.entry(m[1], plainValue(m[2]))
	}
	if m := countOf.FindStringSubmatch(written); m != nil {
		return l.say("condition.count", "event", m[1], "days", m[2])
	}
	if m := distanceOf.FindStringSubmatch(written); m != nil {
		return l.say("condition.distance", "place", m[1])
	}
	if m := hashOf.FindStringSubmatch(written); m != nil {
		return l.say("condition.hash", "salt", plainValue(m[1]))
	}
	if m := lowerOf.FindStringSubmatch(written); m != nil {
		return l.subject(m[1])
	}
	if m := sizeOf.FindStringSubmatch(written); m != nil {
		return l.size(m[1] + m[2])
	}
	return written, nil
}

// entry is an entry of a map.
func (l *language) entry(name, key string) (string, error) {
	if l.has("entry." + name) {
		return l.say(fmt.Sprintf("entry.%s", name), "key", key)
	}
	field, err := l.say(fmt.Sprintf("field.%s", name))
	return field + " (" + key + ")", err
}

// size is how much there is in a field, or how long it is.
func (l *language) size(of string) (string, error) {
	if l.has("size." + of) {
		return l.say(fmt.Sprintf("size.%s", of))
	}
	field, err := l.subject(of)
	if err != nil {
		return "", err
	}
	return l.say("condition.size", "field", field)
}

// plainValue is a value as people write it: a text without its quotes, a list
// without its brackets.
func plainValue(text string) string {
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return strings.Trim(text, `"'`)
	}
	return spelled(value, text)
}

func spelled(value any, otherwise string) string {
	switch value := value.(type) {
	case string:
		return value
	case []any:
		var parts []string
		for _, part := range value {
			text, err := json.Marshal(part)
			if err != nil {
				return otherwise
			}
			parts = append(parts, spelled(part, string(text)))
		}
		if len(parts) == 0 {
			return "–"
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		if id, ok := value["id"].(string); ok {
			return id
		}
		if len(value) == 0 {
			return "–"
		}
	}
	return otherwise
}
