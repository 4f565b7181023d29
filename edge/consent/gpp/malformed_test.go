// SPDX-License-Identifier: Apache-2.0

package gpp

import (
	"errors"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge/consent/packed"
	"github.com/nearside/nearside/edge/consent/packed/packedtest"
)

const goodUsnat = "BVVqAAAAAgA"

// header writes a header with section ids.
func header(ids ...int) string { return packedtest.Header(ids...) }

// canada is a tcfcav1 core up to its vendors.
func canada() *packedtest.Writer {
	w := new(packedtest.Writer)
	w.Uint(1, 6).Uint(17_000_000_000, 36).Uint(17_000_000_000, 36).Uint(10, 12).Uint(1, 12).Uint(0, 6)
	w.Uint(4, 6).Uint(13, 6).Uint(100, 12).Uint(4, 6).Uint(0, 1)
	return w.Uint(0, 12).Uint(0xffffff, 24).Uint(0, 24)
}

func TestMalformedStringsAreRefused(t *testing.T) {
	const tcfeu = "CQuV9AAQuV9AAAAAAAENAAFgAAAAAAAAAAAAAAAAAAAA"
	tests := []struct {
		name, text string
		code       packed.Code
		field      string
	}{
		{"nothing", "", packed.Empty, "header"},
		{"one byte too many", "DBABLA~" + strings.Repeat("B", packed.MaxBytes), packed.TooLong, "gpp"},
		{"a header that is not base64url", "DB+BLA~" + goodUsnat, packed.BadBase64, "header"},
		{"a space", "DBABLA ~" + goodUsnat, packed.BadBase64, "header"},
		{"a TC string alone", tcfeu, packed.BadType, "Id"},
		{"a US Privacy string alone", "1YNN", packed.BadType, "Id"},
		{"version 2", "DCABLA~" + goodUsnat, packed.BadVersion, "Version"},
		{"a header that ends in its type", "DB", packed.Truncated, "SectionIds"},
		{"a header that ends in its list", "DBAB", packed.Truncated, "SectionIds"},
		{"a bit behind the header", "DBABLB~" + goodUsnat, packed.BadPadding, "header"},
		{"bytes behind the header", "DBABLAAAAAAA~" + goodUsnat, packed.BadLength, "header"},
		{"a section id that is too large", header(100_000) + "~A", packed.BadRange, "SectionIds"},
		{"a section id above the bound", header(4096) + "~A", packed.BadRange, "SectionIds"},
		{"too many sections", new(packedtest.Writer).Uint(headerType, 6).Uint(headerVersion, 6).Uint(1, 12).Bits("1"+packedtest.Fibonacci(40)+packedtest.Fibonacci(40)).Text(24) + strings.Repeat("~A", 41), packed.BadCount, "SectionIds"},
		{"no section for an id", "DBABLA", packed.BadCount, "SectionIds"},
		{"more sections than ids", "DBABLA~" + goodUsnat + "~" + goodUsnat, packed.BadCount, "SectionIds"},
		{"a section that is empty", "DBABLA~", packed.Empty, "usnat.core"},
		{"a section without ids", "DBAA~" + goodUsnat, packed.BadCount, "SectionIds"},
		{"a section that is not base64url", "DBABLA~BVVq*AAAAgA", packed.BadBase64, "usnat.core"},
		{"a section that ends too early", "DBABLA~BVVqAAAA", packed.Truncated, "usnat.KnownChildSensitiveDataConsents"},
		{"a value of 3", "DBABLA~B_VqAAAAAgA", packed.BadValue, "usnat.SharingNotice"},
		{"an opt-out of 3", "DBABLA~BVVuAAAAAgA", packed.BadValue, "usnat.SharingOptOut"},
		{"an unknown version", "DBABLA~DVVqAAAAAgA", packed.BadVersion, "usnat.Version"},
		{"version 0", "DBABLA~AVVqAAAAAgA", packed.BadVersion, "usnat.Version"},
		{"a state with the version of usnat", header(8) + "~CVVqAAAAAgA", packed.BadVersion, "usca.Version"},
		{"a bit behind the core", "DBABLA~BVVqAAAAAgD", packed.BadPadding, "usnat.core"},
		{"bytes behind the core", "DBABLA~BVVqAAAAAgAAAAAA", packed.BadLength, "usnat.core"},
		{"a segment of another type", "DBABLA~" + goodUsnat + ".AA", packed.UnknownSegment, "usnat.GpcSegmentType"},
		{"an empty segment", "DBABLA~" + goodUsnat + ".", packed.Empty, "usnat.segment"},
		{"GPC twice", "DBABLA~" + goodUsnat + ".YA.YA", packed.DuplicateSegment, "usnat.segment"},
		{"a bit behind GPC", "DBABLA~" + goodUsnat + ".YB", packed.BadPadding, "usnat.Gpc"},
		{"GPC in a state that has none", "DBABRg~BVVVVVU.YA", packed.UnknownSegment, "usva.segment"},
		{"a list of sensitive data that is too short", header(25) + "~BQBA.AA", packed.Truncated, "usin.SensitiveDataProcessing"},
		{"a letter that is no answer", header(USPV1) + "~1YXN", packed.BadValue, "uspv1.OptOutSale"},
		{"small letters", header(USPV1) + "~1ynn", packed.BadValue, "uspv1.Notice"},
		{"a US Privacy string that is too short", header(USPV1) + "~1YN", packed.Truncated, "uspv1.uspv1"},
		{"a US Privacy string that is too long", header(USPV1) + "~1YNNN", packed.BadLength, "uspv1.uspv1"},
		{"a US Privacy string of version 2", header(USPV1) + "~2YNN", packed.BadVersion, "uspv1.Version"},
		{"a malformed TC string", header(TCFEUV2) + "~B" + tcfeu[1:], packed.BadVersion, "tcfeuv2.version"},
		{"a TC string with a bit behind it", header(TCFEUV2) + "~" + tcfeu[:len(tcfeu)-1] + "B", packed.BadPadding, "tcfeuv2.core"},
		{"version 2 of tcfcav1", header(TCFCAV1) + "~C" + canada().Uint(0, 46).Text(24)[1:], packed.BadVersion, "tcfcav1.Version"},
		{"vendors of tcfcav1 past the largest", header(TCFCAV1) + "~" + canada().Uint(4, 16).Uint(1, 1).Uint(1, 12).Bits("0"+"00011").Uint(0, 29).Text(24), packed.BadRange, "tcfcav1.VendorExpressConsent"},
		{"an unknown segment of tcfcav1", header(TCFCAV1) + "~" + canada().Uint(0, 46).Text(24) + ".QAAA", packed.UnknownSegment, "tcfcav1.SegmentType"},
		{"the publisher of tcfcav1 twice", header(TCFCAV1) + "~" + canada().Uint(0, 46).Text(24) + ".YAAAAAAAAAA.YAAAAAAAAAA", packed.DuplicateSegment, "tcfcav1.PublisherPurposes"},
		{"the disclosed vendors of tcfcav1 twice", header(TCFCAV1) + "~" + canada().Uint(0, 46).Text(24) + ".IAAA.IAAA", packed.DuplicateSegment, "tcfcav1.DisclosedVendors"},
		{"a section that is not known and not base64url", header(28) + "~a b", packed.BadBase64, "section"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var g String
			err := g.Decode(tt.text)
			refused, ok := errors.AsType[*packed.Error](err)
			if !ok || refused.Code != tt.code || refused.Field != tt.field {
				t.Errorf("got %v, want %s of %s\n%.80s", err, tt.code, tt.field, tt.text)
			}
			if len(g.Sections()) != 0 {
				t.Errorf("a refused string left %v", g.Sections())
			}
		})
	}
}

