// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nearside/nearside/edge"
)

// A Change is what differs about one thing of a site between two releases.
type Change struct {
	// Thing names it: settings, audience new-here, slot hero, rule hero/snow,
	// variant hero/winter.
	Thing string `json:"thing"`
	// Did is added, removed or changed.
	Did string `json:"did"`
	// What says in words what changed of it; short values are told.
	What []string `json:"what,omitempty"`
}

// String returns the change in one line.
func (c Change) String() string {
	if len(c.What) == 0 {
		return c.Did + " " + c.Thing
	}
	return c.Did + " " + c.Thing + ": " + strings.Join(c.What, "; ")
}

// Changes returns what a release changes of the one before it, in the order of
// the things. Two that say the same have no changes; before a site's first release
// is the zero document.
func Changes(before, after *edge.ReleaseDocument) []Change {
	old, next := things(before), things(after)
	next.keepPlaces(old)
	var out []Change
	for _, t := range next.list {
		was := old.byName[t.name]
		if was == nil {
			out = append(out, Change{Thing: t.name, Did: "added"})
		} else if what := t.differs(was); len(what) > 0 {
			out = append(out, Change{Thing: t.name, Did: "changed", What: what})
		}
	}
	for _, t := range old.list {
		if next.byName[t.name] == nil {
			out = append(out, Change{Thing: t.name, Did: "removed"})
		}
	}
	return out
}

// A thing is a part of a release that people call by name.
type thing struct {
	name    string
	members map[string]json.RawMessage
	among   string // of a rule, its slot and rung
}

// An inventory is all things of a release.
type inventory struct {
	list   []*thing
	byName map[string]*thing
}

// add adds a thing by its JSON; some members are told as things of their own.
func (v *inventory) add(name string, value any, not ...string) *thing {
	t := &thing{name: name}
	raw, err := json.Marshal(value)
	if err == nil {
		err = json.Unmarshal(raw, &t.members)
	}
	if err != nil {
		panic(fmt.Sprintf("release document: %s: %v", name, err)) // every part of it was decoded from JSON
	}
	for _, member := range append(not, "name") {
		delete(t.members, member)
	}
	for n := 2; v.byName[t.name] != nil; n++ {
		t.name = fmt.Sprintf("%s (%d)", name, n)
	}
	v.list, v.byName[t.name] = append(v.list, t), t
	return t
}

func things(doc *edge.ReleaseDocument) *inventory {
	v := &inventory{byName: map[string]*thing{}}
	if doc.Site != "" { // of no release
		v.add("settings", doc.Settings)
	}
	for _, f := range doc.Fields {
		v.add("field "+f.Name, f)
	}
	for _, a := range doc.Audiences {
		v.add("audience "+a.Name, a)
	}
	for _, c := range doc.Campaigns {
		v.add("campaign "+c.Name, c)
	}
	for _, m := range doc.Modules {
		v.add("module "+m.ID(), m)
	}
	canonical := canonical(doc)
	for i := range canonical.Slots {
		v.slot(&canonical.Slots[i])
	}
	for _, variant := range canonical.Variants {
		v.add("variant "+variant.Slot+"/"+variant.Name, variant, "slot")
	}
	return v
}

// slot adds a slot, and its rules with the rung and the place they stand in.
func (v *inventory) slot(s *edge.SlotSpec) {
	v.add("slot "+s.Name, s, "ladder")
	for _, rung := range s.Ladder {
		for i := range rung.Rules {
			r := &rung.Rules[i]
			name := "rule " + s.Name + "/" + r.Name
			if r.Name == "" {
				name = "rule " + s.Name + "/" + r.Module
			}
			t := v.add(name, r)
			t.members["rung"] = jsonText(rung.Rung)
			t.members["place"] = []byte(strconv.Itoa(i + 1))
			t.among = s.Name + "/" + rung.Rung
		}
	}
}

