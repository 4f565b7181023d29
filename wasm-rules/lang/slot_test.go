// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/bytecode"
)

var oneVariant = []edge.ShowSpec{{Variant: "a"}}

func TestScores(t *testing.T) {
	tests := []struct {
		name, score string
		visit       visit
		want        int64
	}{
		{"none is 0", "", full, 0},
		{"a constant is written", "40 + 2", full, 42},
		{"told from fields", `visitor.visits * 10 + (geo.country == "FR" ? 5 : 0)`, full, 35},
		{"unknown is 0", `visitor.visits * 10`, visit{}, 0},
		{"a choice by what is unknown is 0", `ref.host == "x" ? 1 : 2`, full, 0},
		{"a known choice does not ask the other", `visitor.returning ? 7 : visitor.days_since`, full, 7},
		{"what is always an error is 0", `1 / 0`, full, 0},
		{"negative", `-visitor.visits`, full, -3},
		{"the largest", `9223372036854775807`, full, 1<<63 - 1},
		{"an overflow is 0", `shop.points * 4`, full, 0},
		{"of a double", `int(interests["shoes"] * 100.0)`, full, 150},
	}
	var rules []edge.RuleSpec
	for i, tt := range tests {
		rules = append(rules, edge.RuleSpec{Name: fmt.Sprint("r", i), Score: tt.score, Show: oneVariant})
	}
	m := load(t, testDocument(rules...))
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m.see(tt.visit)
			_, scores := m.held(0)
			if got, held := scores[i]; !held || got != tt.want {
				t.Errorf("score %q: %d (held: %v), want %d", tt.score, got, held, tt.want)
			}
		})
	}
}