// What the tests above break must be whole, and what is not known is kept.
func TestWholeStringsBesideTheMalformedOnes(t *testing.T) {
	fixed := canada().Uint(9, 16).Uint(1, 1).Uint(2, 12).Uint(0, 1).Uint(4, 16).Uint(1, 1).Uint(7, 16).Uint(9, 16).Uint(0, 17).Uint(0, 12)
	tests := []struct {
		name, text string
		check      func(g *String) bool
	}{
		{"usnat", "DBABLA~" + goodUsnat + ".YA", func(g *String) bool { return g.Section(7).US.GPC() }},
		{"tcfcav1", header(TCFCAV1) + "~" + canada().Uint(0, 46).Text(24) + ".IAAA.YAAAAAAAAAA", func(g *String) bool {
			return g.TCFCA.HasDisclosedVendors && g.TCFCA.HasPublisher && g.TCFCA.PurposesExpressConsent.Has(24)
		}},
		{"tcfcav1 with ids of fixed length, as older encoders wrote them", header(TCFCAV1) + "~" + fixed.Text(24), func(g *String) bool {
			v := g.TCFCA.VendorExpressConsent
			return v.Has(4) && !v.Has(5) && v.Has(8) && v.Has(9) && !v.Has(10)
		}},
		{"a section that is not known", header(28) + "~Abc.D", func(g *String) bool {
			s := g.Sections()[0]
			return s.ID == 28 && s.Name == "" && s.Text == "Abc.D"
		}},
		{"uspv1", header(USPV1) + "~1Y-N", func(g *String) bool { return g.USP == USPrivacy{'Y', '-', 'N'} }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var g String
			if err := g.Decode(tt.text); err != nil {
				t.Fatalf("%v\n%s", err, tt.text)
			}
			if !tt.check(&g) {
				t.Errorf("read as %+v", g.Sections())
			}
		})
	}
}