// keepPlaces lets rules that others only came before, or left, stay where they
// were: the most rules of a rung that kept their order have not moved.
func (v *inventory) keepPlaces(old *inventory) {
	rungs := map[string][]*thing{}
	for _, t := range v.list {
		if was := old.byName[t.name]; was != nil && t.among != "" && t.among == was.among {
			rungs[t.among] = append(rungs[t.among], t)
		}
	}
	for _, rules := range rungs {
		was := make([]int, len(rules))
		for i, t := range rules {
			was[i] = slices.Index(old.list, old.byName[t.name])
		}
		for _, i := range longestRise(was) {
			rules[i].members["place"] = old.byName[rules[i].name].members["place"]
		}
	}
}

// longestRise returns where the longest run of growing numbers stands, gaps
// allowed.
func longestRise(numbers []int) []int {
	length, before := make([]int, len(numbers)), make([]int, len(numbers))
	last := -1
	for i := range numbers {
		length[i], before[i] = 1, -1
		for j := range i {
			if numbers[j] < numbers[i] && length[j] >= length[i] {
				length[i], before[i] = length[j]+1, j
			}
		}
		if last < 0 || length[i] > length[last] {
			last = i
		}
	}
	var out []int
	for ; last >= 0; last = before[last] {
		out = append(out, last)
	}
	return out
}

// differs says in words what of a thing was otherwise before.
func (t *thing) differs(was *thing) []string {
	var out []string
	names := slices.Collect(maps.Keys(t.members))
	for name := range was.members {
		if _, both := t.members[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if a, b := was.members[name], t.members[name]; !sameJSON(a, b) {
			out = append(out, tellChange(name, a, b)...)
		}
	}
	return out
}

// tellChange says what became of a member, part by part where it has parts. Long
// values are left to the files.
func tellChange(name string, was, is json.RawMessage) []string {
	var a, b map[string]json.RawMessage
	if json.Unmarshal(was, &a) == nil && json.Unmarshal(is, &b) == nil && a != nil && b != nil {
		parts := (&thing{members: b}).differs(&thing{members: a})
		for i, p := range parts {
			parts[i] = name + "." + p
		}
		return parts
	}
	return []string{name + tellValues(name, was, is)}
}

func tellValues(name string, was, is json.RawMessage) string {
	before, after := tellValue(name, was), tellValue(name, is)
	switch {
	case was == nil && after != "":
		return " is " + after + " now"
	case is == nil && before != "":
		return " is no more " + before
	case before != "" && after != "":
		return " from " + before + " to " + after
	}
	return " changed"
}

// tellValue returns a value that is short enough to be told, else "".
func tellValue(name string, raw json.RawMessage) string {
	if n, err := strconv.Atoi(string(raw)); err == nil && name == "rollout" {
		return spellShare(n)
	}
	var shows []edge.ShowSpec
	if name == "show" && json.Unmarshal(raw, &shows) == nil {
		return tellShow(shows)
	}
	if len(raw) == 0 || len(raw) > 160 || raw[0] == '{' || raw[0] == '[' || bytes.Contains(raw, []byte(`\n`)) {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return string(raw)
	}
	if strings.Contains(s, " ") {
		return "«" + s + "»" // it may hold quotes
	}
	return s
}

// tellShow says what a rule shows, with the weights where it shows several.
func tellShow(shows []edge.ShowSpec) string {
	var out []string
	for _, s := range shows {
		one := s.Variant
		if len(shows) > 1 {
			one += " " + strconv.Itoa(s.Weight)
		}
		out = append(out, one)
	}
	return strings.Join(out, ", ")
}

// sameJSON compares by value: how JSON is laid out means nothing.
func sameJSON(a, b json.RawMessage) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	var left, right bytes.Buffer
	if json.Compact(&left, a) != nil || json.Compact(&right, b) != nil {
		return bytes.Equal(a, b)
	}
	return bytes.Equal(left.Bytes(), right.Bytes())
}
