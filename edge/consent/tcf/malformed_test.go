// SPDX-License-Identifier: Apache-2.0

package tcf

import (
	"errors"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge/consent/packed"
	"github.com/nearside/nearside/edge/consent/packed/packedtest"
)

// head is a core up to its lists of vendors.
func head() *packedtest.Writer {
	w := new(packedtest.Writer)
	w.Uint(2, 6).Uint(17_000_000_000, 36).Uint(17_000_000_000, 36).Uint(10, 12).Uint(1, 12).Uint(0, 6)
	w.Uint(4, 6).Uint(13, 6).Uint(100, 12).Uint(4, 6).Uint(1, 1).Uint(0, 1).Uint(0, 12)
	return w.Uint(0xffffff, 24).Uint(0, 24).Uint(0, 1).Uint(0, 6).Uint(0, 6)
}

// whole is a core with what a list of vendors is made of, and no more.
func whole(vendors func(w *packedtest.Writer)) string {
	w := head()
	vendors(w)
	return w.Uint(0, 17).Uint(0, 12).Text(24)
}

func none(w *packedtest.Writer) { w.Uint(0, 17) }

// ranges writes a list of ranges; a pair of the same id is an id alone.
func ranges(most uint64, pairs ...[2]uint64) func(w *packedtest.Writer) {
	return func(w *packedtest.Writer) {
		w.Uint(most, 16).Uint(1, 1)
		entries(w, pairs...)
	}
}

func entries(w *packedtest.Writer, pairs ...[2]uint64) {
	w.Uint(uint64(len(pairs)), 12)
	for _, p := range pairs {
		if p[0] == p[1] {
			w.Uint(0, 1).Uint(p[0], 16)
		} else {
			w.Uint(1, 1).Uint(p[0], 16).Uint(p[1], 16)
		}
	}
}

// restricted is a core with publisher restrictions: purpose, type and one vendor.
func restricted(list ...[3]uint64) string {
	w := head().Uint(0, 17).Uint(0, 17).Uint(uint64(len(list)), 12)
	for _, r := range list {
		w.Uint(r[0], 6).Uint(r[1], 2)
		entries(w, [2]uint64{r[2], r[2]})
	}
	return w.Text(24)
}

// segment is a segment beside the core.
func segment(kind uint64, rest func(w *packedtest.Writer)) string {
	w := new(packedtest.Writer).Uint(kind, 3)
	rest(w)
	return w.Text(24)
}

