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
	canonical := Canonical(doc)
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
		}
	}
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
			out = append(out, tellChange(name, a, b))
		}
	}
	return out
}

// tellChange says what became of a member. Long values are left to the files.
func tellChange(name string, was, is json.RawMessage) string {
	var a, b map[string]json.RawMessage
	if json.Unmarshal(was, &a) == nil && json.Unmarshal(is, &b) == nil && a != nil && b != nil {
		parts := (&thing{members: b}).differs(&thing{members: a})
		for i, p := range parts {
			parts[i] = strings.TrimSuffix(p, " changed")
		}
		return name + " (" + strings.Join(parts, ", ") + ") changed"
	}
	before, after := tellValue(name, was), tellValue(name, is)
	switch {
	case was == nil && after != "":
		return name + " is " + after + " now"
	case is == nil && before != "":
		return name + " is no more " + before
	case before != "" && after != "":
		return name + " from " + before + " to " + after
	}
	return name + " changed"
}

// tellValue returns a value that is short enough to be told, else "".
func tellValue(name string, raw json.RawMessage) string {
	if n, err := strconv.Atoi(string(raw)); err == nil && name == "rollout" {
		return spellShare(n)
	}
	if len(raw) == 0 || len(raw) > 60 || bytes.ContainsAny(raw, "{[") || bytes.Contains(raw, []byte(`\n`)) {
		return ""
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
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
