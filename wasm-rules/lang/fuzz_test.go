// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"errors"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// FuzzExpression compiles any text. It is refused with its place and a code, or
// all three evaluators agree on what it says.
func FuzzExpression(f *testing.F) {
	for _, source := range append(traps,
		`geo.country in ["FR", "DE"] && !seen("sku-7") || count("view_item", "7d") >= 3`,
		`page.path.lowerAscii().startsWith("/hats") ? interests["hats"] > 2.5 : "x" in interests`,
		`now - timestamp("2026-01-01T00:00:00Z") < duration("36h") && now.getDayOfWeek() == 6`,
		`cart.exists(i, i.price * double(i.quantity) > 100.0) && distanceKm(48.85, 2.35) < 30`,
		`hash("spring") % 10 < 3 && [1, 2, 3].all(x, x != visitor.visits)`,
		`has(geo.city) && page.path.matches(".*") || b"x" == null`, `'''a''' + "b" == r"c"`, "\x00(", `lang == "é"`, `size({}) > 0u`,
	) {
		f.Add(source, uint64(1))
	}
	runtime := newRuntime(f)
	f.Fuzz(func(t *testing.T, source string, seed uint64) {
		doc := twins([]string{source})
		doc.Audiences = anyAudience
		if _, err := lang.Compile(doc); err != nil {
			var e *edge.RuleError
			if !errors.As(err, &e) || e.Code == "" || e.Message == "" || e.Line < 0 || e.Column < 0 {
				t.Fatalf("%q is refused by %v", source, err)
			}
			return
		}
		x := newTrial(t, runtime, doc)
		defer x.machine.close()
		r := newRand(seed)
		for range 3 {
			x.visit(newVisitor(r), func(*contender, any, *edge.Condition) {})
		}
	})
}

// FuzzRead reads any bytes as a compiled module.
func FuzzRead(f *testing.F) {
	doc := twins(traps[:8])
	doc.Audiences = anyAudience
	wasm, err := lang.Compile(doc)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wasm)
	f.Add(wasm[:len(wasm)/2])
	f.Add([]byte("\x00asm\x01\x00\x00\x00\x00\x0d\x0anear.rules{}"))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		p, err := lang.Read(wasm)
		if err != nil {
			return
		}
		v := newVisitor(newRand(1))
		for slot := range p.Slots() {
			for n := range p.Slots()[slot].Candidates {
				_, _ = p.Explain(slot, n, false, v.named, v.granted) // it may not be explained, but it does not panic
			}
		}
	})
}
