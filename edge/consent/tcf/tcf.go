// SPDX-License-Identifier: Apache-2.0

// Package tcf decodes TC strings of the IAB Europe Transparency and Consent
// Framework, versions 2.0 to 2.3: the core, the vendors disclosed and allowed,
// and the publisher's own choices.
//
// It says what a string says and not what follows from it: a string that is too
// old to be accepted is still well formed. Anything malformed is refused, and
// the error names the field and a stable code. The source is IAB Europe's
// "Transparency and Consent String with Global Vendor & CMP List Formats",
// https://github.com/InteractiveAdvertisingBureau/GDPR-Transparency-and-Consent-Framework;
// fields have the names of its reference library, @iabtechlabtcf/core.
//
// The package does no I/O, holds no state and copies nothing: a decoded String
// borrows from the text. Decode does not allocate unless it refuses.
package tcf

import (
	"strings"
	"time"

	"github.com/nearside/nearside/edge/consent/packed"
)

// version is that of every TC string since TCF 2.0.
const version = 2

// Purposes, special features and the publisher's own purposes have this many
// bits. Eleven purposes and two special features are defined today.
const (
	purposeBits        = 24
	specialFeatureBits = 12
)

// A segment's type stands in its first three bits. The core has none: it begins
// with its version, whose first three bits are zero.
const (
	disclosedSegment = 1
	allowedSegment   = 2
	publisherSegment = 3
)

// A String is a decoded TC string. The zero value says nothing. It may be used
// again for another text, and borrows from the latest; once decoded it may be
// read by any number of goroutines.
type String struct {
	Created     time.Time // in UTC, exact to a tenth of a second
	LastUpdated time.Time // likewise

	CMPID             int // of the consent management platform, 0 to 4095
	CMPVersion        int // 0 to 4095
	ConsentScreen     int // 0 to 63
	ConsentLanguage   [2]byte
	VendorListVersion int // 0 to 4095
	PolicyVersion     int // 0 to 63; 4 since TCF 2.2

	IsServiceSpecific   bool
	UseNonStandardTexts bool
	PurposeOneTreatment bool // purpose 1 was not asked: the law of PublisherCC has no need of it
	PublisherCC         [2]byte

	SpecialFeatureOptins       packed.Set
	PurposeConsents            packed.Set
	PurposeLegitimateInterests packed.Set

	VendorConsents            packed.Vendors
	VendorLegitimateInterests packed.Vendors
	PublisherRestrictions     packed.Restrictions

	// HasVendorsDisclosed, HasVendorsAllowed and HasPublisher say which segments
	// beside the core there are; the fields of the others are zero.
	HasVendorsDisclosed, HasVendorsAllowed, HasPublisher bool

	VendorsDisclosed packed.Vendors
	VendorsAllowed   packed.Vendors

	PublisherConsents                  packed.Set
	PublisherLegitimateInterests       packed.Set
	NumCustomPurposes                  int // 0 to 63
	PublisherCustomConsents            packed.Set
	PublisherCustomLegitimateInterests packed.Set
}

// Decode reads a TC string of at most packed.MaxBytes. The error is a
// *packed.Error; t is empty then.
func (t *String) Decode(text string) error {
	*t = String{}
	if err := t.decode(text); err != nil {
		*t = String{}
		return err
	}
	return nil
}

func (t *String) decode(text string) error {
	if len(text) > packed.MaxBytes {
		return &packed.Error{Code: packed.TooLong, Field: "tcf"}
	}
	segment, rest, more := strings.Cut(text, ".")
	if err := t.core(segment); err != nil {
		return err
	}
	for more {
		segment, rest, more = strings.Cut(rest, ".")
		if err := t.segment(segment); err != nil {
			return err
		}
	}
	return nil
}

// open begins to read a segment. Its encoders fill whole bytes, of which the
// remainder 1 cannot come.
func open(r *packed.Reader, segment, name string) {
	r.Open(segment, name)
	if len(segment)%4 == 1 {
		r.Fail(packed.BadLength, name)
	}
}

func (t *String) core(segment string) error {
	var r packed.Reader
	open(&r, segment, "core")
	if r.Uint("version", 6) != version {
		r.Fail(packed.BadVersion, "version")
	}
	t.Created, t.LastUpdated = r.Time("created"), r.Time("lastUpdated")
	t.CMPID, t.CMPVersion = int(r.Uint("cmpId", 12)), int(r.Uint("cmpVersion", 12))
	t.ConsentScreen, t.ConsentLanguage = int(r.Uint("consentScreen", 6)), r.Letters("consentLanguage")
	t.VendorListVersion, t.PolicyVersion = int(r.Uint("vendorListVersion", 12)), int(r.Uint("policyVersion", 6))
	t.IsServiceSpecific, t.UseNonStandardTexts = r.Bool("isServiceSpecific"), r.Bool("useNonStandardTexts")
	t.SpecialFeatureOptins = r.Set("specialFeatureOptins", specialFeatureBits)
	t.PurposeConsents = r.Set("purposeConsents", purposeBits)
	t.PurposeLegitimateInterests = r.Set("purposeLegitimateInterests", purposeBits)
	t.PurposeOneTreatment, t.PublisherCC = r.Bool("purposeOneTreatment"), r.Letters("publisherCC")
	t.VendorConsents = r.Vendors("vendorConsents", packed.Fixed)
	t.VendorLegitimateInterests = r.Vendors("vendorLegitimateInterests", packed.Fixed)
	t.PublisherRestrictions = r.Restrictions("publisherRestrictions", packed.Fixed)
	r.Close("core")
	return r.Err()
}

// segment reads a segment after the core; they come in any order, each once.
func (t *String) segment(segment string) error {
	var r packed.Reader
	open(&r, segment, "segment")
	switch r.Uint("segmentType", 3) {
	case disclosedSegment:
		once(&r, &t.HasVendorsDisclosed, "vendorsDisclosed")
		t.VendorsDisclosed = r.Vendors("vendorsDisclosed", packed.Fixed)
		r.Close("vendorsDisclosed")
	case allowedSegment:
		once(&r, &t.HasVendorsAllowed, "vendorsAllowed")
		t.VendorsAllowed = r.Vendors("vendorsAllowed", packed.Fixed)
		r.Close("vendorsAllowed")
	case publisherSegment:
		once(&r, &t.HasPublisher, "publisherTC")
		t.publisher(&r)
		r.Close("publisherTC")
	default:
		r.Fail(packed.UnknownSegment, "segmentType")
	}
	return r.Err()
}

func once(r *packed.Reader, has *bool, name string) {
	if *has {
		r.Fail(packed.DuplicateSegment, name)
	}
	*has = true
}

func (t *String) publisher(r *packed.Reader) {
	t.PublisherConsents = r.Set("publisherConsents", purposeBits)
	t.PublisherLegitimateInterests = r.Set("publisherLegitimateInterests", purposeBits)
	t.NumCustomPurposes = int(r.Uint("numCustomPurposes", 6))
	t.PublisherCustomConsents = r.Set("publisherCustomConsents", t.NumCustomPurposes)
	t.PublisherCustomLegitimateInterests = r.Set("publisherCustomLegitimateInterests", t.NumCustomPurposes)
}
