// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"github.com/nearside/nearside/edge/consent"
)

// A Manifest is what a module declares about itself. A field it does not list
// is never encoded for it, whatever the visitor granted.
type Manifest struct {
	// ABI is the version of the rule ABI the module speaks; 1 today.
	ABI int `json:"abi"`
	// Name and Version identify the module in decisions: "name@version". The
	// version is semantic: MAJOR.MINOR.PATCH.
	Name        string `json:"name"`
	Version     string `json:"version"`
	Author      string `json:"author,omitempty"`
	Description string `json:"description,omitempty"`
	// Slots are the slot roles the module can fill; a release maps each of its
	// slots to one of them. The order is the number near_decide receives.
	Slots []ManifestSlot `json:"slots"`
	// Needs are the purposes without which the module does not run.
	Needs consent.Set `json:"needs"`
	// Reads are the wire names of the fields the module reads, built in or the
	// site's own.
	Reads []string `json:"reads"`
	// Settings is the JSON Schema of the settings the module takes; none takes
	// any object.
	Settings json.RawMessage `json:"settings,omitempty"`
	// Budget is the fuel that one call may spend; 0 lets the host choose by
	// what the module spends on sample visits.
	Budget int64 `json:"budget,omitempty"`
}

// A ManifestSlot names a slot the module fills and the variants it may answer
// with, in the order of the numbers it returns, from 1.
type ManifestSlot struct {
	Name     string   `json:"name"`
	Variants []string `json:"variants"`
}

// Limits of a manifest. Variants fit the result's low 8 bits; MaxBudget is under
// a millisecond of plain code (docs/RATIONALE.md, on counting and clocks).
const (
	MaxManifestSlots    = 32
	MaxManifestVariants = 255
	MaxBudget           = 1_000_000

	maxManifestText = 1024 // bytes of author or description
)

var (
	namePattern    = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	versionPattern = regexp.MustCompile(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`)
)

// ID returns "name@version", as decisions name the rule.
func (m *Manifest) ID() string { return m.Name + "@" + m.Version }

// Slot returns the number of the slot role called name, or -1.
func (m *Manifest) Slot(name string) int {
	for i, s := range m.Slots {
		if s.Name == name {
			return i
		}
	}
	return -1
}

// A ManifestError says what is wrong with one member of a manifest.
type ManifestError struct {
	// Member is the member, for example version; empty for the whole manifest.
	Member string
	What   string
}

func (e *ManifestError) Error() string {
	if e.Member == "" {
		return "manifest: " + e.What
	}
	return "manifest: " + e.Member + ": " + e.What
}

// Validate reports everything wrong with the manifest that can be told without
// a site, each as a *ManifestError: own fields are checked when a release binds
// the module, the settings' schema when the rule host reads it.
func (m *Manifest) Validate() error {
	c := manifestCheck{m: m}
	if m.ABI != 1 {
		c.bad("abi", "%d is not supported, want 1", m.ABI)
	}
	if len(m.Name) > MaxNameBytes || !namePattern.MatchString(m.Name) {
		c.bad("name", "%.80q is not lower-case words joined by dashes, at most %d characters", m.Name, MaxNameBytes)
	}
	if len(m.Version) > 32 || !versionPattern.MatchString(m.Version) {
		c.bad("version", "%.40q is not semantic: want MAJOR.MINOR.PATCH, for example 1.0.0", m.Version)
	}
	if len(m.Author) > maxManifestText {
		c.bad("author", "%d bytes, at most %d", len(m.Author), maxManifestText)
	}
	if len(m.Description) > maxManifestText {
		c.bad("description", "%d bytes, at most %d", len(m.Description), maxManifestText)
	}
	if len(m.Settings) > 0 && (!json.Valid(m.Settings) || m.Settings[0] != '{') {
		c.bad("settings", "want a JSON Schema, which is an object")
	}
	if m.Budget < 0 || m.Budget > MaxBudget {
		c.bad("budget", "%d, want 0 to %d", m.Budget, MaxBudget)
	}
	c.slots()
	c.reads()
	return errors.Join(c.errs...)
}

// A manifestCheck gathers what is wrong with a manifest.
type manifestCheck struct {
	m    *Manifest
	errs []error
}

func (c *manifestCheck) bad(member, format string, args ...any) {
	c.errs = append(c.errs, &ManifestError{member, fmt.Sprintf(format, args...)})
}

func (c *manifestCheck) slots() {
	if n := len(c.m.Slots); n == 0 || n > MaxManifestSlots {
		c.bad("slots", "%d, want 1 to %d", n, MaxManifestSlots)
	}
	seen := map[string]bool{}
	for _, s := range c.m.Slots {
		if len(s.Name) > MaxNameBytes || !namePattern.MatchString(s.Name) || seen[s.Name] {
			c.bad("slots", "%.80q stands twice or is not lower-case words joined by dashes", s.Name)
		}
		seen[s.Name] = true
		if n := len(s.Variants); n == 0 || n > MaxManifestVariants {
			c.bad("slots", "%.80q has %d variants, want 1 to %d", s.Name, n, MaxManifestVariants)
		}
		variants := map[string]bool{}
		for _, v := range s.Variants {
			if len(v) > MaxNameBytes || !namePattern.MatchString(v) || variants[v] {
				c.bad("slots", "variant %.80q of %.80q stands twice or is not lower-case words joined by dashes", v, s.Name)
			}
			variants[v] = true
		}
	}
}

func (c *manifestCheck) reads() {
	if n := len(c.m.Reads); n > MaxFields {
		c.bad("reads", "%d fields, at most %d", n, MaxFields)
	}
	reads, own := map[string]bool{}, 0
	var unlocked consent.Purposes
	for _, name := range c.m.Reads {
		if reads[name] {
			c.bad("reads", "%.80q stands twice", name)
		}
		reads[name] = true
		if f, ok := FieldByName(name); ok {
			unlocked |= f.Purpose
		} else {
			own++
		}
	}
	if most := MaxFields - BuiltinFields; own > most {
		c.bad("reads", "%d fields that are not built in, a site has at most %d", own, most)
	}
	if unlocked != 0 && c.m.Needs == 0 {
		c.bad("needs", "no purpose, but reads has fields of %s", unlocked)
	}
}
