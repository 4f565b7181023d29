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
	// Name and Version identify the module in decisions: "name@version".
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

// Limits of a manifest. Variants fit the result's low 8 bits.
const (
	MaxManifestSlots    = 32
	MaxManifestVariants = 255
)

var (
	namePattern    = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	versionPattern = regexp.MustCompile(`^[0-9]+(\.[0-9]+){0,2}$`)
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

// Validate reports everything wrong with the manifest that can be told without
// a site: own fields are checked when a release binds the module.
func (m *Manifest) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("manifest: "+format, args...)) }
	if m.ABI != 1 {
		bad("abi %d is not supported, want 1", m.ABI)
	}
	if len(m.Name) > 64 || !namePattern.MatchString(m.Name) {
		bad("name %q is not lower-case words joined by dashes, at most 64 characters", m.Name)
	}
	if len(m.Version) > 32 || !versionPattern.MatchString(m.Version) {
		bad("version %q is not like 1, 1.2 or 1.2.3", m.Version)
	}
	if n := len(m.Slots); n == 0 || n > MaxManifestSlots {
		bad("%d slots, want 1 to %d", n, MaxManifestSlots)
	}
	seen := map[string]bool{}
	for _, s := range m.Slots {
		if !namePattern.MatchString(s.Name) || seen[s.Name] {
			bad("slot %q is not a new lower-case name", s.Name)
		}
		seen[s.Name] = true
		if n := len(s.Variants); n == 0 || n > MaxManifestVariants {
			bad("slot %q has %d variants, want 1 to %d", s.Name, n, MaxManifestVariants)
		}
		for _, v := range s.Variants {
			if len(v) > MaxNameBytes || !namePattern.MatchString(v) {
				bad("variant %q of slot %q is not a lower-case name", v, s.Name)
			}
		}
	}
	reads := map[string]bool{}
	var unlocked consent.Purposes
	for _, name := range m.Reads {
		if reads[name] {
			bad("field %q is read twice", name)
		}
		reads[name] = true
		if f, ok := FieldByName(name); ok {
			unlocked |= f.Purpose
		}
	}
	if unlocked != 0 && m.Needs == 0 {
		bad("needs no purpose but reads fields of %s", unlocked)
	}
	return errors.Join(errs...)
}
