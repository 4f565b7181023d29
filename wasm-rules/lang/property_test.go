// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// TestWithdrawingNeverMakesARuleMatch holds rules to what the product promises:
// what holds for a visitor who granted less holds as well when more is granted,
// and what can be told by less is told the same by more.
func TestWithdrawingNeverMakesARuleMatch(t *testing.T) {
	runtime := newRuntime(t)
	lost, kept := 0, 0
	for seed := range uint64(30) {
		r := newRand(seed + 1000)
		x := newTrial(t, runtime, randomDocument(r, 2, 8))
		for range 10 {
			more := newVisitor(r)
			less := *more
			less.granted &^= consent.Purposes(r.Uint32() & r.Uint32())
			few, many := x.answers(&less), x.answers(more)
			for slot := range few {
				for n := range few[slot].verdicts {
					if a, b := few[slot].verdicts[n], many[slot].verdicts[n]; a != edge.VerdictUnknown && a != b {
						t.Fatalf("%s\n%s with %s, %s with %s", x.slots[slot][n].rule.When, a, less.granted, b, more)
					}
					switch a, b := holds(&few[slot].held, n), holds(&many[slot].held, n); {
					case a && !b:
						t.Fatalf("%s\nholds with %s and not with %s", x.slots[slot][n].rule.When, less.granted, more)
					case a:
						kept++
					case b:
						lost++
					}
				}
			}
		}
		x.machine.close()
	}
	if lost < 200 || kept < 200 {
		t.Errorf("%d candidates were lost by withdrawing and %d kept, want 200 and more of each", lost, kept)
	}
}

// An answer is what a slot's candidates came to.
type answer struct {
	held     edge.Held
	verdicts []string
}

func (x *trial) answers(v *visitor) []answer {
	x.Helper()
	x.machine.show(v.record())
	out := make([]answer, len(x.slots))
	for slot := range x.slots {
		out[slot].held = x.machine.decide(slot, len(x.slots[slot]))
		for n := range x.slots[slot] {
			told, err := x.program.Explain(slot, n, false, v.named, v.granted)
			if err != nil {
				x.Fatal(err)
			}
			out[slot].verdicts = append(out[slot].verdicts, told.Verdict)
		}
	}
	return out
}

// TestOnlyInputsMatter changes all that a slot does not name as an input: its
// answer must stay. What a candidate does not read must not matter to it either.
func TestOnlyInputsMatter(t *testing.T) {
	runtime := newRuntime(t)
	changed := 0
	for seed := range uint64(40) {
		r := newRand(seed + 2000)
		x := newTrial(t, runtime, randomDocument(r, 3, 1))
		for range 10 {
			one, other := newVisitor(r), newVisitor(r)
			other.granted = one.granted
			before := x.answers(one)
			for slot, s := range x.program.Slots() {
				mixed := mix(t, one, other, s.Inputs)
				after := x.answers(mixed)
				for n := range x.slots[slot] {
					x.sameAnswer(slot, n, before[slot], after[slot], one, mixed)
				}
				changed++
			}
		}
		x.machine.close()
	}
	if changed < 500 {
		t.Errorf("%d slots were asked twice, want 500 and more", changed)
	}
}

func (x *trial) sameAnswer(slot, n int, a, b answer, one, other *visitor) {
	x.Helper()
	c := &x.slots[slot][n]
	if holds(&a.held, n) != holds(&b.held, n) || holds(&a.held, n) && a.held.Scores[n] != b.held.Scores[n] {
		x.Fatalf("inputs %q\n%s\nscore %s\ndiffers between\n%s\nand\n%s", x.program.Slots()[slot].Inputs, c.rule.When, c.rule.Score, one, other)
	}
}

// mix is the visit one in what inputs name and the visit other in all else.
func mix(t testing.TB, one, other *visitor, inputs []string) *visitor {
	t.Helper()
	out := &visitor{fields: one.fields, granted: one.granted, values: slices.Clone(other.values)}
	for n, f := range one.fields {
		for _, input := range inputs {
			switch name, key := partOf(t, input); {
			case name != f.name:
			case key == "":
				out.values[n] = one.values[n]
			default:
				out.values[n] = withEntry(one.values[n], out.values[n], key)
			}
		}
	}
	return out
}

