// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/edge/edgetest"
)

// ownVisit is a visit of a site whose own fields have these values.
func ownVisit(values ...edge.Value) (visit *edge.Visit, types []edge.Type) {
	visit = &edge.Visit{}
	for _, v := range values {
		visit.Own = append(visit.Own, edge.OwnValue{Value: v})
		types = append(types, v.Type)
	}
	return visit, types
}

func everything(own int) (mask edge.Mask) {
	for n := range edge.BuiltinFields + own {
		mask = mask.With(edge.FieldNumber(n))
	}
	return mask
}

func text(s string) edge.Value { return edge.Value{Type: edge.TypeString, Str: s} }

// typicalVisit is a returning visitor with a history, in France on a phone.
func typicalVisit() *edge.Visit {
	now := time.Date(2026, 11, 22, 9, 30, 0, 0, time.UTC)
	v := &edge.Visit{
		Now: now, Local: now.Add(time.Hour), Lang: "fr", Surface: "web", ViewportWidth: 400,
		Page:   edge.Page{Host: "shop.example", Path: "/hats/felt", Title: "Felt hats", Type: "category", Category: "hats", Tags: []string{"felt", "winter"}, Item: "sku-7"},
		Device: edge.Device{Type: "phone", Model: "Pixel 10", OSVersion: "17", Screen: "1080x2400", TimeZone: "Europe/Paris"},
		Place:  edge.Place{Country: "FR", Region: "ARA", City: "Lyon", Postcode: "69001", HasPoint: true, Lat: 45.76, Lon: 4.84},
		Ref:    edge.Ref{Host: "search.example", Class: "search"},
		Source: edge.Source{Channel: "ads", Campaign: "autumn", UTM: edge.UTM{Source: "search", Medium: "cpc", Campaign: "autumn", Term: "hat"}, ClickID: "c-123"},
		State:  &edge.State{Visits: 4, First: now.Add(-90 * 24 * time.Hour), Last: now, Started: now, PreviousLast: now.Add(-48 * time.Hour)},
	}
	v.Counts = []edge.Entry{{Key: "view_item/7d", Value: 3, Purpose: consent.Personalise}}
	for _, e := range []struct {
		name string
		item edge.ItemEvent
	}{
		{"view_item", edge.ItemEvent{Item: "sku-1", Category: "hats"}},
		{"view_item", edge.ItemEvent{Item: "sku-2", Category: "hats"}},
		{"view_item", edge.ItemEvent{Item: "sku-3", Category: "socks"}},
		{"add_to_cart", edge.ItemEvent{Item: "sku-2", Category: "hats", Quantity: 2, Price: 12.5}},
		{"purchase", edge.ItemEvent{Item: "sku-1", Category: "hats", Price: 30}},
		{"form_start", edge.ItemEvent{}},
	} {
		v.State.Learn(e.name, now, e.item)
	}
	return v
}

// checkRoundTrip encodes a view and compares what DecodeRecord reads with the
// view, field by field.
func checkRoundTrip(t *testing.T, v *edge.View, types []edge.Type) {
	t.Helper()
	record := encodeRecord(v, nil)
	if len(record) > MaxRecordBytes {
		t.Fatalf("record of %d bytes", len(record))
	}
	values, err := DecodeRecord(record, types)
	if err != nil {
		t.Fatal(err)
	}
	for n, got := range values {
		want := v.Value(edge.FieldNumber(n))
		if got.Known() && !sameValue(got, want) {
			t.Errorf("field %d is %+v, want %+v", n, got, want)
		}
		if !got.Known() && want.Known() && align8(len(record))+heapSize(want) <= MaxRecordBytes {
			t.Errorf("field %d is absent though it fits", n)
		}
	}
	if again := encodeRecord(v, nil); !bytes.Equal(again, record) {
		t.Error("the same view gave other bytes")
	}
	// A record that is appended must not depend on what stands before it.
	if after := encodeRecord(v, []byte("abc")); !bytes.Equal(after[3:], record) {
		t.Error("the same view gave other bytes behind others")
	}
}

