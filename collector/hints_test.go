// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strings"
	"testing"
)

func TestHintText(t *testing.T) {
	for give, want := range map[string]string{
		`"Pixel 11"`:            "Pixel 11",
		` "Pixel 11"  `:         "Pixel 11",
		`"Pixel";a;b=1;c="x;y"`: "Pixel",
		`"8\" tab"`:             `8" tab`,
		`"a\\b"`:                `a\b`,
		`""`:                    "",
		``:                      "",
		`Pixel`:                 "",
		`"Pixel`:                "",
		`"a\b"`:                 "",
		`"a\`:                   "",
		`"a" b`:                 "",
		`"a","b"`:               "",
		`"a",`:                  "",
		`"a";`:                  "",
		`"a";1=2`:               "",
		`"a";b=`:                "",
		"\"caf\u00e9\"":         "",
		"\"a\tb\"":              "",
		`"` + strings.Repeat("a", maxHintBytes) + `"`: "",
	} {
		if got := hintText(give); got != want {
			t.Errorf("hintText(%q) = %q, want %q", give, got, want)
		}
	}
}

func TestSystemVersion(t *testing.T) {
	for _, tt := range []struct{ platform, give, want string }{
		{"Windows", "19.0.0", "11"}, {"Windows", "13.0.0", "11"}, {"Windows", "100.0", "11"}, {"Windows", "10.0.0", "10"}, {"Windows", "1.0.0", "10"},
		{"Windows", "0.3.0", "8.1"}, {"Windows", "0.2.0", "8"}, {"Windows", "0.1.0", "7"}, {"Windows", "0.0.0", ""}, {"Windows", "0", ""},
		{"Android", "17.0.0", "17"}, {"Android", "8.1.0", "8.1"}, {"macOS", "26.1.0", "26.1"}, {"macOS", "10.15.7", "10.15.7"}, {"Chrome OS", "16002.51.0", "16002.51"},
		{"Linux", "6.8.0", "6.8"}, {"Windows", "eleven", ""}, {"Android", "17 beta", ""}, {"", ".0.0", ""},
	} {
		if got := systemVersion(tt.platform, tt.give); got != tt.want {
			t.Errorf("systemVersion(%q, %q) = %q, want %q", tt.platform, tt.give, got, tt.want)
		}
	}
}

func TestCutHintReadsAList(t *testing.T) {
	list := `"Not=A?Brand";v="24", "Chromium";v="156" ,	"Google Chrome";x=1;v="156"`
	var got []string
	for rest := list; rest != ""; {
		name, version, more, ok := cutHint(rest)
		if !ok {
			t.Fatalf("%q is refused", rest)
		}
		got = append(got, name+" "+version)
		rest = more
	}
	if strings.Join(got, "|") != "Not=A?Brand 24|Chromium 156|Google Chrome 156" {
		t.Errorf("%q", got)
	}
}

// FuzzHints checks that what is read of a hint is what a browser would have
// written, however it was written.
func FuzzHints(f *testing.F) {
	for _, hint := range []string{`"Pixel"`, `"a\"b";v=1`, `"a" , "b";c`, `"a";*="\\"`, `?1`, `"`} {
		f.Add(hint)
	}
	f.Fuzz(func(t *testing.T, hint string) {
		text := hintText(hint)
		if len(text) > maxHintBytes || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q gives %q", hint, text)
		}
		written := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
		if got := hintText(written); len(written) <= maxHintBytes && got != text {
			t.Errorf("%q gives %q, written %q it gives %q", hint, text, written, got)
		}
		for rest := hint; rest != ""; {
			_, _, more, ok := cutHint(rest)
			if ok && len(more) >= len(rest) {
				t.Fatalf("%q leaves %q", rest, more)
			}
			rest = more
		}
	})
}