// Every bucket is served by one variant, the one that edge.Bucket says.
func TestWeightsAndRollouts(t *testing.T) {
	doc := testDocument(
		edge.RuleSpec{Name: "thirds", Show: []edge.ShowSpec{{Variant: "a", Weight: 1}, {Variant: "b", Weight: 1}, {Variant: "c", Weight: 1}}},
		edge.RuleSpec{Name: "tenth", Rollout: 1000, Show: oneVariant},
		edge.RuleSpec{Name: "both", Rollout: 5000, Show: []edge.ShowSpec{{Variant: "a", Weight: 3}, {Variant: "b", Weight: 0}, {Variant: "c", Weight: 1}}},
		edge.RuleSpec{Name: "everybody", Rollout: edge.Buckets, Show: oneVariant},
	)
	rules := doc.Slots[0].Ladder[0].Rules
	m := load(t, doc)
	counts := make(map[int]int)
	const visitors = 2000
	for v := range visitors {
		id := fmt.Sprintf("visitor-%d", v*7919)
		m.see(visit{"visitor.id": textValue(id)})
		got, _ := m.held(0)
		var want []int
		for n, c := range doc.Slots[0].Candidates() {
			r := &rules[c.Rule]
			from, until := r.Buckets(c.Show)
			bucket := edge.Bucket(edge.ShowSalt("hero", r.Name), id)
			if (r.Rollout == 0 || edge.Bucket(edge.RolloutSalt("hero", r.Name), id) < r.Rollout) && bucket >= from && bucket < until {
				want = append(want, n)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("visitor %s: candidates %v, want %v", id, got, want)
		}
		for _, n := range got {
			counts[n]++
		}
	}
	if n := counts[0] + counts[1] + counts[2]; n != visitors {
		t.Errorf("%d of %d visitors see one of three thirds", n, visitors)
	}
	if n := counts[3]; n < visitors/20 || n > visitors/5 {
		t.Errorf("%d of %d visitors are in a roll-out of a tenth", n, visitors)
	}
	m.see(visit{})
	if got, _ := m.held(0); !slices.Equal(got, []int{7}) {
		t.Errorf("without an id candidates %v hold, want only the one for everybody, 7", got)
	}
}

func TestHashIsTheEnginesBucket(t *testing.T) {
	var sources []string
	for i := range 100 {
		sources = append(sources, fmt.Sprintf(`hash("salt-%d") == %d`, i, edge.Bucket(fmt.Sprint("salt-", i), "v-1")))
	}
	for i, got := range load(t, conditions(sources...)).verdicts(full) {
		if got != isTrue {
			t.Errorf("%s: %s", sources[i], got)
		}
	}
}

// The bits of one slot's 255 candidates come from many functions and stand in
// four words.
func TestManyCandidatesAndSlots(t *testing.T) {
	doc := testDocument()
	doc.Slots = nil
	for s := range 5 {
		var rules []edge.RuleSpec
		for r := range edge.MaxCandidates / 3 {
			rules = append(rules, edge.RuleSpec{Name: fmt.Sprint("r", r), When: fmt.Sprintf("visitor.visits %% %d == %d", r+2, s), Score: fmt.Sprint(r * s),
				Show: []edge.ShowSpec{{Variant: "a", Weight: 1}, {Variant: "b", Weight: 1}, {Variant: "c", Weight: 1}}})
		}
		doc.Slots = append(doc.Slots, edge.SlotSpec{Name: fmt.Sprint("s", s), Ladder: []edge.RungSpec{{Rules: rules}}})
	}
	m := load(t, doc)
	for visits := range int64(30) {
		m.see(visit{"visitor.visits": intValue(visits), "visitor.id": textValue("v-2")})
		for s := range doc.Slots {
			got, scores := m.held(s)
			var want []int
			for r := range edge.MaxCandidates / 3 {
				if visits%int64(r+2) == int64(s) {
					n := slices.IndexFunc(doc.Slots[s].Candidates(), func(c edge.Candidate) bool {
						from, until := doc.Slots[s].Ladder[0].Rules[r].Buckets(c.Show)
						bucket := edge.Bucket(edge.ShowSalt(doc.Slots[s].Name, fmt.Sprint("r", r)), "v-2")
						return c.Rule == r && bucket >= from && bucket < until
					})
					want = append(want, n)
					if scores[n] != int64(r*s) {
						t.Errorf("slot %d, candidate %d: score %d, want %d", s, n, scores[n], r*s)
					}
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%d visits, slot %d: candidates %v, want %v", visits, s, got, want)
			}
		}
	}
	if at := call(t, m.decide, 5); len(at) != 1 {
		t.Error("a slot that is not there has no answer")
	} else if bits, _ := m.memory.ReadUint64Le(uint32(at[0])); bits != 0 {
		t.Error("in a slot that is not there something holds")
	}
}

// A later version has more built-in fields: own fields then have other numbers.
func TestRecordOfALaterVersion(t *testing.T) {
	m := load(t, conditions(`shop.tier == "gold"`, `geo.country == "FR"`, `shop.score == 0.5`, `"x" in shop.labels`))
	for _, builtin := range []int{edge.BuiltinFields, edge.BuiltinFields + 1, 63, 64, 65, 128, 200} {
		m.builtin = builtin
		p, _ := Read(must(Compile(conditions(`shop.tier == "gold"`, `geo.country == "FR"`, `shop.score == 0.5`, `"x" in shop.labels`))))
		index := uint64(0)
		for _, name := range p.Reads() {
			if n := slices.IndexFunc(m.own, func(f edge.OwnField) bool { return f.Name == name }); n >= 0 {
				call(t, m.bind, index, uint64(builtin+n))
				index++
			}
		}
		v := maps.Clone(full)
		v["shop.labels"] = listValue("y", "x")
		if got := m.verdicts(v); !slices.Equal(got, []verdict{isTrue, isTrue, isTrue, isTrue}) {
			t.Errorf("%d built-in fields: %v", builtin, got)
		}
		delete(v, "shop.tier")
		if got := m.verdicts(v); !slices.Equal(got, []verdict{isNeither, isTrue, isTrue, isTrue}) {
			t.Errorf("%d built-in fields, without shop.tier: %v", builtin, got)
		}
	}
}

func must(wasm []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return wasm
}

// A condition that many rules share is told once and forgotten with the next
// record.
func TestSharedConditions(t *testing.T) {
	shared := `(page.tags.exists(x, x.contains("el")) && distanceKm(48.0, 2.0) < 500 || page.title.lowerAscii().contains("été"))`
	var sources []string
	for i := range 20 {
		sources = append(sources, fmt.Sprintf(`%s && visitor.visits > %d`, shared, i), fmt.Sprintf(`visitor.visits > %d || !%s`, i, shared))
	}
	doc := conditions(sources...)
	m := load(t, doc)
	for _, tt := range []struct {
		name  string
		visit visit
		want  func(i int64) (and, or verdict)
	}{
		{"true", full, func(i int64) (and, or verdict) { return either(3 > i), either(3 > i) }},
		{"false", visit{"page.tags": listValue("x"), "geo.lat": floatValue(0), "geo.lon": floatValue(0), "page.title": textValue("x"), "visitor.visits": intValue(3)},
			func(int64) (and, or verdict) { return isFalse, isTrue }},
		{"neither", visit{"visitor.visits": intValue(3)}, func(i int64) (and, or verdict) {
			if 3 > i {
				return isNeither, isTrue
			}
			return isFalse, isNeither
		}},
		{"true again", full, func(i int64) (and, or verdict) { return either(3 > i), either(3 > i) }},
	} {
		got := m.verdicts(tt.visit)
		for i := range 20 {
			if and, or := tt.want(int64(i)); got[2*i] != and || got[2*i+1] != or {
				t.Errorf("%s, %d: %s and %s, want %s and %s", tt.name, i, got[2*i], got[2*i+1], and, or)
			}
		}
	}
	if n := strings.Count(string(must(Compile(doc))), "été"); n != 2*len(sources)+1 {
		t.Errorf("the text stands %d times in the module: %d times in its sources, so not once in its code", n, 2*len(sources))
	}
}

func either(b bool) verdict {
	if b {
		return isTrue
	}
	return isFalse
}

func TestCompileRefuses(t *testing.T) {
	nested := `["aa", "ab", "ac", "ad", "ae", "af", "ag", "ah", "ai", "aj", "ak", "al", "am", "an", "ao", "ap", "aq", "ar", "as", "at", "au", "av"]`
	var keys []string
	for i := range 350 {
		keys = append(keys, fmt.Sprintf("%q", fmt.Sprint("k", i)))
	}
	var windows []edge.RuleSpec
	for i := range edge.MaxEventWindows + 1 {
		windows = append(windows, edge.RuleSpec{Name: fmt.Sprint("r", i), When: fmt.Sprintf(`count("view_item", "%dd") > 1`, i+1), Show: oneVariant})
	}
	slow := make([]edge.RuleSpec, 250)
	for i := range slow {
		slow[i] = edge.RuleSpec{Name: fmt.Sprint("r", i), When: fmt.Sprintf(`page.path.contains("%s%d")`, strings.Repeat("a", 200), i), Show: oneVariant}
	}
	tests := []struct {
		name  string
		rules []edge.RuleSpec
		want  string
	}{
		{"lists in lists in lists", []edge.RuleSpec{{Name: "r", When: nested + `.exists(x, ` + nested + `.exists(y, ` + nested + `.exists(z, x == y && y == lang && z != geo.city)))`, Show: oneVariant}},
			"slots: hero: rule r: when: this becomes too large"},
		{"a choice by a choice by a choice of each element", []edge.RuleSpec{{Name: "r", When: `page.tags.exists(x, ` + strings.Repeat(`(`, 25) +
			`x == "a"` + strings.Repeat(` ? x == "b" : x == "c")`, 25) + `)`, Show: oneVariant}},
			"slots: hero: rule r: with this rule"},
		{"too many comparisons for one function", []edge.RuleSpec{{Name: "r", When: `[` + strings.Join(keys, ", ") + `].exists(x, x != geo.city && x != geo.region && x != geo.country && x != page.type && x != utm.term && x != utm.medium)`, Show: oneVariant}},
			"slots: hero: rule r: this becomes too large"},
		{"too much to count", windows, "17 events and windows, at most 16"},
		{"too slow for a visit that is made to be", slow, "slots: hero: rule r"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Compile(testDocument(tt.rules...))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// What stands in many places is looked at once, or one such rule would take all
// time there is.
func TestDeepChoices(t *testing.T) {
	const deep = 22
	never := strings.Repeat("(", deep) + "visitor.returning" + strings.Repeat(" ? false : shop.member)", deep)
	same := strings.Repeat("shop.member == (", deep) + "visitor.returning" + strings.Repeat(")", deep)
	got := load(t, conditions(never, same, "!("+same+")")).verdicts(full)
	if !slices.Equal(got, []verdict{isFalse, isTrue, isFalse}) {
		t.Errorf("got %v", got)
	}
	each := `page.tags.exists(x, ` + strings.Repeat(`(x == "a") == (`, deep) + `x == "b"` + strings.Repeat(")", deep) + `)`
	if _, err := Compile(conditions(each)); err == nil || !strings.Contains(err.Error(), "with this rule") {
		t.Errorf("each element is asked 2^22 times: %v", err)
	}
}

// grown returns n rules as shops have them.
func grown(n int) *edge.ReleaseDocument {
	doc := testDocument()
	doc.Slots = nil
	countries := []string{"FR", "DE", "IT", "ES", "PL", "NL"}
	for i := range n {
		if i%100 == 0 {
			doc.Slots = append(doc.Slots, edge.SlotSpec{Name: fmt.Sprint("s", i/100), Ladder: []edge.RungSpec{{}}})
		}
		rung := &doc.Slots[len(doc.Slots)-1].Ladder[0]
		rung.Rules = append(rung.Rules, edge.RuleSpec{Name: fmt.Sprint("r", i), Score: fmt.Sprintf("visitor.visits * %d", i), Show: oneVariant, When: fmt.Sprintf(
			`geo.country in ["%s", "%s"] && (device.type == "phone" || "tag-%d" in page.tags) && visitor.visits >= %d && !lang.startsWith("l%d")`,
			countries[i%6], countries[(i+1)%6], i%50, i%7, i%3)})
	}
	return doc
}

// What a module takes grows with its rules and no faster: bytes, and what the
// verifier counts of functions and of the time to compile.
func TestGrowth(t *testing.T) {
	measure := func(n int) (bytes int, uses map[string]int) {
		wasm := must(Compile(grown(n)))
		m, err := bytecode.Verify(wasm, bytecode.Large())
		if err != nil {
			t.Fatalf("%d rules: %v", n, err)
		}
		uses = make(map[string]int)
		for _, use := range m.Uses() {
			uses[use.Name] = int(use.Used)
		}
		return len(wasm), uses
	}
	small, few := measure(100)
	large, many := measure(1000)
	for _, name := range []string{"functions", "complexity"} {
		if many[name] > 11*few[name] {
			t.Errorf("%s: %d with 100 rules, %d with 1000", name, few[name], many[name])
		}
	}
	if large > 11*small {
		t.Errorf("%d bytes with 100 rules, %d with 1000", small, large)
	}
	if many["locals"] > 32 {
		t.Errorf("a function has %d locals", many["locals"])
	}
}

func TestCompileIsDeterministic(t *testing.T) {
	doc := grown(120)
	doc.Audiences = testAudiences
	first := must(Compile(doc))
	for range 3 {
		if !slices.Equal(first, must(Compile(doc))) {
			t.Fatal("the same document gives other bytes")
		}
	}
}

func TestNoRulesNoModule(t *testing.T) {
	if wasm, err := Compile(testDocument()); wasm != nil || err != nil {
		t.Errorf("%d bytes, %v; want none", len(wasm), err)
	}
}
