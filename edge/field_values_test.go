// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
)

// What a field's text lists is what its table lists.
func TestAFieldsTextNamesItsValues(t *testing.T) {
	closed := 0
	for _, f := range edge.Fields() {
		least, most, bounded := f.Range()
		words := f.Words()
		if len(words) == 0 && !bounded {
			continue
		}
		closed++
		if bounded && (!strings.Contains(f.Text, strconv.FormatInt(least, 10)) || !strings.Contains(f.Text, strconv.FormatInt(most, 10))) {
			t.Errorf("%s is from %d to %d, and its text says %q", f.Name, least, most, f.Text)
		}
		listed, _, _ := strings.Cut(f.Text, ";")
		if at := strings.LastIndex(listed, ": "); at >= 0 {
			listed = listed[at+2:]
		}
		if got := regexp.MustCompile(`, | or `).Split(listed, -1); words != nil && !slices.Equal(got, words) {
			t.Errorf("%s is one of %q, and its text says %q", f.Name, words, got)
		}
	}
	if closed != 6 {
		t.Errorf("%d fields have a closed list of values, want 6", closed)
	}
}

func TestStandardEventsAreSortedAndNamedOnce(t *testing.T) {
	events := edge.StandardEvents()
	if !slices.IsSorted(events) || len(slices.Compact(slices.Clone(events))) != len(events) || !slices.Contains(events, "view_item") {
		t.Errorf("%q", events)
	}
}
