// SPDX-License-Identifier: Apache-2.0

package edge_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/edgetest"
)

func TestCompileReleaseRefuses(t *testing.T) {
	raw, err := os.ReadFile("testdata/release.json")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		old, new string
		want     string
	}{
		{"a newer schema", `"schema": 1`, `"schema": 2`, "schema 2 is not supported"},
		{"an unknown member", `"number": 7`, `"number": 7, "nmber": 8`, `unknown field "nmber"`},
		{"a site id with capitals", `"site": "shop"`, `"site": "Shop"`, `site "Shop"`},
		{"a site id that ends in a dash", `"site": "shop"`, `"site": "shop-"`, `site "shop-"`},
		{"a site id with a dash that joins nothing", `"site": "shop"`, `"site": "sh--op"`, `site "sh--op"`},
		{"a site id with an underscore", `"site": "shop"`, `"site": "sh_op"`, `site "sh_op"`},
		{"no site id", `"site": "shop"`, `"site": ""`, `site ""`},
		{"a site id that is too long", `"site": "shop"`, `"site": "` + strings.Repeat("s", edge.MaxSiteBytes+1) + `"`, "at most 64 characters"},
		{"an origin with a path", `"https://shop.example"`, `"https://shop.example/x"`, "is not scheme://host"},
		{"a null origin", `"https://shop.example"`, `"null"`, "is not scheme://host"},
		{"a made-up language", `"fr", "ar"]`, `"french"]`, `"french" is not a language`},
		{"a made-up time zone", "Europe/Berlin", "Europe/Atlantis", "is not an IANA time zone"},
		{"an own field that shadows a built-in", `"shop.season"`, `"geo.country"`, "declared already"},
		{"an own field that hides an event member", `"shop.season"`, `"consent.season"`, "is a member of every event"},
		{"an unknown purpose", `"purpose": "context"`, `"purpose": "fun"`, "unknown purpose"},
		{"an unknown data origin", `"origin": "first"`, `"origin": "fifth"`, `origin "fifth"`},
		{"a setting of another type", `"value": "winter"`, `"value": 3`, "value is not a string"},
		{"an unknown kind", `{"name": "bare", "kind": "text"`, `{"name": "bare", "kind": "video"`, `kind "video"`},
		{"rungs out of order", `{"rung": "profile", "rules": [{"module": "by-history"}]}`, `{"rung": "context", "rules": [{"module": "by-history"}]}`, "out of order"},
		{"a module the release lacks", `{"module": "by-history"}`, `{"module": "by-magic"}`, "no such module"},
		{"a role the module lacks", `"role": "slot", "because"`, `"role": "sidebar", "because"`, `no role "sidebar"`},
		{"a slot without a variant the module names", `"slot": "hero", "name": "desktop"`, `"slot": "hero", "name": "deskto"`, `may answer "desktop"`},
		{"a variant of no slot", `"slot": "hero", "name": "desktop"`, `"slot": "zero", "name": "desktop"`, "no such slot"},
		{"an unknown state", `"state": "live", "until"`, `"state": "alive", "until"`, `state "alive"`},
		{"a malformed validity", `2026-11-22T20:00`, `22.11.2026`, "until"},
		{"a validity that ends before it begins", `"until": "2026-11-22T20:00"`, `"from": "2026-11-22T20:00", "until": "2026-11-22T20:00"`, "is not after from"},
		{"content of another kind", `{"text": "Wide hats"}`, `{"html": "<p>Wide hats</p>"}`, "unknown field"},
		{"a roll-out over all buckets", `"rollout": 1`, `"rollout": 10001`, "rollout 10001"},
		{"a hash that is none", `0000000000000000000000000000000000000000000000000000000000000001`, `abc`, "hash is not a SHA-256"},
		{"another version than the module's", `"name": "by-device", "version": "1.0.0"`, `"name": "by-device", "version": "2.0.0"`, "its manifest says by-device@1.0.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if !bytes.Contains(raw, []byte(tt.old)) {
				t.Fatalf("the release does not hold %s", tt.old)
			}
			engine := edge.New(edge.Options{Locator: caseLocator{}, Loader: edgetest.Loader(caseRules()), Sealer: caseSealer(t)})
			if _, err := engine.Publish(raw); err != nil {
				t.Fatalf("the release as it is: %v", err)
			}
			before, _ := engine.Release("shop")
			_, err := engine.Publish(bytes.Replace(raw, []byte(tt.old), []byte(tt.new), 1))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one about %q", err, tt.want)
			}
			if after, _ := engine.Release("shop"); after != before {
				t.Error("a refused release changed what is live")
			}
		})
	}
}

// ownReads lists that many fields that are not built in.
func ownReads(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(`"own.f%d"`, i)
	}
	return "[" + strings.Join(names, ",") + "]"
}

