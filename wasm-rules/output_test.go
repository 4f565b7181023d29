// SPDX-License-Identifier: Apache-2.0

package wasmrules

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/nearside/nearside/edge"
)

func entry(tag byte, content string) string {
	return string([]byte{tag, 0, byte(len(content)), byte(len(content) >> 8)}) + content
}

func output(entries ...string) []byte {
	all := strings.Join(entries, "")
	return append(le.AppendUint32(nil, uint32(len(all))), all...)
}

func TestParseOutput(t *testing.T) {
	tests := []struct {
		name    string
		give    []byte
		because string
		items   []edge.AnswerItem
		bad     bool
	}{
		{name: "an empty output says nothing", give: output()},
		{name: "bytes behind the length do not count", give: append(output(), "rest"...)},
		{name: "a reason", give: output(entry(1, "why")), because: "why"},
		{name: "an empty reason", give: output(entry(1, ""))},
		{name: "items with and without more", give: output(entry(2, "a"), entry(4, "text"), entry(3, "code"), entry(2, "b")),
			items: []edge.AnswerItem{{ID: "a", Reason: "code", Text: "text"}, {ID: "b"}}},
		{name: "a reason among items", give: output(entry(2, "a"), entry(1, "why"), entry(3, "code")),
			because: "why", items: []edge.AnswerItem{{ID: "a", Reason: "code"}}},
		{name: "unknown tags are skipped", give: output(entry(0, "x"), entry(5, "\xff"), entry(255, ""), entry(1, "why")), because: "why"},
		{name: "the longest output", give: output(entry(1, strings.Repeat("x", MaxOutputBytes-8))), because: strings.Repeat("x", MaxOutputBytes-8)},

		{name: "no length word", give: []byte{0, 0, 0}, bad: true},
		{name: "a length over the buffer", give: []byte{1, 0, 0, 0}, bad: true},
		{name: "a length over the limit", give: output(entry(1, strings.Repeat("x", MaxOutputBytes-7))), bad: true},
		{name: "a length that is negative", give: append([]byte{255, 255, 255, 255}, make([]byte, 1020)...), bad: true},
		{name: "a header that is cut off", give: output(entry(1, "why"), "\x02\x00\x00"), bad: true},
		{name: "an entry over the end", give: output("\x01\x00\x02\x00x"), bad: true},
		{name: "a reserved byte that is used", give: output("\x01\x01\x00\x00"), bad: true},
		{name: "a reserved byte of an unknown tag", give: output("\x09\x01\x00\x00"), bad: true},
		{name: "a reason that is not UTF-8", give: output(entry(1, "\xff")), bad: true},
		{name: "an item that is not UTF-8", give: output(entry(2, "a\xc3")), bad: true},
		{name: "two reasons", give: output(entry(1, "a"), entry(1, "b")), bad: true},
		{name: "an item without an id", give: output(entry(2, "")), bad: true},
		{name: "a reason code before any item", give: output(entry(3, "code")), bad: true},
		{name: "a text before any item", give: output(entry(4, "text")), bad: true},
		{name: "two reason codes for an item", give: output(entry(2, "a"), entry(3, "x"), entry(3, "y")), bad: true},
		{name: "two texts for an item", give: output(entry(2, "a"), entry(4, "x"), entry(4, "y")), bad: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			because, items, err := ParseOutput(tt.give)
			if tt.bad {
				if !errors.Is(err, ErrNonsense) || because != "" || items != nil {
					t.Errorf("got %q, %+v, %v, want ErrNonsense alone", because, items, err)
				}
				return
			}
			if err != nil || because != tt.because || !reflect.DeepEqual(items, tt.items) {
				t.Errorf("got %q, %+v, %v", because, items, err)
			}
		})
	}
}

func TestErrorsDoNotQuoteTheGuest(t *testing.T) {
	for _, give := range [][]byte{output(entry(1, "secret\xff")), output(entry(1, "secret"), entry(1, "secret")), output(entry(3, "secret"))} {
		if _, _, err := ParseOutput(give); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("the error for %q is %v", give, err)
		}
	}
}

func FuzzParseOutput(f *testing.F) {
	f.Add(output(entry(1, "why"), entry(2, "a"), entry(3, "code"), entry(4, "text"), entry(9, "x")))
	f.Add(output())
	f.Add([]byte{255, 255, 255, 255, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		because, items, err := ParseOutput(b)
		if err != nil {
			if !errors.Is(err, ErrNonsense) || because != "" || items != nil {
				t.Errorf("got %q, %+v, %v", because, items, err)
			}
			return
		}
		// What was read, written again, reads the same.
		again := []string{}
		if because != "" {
			again = append(again, entry(1, because))
		}
		for _, i := range items {
			again = append(again, entry(2, i.ID))
			if i.Reason != "" {
				again = append(again, entry(3, i.Reason))
			}
			if i.Text != "" {
				again = append(again, entry(4, i.Text))
			}
		}
		because2, items2, err := ParseOutput(output(again...))
		if err != nil || because2 != because || !reflect.DeepEqual(items2, items) {
			t.Errorf("%q, %+v was read again as %q, %+v, %v", because, items, because2, items2, err)
		}
		if !utf8.ValidString(because) || !bytes.Contains(b, []byte(because)) {
			t.Errorf("the reason %q is not UTF-8 out of the output", because)
		}
	})
}
