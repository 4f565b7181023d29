// SPDX-License-Identifier: Apache-2.0

package lang

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/nearside/nearside/edge"
)

// A visit is the values of fields by wire name.
type visit map[string]edge.Value

func textValue(s string) edge.Value        { return edge.Value{Type: edge.TypeString, Str: s} }
func intValue(n int64) edge.Value          { return edge.Value{Type: edge.TypeInt, Int: n} }
func floatValue(f float64) edge.Value      { return edge.Value{Type: edge.TypeFloat, Float: f} }
func timeValue(millis int64) edge.Value    { return edge.Value{Type: edge.TypeTime, Int: millis} }
func listValue(l ...string) edge.Value     { return edge.Value{Type: edge.TypeList, List: l} }
func itemsValue(l ...edge.Item) edge.Value { return edge.Value{Type: edge.TypeItems, Items: l} }

func boolValue(b bool) edge.Value {
	v := edge.Value{Type: edge.TypeBool}
	if b {
		v.Int = 1
	}
	return v
}

// mapValue takes keys in order and their values.
func mapValue(entries ...edge.Entry) edge.Value { return edge.Value{Type: edge.TypeMap, Map: entries} }

// encodeVisit writes a record as ABI.md has it: builtin built-in fields, of which
// this version may know fewer, and the site's own after them.
func encodeVisit(v visit, own []edge.OwnField, builtin int) []byte {
	names := make([]string, builtin+len(own))
	for _, f := range edge.Fields() {
		names[f.Number] = f.Name
	}
	for i, f := range own {
		names[builtin+i] = f.Name
	}
	words := (len(names) + 63) / 64
	slots := 16 + 8*words
	b := make([]byte, slots+8*len(names))
	le := binary.LittleEndian
	text := func(s string) uint64 {
		at := len(b)
		b = append(b, s...)
		return uint64(at) | uint64(len(s))<<32
	}
	array := func(count, stride int) (at int, ref uint64) {
		for len(b)%8 != 0 {
			b = append(b, 0)
		}
		at = len(b)
		b = append(b, make([]byte, count*stride)...)
		return at, uint64(at) | uint64(count)<<32
	}
	put := func(at int, bits uint64) { le.PutUint64(b[at:], bits) }
	for n, name := range names {
		value, ok := v[name]
		if !ok || name == "" {
			continue
		}
		b[16+n/8] |= 1 << (n % 8)
		at := slots + 8*n
		switch value.Type {
		case edge.TypeFloat:
			put(at, math.Float64bits(value.Float))
		case edge.TypeString:
			ref := text(value.Str)
			put(at, ref)
		case edge.TypeList:
			first, ref := array(len(value.List), 8)
			put(at, ref)
			for i, s := range value.List {
				ref := text(s)
				put(first+8*i, ref)
			}
		case edge.TypeItems:
			first, ref := array(len(value.Items), 24)
			put(at, ref)
			for i, item := range value.Items {
				ref := text(item.ID)
				put(first+24*i, ref)
				put(first+24*i+8, uint64(item.Quantity))
				put(first+24*i+16, math.Float64bits(item.Price))
			}
		case edge.TypeMap:
			first, ref := array(len(value.Map), 16)
			put(at, ref)
			for i, entry := range value.Map {
				ref := text(entry.Key)
				put(first+16*i, ref)
				put(first+16*i+8, math.Float64bits(entry.Value))
			}
		default:
			put(at, uint64(value.Int))
		}
	}
	le.PutUint32(b, 0x3141454e)
	le.PutUint32(b[4:], uint32(len(b)))
	le.PutUint16(b[8:], uint16(builtin))
	le.PutUint16(b[10:], uint16(len(own)))
	return b
}

// A machine runs one compiled module.
type machine struct {
	t       testing.TB
	own     []edge.OwnField
	builtin int
	memory  api.Memory
	at      uint32
	visit   api.Function
	decide  api.Function
	bind    api.Function
	slots   []edge.RuleSetSlot
}

// load compiles a document and loads its module.
func load(t testing.TB, doc *edge.ReleaseDocument) *machine {
	t.Helper()
	wasm, err := Compile(doc)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Read(wasm)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2))
	t.Cleanup(func() { runtime.Close(ctx) })
	module, err := runtime.Instantiate(ctx, wasm)
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{
		t: t, own: doc.Fields, builtin: edge.BuiltinFields, memory: module.Memory(), slots: p.Slots(),
		visit: module.ExportedFunction("near_visit"), decide: module.ExportedFunction("near_decide_all"),
		bind: module.ExportedFunction("near_bind"),
	}
	m.at = uint32(call(t, module.ExportedFunction("near_in"))[0])
	index := 0
	for _, name := range p.Reads() {
		n := slices.IndexFunc(m.own, func(f edge.OwnField) bool { return f.Name == name })
		if n >= 0 {
			call(t, m.bind, uint64(index), uint64(m.builtin+n))
			index++
		}
	}
	return m
}

func call(t testing.TB, f api.Function, args ...uint64) []uint64 {
	t.Helper()
	results, err := f.Call(context.Background(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// see hands a visit to the module.
func (m *machine) see(v visit) {
	m.t.Helper()
	m.memory.Write(m.at, encodeVisit(v, m.own, m.builtin))
	call(m.t, m.visit)
}

// held returns the numbers of a slot's candidates that hold, and their scores.
func (m *machine) held(slot int) (numbers []int, scores map[int]int64) {
	m.t.Helper()
	at := uint32(call(m.t, m.decide, uint64(slot))[0])
	scores = make(map[int]int64)
	for n := range m.slots[slot].Candidates {
		bits, _ := m.memory.ReadUint64Le(at + uint32(n/64*8))
		if bits>>(n%64)&1 != 0 {
			score, _ := m.memory.ReadUint64Le(at + uint32(32+8*n))
			numbers = append(numbers, n)
			scores[n] = int64(score)
		}
	}
	return numbers, scores
}

// A verdict is what a condition is.
type verdict string

const (
	isTrue    verdict = "true"
	isFalse   verdict = "false"
	isNeither verdict = "neither"
)

// conditions is a document with two rules for each condition: one with it and one
// with its opposite.
func conditions(sources ...string) *edge.ReleaseDocument {
	doc := testDocument()
	for i, source := range sources {
		if i%8 == 0 {
			doc.Slots = append(doc.Slots, edge.SlotSpec{Name: "slot", Ladder: []edge.RungSpec{{}}})
		}
		rung := &doc.Slots[len(doc.Slots)-1].Ladder[0]
		show := []edge.ShowSpec{{Variant: "a"}}
		rung.Rules = append(rung.Rules, edge.RuleSpec{Name: "yes", When: source, Show: show}, edge.RuleSpec{Name: "no", When: "!(" + source + ")", Show: show})
	}
	doc.Slots = doc.Slots[1:]
	return doc
}

// verdicts tells the conditions of a document that conditions made.
func (m *machine) verdicts(v visit) []verdict {
	m.t.Helper()
	m.see(v)
	var out []verdict
	for i := range m.slots {
		numbers, _ := m.held(i)
		for n := 0; n < len(m.slots[i].Candidates); n += 2 {
			yes, no := slices.Contains(numbers, n), slices.Contains(numbers, n+1)
			switch {
			case yes && no:
				m.t.Fatalf("condition %d and its opposite hold", n/2)
			case yes:
				out = append(out, isTrue)
			case no:
				out = append(out, isFalse)
			default:
				out = append(out, isNeither)
			}
		}
	}
	return out
}