// heapSize is what a value takes in the heap.
func heapSize(v edge.Value) int {
	n := len(v.Str) + len(v.List)*refBytes + len(v.Items)*itemBytes + len(v.Map)*entryBytes
	for _, s := range v.List {
		n += len(s)
	}
	for _, i := range v.Items {
		n += len(i.ID)
	}
	for _, e := range v.Map {
		n += len(e.Key)
	}
	return n
}

// sameValue compares what a record holds, where a NaN is one. Purposes are not
// in a record.
func sameValue(a, b edge.Value) bool {
	plain := func(v edge.Value) string {
		v.List, v.Items, v.Map = append([]string{}, v.List...), append([]edge.Item{}, v.Items...), append([]edge.Entry{}, v.Map...)
		for i := range v.Items {
			v.Items[i].Purpose = 0
		}
		for i := range v.Map {
			v.Map[i].Purpose = 0
		}
		return fmt.Sprintf("%#v", v)
	}
	return plain(a) == plain(b)
}

func TestATypicalVisitIsReadBackWhole(t *testing.T) {
	view := edgetest.View(typicalVisit(), everything(0), consent.All)
	checkRoundTrip(t, view, nil)
	values, err := DecodeRecord(encodeRecord(view, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	for n, f := range edge.Fields() {
		if f.Name == "utm.content" {
			continue // the one this visit does not have
		}
		if !values[n].Known() {
			t.Errorf("%s is absent", f.Name)
		}
	}
}

func TestWhatDoesNotFitIsAbsent(t *testing.T) {
	head := recordHeader + presenceBytes(edge.BuiltinFields+4) + (edge.BuiltinFields+4)*slotBytes
	room := MaxRecordBytes - head
	tests := []struct {
		name   string
		values []edge.Value
		want   string // one letter per own field: p present, a absent
	}{
		{"a text that fills the record to the last byte", []edge.Value{text(strings.Repeat("x", room)), text("y"), text("")}, "pap"},
		{"a text one byte too long", []edge.Value{text(strings.Repeat("x", room+1)), text("y")}, "ap"},
		{"a list that would fit without its references", []edge.Value{{Type: edge.TypeList, List: []string{strings.Repeat("x", room-7)}}, text("y")}, "ap"},
		{"a list that fits exactly", []edge.Value{{Type: edge.TypeList, List: []string{strings.Repeat("x", room-8)}}, {Type: edge.TypeInt}}, "pp"},
		{"a list that does not fit for its alignment", []edge.Value{text("1"), {Type: edge.TypeList, List: []string{strings.Repeat("x", room-9)}}}, "pa"},
		{"too many items", []edge.Value{{Type: edge.TypeItems, Items: make([]edge.Item, room/itemBytes+1)}, text("y")}, "ap"},
		{"too many entries", []edge.Value{{Type: edge.TypeMap, Map: make([]edge.Entry, room/entryBytes+1)}, text("y")}, "ap"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for len(tt.values) < 4 {
				tt.values = append(tt.values, edge.Value{})
			}
			visit, types := ownVisit(tt.values...)
			view := edgetest.View(visit, everything(4), 0)
			checkRoundTrip(t, view, types)
			values, err := DecodeRecord(encodeRecord(view, nil), types)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for i := range tt.want {
				got += map[bool]string{true: "p", false: "a"}[values[edge.BuiltinFields+i].Known()]
			}
			if got != tt.want {
				t.Errorf("presence %s, want %s", got, tt.want)
			}
		})
	}
}

func TestAListKnownToBeEmptyIsPresent(t *testing.T) {
	visit, types := ownVisit(text("x"), edge.Value{Type: edge.TypeList}, edge.Value{Type: edge.TypeItems}, edge.Value{Type: edge.TypeMap}, text("y"))
	view := edgetest.View(visit, everything(5), 0)
	checkRoundTrip(t, view, types)
	values, err := DecodeRecord(encodeRecord(view, nil), types)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, v := range values[edge.BuiltinFields:] {
		got += " " + string(v.AppendJSON(nil))
	}
	if want := ` "x" [] [] {} "y"`; got != want {
		t.Errorf("read back%s, want%s", got, want)
	}
}

func TestTheEmptyRecordIsThatOfAViewWithNothing(t *testing.T) {
	for _, own := range []int{0, 3, edge.MaxFields - edge.BuiltinFields} {
		visit, _ := ownVisit(make([]edge.Value, own)...)
		if got, want := emptyRecord(own), encodeRecord(edgetest.View(visit, edge.Mask{}, consent.All), nil); !bytes.Equal(got, want) {
			t.Errorf("with %d own fields:\n% x, want\n% x", own, got, want)
		}
	}
}

func TestDecodeRecordRefuses(t *testing.T) {
	visit, types := ownVisit(text("hello"), edge.Value{Type: edge.TypeList, List: []string{"a", "b"}})
	good := encodeRecord(edgetest.View(visit, everything(2), 0), nil)
	slot := recordHeader + presenceBytes(edge.BuiltinFields+2) + edge.BuiltinFields*slotBytes
	tests := []struct {
		name   string
		change func(b []byte) []byte
	}{
		{"nothing", func([]byte) []byte { return nil }},
		{"another magic", func(b []byte) []byte { b[0]++; return b }},
		{"another length", func(b []byte) []byte { b[4]++; return b }},
		{"another number of fields", func(b []byte) []byte { b[10]++; return b }},
		{"a reserved word that is used", func(b []byte) []byte { b[12]++; return b }},
		{"slots that are cut off", func(b []byte) []byte { b = b[:slot]; le.PutUint32(b[4:], uint32(len(b))); return b }},
		{"a presence bit without a field", func(b []byte) []byte { b[recordHeader+7] |= 0x80; return b }},
		{"an absent field with a slot", func(b []byte) []byte { b[slot-8]++; return b }},
		{"an offset before the heap", func(b []byte) []byte { le.PutUint32(b[slot:], 0); return b }},
		{"an offset behind the end", func(b []byte) []byte { le.PutUint32(b[slot:], 1<<31); return b }},
		{"a length over the end", func(b []byte) []byte { le.PutUint32(b[slot+4:], 1<<31); return b }},
		{"a count over the end", func(b []byte) []byte { le.PutUint32(b[slot+12:], 1<<32-1); return b }},
		{"a list that is not aligned", func(b []byte) []byte { b[slot+8]--; return b }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := DecodeRecord(tt.change(bytes.Clone(good)), types); err == nil {
				t.Error("it was read")
			}
		})
	}
	if _, err := DecodeRecord(good, types); err != nil {
		t.Errorf("the record before the change: %v", err)
	}
}

