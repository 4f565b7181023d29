// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"iter"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nearside/nearside/edge/consent/gpp"
	"github.com/nearside/nearside/edge/consent/packed"
	"github.com/nearside/nearside/edge/consent/tcf"
)

// printConsentString writes a string for people.
func printConsentString(io stdio, s *consentString) error {
	t := &table{tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)}
	switch {
	case s.gpp != nil:
		printGPP(t, s.gpp)
	case s.usp != nil:
		printUSPrivacy(t, s.usp)
	default:
		printTCF(t, s.tcf)
	}
	return t.Flush()
}

func printTCF(t *table, s *tcf.String) {
	t.row("TC string", fmt.Sprintf("TCF policy version %d", s.PolicyVersion))
	t.row("created", dateOf(s.Created))
	t.row("last updated", dateOf(s.LastUpdated))
	t.row("written by", fmt.Sprintf("platform %d, version %d, screen %d, language %s", s.CMPID, s.CMPVersion, s.ConsentScreen, s.ConsentLanguage[:]))
	t.row("vendor list", s.VendorListVersion)
	t.row("publisher's country", string(s.PublisherCC[:]))
	t.row("for this site alone", yesNo(s.IsServiceSpecific))
	t.row("own texts", yesNo(s.UseNonStandardTexts))
	t.row("purpose 1 not asked", yesNo(s.PurposeOneTreatment))
	fmt.Fprintln(t) // a line without columns: those above and below need not line up
	printPurposes(t, "purposes", "consent", "legitimate interest", s.PurposeConsents, s.PurposeLegitimateInterests)
	fmt.Fprintln(t, "\nspecial features")
	for id := 1; id <= 12; id++ {
		if name := tcf.SpecialFeatureName(id); name != "" || s.SpecialFeatureOptins.Has(id) {
			t.row("  "+numbered(id, name), yesNo(s.SpecialFeatureOptins.Has(id)))
		}
	}
	fmt.Fprintln(t)
	t.row("vendors with consent", rangesOf(s.VendorConsents.All()))
	t.row("vendors with legitimate interest", rangesOf(s.VendorLegitimateInterests.All()))
	printRestrictions(t, s.PublisherRestrictions)
	if s.HasVendorsDisclosed {
		t.row("vendors disclosed", rangesOf(s.VendorsDisclosed.All()))
	} else {
		t.row("vendors disclosed", "not said")
	}
	if s.HasVendorsAllowed {
		t.row("vendors allowed", rangesOf(s.VendorsAllowed.All()))
	}
	if s.HasPublisher {
		fmt.Fprintln(t)
		printPurposes(t, "publisher's own purposes", "consent", "legitimate interest", s.PublisherConsents, s.PublisherLegitimateInterests)
		t.row("publisher's custom purposes", s.NumCustomPurposes, idsOf(s.PublisherCustomConsents), idsOf(s.PublisherCustomLegitimateInterests))
	}
}

// printPurposes writes the defined purposes, and others that are set.
func printPurposes(t *table, what, one, other string, consents, interests packed.Set) {
	t.row(what, one, other)
	for id := 1; id <= 24; id++ {
		if name := tcf.PurposeName(id); name != "" || consents.Has(id) || interests.Has(id) {
			t.row("  "+numbered(id, name), yesNo(consents.Has(id)), yesNo(interests.Has(id)))
		}
	}
}

func printRestrictions(t *table, l packed.Restrictions) {
	if l.Len() == 0 {
		t.row("publisher's restrictions", "none")
		return
	}
	fmt.Fprintln(t, "\npublisher's restrictions")
	words := [...]string{packed.NotAllowed: "not allowed", packed.RequireConsent: "only with consent", packed.RequireInterest: "only by legitimate interest"}
	for r := range l.All() {
		t.row("  "+numbered(r.Purpose, tcf.PurposeName(r.Purpose)), words[r.Type], "vendors "+rangesOf(r.Vendors.All()))
	}
	fmt.Fprintln(t)
}

func printGPP(t *table, g *gpp.String) {
	var names []string
	for i := range g.Sections() {
		names = append(names, sectionTitle(&g.Sections()[i]))
	}
	if names == nil {
		names = []string{"no section"}
	}
	t.row("GPP string", strings.Join(names, ", "))
	for i := range g.Sections() {
		s := &g.Sections()[i]
		fmt.Fprintf(t, "\n%s\n", sectionTitle(s))
		switch {
		case s.ID == gpp.TCFEUV2:
			printTCF(t, &g.TCFEU)
		case s.ID == gpp.TCFCAV1:
			printCanada(t, &g.TCFCA)
		case s.ID == gpp.USPV1:
			printUSPrivacy(t, &g.USP)
		case s.Name != "":
			printUS(t, &s.US)
		default:
			t.row("  not known here", s.Text)
		}
	}
}

