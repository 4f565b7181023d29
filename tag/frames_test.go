// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// grantAll grants every purpose, in a page of a frameSet.
var grantAll = `near("consent",{` + strings.Join(allPurposes, ":true,") + `:true});`

// A frameSet holds pages that one tab shows side by side in frames, each with a
// tag of its own. A test of many small cases saves a tab for each of them.
type frameSet struct{ html strings.Builder }

// count returns how many pages there are.
func (f *frameSet) count() int { return strings.Count(f.html.String(), "<iframe") }

// path returns the path of the i-th page.
func (f *frameSet) path(i int) string { return fmt.Sprintf("/frame%d", i) }

// add adds a page. Its script runs before the tag and may call near and gtag.
func (f *frameSet) add(s *shop, o SnippetOptions, script, body string) {
	path := f.path(f.count())
	s.page(path, o, `<script nonce=$>dataLayer=[];function gtag(){dataLayer.push(arguments)};
		near=function(){(near.q=near.q||[]).push(arguments)};`+script+`</script>`, body)
	fmt.Fprintf(&f.html, "<iframe src=%s></iframe>", path)
}

// open shows the pages and waits until each tag has started and consent
// platforms have had their time.
func (f *frameSet) open(t *testing.T, s *shop) *tab {
	t.Helper()
	b := openTab(t).open(s.page("/frames", SnippetOptions{}, `<script nonce=$>
		window.everyFrame = () => [...Array(frames.length).keys()].map(i => frames[i])</script>`, f.html.String()))
	b.waitFor(fmt.Sprintf(`frames.length == %d && everyFrame().every(frame => frame.%s && frame.document.readyState == "complete")`, f.count(), started))
	time.Sleep(700 * time.Millisecond)
	return b
}

// A foldCase is a page with signals of consent and what the tag makes of them.
type foldCase struct {
	name, policy, head string
	want               int // the purposes
	authority          string
}

// checkFolds opens a page of each case and checks the verdict of its tag, and under
// what each beacon was sent. sends says whether a case must send one.
func checkFolds(t *testing.T, script []byte, tests []foldCase, sends func(foldCase) bool) {
	t.Helper()
	s := newShop(t)
	s.script = script
	var frames frameSet
	for _, tt := range tests {
		frames.add(s, SnippetOptions{Policy: tt.policy}, tt.head, hero)
	}
	b := frames.open(t, s)
	settle()
	for i, tt := range tests {
		now := `frames[` + itoa(i) + `].__now()`
		if got := eval[string](b, now+`.granted + " " + `+now+`.authority`); got != itoa(tt.want)+" "+tt.authority {
			t.Errorf("%s: granted %s, want %d %s", tt.name, got, tt.want, tt.authority)
		}
		n := 0
		for _, sent := range s.sent() {
			if strings.HasSuffix(sent.Page.URL, frames.path(i)) {
				if n++; sent.Consent.Purposes != tt.want {
					t.Errorf("%s: sent under %d, want %d", tt.name, sent.Consent.Purposes, tt.want)
				}
			}
		}
		if (n > 0) != sends(tt) {
			t.Errorf("%s: %d beacons", tt.name, n)
		}
	}
}
