// SPDX-License-Identifier: Apache-2.0

package main

import "testing"

// The collector serves tag.js itself: two routes of one path would hide one
// another.
func TestTagFilesHaveNamesOfTheirOwn(t *testing.T) {
	names := map[string]bool{"tag.js": true}
	for _, f := range tagFiles() {
		if names[f.Name] {
			t.Errorf("%s is served twice", f.Name)
		}
		names[f.Name] = true
	}
	for _, want := range []string{"tag.full.js", "tag.measure.js", "tag.debug.js", "tag.json"} {
		if !names[want] {
			t.Errorf("%s is not served", want)
		}
	}
}
