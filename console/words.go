// SPDX-License-Identifier: Apache-2.0

package console

import (
	"cmp"
	"slices"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A reading is what a module reads under one purpose; the one without a purpose
// is what everybody's page says.
type reading struct {
	Purpose string // name, "" for none
	Needed  bool   // without it the module does not run
	Fields  []readField
}

// A readField is a field that a module reads.
type readField struct {
	Name string
	Own  bool // the site's own
}

// readings sorts what a manifest reads by purpose, in the purposes' order. A
// purpose that is needed is there even if nothing is read under it.
func readings(m *edge.Manifest, doc *edge.ReleaseDocument) []reading {
	byPurpose := map[consent.Purposes]*reading{}
	under := func(p consent.Purposes) *reading {
		if byPurpose[p] == nil {
			byPurpose[p] = &reading{Needed: consent.Purposes(m.Needs).Has(p) && p != 0}
			if p != 0 {
				byPurpose[p].Purpose = p.Names()[0]
			}
		}
		return byPurpose[p]
	}
	for _, row := range consent.Rows() {
		if consent.Purposes(m.Needs).Has(row.Bit) {
			under(row.Bit)
		}
	}
	for _, name := range m.Reads {
		field := readField{Name: name}
		var purpose consent.Purposes
		if known, ok := edge.FieldByName(name); ok {
			purpose = known.Purpose
		} else {
			field.Own = true
			purpose = ownPurpose(doc, name)
		}
		r := under(purpose)
		r.Fields = append(r.Fields, field)
	}
	var all []reading
	for _, p := range append([]consent.Purposes{0}, bits()...) {
		if r := byPurpose[p]; r != nil {
			all = append(all, *r)
		}
	}
	return all
}

// ownPurpose is the purpose of a site's own field, none if the site has none of
// that name.
func ownPurpose(doc *edge.ReleaseDocument, name string) consent.Purposes {
	for _, own := range doc.Fields {
		if own.Name == name {
			purpose, _ := consent.ParsePurposes(own.Purpose) // a live release has no other
			return purpose
		}
	}
	return 0
}

func bits() (all []consent.Purposes) {
	for _, row := range consent.Rows() {
		all = append(all, row.Bit)
	}
	return all
}

// suitableRung is the fallback level that suits what a module needs.
func suitableRung(m *edge.Manifest) string {
	needs := consent.Purposes(m.Needs)
	switch {
	case needs&(consent.Personalise|consent.Profile) != 0:
		return edge.Rungs[0]
	case needs.Has(consent.Storage):
		return edge.Rungs[1]
	}
	return edge.Rungs[2]
}

// headroom returns the limits that a module comes nearest to, at most n.
func headroom(limits []edge.LimitUse, n int) []edge.LimitUse {
	used := slices.DeleteFunc(slices.Clone(limits), func(l edge.LimitUse) bool { return l.Used == 0 || l.Limit == 0 })
	slices.SortStableFunc(used, func(a, b edge.LimitUse) int {
		return cmp.Compare(float64(b.Used)/float64(b.Limit), float64(a.Used)/float64(a.Limit))
	})
	return used[:min(n, len(used))]
}

// refusals say in which words a check's code is told: why a module may not be
// uploaded, to somebody who did not write it. Its author gets the check's own
// message.
var refusals = map[string]string{
	"header": "broken", "truncated": "broken", "number": "broken", "count": "broken", "section": "broken", "name": "broken",
	"index": "broken", "type": "broken", "constant": "broken", "segment": "broken", "invalid_module": "broken", "malformed": "broken",

	"reserved": "forbidden", "import": "forbidden", "opcode": "forbidden", "feature": "forbidden", "start": "forbidden",

	"size": "limit", "types": "limit", "params": "limit", "results": "limit", "imports": "limit", "functions": "limit",
	"table": "limit", "memory": "limit", "globals": "limit", "exports": "limit", "customs": "limit", "segments": "limit",
	"element-segments": "limit", "elements": "limit", "body": "limit", "locals": "limit", "operands": "limit", "nesting": "limit",
	"branches": "limit", "blocks": "limit", "complexity": "limit",
	"compile_too_slow": "limit", "compile_too_large": "limit", "compile_crashed": "limit", "too_large": "limit",

	"abi": "contract", "manifest": "manifest", "settings": "manifest",
	"start_failed": "failed", "canary_failed": "failed", "memory_grows": "failed",
	"unsigned": "signature", "bad_signature": "signature",
	"too_many_large": "busy", "too_much_memory": "busy", "compile_busy": "busy", "unavailable": "busy",
	"taken": "taken", "quota": "quota",
}

// refusedWords returns the key of the text that says why a module was refused.
func refusedWords(code string) string {
	if words := refusals[code]; words != "" {
		return "refused." + words
	}
	return "refused.other"
}
