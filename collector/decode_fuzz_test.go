// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

func FuzzDecodeBeacon(f *testing.F) {
	for _, file := range caseFiles(f, "testdata/beacons/accepted/*.json") {
		var c acceptedCase
		readCase(f, file, &c)
		f.Add([]byte(c.Text))
	}
	for _, file := range caseFiles(f, "testdata/beacons/refused/*.json") {
		var c refusedCase
		readCase(f, file, &c)
		f.Add([]byte(c.Text))
	}
	f.Add(typicalBeacon(f))
	var usedDecoder Decoder
	var used edge.Beacon
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		var d Decoder
		var b edge.Beacon
		err := d.DecodeBeacon(body, &b)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		// What the body before left in memory is not in this one's beacon.
		errUsed := usedDecoder.DecodeBeacon(body, &used)
		if got, want := fmt.Sprintf("%+v %v %v", used, errUsed, usedDecoder.passedOver()), fmt.Sprintf("%+v %v %v", b, err, d.passedOver()); got != want {
			t.Fatalf("in used memory it reads as\n%s, in new as\n%s", got, want)
		}
		checkVerdict(t, body, err)
		if err != nil {
			return
		}
		checkLimits(t, &b, d.Rejected())
		checkPassed(t, d.passedOver())
		// Who has one hand is refused what a page is passed over.
		var strict Decoder
		var b3 edge.Beacon
		var a ask
		if err := strict.decodeDecide(body, &b3, &a); len(strict.passedOver()) > 0 || err == nil && len(d.passedOver()) > 0 {
			t.Fatalf("a server is passed over %v, a page %v", strict.passedOver(), d.passedOver())
		}

		// What was read says the same when it is written again.
		again := mustJSON(t, wireOf(&b))
		var second Decoder
		var b2 edge.Beacon
		if err := second.DecodeBeacon([]byte(again), &b2); err != nil {
			t.Fatalf("its own spelling is refused: %v\n%s", err, again)
		}
		if got := mustJSON(t, wireOf(&b2)); got != again || len(second.passedOver()) > 0 {
			t.Fatalf("read again it says\n%s\nnot\n%s, without %v", got, again, second.passedOver())
		}
	})
}

// FuzzSkip compares the scanner with encoding/json on one value.
func FuzzSkip(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `""`, `0`, `-0.0e-0`, `null`, `[[[[[[[[]]]]]]]]`, `[[[[[[[[[]]]]]]]]]`, `{"a":[1,{"b":"\ud83d\ude00"}]}`,
		"\"\xff\"", `"\u00zz"`, `1.`, `01`, `[1,]`, `{"a"}`, ` 1 `, "\x001", "\"12345678\x00\"", `"1234567\"89"`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var s scanner
		s.reset(text)
		s.skip()
		got := s.end()
		want := faultNone
		if !json.Valid(text) || !utf8.Valid(text) {
			want = faultJSON
		}
		if got == faultDeep && depthOf(text) > edge.MaxDepth {
			return // nothing is said of what stands behind
		}
		if got != want {
			t.Errorf("fault %d, want %d for %q", got, want, text)
		}
	})
}

// depthOf counts how deep brackets stand outside strings.
func depthOf(text []byte) int {
	depth, deepest, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}

// passable are the parts that a beacon may lose alone, by their wire paths.
var passable = regexp.MustCompile(`^(page\.(title|type|category|item|lang|tags(\[\d+\])?)|slots\[\d+\](\.(name|limit|item))?)$`)

// checkPassed holds what is said of the parts that were passed over to what may be:
// nothing of it is the body's own words.
func checkPassed(t *testing.T, passed []DecodeError) {
	t.Helper()
	if len(passed) > maxPassed {
		t.Errorf("%d parts are passed over, at most %d", len(passed), maxPassed)
	}
	for i := range passed {
		switch e := &passed[i]; {
		case !passable.MatchString(e.Field):
			t.Errorf("passed over %q", e.Field)
		case !slices.Contains([]string{"wrong_type", "too_long", "too_many", "bad_value", "missing"}, e.Code):
			t.Errorf("%s is passed over as %s", e.Field, e.Code)
		}
	}
}

