// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nearside/nearside/edge/consent"
)

func TestAppendStringIsJSON(t *testing.T) {
	for _, s := range []string{"", "plain", `quo"te\`, "tab\tnewline\n\x00", "\u2028\u2029", "</script>", "héllo 漢字 مرحبا 😀", "broken \xff\xfe", "\xf0\x9f"} {
		raw := AppendString(nil, s)
		var got string
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Errorf("%q gives %s: %v", s, raw, err)
			continue
		}
		if want := string([]rune(s)); got != want {
			t.Errorf("%q came back as %q", s, got)
		}
	}
}

// FuzzMembers checks the walker against encoding/json on every valid object,
// and that it never panics on anything else.
func FuzzMembers(f *testing.F) {
	f.Add([]byte(`{"a":1,"b":"x\"}","c":{"d":[1,2,{"e":"}"}]},"f":[],"g":true ,"h":null}`))
	f.Add([]byte(`{"items":[{"item_id":"a"},{"item_id":"b"}]}`))
	f.Add([]byte(`{"a":`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got := map[string]json.RawMessage{}
		members(raw, func(key, value []byte) bool {
			elements(value, func([]byte) bool { return true })
			var k string
			if json.Unmarshal([]byte(`"`+string(key)+`"`), &k) == nil {
				got[k] = value
			}
			return true
		})
		var want map[string]json.RawMessage
		if json.Unmarshal(raw, &want) != nil || want == nil {
			return
		}
		if !maps.EqualFunc(got, want, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Fatalf("members of %s\n got %q\nwant %q", raw, got, want)
		}
	})
}

// FuzzMakeEvent checks that any valid props make a stored event that is valid
// JSON on one line.
func FuzzMakeEvent(f *testing.F) {
	f.Add([]byte(`{"value":1.5,"currency":"EUR","items":[{"item_id":"a"}],"x":"y"}`))
	f.Add([]byte(`{"value":"12.50","value":3,"items":{},"currency":7}`))
	f.Add([]byte(`{"value":1e400,"page_location":"https://a.b/?q=1"}`))
	release := &Release{doc: ReleaseDocument{Site: "shop", Number: 1}}
	engine := &Engine{node: "n1"}
	f.Fuzz(func(t *testing.T, props []byte) {
		var object map[string]json.RawMessage
		if json.Unmarshal(props, &object) != nil || object == nil {
			return
		}
		view := NewView(&Visit{}, Mask{}, consent.Measure)
		m := eventMaker{engine: engine, view: view, release: release, received: time.UnixMilli(1795305600000)}
		m.shared = m.appendShared(nil)
		stored := m.appendEvent(nil, &BeaconEvent{ID: "a.1", Name: "purchase", Props: props}, nil, m.received)
		if !json.Valid(stored) {
			t.Fatalf("props %s gave %s", props, stored)
		}
		for _, c := range stored {
			if c == '\n' || c == '\r' {
				t.Fatalf("the stored event has a line break: %q", stored)
			}
		}
	})
}

// FuzzAppendString checks that any text becomes JSON that reads as that text.
func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "plain", "\"\\\n\x00\x1f\x7f", "</script>", "\u2028\u2029\ufffd", "\xff\xfe ä 😀", "\xed\xa0\x80"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out := AppendString([]byte("x"), s)
		if out[0] != 'x' {
			t.Fatal("what was there is gone")
		}
		var got string
		if err := json.Unmarshal(out[1:], &got); err != nil {
			t.Fatalf("%q gives %q: %v", s, out, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); utf8.ValidString(s) && got != want {
			t.Errorf("%q gives %q, which reads %q", s, out, got)
		}
		if !utf8.ValidString(got) || strings.ContainsAny(string(out[1:]), "<\u2028\u2029\n") {
			t.Errorf("%q gives %q", s, out)
		}
	})
}
