// SPDX-License-Identifier: Apache-2.0

package gpp

import (
	"strings"
	"time"

	"github.com/nearside/nearside/edge/consent/packed"
)

// Canada is the section tcfcav1, IAB Canada's Transparency and Consent
// Framework. Fields have the names of the reference library's.
//
// Lists of vendors are in Fibonacci coding, as the specification says, or have
// ids of fixed length, as older encoders wrote them. Nothing in a string tells
// which; like the reference library, the first is tried before the second.
type Canada struct {
	Created              time.Time // in UTC, exact to a tenth of a second
	LastUpdated          time.Time // likewise
	CMPID                int       // 0 to 4095
	CMPVersion           int       // 0 to 4095
	ConsentScreen        int       // 0 to 63
	ConsentLanguage      [2]byte
	VendorListVersion    int // 0 to 4095
	TCFPolicyVersion     int // 0 to 63
	UseNonStandardStacks bool

	SpecialFeatureExpressConsent packed.Set
	PurposesExpressConsent       packed.Set
	PurposesImpliedConsent       packed.Set
	VendorExpressConsent         packed.Vendors
	VendorImpliedConsent         packed.Vendors
	PubRestrictions              packed.Restrictions

	// HasPublisher and HasDisclosedVendors say which segments there are beside
	// the core; the fields of the others are zero.
	HasPublisher, HasDisclosedVendors bool

	PubPurposesExpressConsent    packed.Set
	PubPurposesImpliedConsent    packed.Set
	NumCustomPurposes            int // 0 to 63
	CustomPurposesExpressConsent packed.Set
	CustomPurposesImpliedConsent packed.Set
	DisclosedVendors             packed.Vendors
}

// The version of the section, the types of its segments, and how many bits its
// sets have.
const (
	canadaVersion = 1

	canadaDisclosed = 1
	canadaPublisher = 3

	canadaPurposes        = 24
	canadaSpecialFeatures = 12
)

func (c *Canada) decode(text string) error {
	segment, rest, more := strings.Cut(text, ".")
	var r packed.Reader
	r.Open(segment, "core")
	if c.core(&r, packed.Fibonacci); !r.OK() {
		var older packed.Reader
		older.Open(segment, "core")
		if c.core(&older, packed.Fixed); !older.OK() {
			return r.Err()
		}
	}
	for more {
		segment, rest, more = strings.Cut(rest, ".")
		var r packed.Reader
		r.Open(segment, "segment")
		if c.segment(&r, packed.Fibonacci); !r.OK() {
			var older packed.Reader
			older.Open(segment, "segment")
			if c.segment(&older, packed.Fixed); !older.OK() {
				return r.Err()
			}
		}
	}
	return nil
}

func (c *Canada) core(r *packed.Reader, coding packed.Coding) {
	if r.Uint("Version", 6) != canadaVersion {
		r.Fail(packed.BadVersion, "Version")
	}
	c.Created, c.LastUpdated = r.Time("Created"), r.Time("LastUpdated")
	c.CMPID, c.CMPVersion = int(r.Uint("CmpId", 12)), int(r.Uint("CmpVersion", 12))
	c.ConsentScreen, c.ConsentLanguage = int(r.Uint("ConsentScreen", 6)), r.Letters("ConsentLanguage")
	c.VendorListVersion, c.TCFPolicyVersion = int(r.Uint("VendorListVersion", 12)), int(r.Uint("TcfPolicyVersion", 6))
	c.UseNonStandardStacks = r.Bool("UseNonStandardStacks")
	c.SpecialFeatureExpressConsent = r.Set("SpecialFeatureExpressConsent", canadaSpecialFeatures)
	c.PurposesExpressConsent = r.Set("PurposesExpressConsent", canadaPurposes)
	c.PurposesImpliedConsent = r.Set("PurposesImpliedConsent", canadaPurposes)
	c.VendorExpressConsent = r.Vendors("VendorExpressConsent", coding)
	c.VendorImpliedConsent = r.Vendors("VendorImpliedConsent", coding)
	c.PubRestrictions = r.Restrictions("PubRestrictions", coding)
	r.Close("core")
}

// segment reads a segment after the core; they come in any order, each once.
func (c *Canada) segment(r *packed.Reader, coding packed.Coding) {
	switch r.Uint("SegmentType", 3) {
	case canadaDisclosed:
		vendors := r.Vendors("DisclosedVendors", coding)
		r.Close("DisclosedVendors")
		c.once(r, &c.HasDisclosedVendors, "DisclosedVendors")
		c.DisclosedVendors = vendors
	case canadaPublisher:
		c.publisher(r)
		r.Close("PublisherPurposes")
		c.once(r, &c.HasPublisher, "PublisherPurposes")
	default:
		r.Fail(packed.UnknownSegment, "SegmentType")
	}
}

// once notes a segment that was read without a fault.
func (c *Canada) once(r *packed.Reader, has *bool, name string) {
	if *has {
		r.Fail(packed.DuplicateSegment, name)
	} else {
		*has = r.OK()
	}
}

func (c *Canada) publisher(r *packed.Reader) {
	c.PubPurposesExpressConsent = r.Set("PubPurposesExpressConsent", canadaPurposes)
	c.PubPurposesImpliedConsent = r.Set("PubPurposesImpliedConsent", canadaPurposes)
	c.NumCustomPurposes = int(r.Uint("NumCustomPurposes", 6))
	c.CustomPurposesExpressConsent = r.Set("CustomPurposesExpressConsent", c.NumCustomPurposes)
	c.CustomPurposesImpliedConsent = r.Set("CustomPurposesImpliedConsent", c.NumCustomPurposes)
}
