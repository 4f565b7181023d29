// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/nearside/nearside/geo/internal/fold"
)

// spelled are names that the sources lack: English names, former regions and
// transcriptions that databases use, one "CC CODE name" a line. "+CODE" is a
// code that the list of current ones does not have yet.
//
//go:embed spelled.txt
var spelled string

// A region is one current code of ISO 3166-2 and the names it goes by, folded.
type region struct {
	top   bool // directly below the country
	names []string
}

// isoEntry is how package iso-3166 writes a subdivision.
var isoEntry = regexp.MustCompile(`code: '([A-Z]{2}-[A-Z0-9]{1,3})',\s+name: (?:'((?:[^'\\]|\\.)*)'|"([^"]*)"),\s+parent: '([A-Z0-9-]+)'`)

// inBrackets parts the names that a source writes in one: "A [B]", "A (B)", "A/B".
var inBrackets = regexp.MustCompile(`\s*[\[(/]\s*|[\])]`)

// makeRegions returns the table: one line a region, of country, code and its
// names. A name stands with one region of a country only: the one directly
// below the country, then the one that is called so first in the order of the
// sources.
func makeRegions(english, current, more []byte) ([]byte, error) {
	regions := make(map[string]*region)
	for _, m := range isoEntry.FindAllStringSubmatch(string(current), -1) {
		r := &region{top: len(m[4]) == 2}
		regions[m[1]] = r
	}
	if len(regions) < 4000 {
		return nil, fmt.Errorf("%d current codes, want some 5,000", len(regions))
	}
	t := naming{regions: regions, taken: make(map[string]string)}
	if err := t.addSpelled(); err != nil {
		return nil, err
	}
	if err := t.addEnglish(english); err != nil {
		return nil, err
	}
	for _, m := range isoEntry.FindAllStringSubmatch(string(current), -1) {
		t.add(m[1], strings.ReplaceAll(m[2], `\'`, "'")+m[3])
	}
	if err := t.addMore(more); err != nil {
		return nil, err
	}
	return t.write(), nil
}

// naming gathers the names of regions.
type naming struct {
	regions map[string]*region
	taken   map[string]string // country + name: the code that has it
}

// add gives the names in text to the region of code, as far as they are free.
func (t *naming) add(code, text string) {
	r := t.regions[code]
	if r == nil {
		return
	}
	for _, name := range inBrackets.Split(text, -1) {
		folded := fold.Name(name)
		if folded == "" {
			continue
		}
		key := code[:2] + folded
		holder, held := t.taken[key]
		if held && (holder == code || t.regions[holder].top || !r.top) {
			continue
		}
		if held {
			before := t.regions[holder]
			before.names = slices.DeleteFunc(before.names, func(n string) bool { return n == folded })
		}
		t.taken[key] = code
		r.names = append(r.names, folded)
	}
}

func (t *naming) addSpelled() error {
	for line := range strings.Lines(spelled) {
		country, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		code, name, ok := strings.Cut(rest, " ")
		if added, isNew := strings.CutPrefix(code, "+"); isNew {
			code = added
			t.regions[country+"-"+code] = &region{top: true}
		}
		if !ok || t.regions[country+"-"+code] == nil {
			return fmt.Errorf("spelled.txt: %q names no current region", strings.TrimSpace(line))
		}
		t.add(country+"-"+code, name)
	}
	return nil
}

func (t *naming) addEnglish(data []byte) error {
	var file struct {
		Subdivisions struct {
			LocaleDisplayNames struct {
				Subdivisions map[string]string `json:"subdivisions"`
			} `json:"localeDisplayNames"`
		} `json:"subdivisions"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return err
	}
	names := file.Subdivisions.LocaleDisplayNames.Subdivisions
	if len(names) < 4000 {
		return errors.New("too few English names")
	}
	for _, key := range sortedKeys(names) {
		id, _, _ := strings.Cut(strings.ToUpper(key), "-ALT")
		if len(id) > 2 {
			t.add(id[:2]+"-"+id[2:], names[key])
		}
	}
	return nil
}

func (t *naming) addMore(data []byte) error {
	var countries []struct {
		Code    string `json:"countryShortCode"`
		Regions []struct {
			Name string `json:"name"`
			Code string `json:"shortCode"`
		} `json:"regions"`
	}
	if err := json.Unmarshal(data, &countries); err != nil {
		return err
	}
	for _, c := range countries {
		for _, r := range c.Regions {
			t.add(c.Code+"-"+r.Code, r.Name)
		}
	}
	return nil
}

func (t *naming) write() []byte {
	var out bytes.Buffer
	for _, code := range sortedKeys(t.regions) {
		if names := t.regions[code].names; len(names) > 0 {
			fmt.Fprintf(&out, "%s %s %s\n", code[:2], code[3:], strings.Join(names, ";"))
		}
	}
	return out.Bytes()
}