func TestMalformedStringsAreRefused(t *testing.T) {
	good := whole(none)
	disclosed := segment(1, ranges(9, [2]uint64{2, 4}))
	publisher := segment(3, func(w *packedtest.Writer) { w.Uint(0, 54) })
	tests := []struct {
		name, text string
		code       packed.Code
		field      string
	}{
		{"nothing", "", packed.Empty, "core"},
		{"a dot", ".", packed.Empty, "core"},
		{"a dot and nothing after it", good + ".", packed.Empty, "segment"},
		{"an empty segment between two", good + ".." + disclosed, packed.Empty, "segment"},
		{"one byte too many", strings.Repeat("C", packed.MaxBytes+1), packed.TooLong, "tcf"},
		{"a space in front", " " + good, packed.BadBase64, "core"},
		{"a new line behind", good + "\n", packed.BadBase64, "core"},
		{"the other alphabet", strings.Replace(good, good[20:21], "+", 1), packed.BadBase64, "core"},
		{"padding signs", good + "==", packed.BadBase64, "core"},
		{"a character that is not ASCII", good[:8] + "é" + good[10:], packed.BadBase64, "core"},
		{"a zero byte", good[:8] + "\x00" + good[9:], packed.BadBase64, "core"},
		{"a tilde", good + "~", packed.BadBase64, "core"},
		{"a segment that is not base64url", good + ".%%%%", packed.BadBase64, "segment"},
		{"a length of no bytes", good + "A", packed.BadLength, "core"},
		{"a segment whose length gives no bytes", good + "." + disclosed + "A", packed.BadLength, "segment"},
		{"a version alone", "CA", packed.Truncated, "created"},
		{"a core that ends in the dates", good[:8], packed.Truncated, "lastUpdated"},
		{"a core that ends in the purposes", good[:28], packed.Truncated, "purposeConsents"},
		{"a core without vendors of legitimate interest", good[:len(good)-4], packed.Truncated, "vendorLegitimateInterests"},
		{"version 1", "B" + good[1:], packed.BadVersion, "version"},
		{"version 3", "D" + good[1:], packed.BadVersion, "version"},
		{"a GPP string", "DBABLA~BVQqAAAAAgA", packed.BadBase64, "core"},
		{"a segment in front of the core", disclosed + "." + good, packed.BadVersion, "version"},
		{"a language that is not letters", good[:18] + "__" + good[20:], packed.BadValue, "consentLanguage"},
		{"a bit behind the last field", good[:len(good)-1] + "B", packed.BadPadding, "core"},
		{"whole bytes behind the last field", good + "AAAA", packed.BadLength, "core"},
		{"a bit behind a segment", good + "." + disclosed[:len(disclosed)-1] + "B", packed.BadPadding, "vendorsDisclosed"},
		{"a bit field that is too short", whole(func(w *packedtest.Writer) { w.Uint(60000, 16).Uint(0, 1) }), packed.Truncated, "vendorConsents"},
		{"more entries than there are", head().Uint(9, 16).Uint(1, 1).Uint(4095, 12).Uint(1, 17).Text(24), packed.Truncated, "vendorConsents"},
		{"vendor 0", whole(ranges(9, [2]uint64{0, 0})), packed.BadRange, "vendorConsents"},
		{"a range from vendor 0", whole(ranges(9, [2]uint64{0, 3})), packed.BadRange, "vendorConsents"},
		{"a range that runs backwards", whole(ranges(9, [2]uint64{5, 3})), packed.BadRange, "vendorConsents"},
		{"ids out of order", whole(ranges(9, [2]uint64{5, 5}, [2]uint64{3, 3})), packed.BadRange, "vendorConsents"},
		{"an id twice", whole(ranges(9, [2]uint64{5, 5}, [2]uint64{5, 5})), packed.BadRange, "vendorConsents"},
		{"ranges that overlap", whole(ranges(9, [2]uint64{2, 6}, [2]uint64{6, 8})), packed.BadRange, "vendorConsents"},
		{"an id past the largest", whole(ranges(9, [2]uint64{10, 10})), packed.BadRange, "vendorConsents"},
		{"a range past the largest", whole(ranges(9, [2]uint64{2, 10})), packed.BadRange, "vendorConsents"},
		{"ids though the largest is 0", whole(ranges(0, [2]uint64{1, 1})), packed.BadRange, "vendorConsents"},
		{"a restriction of purpose 0", restricted([3]uint64{0, 1, 7}), packed.BadRestriction, "publisherRestrictions"},
		{"a restriction of the fourth type", restricted([3]uint64{2, 3, 7}), packed.BadRestriction, "publisherRestrictions"},
		{"a restriction twice", restricted([3]uint64{2, 1, 7}, [3]uint64{2, 1, 8}), packed.BadRestriction, "publisherRestrictions"},
		{"a restriction of vendor 0", restricted([3]uint64{2, 1, 0}), packed.BadRange, "publisherRestrictions"},
		{"no restrictions", head().Uint(0, 34).Text(6), packed.Truncated, "publisherRestrictions"},
		{"more restrictions than there are", head().Uint(0, 34).Uint(4095, 12).Text(24), packed.Truncated, "publisherRestrictions"},
		{"an unknown segment", good + "." + segment(4, none), packed.UnknownSegment, "segmentType"},
		{"the last type of segment", good + "." + segment(7, none), packed.UnknownSegment, "segmentType"},
		{"a second core", good + "." + good, packed.UnknownSegment, "segmentType"},
		{"disclosed vendors twice", good + "." + disclosed + "." + disclosed, packed.DuplicateSegment, "vendorsDisclosed"},
		{"allowed vendors twice", good + "." + segment(2, none) + "." + segment(2, none), packed.DuplicateSegment, "vendorsAllowed"},
		{"the publisher twice", good + "." + publisher + "." + publisher, packed.DuplicateSegment, "publisherTC"},
		{"fewer custom purposes than it says", good + "." + segment(3, func(w *packedtest.Writer) { w.Uint(0, 48).Uint(63, 6) }), packed.Truncated, "publisherCustomConsents"},
		{"disclosed vendors out of order", good + "." + segment(1, ranges(9, [2]uint64{4, 4}, [2]uint64{2, 2})), packed.BadRange, "vendorsDisclosed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := String{CMPID: 7}
			err := s.Decode(tt.text)
			refused, ok := errors.AsType[*packed.Error](err)
			if !ok || refused.Code != tt.code || refused.Field != tt.field {
				t.Errorf("got %v, want %s of %s\n%.80s", err, tt.code, tt.field, tt.text)
			}
			if s != (String{}) {
				t.Errorf("a refused string left %+v", s)
			}
		})
	}
	for _, text := range []string{good, good + "." + disclosed, good + "." + publisher + "." + disclosed, whole(ranges(9, [2]uint64{2, 6}, [2]uint64{7, 8})), restricted([3]uint64{2, 1, 7}, [3]uint64{2, 2, 7})} {
		var s String
		if err := s.Decode(text); err != nil {
			t.Errorf("what the tests build on is refused: %v", err)
		}
	}
}

// No prefix of a good string may be read as another good string, but for what
// ends between segments.
func TestAPrefixIsRefused(t *testing.T) {
	for _, v := range vectors(t)[:60] {
		for end := range v.Text {
			var s String
			if err := s.Decode(v.Text[:end]); err != nil || v.Text[end] == '.' {
				continue
			}
			if cut := v.Text[end:]; strings.Trim(strings.SplitN(cut, ".", 2)[0], "A") != "" {
				t.Fatalf("%s: read after %d of %d characters", v.Name, end, len(v.Text))
			}
		}
	}
}
