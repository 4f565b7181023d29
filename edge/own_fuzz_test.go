// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzParseValue compares what is read without encoding/json with what that reads.
func FuzzParseValue(f *testing.F) {
	for _, seed := range []string{
		`0`, `-0`, `-0.0`, `00`, `1.`, `.5`, `-`, `-.5`, `1e3`, `9223372036854775807`, `9223372036854775808`, `0x10`, `1_000`, `inf`, `NaN`, `+1`, ` 1 `,
		`""`, `"a"`, `"é"`, "\"\xff\"", "\"\x01\"", `"a\u0041"`, `"a"b"`, `"`, `null`, `true`, `["a"]`, `49.90`, `179769313486231570000000000000000000000.5`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var n int64
		checkParsed(t, TypeInt, raw, json.Unmarshal(raw, &n) == nil, intValue(n))
		var number float64
		checkParsed(t, TypeFloat, raw, json.Unmarshal(raw, &number) == nil, floatValue(number))
		var text string
		ok := json.Unmarshal(raw, &text) == nil && len(text) <= maxOwnText
		checkParsed(t, TypeString, raw, ok, stringValue(text))
	})
}

func checkParsed(t *testing.T, typ Type, raw []byte, ok bool, want Value) {
	t.Helper()
	if !json.Valid(raw) {
		return // a decoder lets none through
	}
	if string(raw) == "null" || !ok {
		want = Value{}
	}
	if got := parseValue(typ, raw); !reflect.DeepEqual(got, want) {
		t.Errorf("%s %q is %+v, want %+v", typ, raw, got, want)
	}
}
