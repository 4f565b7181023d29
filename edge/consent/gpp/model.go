// SPDX-License-Identifier: Apache-2.0

package gpp

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/nearside/nearside/edge/consent/packed"
	"github.com/nearside/nearside/edge/consent/tcf"
)

// A Model is a GPP string, or a part of it, as people and programs read it: JSON
// members in the order of the specification, with the names and values that the
// reference library's GppModel gives. Like there, a set of purposes is a list of
// booleans and a segment that is missing has the values of an empty one.
type Model []Member

// A Member is one member of a Model.
type Member struct {
	Name  string
	Value any
}

// MarshalJSON writes a JSON object and keeps the order.
func (m Model) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, member := range m {
		if i > 0 {
			out.WriteByte(',')
		}
		value, err := json.Marshal(member.Value)
		if err != nil {
			return nil, err
		}
		out.WriteString(strconv.Quote(member.Name) + ":")
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// Model returns what g says: the member header, then one for each section by its
// API prefix. A section that is not known here is a text under "section-" and its
// id. Lists are written out, which may take megabytes for a hostile string: it is
// for tools, not for requests.
func (g *String) Model() Model {
	ids := make([]int, 0, g.count)
	m := Model{{"header", nil}}
	for i := range g.Sections() {
		s := &g.sections[i]
		ids = append(ids, s.ID)
		switch {
		case s.ID == TCFEUV2:
			m = append(m, Member{s.Name, europe(&g.TCFEU)})
		case s.ID == TCFCAV1:
			m = append(m, Member{s.Name, g.TCFCA.model()})
		case s.ID == USPV1:
			m = append(m, Member{s.Name, g.USP.Model()})
		case s.Name != "":
			m = append(m, Member{s.Name, s.US.Model()})
		default:
			m = append(m, Member{"section-" + strconv.Itoa(s.ID), s.Text})
		}
	}
	m[0].Value = Model{{"Id", headerType}, {"Version", headerVersion}, {"SectionIds", ids}}
	return m
}

// Model returns what u says.
func (u *US) Model() Model {
	m := Model{{versionField(u.layout.id), u.version}}
	for _, f := range u.layout.fields {
		m = append(m, Member{f.name, u.values(f.name)})
	}
	switch u.layout.optional {
	case gpcSegment:
		m = append(m, Member{"GpcSegmentType", gpcSegmentType}, Member{"Gpc", u.GPC()})
	case sensitiveSegment:
		m = append(m, Member{sensitiveDataProcessing, u.values(sensitiveDataProcessing)})
	}
	return m
}

// values returns a field as a number, or as a list where the section has one.
func (u *US) values(field string) any {
	n := u.Len(field)
	if n == 1 {
		return u.Value(field, 1)
	}
	list := make([]int, n)
	for i := range list {
		list[i] = u.Value(field, i+1)
	}
	return list
}

// Model returns what u says.
func (u *USPrivacy) Model() Model {
	return Model{{"Version", int(uspVersion - '0')}, {"Notice", string(u.Notice)}, {"OptOutSale", string(u.OptOutSale)}, {"LspaCovered", string(u.LspaCovered)}}
}

func (c *Canada) model() Model {
	return Model{
		{"Version", canadaVersion},
		{"Created", c.Created.Format(packed.TimeLayout)}, {"LastUpdated", c.LastUpdated.Format(packed.TimeLayout)},
		{"CmpId", c.CMPID}, {"CmpVersion", c.CMPVersion},
		{"ConsentScreen", c.ConsentScreen}, {"ConsentLanguage", string(c.ConsentLanguage[:])},
		{"VendorListVersion", c.VendorListVersion}, {"TcfPolicyVersion", c.TCFPolicyVersion},
		{"UseNonStandardStacks", c.UseNonStandardStacks},
		{"SpecialFeatureExpressConsent", flags(c.SpecialFeatureExpressConsent, canadaSpecialFeatures)},
		{"PurposesExpressConsent", flags(c.PurposesExpressConsent, canadaPurposes)},
		{"PurposesImpliedConsent", flags(c.PurposesImpliedConsent, canadaPurposes)},
		{"VendorExpressConsent", c.VendorExpressConsent.List()}, {"VendorImpliedConsent", c.VendorImpliedConsent.List()},
		{"PubRestrictions", restrictions(c.PubRestrictions)},
		{"PubPurposesSegmentType", canadaPublisher},
		{"PubPurposesExpressConsent", flags(c.PubPurposesExpressConsent, canadaPurposes)},
		{"PubPurposesImpliedConsent", flags(c.PubPurposesImpliedConsent, canadaPurposes)},
		{"NumCustomPurposes", c.NumCustomPurposes},
		{"CustomPurposesExpressConsent", flags(c.CustomPurposesExpressConsent, c.NumCustomPurposes)},
		{"CustomPurposesImpliedConsent", flags(c.CustomPurposesImpliedConsent, c.NumCustomPurposes)},
		{"DisclosedVendorsSegmentType", canadaDisclosed}, {"DisclosedVendors", c.DisclosedVendors.List()},
	}
}

// europe writes a TC string with the names that the GPP's library has for it,
// which differ from those of the TCF's own.
func europe(t *tcf.String) Model {
	m := t.Model()
	return Model{
		{"Version", m.Version}, {"Created", m.Created}, {"LastUpdated", m.LastUpdated},
		{"CmpId", m.CMPID}, {"CmpVersion", m.CMPVersion},
		{"ConsentScreen", m.ConsentScreen}, {"ConsentLanguage", m.ConsentLanguage},
		{"VendorListVersion", m.VendorListVersion}, {"PolicyVersion", m.PolicyVersion},
		{"IsServiceSpecific", m.IsServiceSpecific}, {"UseNonStandardStacks", m.UseNonStandardTexts},
		{"SpecialFeatureOptins", flags(t.SpecialFeatureOptins, canadaSpecialFeatures)},
		{"PurposeConsents", flags(t.PurposeConsents, canadaPurposes)},
		{"PurposeLegitimateInterests", flags(t.PurposeLegitimateInterests, canadaPurposes)},
		{"PurposeOneTreatment", m.PurposeOneTreatment}, {"PublisherCountryCode", m.PublisherCC},
		{"VendorConsents", m.VendorConsents}, {"VendorLegitimateInterests", m.VendorLegitimateInterests},
		{"PublisherRestrictions", restrictions(t.PublisherRestrictions)},
		{"PublisherPurposesSegmentType", 3},
		{"PublisherConsents", flags(t.PublisherConsents, canadaPurposes)},
		{"PublisherLegitimateInterests", flags(t.PublisherLegitimateInterests, canadaPurposes)},
		{"NumCustomPurposes", m.NumCustomPurposes},
		{"PublisherCustomConsents", flags(t.PublisherCustomConsents, m.NumCustomPurposes)},
		{"PublisherCustomLegitimateInterests", flags(t.PublisherCustomLegitimateInterests, m.NumCustomPurposes)},
		{"VendorsAllowedSegmentType", 2}, {"VendorsAllowed", m.VendorsAllowed},
		{"VendorsDisclosedSegmentType", 1}, {"VendorsDisclosed", m.VendorsDisclosed},
	}
}

// flags writes the ids 1 to n as booleans.
func flags(s packed.Set, n int) []bool {
	list := make([]bool, n)
	for i := range list {
		list[i] = s.Has(i + 1)
	}
	return list
}

func restrictions(l packed.Restrictions) []Model {
	list := []Model{}
	for r := range l.All() {
		list = append(list, Model{{"key", r.Purpose}, {"type", r.Type}, {"ids", r.Vendors.List()}})
	}
	return list
}