func sectionTitle(s *gpp.Section) string {
	if s.Name == "" {
		return fmt.Sprintf("section %d", s.ID)
	}
	return fmt.Sprintf("%s (%d)", s.Name, s.ID)
}

func printCanada(t *table, c *gpp.Canada) {
	t.row("created", dateOf(c.Created))
	t.row("last updated", dateOf(c.LastUpdated))
	t.row("written by", fmt.Sprintf("platform %d, version %d, screen %d, language %s", c.CMPID, c.CMPVersion, c.ConsentScreen, c.ConsentLanguage[:]))
	t.row("vendor list", c.VendorListVersion)
	fmt.Fprintln(t)
	printPurposes(t, "purposes", "express", "implied", c.PurposesExpressConsent, c.PurposesImpliedConsent)
	fmt.Fprintln(t)
	t.row("special features", idsOf(c.SpecialFeatureExpressConsent))
	t.row("vendors with express consent", rangesOf(c.VendorExpressConsent.All()))
	t.row("vendors with implied consent", rangesOf(c.VendorImpliedConsent.All()))
	printRestrictions(t, c.PubRestrictions)
	if c.HasDisclosedVendors {
		t.row("vendors disclosed", rangesOf(c.DisclosedVendors.All()))
	}
}

func printUSPrivacy(t *table, u *gpp.USPrivacy) {
	words := map[byte]string{'Y': "yes", 'N': "no", '-': "does not apply"}
	t.row("US Privacy", "version 1")
	t.row("  notice was given", words[u.Notice])
	t.row("  opted out of sale", words[u.OptOutSale])
	t.row("  limited service provider agreement", words[u.LspaCovered])
}

// printUS writes a US section with the specification's names: a value is a number
// with its meaning.
func printUS(t *table, u *gpp.US) {
	for _, member := range u.Model() {
		switch value := member.Value.(type) {
		case []int:
			words := make([]string, len(value))
			for i, v := range value {
				words[i] = usMeaning(member.Name, v)
			}
			t.row("  "+member.Name, strings.Join(words, ", "))
		case int:
			switch {
			case strings.HasSuffix(member.Name, "Version"):
				t.row("  "+member.Name, value)
			case !strings.HasSuffix(member.Name, "Type"): // a segment's type is the same for all
				t.row("  "+member.Name, usMeaning(member.Name, value))
			}
		case bool:
			if member.Name == "Gpc" && !u.HasGPC() {
				t.row("  "+member.Name, "not said")
				continue
			}
			t.row("  "+member.Name, yesNo(value))
		}
	}
}

// usMeaning is what a value of a US section means. Of consents for children and
// for further processing the states' specifications do not agree which of 1 and 2
// is yes.
func usMeaning(field string, value int) string {
	words := [...]string{"does not apply", "yes", "no"}
	switch {
	case field == "MspaMode":
		words[1], words[2] = "opt-out option mode", "service provider mode"
	case value == 0, strings.HasPrefix(field, "Mspa"), strings.HasSuffix(field, "Notice"):
	case strings.HasSuffix(field, "OptOut"):
		words[gpp.OptedOut], words[gpp.NotOptedOut] = "opted out", "did not opt out"
	case field == "SensitiveDataProcessing":
		words[gpp.OptedOut], words[gpp.NotOptedOut] = "refused", "allowed"
	default:
		return fmt.Sprint(value)
	}
	return fmt.Sprintf("%d %s", value, words[value])
}

// rangesOf writes ids as ranges with how many they are, at most twenty ranges.
func rangesOf(all iter.Seq2[int, int]) string {
	const most = 20
	var words []string
	n, left := 0, 0
	for first, last := range all {
		n += last - first + 1
		switch {
		case len(words) == most:
			left++
		case first == last:
			words = append(words, fmt.Sprint(first))
		default:
			words = append(words, fmt.Sprintf("%d-%d", first, last))
		}
	}
	if n == 0 {
		return "none"
	}
	if left > 0 {
		words = append(words, fmt.Sprintf("and %d more ranges", left))
	}
	return fmt.Sprintf("%d: %s", n, strings.Join(words, ", "))
}

// idsOf writes a set.
func idsOf(s packed.Set) string {
	if s == 0 {
		return "none"
	}
	return strings.Trim(fmt.Sprint(s.List()), "[]")
}

// numbered writes an id with its name, if it has one.
func numbered(id int, name string) string { return strings.TrimSpace(fmt.Sprintf("%d %s", id, name)) }

// dateOf writes the day of a moment.
func dateOf(t time.Time) string { return t.Format(time.DateOnly) }

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