// A record of a time with fewer built-in fields, as a decision record may hold it,
// gives the same values; the site's own have other numbers by now.
func TestARecordFromBeforeTheLatestFieldsIsRead(t *testing.T) {
	visit, types := ownVisit(text("hello"), edge.Value{Type: edge.TypeInt, Int: -7})
	visit.Page.Path = "/hats"
	mask := everything(2)
	for n := edge.FirstBuiltinFields; n < edge.BuiltinFields; n++ {
		mask = mask.AndNot(edge.Mask{}.With(edge.FieldNumber(n)))
	}
	view := edgetest.View(visit, mask, 0)
	now := encodeRecord(view, nil)
	const gone = (edge.BuiltinFields - edge.FirstBuiltinFields) * slotBytes
	slots := recordHeader + presenceBytes(edge.BuiltinFields+2)
	before := slices.Concat(now[:slots+edge.FirstBuiltinFields*slotBytes], now[slots+edge.BuiltinFields*slotBytes:])
	le.PutUint32(before[4:], uint32(len(before)))
	le.PutUint16(before[8:], uint16(edge.FirstBuiltinFields))
	clear(before[recordHeader:slots])
	for _, n := range []int{int(edge.FieldPagePath), edge.FirstBuiltinFields, edge.FirstBuiltinFields + 1} {
		before[recordHeader+n>>3] |= 1 << (n & 7)
	}
	for _, n := range []int{int(edge.FieldPagePath), edge.FirstBuiltinFields} { // texts, which point into the heap
		at := before[slots+n*slotBytes:]
		le.PutUint32(at, le.Uint32(at)-uint32(gone))
	}
	want, err := DecodeRecord(now, types)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRecord(before, types)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("error %v, values %v, want %v", err, got, want)
	}
	if path, own := got[edge.FieldPagePath], got[edge.BuiltinFields:]; path.Str != "/hats" || own[0].Str != "hello" || own[1].Int != -7 {
		t.Errorf("path %v, own fields %v", path, own)
	}
	le.PutUint16(before[8:], uint16(edge.FirstBuiltinFields-1))
	if _, err := DecodeRecord(before, types); err == nil {
		t.Error("a record of fewer built-in fields than there ever were was read")
	}
}

