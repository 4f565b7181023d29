// SPDX-License-Identifier: Apache-2.0

package gpp

import "slices"

// A layout is one version of a US section: which values its core has, in order,
// and what may stand beside it.
type layout struct {
	id       int
	name     string
	version  int
	location int // of the precise location in SensitiveDataProcessing, from 1; 0 if it is not asked for
	optional segmentKind
	fields   []field
}

// A field is a value of the core, or a list of count values.
type field struct {
	name  string
	count int
}

// bits is the length of the core behind its version.
func (l *layout) bits() int {
	n := 0
	for i := range l.fields {
		n += l.fields[i].count * valueBits
	}
	return n
}

// segmentKind is what a section may have beside its core.
type segmentKind uint8

const (
	noSegment        segmentKind = iota
	gpcSegment                   // GpcSegmentType and Gpc
	sensitiveSegment             // SensitiveDataProcessing, without a type
)

// gpcSegmentType is what a segment for GPC begins with; sensitiveOptional is how
// many values the other kind has.
const (
	gpcSegmentType    = 1
	sensitiveOptional = 8
)

// Names of fields that are asked for by name.
const (
	SaleOptOut                      = "SaleOptOut"
	SharingOptOut                   = "SharingOptOut"
	TargetedAdvertisingOptOut       = "TargetedAdvertisingOptOut"
	KnownChildSensitiveDataConsents = "KnownChildSensitiveDataConsents"

	sensitiveDataProcessing = "SensitiveDataProcessing"
)

func one(names ...string) []field {
	fields := make([]field, len(names))
	for i, name := range names {
		fields[i] = field{name, 1}
	}
	return fields
}

// asked are the two lists that most cores have.
func asked(sensitive, child int) []field {
	return []field{{sensitiveDataProcessing, sensitive}, {KnownChildSensitiveDataConsents, child}}
}

// Parts that cores share.
var (
	mspa     = one("MspaCoveredTransaction", "MspaOptOutOptionMode", "MspaServiceProviderMode")
	more     = one("AdditionalDataProcessingConsent")
	optOuts  = one(SaleOptOut, TargetedAdvertisingOptOut)
	national = one("SharingNotice", "SaleOptOutNotice", "SharingOptOutNotice", "TargetedAdvertisingOptOutNotice",
		"SensitiveDataProcessingOptOutNotice", "SensitiveDataLimitUseNotice", SaleOptOut, SharingOptOut, TargetedAdvertisingOptOut)
	personal   = one("PersonalDataConsents")
	california = one("SaleOptOutNotice", "SharingOptOutNotice", "SensitiveDataLimitUseNotice", SaleOptOut, SharingOptOut)
	sharing    = one("SharingNotice", "SaleOptOutNotice", "TargetedAdvertisingOptOutNotice")
	processing = one("ProcessingNotice", "SaleOptOutNotice", "TargetedAdvertisingOptOutNotice")
	// late is what the cores since Maryland's begin with.
	late = one("MspaCoveredTransaction", "MspaMode", "ProcessingNotice", "SaleOptOutNotice", "TargetedAdvertisingOptOutNotice", SaleOptOut, TargetedAdvertisingOptOut)
)

// layouts are the US sections by id. The precise location is the eighth kind of
// sensitive data almost everywhere, the third in California, the ninth in
// Delaware, the eleventh in Oregon; Colorado's law does not list it and Maryland's
// section has no list.
var layouts = [...]layout{
	{7, "usnat", 1, 8, gpcSegment, slices.Concat(national, asked(12, 2), personal, mspa)},
	{7, "usnat", 2, 8, gpcSegment, slices.Concat(national, asked(16, 3), personal, mspa)},
	{8, "usca", 1, 3, gpcSegment, slices.Concat(california, asked(9, 2), personal, mspa)},
	{9, "usva", 1, 8, noSegment, slices.Concat(sharing, optOuts, asked(8, 1), mspa)},
	{10, "usco", 1, 0, gpcSegment, slices.Concat(sharing, optOuts, asked(7, 1), mspa)},
	{11, "usut", 1, 8, noSegment, slices.Concat(sharing, one("SensitiveDataProcessingOptOutNotice"), optOuts, asked(8, 1), mspa)},
	{12, "usct", 1, 8, gpcSegment, slices.Concat(sharing, optOuts, asked(8, 3), mspa)},
	{13, "usfl", 1, 8, noSegment, slices.Concat(processing, optOuts, asked(8, 3), more, mspa)},
	{14, "usmt", 1, 8, gpcSegment, slices.Concat(sharing, optOuts, asked(8, 3), more, mspa)},
	{15, "usor", 1, 11, gpcSegment, slices.Concat(processing, optOuts, asked(11, 3), more, mspa)},
	{16, "ustx", 1, 8, gpcSegment, slices.Concat(processing, optOuts, asked(8, 1), more, mspa)},
	{17, "usde", 1, 9, gpcSegment, slices.Concat(processing, optOuts, asked(9, 5), more, mspa)},
	{18, "usia", 1, 8, gpcSegment, slices.Concat(processing, one("SensitiveDataOptOutNotice"), optOuts, asked(8, 1), mspa)},
	{19, "usne", 1, 8, gpcSegment, slices.Concat(processing, optOuts, asked(8, 1), more, mspa)},
	{20, "usnh", 1, 8, gpcSegment, slices.Concat(processing, optOuts, asked(8, 3), more, mspa)},
	{21, "usnj", 1, 8, gpcSegment, slices.Concat(processing, optOuts, asked(10, 5), more, mspa)},
	{22, "ustn", 1, 8, gpcSegment, slices.Concat(processing, optOuts, asked(8, 1), more, mspa)},
	{23, "usmn", 1, 8, gpcSegment, slices.Concat(processing, optOuts, asked(8, 1), more, mspa)},
	{24, "usmd", 1, 0, gpcSegment, slices.Concat(late, more)},
	{25, "usin", 1, 8, sensitiveSegment, slices.Concat(late, one(KnownChildSensitiveDataConsents), more)},
	{26, "usky", 1, 8, sensitiveSegment, slices.Concat(late, one(KnownChildSensitiveDataConsents), more)},
	{27, "usri", 1, 8, sensitiveSegment, slices.Concat(late, one(KnownChildSensitiveDataConsents), more)},
}

// firstLateSection is that of Maryland, from which on the version is called
// MspaVersion.
const firstLateSection = 24

func versionField(id int) string {
	if id >= firstLateSection {
		return "MspaVersion"
	}
	return "Version"
}

func layoutOf(id, version int) *layout {
	for i := range layouts {
		if l := &layouts[i]; l.id == id && l.version == version {
			return l
		}
	}
	return nil
}

// SectionName is the API prefix of a section, empty for an id that is not known
// here.
func SectionName(id int) string {
	switch id {
	case TCFEUV2:
		return "tcfeuv2"
	case TCFCAV1:
		return "tcfcav1"
	case USPV1:
		return "uspv1"
	default:
		return usName(id)
	}
}

// usName is the name of a US section, empty for any other id.
func usName(id int) string {
	for i := range layouts {
		if layouts[i].id == id {
			return layouts[i].name
		}
	}
	return ""
}
