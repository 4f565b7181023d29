// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"errors"

	"github.com/nearside/nearside/edge/consent/packed"
)

// A Reason says why a signal that speaks for the visitor gave no answer that
// counts. The values are stable; the zero value is an answer that counts.
type Reason string

// The reasons.
const (
	NoString           Reason = "no_string"            // it speaks for the visitor and sent nothing
	Malformed          Reason = "malformed"            // it cannot be decoded; a Fault says where
	OldPolicy          Reason = "policy_version"       // TCF policy before version 4, invalid since 30 September 2023
	NotServiceSpecific Reason = "not_service_specific" // a TC string for many sites; TCF 2.2 ended them
	NoDisclosedVendors Reason = "no_disclosed_vendors" // a TC string since 28 February 2026 must say whom it told of
	NoPublisher        Reason = "no_publisher_segment" // the site reads a segment that is not there
	VendorNotDisclosed Reason = "vendor_not_disclosed" // the visitor was not told of the vendor that the site reads
	Stale              Reason = "stale"                // older than 13 months
	InFuture           Reason = "in_future"            // dated more than a day ahead
	SectionsUnknown    Reason = "sections_unknown"     // the platform has not said which GPP sections are in force
	SectionMissing     Reason = "section_missing"      // a GPP section in force is not in the string
	SectionNotKnown    Reason = "section_not_known"    // a GPP section in force cannot be read here
	NotApplicable      Reason = "not_applicable"       // a US Privacy string that says it does not apply
)

// A Fault is where a string is malformed. It holds nothing of the string; the
// zero value is none.
type Fault struct {
	Code  packed.Code
	Field string
}

func faultOf(err error) Fault {
	if refused, ok := errors.AsType[*packed.Error](err); ok {
		return Fault{refused.Code, refused.Field}
	}
	return Fault{}
}