func checkLimits(t *testing.T, b *edge.Beacon, rejected []edge.Rejection) {
	t.Helper()
	atMost := func(name string, n, most int) {
		if n > most {
			t.Errorf("%s: %d, at most %d", name, n, most)
		}
	}
	atMost("site", len(b.Site), edge.MaxSiteBytes)
	atMost("page id", len(b.Page.ID), edge.MaxIDBytes)
	atMost("url", len(b.Page.URL), edge.MaxURLBytes)
	atMost("ref", len(b.Page.Ref), edge.MaxURLBytes)
	atMost("title", len(b.Page.Title), edge.MaxTitleBytes)
	for _, word := range []string{b.Page.Type, b.Page.Category, b.Page.Item} {
		atMost("word", len(word), edge.MaxWordBytes)
	}
	atMost("tags", len(b.Page.Tags), edge.MaxTags)
	for _, tag := range b.Page.Tags {
		atMost("tag", len(tag), edge.MaxTagBytes)
	}
	atMost("langs", len(b.Client.Langs), edge.MaxLangs)
	for _, lang := range append(b.Client.Langs, b.Page.Lang) {
		atMost("lang", len(lang), edge.MaxLangBytes)
	}
	atMost("tcf", len(b.Consent.TCF), consent.MaxTCFBytes)
	atMost("gpp", len(b.Consent.GPP), consent.MaxGPPBytes)
	atMost("sections", len(b.Consent.GPPSections), consent.MaxGPPSections)
	atMost("state", len(b.State), edge.MaxStateBytes)
	atMost("slots", len(b.Slots), edge.MaxSlots)
	atMost("shown", len(b.Shown), edge.MaxBeaconShown)
	for _, id := range b.Shown {
		atMost("shown id", len(id), edge.MaxStateBytes)
	}
	for _, slot := range b.Slots {
		atMost("slot", len(slot.Name), edge.MaxNameBytes)
		atMost("slot item", len(slot.Item), edge.MaxWordBytes)
		atMost("slot limit", slot.Limit, maxSlotLimit)
		if slot.Name == "" || strings.Trim(slot.Name, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("slot %q", slot.Name)
		}
	}
	atMost("events", len(b.Events), edge.MaxEvents)
	atMost("rejected", len(rejected), edge.MaxEvents+maxRefusedEvents)
	for _, r := range rejected {
		atMost("rejected id", len(r.ID), edge.MaxIDBytes)
	}
	for _, e := range b.Events {
		atMost("event id", len(e.ID), edge.MaxIDBytes)
		atMost("event name", len(e.Name), edge.MaxNameBytes)
		atMost("props", len(e.Props), edge.MaxPropsBytes)
		atMost("depth of props", depthOf(e.Props), edge.MaxPropsDepth)
		var props map[string]any
		if e.Props == nil {
			continue
		}
		if err := json.Unmarshal(e.Props, &props); err != nil {
			t.Errorf("props %q: %v", e.Props, err)
		}
		atMost("members of props", len(props), edge.MaxProps)
		if bytes.ContainsAny(e.Props, "\r\n") {
			t.Errorf("props of more than one line: %q", e.Props)
		}
	}
}

