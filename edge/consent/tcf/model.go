// SPDX-License-Identifier: Apache-2.0

package tcf

import "github.com/nearside/nearside/edge/consent/packed"

// A Model is a TC string as people and programs read it, in JSON with the names
// of the reference library's TCModel but for publisherCC (the specification's).
// Sets are sorted lists of ids; a segment that is missing gives empty lists.
type Model struct {
	Version                            int           `json:"version"`
	Created                            string        `json:"created"` // ISO 8601, in UTC with milliseconds
	LastUpdated                        string        `json:"lastUpdated"`
	CMPID                              int           `json:"cmpId"`
	CMPVersion                         int           `json:"cmpVersion"`
	ConsentScreen                      int           `json:"consentScreen"`
	ConsentLanguage                    string        `json:"consentLanguage"`
	VendorListVersion                  int           `json:"vendorListVersion"`
	PolicyVersion                      int           `json:"policyVersion"`
	IsServiceSpecific                  bool          `json:"isServiceSpecific"`
	UseNonStandardTexts                bool          `json:"useNonStandardTexts"`
	SpecialFeatureOptins               []int         `json:"specialFeatureOptins"`
	PurposeConsents                    []int         `json:"purposeConsents"`
	PurposeLegitimateInterests         []int         `json:"purposeLegitimateInterests"`
	PurposeOneTreatment                bool          `json:"purposeOneTreatment"`
	PublisherCC                        string        `json:"publisherCC"`
	VendorConsents                     []int         `json:"vendorConsents"`
	VendorLegitimateInterests          []int         `json:"vendorLegitimateInterests"`
	PublisherRestrictions              []Restriction `json:"publisherRestrictions"`
	VendorsDisclosed                   []int         `json:"vendorsDisclosed"`
	VendorsAllowed                     []int         `json:"vendorsAllowed"`
	PublisherConsents                  []int         `json:"publisherConsents"`
	PublisherLegitimateInterests       []int         `json:"publisherLegitimateInterests"`
	NumCustomPurposes                  int           `json:"numCustomPurposes"`
	PublisherCustomConsents            []int         `json:"publisherCustomConsents"`
	PublisherCustomLegitimateInterests []int         `json:"publisherCustomLegitimateInterests"`
}

// A Restriction is a publisher restriction of a Model.
type Restriction struct {
	PurposeID       int                    `json:"purposeId"`
	RestrictionType packed.RestrictionType `json:"restrictionType"`
	Vendors         []int                  `json:"vendors"`
}

// Model returns what t says with every list written out, which may take
// megabytes for a hostile string: it is for tools, not for requests.
func (t *String) Model() Model {
	restrictions := []Restriction{}
	for r := range t.PublisherRestrictions.All() {
		if vendors := r.Vendors.List(); len(vendors) > 0 { // one of nobody restricts nothing
			restrictions = append(restrictions, Restriction{r.Purpose, r.Type, vendors})
		}
	}
	return Model{
		Version: version, Created: t.Created.Format(packed.TimeLayout), LastUpdated: t.LastUpdated.Format(packed.TimeLayout),
		CMPID: t.CMPID, CMPVersion: t.CMPVersion,
		ConsentScreen: t.ConsentScreen, ConsentLanguage: string(t.ConsentLanguage[:]),
		VendorListVersion: t.VendorListVersion, PolicyVersion: t.PolicyVersion,
		IsServiceSpecific: t.IsServiceSpecific, UseNonStandardTexts: t.UseNonStandardTexts,
		SpecialFeatureOptins: t.SpecialFeatureOptins.List(),
		PurposeConsents:      t.PurposeConsents.List(), PurposeLegitimateInterests: t.PurposeLegitimateInterests.List(),
		PurposeOneTreatment: t.PurposeOneTreatment, PublisherCC: string(t.PublisherCC[:]),
		VendorConsents: t.VendorConsents.List(), VendorLegitimateInterests: t.VendorLegitimateInterests.List(),
		PublisherRestrictions: restrictions,
		VendorsDisclosed:      t.VendorsDisclosed.List(), VendorsAllowed: t.VendorsAllowed.List(),
		PublisherConsents: t.PublisherConsents.List(), PublisherLegitimateInterests: t.PublisherLegitimateInterests.List(),
		NumCustomPurposes:                  t.NumCustomPurposes,
		PublisherCustomConsents:            t.PublisherCustomConsents.List(),
		PublisherCustomLegitimateInterests: t.PublisherCustomLegitimateInterests.List(),
	}
}