func TestEncodeAllocs(t *testing.T) {
	view := edgetest.View(typicalVisit(), everything(0), consent.All)
	dst := make([]byte, 0, MaxRecordBytes)
	if got := testing.AllocsPerRun(100, func() { dst = encodeRecord(view, dst[:0]) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// FuzzRecord makes own fields of every type from the input and reads them back.
func FuzzRecord(f *testing.F) {
	f.Add("hello", int64(-1), 0.5, uint16(3))
	f.Add(strings.Repeat("x", MaxRecordBytes), int64(0), math.Inf(1), uint16(0xffff))
	f.Fuzz(func(t *testing.T, s string, n int64, x float64, pattern uint16) {
		var list []string
		var items []edge.Item
		var entries []edge.Entry
		for i := range int(pattern % 1024) {
			part := s[:min(len(s), i%64)]
			list = append(list, part)
			items = append(items, edge.Item{ID: part, Quantity: n, Price: x})
			entries = append(entries, edge.Entry{Key: part, Value: x})
		}
		visit, types := ownVisit(text(s), edge.Value{Type: edge.TypeInt, Int: n}, edge.Value{Type: edge.TypeFloat, Float: x},
			edge.Value{Type: edge.TypeItems, Items: items}, edge.Value{Type: edge.TypeList, List: list}, edge.Value{Type: edge.TypeMap, Map: entries})
		mask := everything(len(types))
		mask[0] &^= uint64(pattern) << edge.BuiltinFields // some of them refused
		checkRoundTrip(t, edgetest.View(visit, mask, 0), types)
	})
}

// FuzzDecodeRecord reads any bytes as a record.
func FuzzDecodeRecord(f *testing.F) {
	types := []edge.Type{edge.TypeString, edge.TypeList, edge.TypeItems, edge.TypeMap, edge.TypeInt}
	f.Add(emptyRecord(len(types)))
	visit, _ := ownVisit(text("hello"), edge.Value{Type: edge.TypeList, List: []string{"a", "b"}},
		edge.Value{Type: edge.TypeItems, Items: []edge.Item{{ID: "a"}}}, edge.Value{Type: edge.TypeMap, Map: []edge.Entry{{Key: "k"}}}, edge.Value{Type: edge.TypeInt})
	f.Add(encodeRecord(edgetest.View(visit, everything(5), 0), nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		values, err := DecodeRecord(b, types)
		if err == nil && len(values) != edge.BuiltinFields+len(types) {
			t.Errorf("%d values", len(values))
		}
	})
}