func TestPropsKeepTheirSpelling(t *testing.T) {
	tests := []struct{ name, give, want string }{
		{"numbers and escapes are the client's", `{"b":1.50,"a":"\u00e9<","n":1e2}`, `{"b":1.50,"a":"\u00e9<","n":1e2}`},
		{"line breaks between tokens become spaces", "{\n\t\"a\":\r\n[1,\n2]}", "{ \t\"a\":  [1, 2]}"},
		{"line breaks within strings are escapes and stay", `{"a":"\n\r"}`, `{"a":"\n\r"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d Decoder
			var b edge.Beacon
			body := `{"v":1,"site":"demo","events":[{"id":"e","name":"x","at":1,"props":` + tt.give + `}]}`
			if err := d.DecodeBeacon([]byte(body), &b); err != nil || len(b.Events) != 1 {
				t.Fatalf("error %v, rejected %v", err, d.Rejected())
			}
			if got := string(b.Events[0].Props); got != tt.want {
				t.Errorf("props %q, want %q", got, tt.want)
			}
		})
	}
}

func TestPropsLimits(t *testing.T) {
	many := func(n int) string {
		return "{" + strings.TrimSuffix(strings.Repeat(`"a":null,`, n), ",") + "}"
	}
	long := func(n int) string { return `{"a":"` + strings.Repeat("a", n-8) + `"}` }
	tests := []struct {
		name, props string
		ok          bool
	}{
		{"64 members", many(edge.MaxProps), true},
		{"65 members, null or not", many(edge.MaxProps + 1), false},
		{"8 KiB", long(edge.MaxPropsBytes), true},
		{"a byte more", long(edge.MaxPropsBytes + 1), false},
		{"three levels", `{"items":[{"a":1}]}`, true},
		{"four levels", `{"items":[{"a":[]}]}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d Decoder
			var b edge.Beacon
			body := `{"v":1,"site":"demo","events":[{"id":"e","name":"x","at":1,"props":` + tt.props + `}]}`
			if err := d.DecodeBeacon([]byte(body), &b); err != nil {
				t.Fatal(err)
			}
			if got := len(b.Events) == 1; got != tt.ok {
				t.Errorf("accepted %v, want %v; rejected %v", got, tt.ok, d.Rejected())
			}
		})
	}
}

// typicalBeacon is what a page view with two slots sends: about 720 bytes.
func typicalBeacon(t testing.TB) []byte {
	t.Helper()
	return []byte(`{"v":1,"site":"demo","page":{"id":"p7QmX2cK9aLw","url":"https://shop.example/hats/felt?utm_source=news&utm_medium=email&utm_campaign=autumn",` +
		`"ref":"https://www.google.com/","title":"Felt hats for the autumn – Shop","type":"category","category":"hats","tags":["felt","autumn"],"lang":"fr"},` +
		`"consent":{"purposes":31,"policy":"strict","owner":{"granted":31,"refused":0},"gpc":false},"sent":1795305600000,` +
		`"events":[{"id":"p7QmX2cK9aLw.0","name":"page_view","at":1795305599100,"props":{}},{"id":"p7QmX2cK9aLw.1","name":"view_item_list","at":1795305599420,` +
		`"props":{"item_list_id":"hats","items":[{"item_id":"sku-1","price":39.9}]}}],"client":{"langs":["fr-FR","fr","en"],"viewport":[1200,800]},` +
		`"slots":["hero",{"name":"also-like","limit":6}]}`)
}

func TestDecodeAllocs(t *testing.T) {
	for name, body := range map[string][]byte{
		"typical": typicalBeacon(t),
		"escapes": []byte(`{"v":1,"site":"demo","page":{"title":"\u00e9\/","tags":["\u0041"]},"events":[{"id":"a b","name":"x","at":1},{"id":"e","name":"x","at":1,"props":{` + "\n" + `}}]}`),
	} {
		var d Decoder
		var b edge.Beacon
		decode := func() {
			if err := d.DecodeBeacon(body, &b); err != nil {
				t.Fatal(err)
			}
		}
		decode() // the slices grow once
		if n := testing.AllocsPerRun(200, decode); n != 0 {
			t.Errorf("%s: %.1f allocations, want 0", name, n)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	body := typicalBeacon(b)
	var d Decoder
	var beacon edge.Beacon
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.DecodeBeacon(body, &beacon); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeStandard is the same with encoding/json, without limits.
func BenchmarkDecodeStandard(b *testing.B) {
	body := typicalBeacon(b)
	type looseSlots struct {
		wireBeacon
		Slots []json.RawMessage `json:"slots"`
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		var w looseSlots
		if err := json.Unmarshal(body, &w); err != nil {
			b.Fatal(err)
		}
	}
}

// checkVerdict holds a decoder's error to what it may say of a body.
func checkVerdict(t *testing.T, body []byte, err error) {
	t.Helper()
	isJSON := json.Valid(body) && utf8.Valid(body)
	if err == nil {
		if !isJSON {
			t.Fatalf("accepted what is not JSON: %q", body)
		}
		return
	}
	var decode *DecodeError
	if !errors.As(err, &decode) || decode.Code == "" {
		t.Fatalf("%v is no *DecodeError", err)
	}
	if decode.Code == "bad_json" && isJSON {
		t.Fatalf("refused as bad JSON, which it is not: %q", body)
	}
}
