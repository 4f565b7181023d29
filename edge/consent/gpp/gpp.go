// SPDX-License-Identifier: Apache-2.0

// Package gpp decodes strings of the IAB Tech Lab's Global Privacy Platform: the
// header and the sections tcfeuv2, tcfcav1, uspv1, usnat (versions 1 and 2) and
// those of the twenty US states that have one.
//
// It says what a string says and not what follows from it. Anything malformed is
// refused, in whichever section it stands, and the error names the field and a
// stable code. A section with an id that is not known here is kept as it is. The
// source is "Global Privacy Platform: Consent String Specification" and the
// sections' own pages,
// https://github.com/InteractiveAdvertisingBureau/Global-Privacy-Platform; where
// they and the reference library @iabgpp/cmpapi differ (Maryland, Indiana,
// Kentucky, Rhode Island) the library is followed, for its strings are in use.
//
// The package does no I/O, holds no state and copies nothing: a decoded String
// borrows from the text. Decode does not allocate unless it refuses.
package gpp

import (
	"errors"
	"strings"

	"github.com/nearside/nearside/edge/consent/packed"
	"github.com/nearside/nearside/edge/consent/tcf"
)

// MaxSections bounds the sections of a string; 24 have been defined.
const MaxSections = 32

// The ids of sections that are not of the kind US.
const (
	TCFEUV2 = 2
	TCFCAV1 = 5
	USPV1   = 6
)

// What a header begins with.
const (
	headerType    = 3
	headerVersion = 1
	maxSectionID  = 4095
)

// A String is a decoded GPP string. The zero value has no section. It may be used
// again for another text, and borrows from the latest; once decoded it may be
// read by any number of goroutines.
type String struct {
	// TCFEU is the section tcfeuv2, TCFCA tcfcav1 and USP uspv1; zero where
	// Section does not find them.
	TCFEU tcf.String
	TCFCA Canada
	USP   USPrivacy

	sections [MaxSections]Section
	count    int
}

// A Section is one section of a String, as the header lists it.
type Section struct {
	ID   int    // 1 to 4095
	Name string // its API prefix, like "usca"; empty for one that is not known here
	Text string // as it is written
	// US is what it says if it is the national section or a state's; otherwise it
	// is zero.
	US US
}

// Sections returns the sections in order of their ids. The list borrows from g.
func (g *String) Sections() []Section { return g.sections[:g.count] }

// Section returns the section with the id, nil if the string has none.
func (g *String) Section(id int) *Section {
	for i := range g.sections[:g.count] {
		if g.sections[i].ID == id {
			return &g.sections[i]
		}
	}
	return nil
}

// Decode reads a GPP string of at most packed.MaxBytes. The error is a
// *packed.Error; g is empty then.
func (g *String) Decode(text string) error {
	g.reset()
	if err := g.decode(text); err != nil {
		g.reset()
		return err
	}
	return nil
}

// reset empties g. Sections past the count are never read.
func (g *String) reset() {
	g.TCFEU, g.TCFCA, g.USP, g.count = tcf.String{}, Canada{}, USPrivacy{}, 0
}

func (g *String) decode(text string) error {
	if len(text) > packed.MaxBytes {
		return &packed.Error{Code: packed.TooLong, Field: "gpp"}
	}
	header, rest, more := strings.Cut(text, "~")
	if err := g.header(header); err != nil {
		return err
	}
	for i := range g.count {
		if !more {
			return &packed.Error{Code: packed.BadCount, Field: "SectionIds"}
		}
		s := &g.sections[i]
		s.Text, rest, more = strings.Cut(rest, "~")
		if err := g.section(s); err != nil {
			return err
		}
	}
	if more {
		return &packed.Error{Code: packed.BadCount, Field: "SectionIds"}
	}
	return nil
}

func (g *String) header(text string) error {
	var r packed.Reader
	r.Open(text, "header")
	if r.Uint("Id", 6) != headerType {
		r.Fail(packed.BadType, "Id")
	}
	if r.Uint("Version", 6) != headerVersion {
		r.Fail(packed.BadVersion, "Version")
	}
	ids := r.Ranges("SectionIds", packed.Fibonacci, maxSectionID)
	r.Close("header")
	if !r.OK() {
		return r.Err()
	}
	for first, last := range ids.All() {
		for id := first; id <= last; id++ {
			if g.count == MaxSections {
				return &packed.Error{Code: packed.BadCount, Field: "SectionIds"}
			}
			g.sections[g.count] = Section{ID: id}
			g.count++
		}
	}
	return nil
}

// section reads the text of a section by its id.
func (g *String) section(s *Section) (err error) {
	s.Name = SectionName(s.ID)
	switch {
	case s.ID == TCFEUV2:
		err = g.TCFEU.Decode(s.Text)
	case s.ID == TCFCAV1:
		err = g.TCFCA.decode(s.Text)
	case s.ID == USPV1:
		err = g.USP.Decode(s.Text)
	case s.Name == "":
		return unknown(s.Text)
	default:
		err = s.US.decode(s.ID, s.Text)
	}
	if refused, ok := errors.AsType[*packed.Error](err); ok {
		return &packed.Error{Code: refused.Code, Field: s.Name + "." + refused.Field}
	}
	return err
}

// unknown looks at the text of a section that is not known here: it must be
// segments of base64url.
func unknown(text string) error {
	for segment := range strings.SplitSeq(text, ".") {
		var r packed.Reader
		r.Open(segment, "section")
		if !r.OK() {
			return r.Err()
		}
	}
	return nil
}
