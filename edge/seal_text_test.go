// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"
)

// What is sealed has one text: another one of the same bytes, which encoding/base64
// would read as well, does not open.
func TestASealedTextHasOneForm(t *testing.T) {
	sealer, now := testSealer(t), time.Now()
	opens := func(text string) bool {
		_, err := sealer.OpenState("shop", text)
		return err == nil
	}
	var sealed string
	for _, id := range []string{"a", "ab", "abc"} { // one of them leaves bits over
		sealed = sealer.SealState("shop", &State{First: now, Last: now, History: History{Items: []StateItem{{ID: id, Bought: 7}}}})
		if !opens(sealed) {
			t.Fatalf("%d characters do not open", len(sealed))
		}
		last := len(sealed) - 1
		for i := range textAlphabet {
			if other := sealed[:last] + textAlphabet[i:i+1]; other != sealed && opens(other) {
				t.Errorf("%d characters open with another one at their end", len(sealed))
			}
		}
	}
	for _, other := range []string{sealed + "\n", "\n" + sealed, sealed[:40] + "\r\n" + sealed[40:], sealed + "=", sealed + "A"} {
		if opens(other) {
			t.Errorf("opened with %q in it", strings.Trim(other, textAlphabet))
		}
	}
}

// FuzzSealText compares both directions with encoding/base64: bytes become the same
// text and come back, and any text is read or refused alike, but that line ends are
// refused. What is read fits exactly, and what does not fit is refused.
func FuzzSealText(f *testing.F) {
	for n := range 20 {
		f.Add(bytes.Repeat([]byte{0xfb, 0xef, 7}, n)[:2*n])
		f.Add([]byte(strings.Repeat("-_aZ09", n)[:n]))
	}
	f.Add([]byte("AAAAAAAA\nAAAAAAA"))
	f.Add([]byte("AAAAAAAAAAA="))
	f.Add([]byte("AAAAAAAAAAAAAAAAB"))
	strict := base64.RawURLEncoding.Strict()
	f.Fuzz(func(t *testing.T, b []byte) {
		text := string(appendSealText([]byte("x"), b))
		if want := "x" + strict.EncodeToString(b); text != want {
			t.Fatalf("%x is written %s, want %s", b, text, want)
		}
		back := make([]byte, len(b))
		if n, ok := readSealText(back, text[1:]); !ok || n != len(b) || !bytes.Equal(back, b) {
			t.Fatalf("%s came back as %x, want %x", text[1:], back[:n], b)
		}
		want, err := strict.DecodeString(string(b))
		isText := err == nil && !bytes.ContainsAny(b, "\r\n")
		for _, room := range []int{len(want), len(want) + 7, len(want) + 20} {
			got := make([]byte, room)
			if n, ok := readSealText(got, string(b)); ok != isText || ok && !bytes.Equal(got[:n], want) {
				t.Fatalf("%q in %d bytes: read %t as %x, want %t, %x", b, room, ok, got[:n], isText, want)
			}
		}
		if len(want) > 0 && isText {
			if _, ok := readSealText(make([]byte, len(want)-1), string(b)); ok {
				t.Fatalf("%q fits %d bytes", b, len(want)-1)
			}
		}
	})
}
