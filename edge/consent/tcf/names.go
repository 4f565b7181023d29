// SPDX-License-Identifier: Apache-2.0

package tcf

// purposeNames are the purposes of TCF policy versions 4 and 5, from 1; the
// Global Vendor List has them: https://vendor-list.consensu.org/v3/vendor-list.json
var purposeNames = [...]string{
	"Store and/or access information on a device",
	"Use limited data to select advertising",
	"Create profiles for personalised advertising",
	"Use profiles to select personalised advertising",
	"Create profiles to personalise content",
	"Use profiles to select personalised content",
	"Measure advertising performance",
	"Measure content performance",
	"Understand audiences through statistics or combinations of data from different sources",
	"Develop and improve services",
	"Use limited data to select content",
}

// specialFeatureNames are likewise the special features.
var specialFeatureNames = [...]string{
	"Use precise geolocation data",
	"Actively scan device characteristics for identification",
}

// PurposeName is the name of a purpose, empty for an id that is not defined.
func PurposeName(id int) string { return nameOf(purposeNames[:], id) }

// SpecialFeatureName is the name of a special feature, empty for an id that is
// not defined.
func SpecialFeatureName(id int) string { return nameOf(specialFeatureNames[:], id) }

func nameOf(names []string, id int) string {
	if id < 1 || id > len(names) {
		return ""
	}
	return names[id-1]
}
