// SPDX-License-Identifier: Apache-2.0

package markup

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A rule says what an attribute may hold: canon returns the value as a compiled
// tree spells it, or why it is refused. Canon of canon is canon.
type rule struct {
	code  Code
	canon func(value string) (string, error)
}

// checkElement holds an element to the tables. It returns the attributes as a
// compiled tree has them. The error names the attribute that is to blame, none
// if it is the element, and has no place yet.
func checkElement(tag string, attrs []Attr, m mode) ([]Attr, *Error) {
	own, ok := allowed[tag]
	if !ok {
		return nil, &Error{Code: Tag, Tag: tag, Reason: "the element is not allowed"}
	}
	if len(attrs) > MaxAttrs {
		return nil, &Error{Code: Attribute, Tag: tag, Reason: fmt.Sprintf("the element has more than %d attributes", MaxAttrs)}
	}
	checked := make([]Attr, 0, len(attrs)+1)
	for _, attr := range attrs {
		if slices.ContainsFunc(checked, func(a Attr) bool { return a.Name == attr.Name }) {
			return nil, &Error{Code: Attribute, Tag: tag, Attr: attr.Name, Reason: "the attribute comes twice"}
		}
		value, err := checkAttr(own, attr, m)
		if err != nil {
			err.Tag, err.Attr = tag, attr.Name
			return nil, err
		}
		checked = append(checked, Attr{attr.Name, value})
	}
	completed := complete(tag, checked)
	if m == exact && !slices.Equal(completed, checked) {
		return nil, &Error{Code: Value, Tag: tag, Reason: `the element lacks rel="noopener" or type="button"`}
	}
	if len(completed) == 0 {
		return nil, nil
	}
	return sorted(completed), nil
}

func checkAttr(own attrRules, attr Attr, m mode) (string, *Error) {
	r, err := ruleFor(own, attr.Name)
	if err != nil {
		return "", &Error{Code: Attribute, Reason: err.Error()}
	}
	if badByte(attr.Value, "\t\n") >= 0 {
		return "", &Error{Code: Encoding, Reason: "the value has a control character"}
	}
	value, err := r.canon(attr.Value)
	if err != nil {
		return "", &Error{Code: r.code, Reason: err.Error()}
	}
	if m == exact && value != attr.Value {
		return "", &Error{Code: r.code, Reason: fmt.Sprintf("a compiled tree spells the value %q", shorten(value))}
	}
	return value, nil
}

func ruleFor(own attrRules, name string) (rule, error) {
	if r, ok := own[name]; ok {
		return r, nil
	}
	if r, ok := globalAttrs[name]; ok {
		return r, nil
	}
	if rest, ok := strings.CutPrefix(name, "aria-"); ok && isName(rest) {
		return anyText, nil
	}
	if rest, ok := strings.CutPrefix(name, "data-"); ok && isName(rest) {
		for _, reserved := range reservedData {
			if strings.HasPrefix(name, reserved.prefix) {
				return rule{}, errors.New("the attribute is not allowed: " + reserved.reason)
			}
		}
		return anyText, nil
	}
	if hint, ok := refusalHints[name]; ok {
		return rule{}, errors.New("the attribute is not allowed: " + hint)
	}
	if strings.HasPrefix(name, "on") {
		return rule{}, errors.New("event handlers are not allowed")
	}
	return rule{}, errors.New("the attribute is not allowed here")
}

// isName reports whether s can follow aria- and data-: at most 48 of a-z, 0-9
// and dashes, beginning with a letter.
func isName(s string) bool {
	return len(s) <= 48 && s != "" && 'a' <= s[0] && s[0] <= 'z' && only(s, "abcdefghijklmnopqrstuvwxyz0123456789-")
}

