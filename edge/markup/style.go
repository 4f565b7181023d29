// SPDX-License-Identifier: Apache-2.0

package markup

import (
	"errors"
	"fmt"
	"strings"
)

// style allows declarations of styleProperties whose values are made of plain
// words, numbers and styleFunctions. The characters that would let a value
// break out or hide anything (quotes, backslash, braces, "@", "!", "<", "/*")
// are not in its alphabet, so what is read here is what a browser reads. No
// function that loads is allowed.
var style = rule{Style, canonStyle}

// styleProperties stay inside the slot's box: nothing here takes an element out
// of the flow, moves it over the page, animates it or loads anything.
var styleProperties = listed(`
	color background background-color background-image background-size background-position background-repeat opacity
	font font-family font-size font-style font-weight font-variant line-height letter-spacing word-spacing
	text-align text-decoration text-decoration-color text-decoration-line text-decoration-style text-indent
	text-overflow text-shadow text-transform text-wrap white-space word-break overflow-wrap hyphens vertical-align
	list-style list-style-type list-style-position
	margin margin-top margin-right margin-bottom margin-left margin-block margin-block-start margin-block-end
	margin-inline margin-inline-start margin-inline-end
	padding padding-top padding-right padding-bottom padding-left padding-block padding-block-start
	padding-block-end padding-inline padding-inline-start padding-inline-end
	border border-top border-right border-bottom border-left border-color border-style border-width border-radius
	border-block border-block-start border-block-end border-inline border-inline-start border-inline-end
	border-collapse border-spacing box-shadow box-sizing
	width height min-width min-height max-width max-height block-size inline-size aspect-ratio
	object-fit object-position overflow display float clear columns column-count column-gap column-width
	flex flex-basis flex-direction flex-flow flex-grow flex-shrink flex-wrap order gap row-gap
	grid-auto-columns grid-auto-flow grid-auto-rows grid-column grid-row grid-template-columns grid-template-rows
	align-content align-items align-self justify-content justify-items justify-self place-content place-items place-self
	direction unicode-bidi`)

// styleFunctions compute a colour, a length or a gradient. A var reads what the
// page's own style sheet has set, so that markup can use the site's colours.
var styleFunctions = listed(`
	rgb rgba hsl hsla hwb lab lch oklab oklch color color-mix light-dark var
	calc min max clamp minmax repeat fit-content
	linear-gradient radial-gradient conic-gradient
	repeating-linear-gradient repeating-radial-gradient repeating-conic-gradient`)

const styleAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789 #%.,()+-*/:;"

func listed(words string) map[string]bool {
	set := make(map[string]bool)
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}

// canonStyle returns the declarations as "color:red;margin:0".
func canonStyle(value string) (string, error) {
	value = strings.Join(strings.Fields(value), " ")
	for _, r := range value {
		if !strings.ContainsRune(styleAlphabet, toLower(r)) {
			return "", fmt.Errorf("%q is not allowed in a style", r)
		}
	}
	if strings.Contains(value, "/*") {
		return "", errors.New("comments are not allowed in a style")
	}
	var declarations []string
	for declaration := range strings.SplitSeq(value, ";") {
		declaration = strings.TrimSpace(declaration)
		if declaration == "" {
			continue
		}
		property, v, _ := strings.Cut(declaration, ":")
		property, v = strings.ToLower(strings.TrimSpace(property)), strings.TrimSpace(v)
		if !styleProperties[property] {
			return "", fmt.Errorf("the property %q is not allowed", shorten(property))
		}
		if v == "" || strings.Contains(v, ":") {
			return "", fmt.Errorf("the property %q has no value", property)
		}
		if err := checkFunctions(v); err != nil {
			return "", err
		}
		declarations = append(declarations, property+":"+v)
	}
	return strings.Join(declarations, ";"), nil
}

// checkFunctions checks that each function is known and each parenthesis closed.
// A parenthesis without a name groups a sum, so it stands inside a function.
func checkFunctions(value string) error {
	depth := 0
	for i := range len(value) {
		switch value[i] {
		case '(':
			name := value[strings.LastIndexFunc(value[:i], notNameRune)+1 : i]
			if name == "" && depth == 0 || name != "" && !styleFunctions[strings.ToLower(name)] {
				return fmt.Errorf("the function %q is not allowed", shorten(name+"()"))
			}
			depth++
		case ')':
			depth--
		}
		if depth < 0 {
			break
		}
	}
	if depth != 0 {
		return errors.New("a parenthesis is not closed or not open")
	}
	return nil
}

func notNameRune(r rune) bool {
	return r != '-' && (r < '0' || '9' < r) && (r < 'a' || 'z' < r) && (r < 'A' || 'Z' < r)
}

func toLower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}