// A release cannot hold any number of one module by giving each rule settings of
// its own.
func TestAReleaseLoadsABoundedNumberOfModules(t *testing.T) {
	var doc edge.ReleaseDocument
	if err := json.Unmarshal(recordRelease(t, 0), &doc); err != nil {
		t.Fatal(err)
	}
	doc.Slots = nil
	for i := range 300 {
		if i%60 == 0 {
			doc.Slots = append(doc.Slots, edge.SlotSpec{Name: fmt.Sprint("s", i), Kind: "text", Ladder: []edge.RungSpec{{Rung: "context"}}})
			doc.Variants = append(doc.Variants, doc.Variants[0])
			doc.Variants[len(doc.Variants)-1].Slot = fmt.Sprint("s", i)
		}
		rules := &doc.Slots[len(doc.Slots)-1].Ladder[0].Rules
		*rules = append(*rules, edge.RuleSpec{Module: "history", Role: "slot", Settings: json.RawMessage(fmt.Sprint(`{"i":`, i, `}`))})
	}
	doc.Variants, doc.Modules = doc.Variants[1:], doc.Modules[:1]
	_, err := edge.CompileRelease(marshalRelease(t, doc), recordRules())
	if err == nil || !strings.Contains(err.Error(), "more than 256 modules") {
		t.Errorf("error %v", err)
	}
}

func TestManifestRefuses(t *testing.T) {
	good := `{"abi":1,"name":"by-device","version":"1.2.0","author":"A","slots":[{"name":"slot","variants":["phone"]}],"needs":["context"],"reads":["device.type"],"settings":{},"budget":1000000}`
	tests := []struct{ name, old, new, member, want string }{
		{"another ABI", `"abi":1`, `"abi":2`, "abi", "2 is not supported"},
		{"a name with spaces", `by-device`, `by device`, "name", "lower-case words"},
		{"a version in words", `1.2.0`, `one`, "version", "MAJOR.MINOR.PATCH"},
		{"a version of two numbers", `1.2.0`, `1.2`, "version", "MAJOR.MINOR.PATCH"},
		{"a version with a leading zero", `1.2.0`, `1.02.0`, "version", "MAJOR.MINOR.PATCH"},
		{"an author with a life story", `"A"`, `"` + strings.Repeat("A", 1025) + `"`, "author", "1025 bytes"},
		{"no slot", `[{"name":"slot","variants":["phone"]}]`, `[]`, "slots", "0, want 1 to 32"},
		{"a slot without variants", `["phone"]`, `[]`, "slots", "0 variants"},
		{"a slot twice", `[{"name":"slot","variants":["phone"]}]`, `[{"name":"slot","variants":["phone"]},{"name":"slot","variants":["phone"]}]`, "slots", "stands twice"},
		{"a variant twice", `["phone"]`, `["phone","phone"]`, "slots", "stands twice"},
		{"a variant with capitals", `["phone"]`, `["Phone"]`, "slots", `"Phone"`},
		{"a field read twice", `["device.type"]`, `["device.type","device.type"]`, "reads", "stands twice"},
		{"more own fields than a site can have", `["device.type"]`, ownReads(edge.MaxFields - edge.BuiltinFields + 1), "reads", "a site has at most"},
		{"reading without needing", `["context"]`, `[]`, "needs", "no purpose, but reads has fields of context"},
		{"settings that are no schema", `"settings":{}`, `"settings":["north"]`, "settings", "an object"},
		{"a budget below nothing", `1000000`, `-1`, "budget", "want 0 to 1000000"},
		{"a budget beyond the ceiling", `1000000`, `1000001`, "budget", "want 0 to 1000000"},
	}
	var m edge.Manifest
	if err := json.Unmarshal([]byte(good), &m); err != nil || m.Validate() != nil {
		t.Fatalf("the good manifest: %v, %v", err, m.Validate())
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m edge.Manifest
			if err := json.Unmarshal([]byte(strings.Replace(good, tt.old, tt.new, 1)), &m); err != nil {
				t.Fatal(err)
			}
			err := m.Validate()
			wrong := (*edge.ManifestError)(nil)
			if !errors.As(err, &wrong) || wrong.Member != tt.member || !strings.Contains(wrong.What, tt.want) {
				t.Errorf("error %v, want one about %s with %q", err, tt.member, tt.want)
			}
		})
	}
}

func TestDocumentRoundTrips(t *testing.T) {
	loader := edgetest.Loader(caseRules())
	first, err := edge.CompileRelease(caseRelease(t, nil), loader)
	if err != nil {
		t.Fatal(err)
	}
	second, err := edge.CompileRelease(first.Document(), loader)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Document(), second.Document()) {
		t.Errorf("the document changed:\n%s\n%s", first.Document(), second.Document())
	}
}

// FuzzCompileRelease checks that no document panics, and that what compiles
// compiles again from its own document.
func FuzzCompileRelease(f *testing.F) {
	raw, err := os.ReadFile("testdata/release.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"schema":1,"site":"a","settings":{"origins":["https://a.b"],"languages":["en"],"consent":{}},"slots":[],"variants":[],"modules":[]}`))
	loader := edgetest.Loader(caseRules())
	f.Fuzz(func(t *testing.T, document []byte) {
		r, err := edge.CompileRelease(document, loader)
		if err != nil {
			return
		}
		if _, err := edge.CompileRelease(r.Document(), loader); err != nil {
			t.Fatalf("its own document was refused: %v", err)
		}
	})
}