// complete adds what an element must have to be harmless.
func complete(tag string, attrs []Attr) []Attr {
	value := func(name string) (int, string) {
		i := slices.IndexFunc(attrs, func(a Attr) bool { return a.Name == name })
		if i < 0 {
			return i, ""
		}
		return i, attrs[i].Value
	}
	switch tag {
	case "a":
		i, rel := value("rel")
		words := strings.Fields(rel)
		_, target := value("target")
		safe := slices.Contains(words, "noopener") || slices.Contains(words, "noreferrer")
		if target != "_blank" || safe {
			return attrs
		}
		attrs = slices.Clone(attrs)
		if i < 0 {
			return append(attrs, Attr{"rel", "noopener"})
		}
		attrs[i].Value = strings.Join(append(words, "noopener"), " ")
	case "button":
		if i, _ := value("type"); i < 0 {
			return append(slices.Clone(attrs), Attr{"type", "button"})
		}
	}
	return attrs
}

// The rules of plain values. Addresses and styles have files of their own.
var (
	anyText = rule{Value, func(value string) (string, error) { return value, nil }}

	// words are any words with one space between them.
	words = rule{Value, func(value string) (string, error) {
		return strings.Join(strings.Fields(value), " "), nil
	}}

	integer = rule{Value, func(value string) (string, error) {
		if value == "" || len(value) > 5 || !only(value, "0123456789") {
			return "", errors.New("the value is not a whole number from 0 to 99999")
		}
		return value, nil
	}}

	language = rule{Value, func(value string) (string, error) {
		if len(value) > 35 || !only(strings.ToLower(value), "abcdefghijklmnopqrstuvwxyz0123456789-") {
			return "", errors.New(`the value is not a language, such as "fr" or "zh-Hant"`)
		}
		return value, nil
	}}

	role = rule{Value, func(value string) (string, error) {
		value = strings.Join(strings.Fields(strings.ToLower(value)), " ")
		if len(value) > 64 || !only(value, "abcdefghijklmnopqrstuvwxyz- ") {
			return "", errors.New("the value is not a role")
		}
		return value, nil
	}}

	linkRel = rule{Value, func(value string) (string, error) {
		rel := strings.Fields(strings.ToLower(value))
		for _, word := range rel {
			switch word {
			case "noopener", "noreferrer", "nofollow", "sponsored", "ugc", "external":
			default:
				return "", fmt.Errorf("%q is not allowed in rel", shorten(word))
			}
		}
		return strings.Join(rel, " "), nil
	}}

	// mediaQuery holds the conditions of media and the lengths of sizes.
	mediaQuery = rule{Value, func(value string) (string, error) {
		value = strings.Join(strings.Fields(strings.ToLower(value)), " ")
		if !only(value, "abcdefghijklmnopqrstuvwxyz0123456789 ()-+*/:,.%<>=") {
			return "", errors.New("the value is not a media condition")
		}
		return value, nil
	}}

	mediaType = rule{Value, func(value string) (string, error) {
		if !only(strings.ToLower(value), `abcdefghijklmnopqrstuvwxyz0123456789/+-.;=", `) {
			return "", errors.New("the value is not a media type")
		}
		return value, nil
	}}
)

// present allows an attribute that is there or not. HTML spells its value empty or
// as its own name.
func present(name string) rule {
	return rule{Value, func(value string) (string, error) {
		if value != "" && !strings.EqualFold(value, name) {
			return "", errors.New("the attribute takes no value")
		}
		return "", nil
	}}
}

// oneOf allows a closed list. Values are compared as written first, since the
// type of a list tells "a" from "A", then in lower case.
func oneOf(values ...string) rule {
	return rule{Value, func(value string) (string, error) {
		value = strings.TrimSpace(value)
		for _, v := range []string{value, strings.ToLower(value)} {
			if slices.Contains(values, v) {
				return v, nil
			}
		}
		return "", fmt.Errorf("the value is not one of: %s", strings.Join(values, ", "))
	}}
}

// only reports whether every character of s is in set, which is ASCII.
func only(s, set string) bool {
	for i := range len(s) {
		if strings.IndexByte(set, s[i]) < 0 {
			return false
		}
	}
	return true
}
