// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// A sourceMap is one as browsers read it: version 3 of https://tc39.es/ecma426/.
type sourceMap struct {
	Version        int      `json:"version"`
	Sources        []string `json:"sources"`
	SourcesContent []string `json:"sourcesContent"`
	Names          []string `json:"names"`
	Mappings       string   `json:"mappings"`
}

// A segment says where the text that begins at a place of the generated script
// was written. Lines and columns count from 0, columns in units of UTF-16.
type segment struct {
	line, column                     int // generated
	source, sourceLine, sourceColumn int
	name                             int // what it is called there, or -1
}

var errMappings = errors.New("read the source map: the mappings are malformed")

// digits are the digits of base 64, in the order of their values.
const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// segments returns what the mappings say, in the order of the generated script.
// Segments without a source are left out.
func (m *sourceMap) segments() ([]segment, error) {
	var list []segment
	at := segment{}
	for line, text := range strings.Split(m.Mappings, ";") {
		at.line, at.column = line, 0
		for field := range strings.SplitSeq(text, ",") {
			if field == "" {
				continue
			}
			numbers, err := decodeVLQ(field)
			if err != nil {
				return nil, err
			}
			at.column += numbers[0]
			if len(numbers) == 1 {
				continue
			}
			if len(numbers) < 4 {
				return nil, errMappings
			}
			at.source += numbers[1]
			at.sourceLine += numbers[2]
			at.sourceColumn += numbers[3]
			one := at
			one.name = -1
			if len(numbers) > 4 {
				at.name += numbers[4]
				one.name = at.name
			}
			if one.source < 0 || one.source >= len(m.Sources) || one.name < -1 || one.name >= len(m.Names) {
				return nil, errMappings
			}
			list = append(list, one)
		}
	}
	return list, nil
}

// setSegments writes the mappings. The segments are in the order of the
// generated script.
func (m *sourceMap) setSegments(list []segment) {
	var b strings.Builder
	last := segment{}
	for i, one := range list {
		switch {
		case one.line > last.line:
			b.WriteString(strings.Repeat(";", one.line-last.line))
			last.line, last.column = one.line, 0
		case i > 0:
			b.WriteByte(',')
		}
		appendVLQ(&b, one.column-last.column)
		appendVLQ(&b, one.source-last.source)
		appendVLQ(&b, one.sourceLine-last.sourceLine)
		appendVLQ(&b, one.sourceColumn-last.sourceColumn)
		name := last.name
		if one.name >= 0 {
			appendVLQ(&b, one.name-name)
			name = one.name
		}
		last = one
		last.name = name
	}
	m.Mappings = b.String()
}

// decodeVLQ reads the numbers of one segment: five bits a digit, the lowest
// first, the sixth bit for more to come, and the sign in the lowest bit of all.
func decodeVLQ(field string) ([]int, error) {
	var numbers []int
	value, shift := 0, 0
	for _, c := range []byte(field) {
		digit := strings.IndexByte(digits, c)
		if digit < 0 || shift > 30 {
			return nil, errMappings
		}
		value |= digit & 31 << shift
		if shift += 5; digit&32 != 0 {
			continue
		}
		number := value >> 1
		if value&1 != 0 {
			number = -number
		}
		numbers = append(numbers, number)
		value, shift = 0, 0
	}
	if shift != 0 || len(numbers) == 0 || len(numbers) > 5 {
		return nil, errMappings
	}
	return numbers, nil
}

// appendVLQ writes one number as decodeVLQ reads it.
func appendVLQ(b *strings.Builder, number int) {
	value := number << 1
	if number < 0 {
		value = -number<<1 | 1
	}
	for ; value > 31; value >>= 5 {
		b.WriteByte(digits[value&31|32])
	}
	b.WriteByte(digits[value])
}

// remap returns the source map of minified text: bundledMap is the map of the
// text that the minifier was given.
func remap(minified, bundled, bundledMap []byte) ([]byte, error) {
	var m sourceMap
	if err := json.Unmarshal(bundledMap, &m); err != nil {
		return nil, fmt.Errorf("read the source map: %w", err)
	}
	before, err := m.segments()
	if err != nil {
		return nil, err
	}
	type place struct{ line, column int }
	at := make(map[place]segment, len(before))
	for _, one := range before {
		at[place{one.line, one.column}] = one
	}
	from, err := scan(bundled)
	if err != nil {
		return nil, fmt.Errorf("scan the bundle: %w", err)
	}
	to, err := scan(minified)
	if err != nil {
		return nil, fmt.Errorf("scan the minified bundle: %w", err)
	}
	var after []segment
	for _, pair := range align(from, to) {
		one, ok := at[place{from[pair.from].line, from[pair.from].column}]
		if !ok {
			continue
		}
		one.line, one.column = to[pair.to].line, to[pair.to].column
		after = append(after, one)
	}
	m.setSegments(after)
	return json.Marshal(m)
}