// partOf returns the field that an input is about and, for a part of a map, its
// key.
func partOf(t testing.TB, input string) (field, key string) {
	t.Helper()
	if strings.HasPrefix(input, "hash(") {
		return "visitor.id", ""
	}
	var event, window string
	if n, _ := fmt.Sscanf(input, "count(%q, %q)", &event, &window); n == 2 {
		return "counts", event + "/" + window
	}
	field, rest, isPart := strings.Cut(input, "[")
	if !isPart {
		return input, ""
	}
	key, err := strconv.Unquote(strings.TrimSuffix(rest, "]"))
	if err != nil {
		t.Fatalf("input %s: %v", input, err)
	}
	return field, key
}

// withEntry is the map other with one's entry of a key; where one is not known,
// neither is it.
func withEntry(one, other edge.Value, key string) edge.Value {
	if !one.Known() {
		return edge.Value{}
	}
	out := edge.Value{Type: edge.TypeMap}
	for _, e := range other.Map {
		if e.Key != key {
			out.Map = append(out.Map, e)
		}
	}
	for _, e := range one.Map {
		if e.Key == key {
			out.Map = append(out.Map, e)
		}
	}
	slices.SortFunc(out.Map, func(a, b edge.Entry) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// TestReadsAreAllThatIsRead takes away what a module does not say that it reads:
// its answers stay. So a record of nothing but that, which a host makes, is
// enough, and what was refused need not be in it.
func TestReadsAreAllThatIsRead(t *testing.T) {
	runtime := newRuntime(t)
	for seed := range uint64(40) {
		r := newRand(seed + 3000)
		x := newTrial(t, runtime, randomDocument(r, 1, 2))
		reads := x.program.Reads()
		for range 10 {
			all := newVisitor(r)
			bare := *all
			bare.values = slices.Clone(all.values)
			for n, f := range bare.fields {
				if !slices.Contains(reads, f.name) {
					bare.values[n] = edge.Value{}
				}
			}
			a, b := x.answers(all), x.answers(&bare)
			for n := range x.slots[0] {
				x.sameAnswer(0, n, a[0], b[0], all, &bare)
			}
		}
		x.machine.close()
	}
}

// TestARecordHasNothingRefused looks for the bytes of what was refused in the
// view that a compiled module's reads give.
func TestARecordHasNothingRefused(t *testing.T) {
	for seed := range uint64(40) {
		r := newRand(seed + 4000)
		dropped := 0
		program, err := lang.Read(compile(t, randomDocument(r, 1, 4), &dropped))
		if err != nil {
			t.Fatal(err)
		}
		sample, secrets := secretVisit(r)
		for range 5 {
			sample.Granted = consent.Set(r.Uint32()) & consent.Set(consent.All)
			view, err := sample.ViewOf(maskOf(program.Reads()), siteFields)
			if err != nil {
				t.Fatal(err)
			}
			v := &visitor{fields: allFields(), granted: consent.All}
			for n := range view.FieldCount() {
				v.values = append(v.values, view.Value(edge.FieldNumber(n)))
			}
			record := string(v.record())
			for n, f := range allFields() {
				there := strings.Contains(record, secrets[n])
				allowed := consent.Purposes(sample.Granted).Has(f.purpose) && slices.Contains(program.Reads(), f.name)
				if secrets[n] != "" && there != allowed {
					t.Errorf("%s, granted %s, read %q: in the record %v", f.name, consent.Purposes(sample.Granted), program.Reads(), there)
				}
			}
		}
	}
}

func maskOf(names []string) edge.Mask {
	var m edge.Mask
	for n, f := range allFields() {
		if slices.Contains(names, f.name) {
			m = m.With(edge.FieldNumber(n))
		}
	}
	return m
}

// secretVisit is a visit whose texts are found nowhere else.
func secretVisit(r *rand.Rand) (*edge.SampleVisit, []string) {
	sample := &edge.SampleVisit{Fields: make(map[string]json.RawMessage)}
	fields := allFields()
	secrets := make([]string, len(fields))
	for n, f := range fields {
		secret := fmt.Sprintf("secret-%d-%x-", n, r.Uint64())
		switch f.kind {
		case edge.TypeString:
			sample.Fields[f.name] = json.RawMessage(strconv.Quote(secret))
		case edge.TypeList:
			sample.Fields[f.name] = json.RawMessage(`[` + strconv.Quote(secret) + `]`)
		case edge.TypeItems:
			sample.Fields[f.name] = json.RawMessage(`[{"id":` + strconv.Quote(secret) + `,"quantity":1,"price":2}]`)
		case edge.TypeMap:
			sample.Fields[f.name] = json.RawMessage(`{` + strconv.Quote(secret) + `:1}`)
		default:
			continue
		}
		secrets[n] = secret
	}
	return sample, secrets
}
