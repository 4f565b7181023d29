// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func TestSnippet(t *testing.T) {
	tests := []struct {
		name string
		give SnippetOptions
		want []string
		not  []string
	}{
		{
			name: "a strict page needs only the address and the site",
			give: SnippetOptions{Src: "/_near/tag.js", Site: "demo"},
			want: []string{`<style>`, `<script async src="/_near/tag.js" data-site="demo"></script>`},
			not:  []string{"nonce", "integrity", "data-policy", "data-ask", "data-why", "data-ecommerce", "data-debug"},
		},
		{
			name: "every element carries the nonce",
			give: SnippetOptions{Src: "/t.js", Site: "demo", Nonce: "abc"},
			want: []string{`<style nonce="abc">`, `<script nonce="abc">`, `<script async nonce="abc" src="/t.js"`},
		},
		{
			name: "settings become attributes",
			give: SnippetOptions{Src: "/t.js", Site: "demo", Policy: "us-optout", Ask: true, Why: true},
			want: []string{`data-policy="us-optout" data-ask data-why></script>`},
		},
		{
			name: "the everything build's settings become attributes",
			give: SnippetOptions{Src: "/t.js", Site: "demo", Why: true, WhyWords: "Why this?", Ecommerce: true, DebugKey: "k7"},
			want: []string{`data-site="demo" data-why="Why this?" data-ecommerce data-debug="k7"></script>`},
		},
		{
			name: "a hash comes with an anonymous request",
			give: SnippetOptions{Src: "https://near.example/t.js", Site: "demo", Integrity: "sha384-x"},
			want: []string{`integrity="sha384-x" crossorigin="anonymous"`},
		},
		{
			name: "values cannot leave their attribute",
			give: SnippetOptions{Src: `"><script>alert(1)</script>`, Site: `x" onload="y`},
			want: []string{`data-site="x&#34; onload=&#34;y"`},
			not:  []string{"<script>alert", `onload="y`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Snippet(tt.give)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("the snippet lacks %q:\n%s", want, got)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(got, not) {
					t.Errorf("the snippet must not have %q:\n%s", not, got)
				}
			}
			if lines := strings.Count(got, "\n"); lines != 3 {
				t.Errorf("the snippet has %d lines, want 3", lines)
			}
		})
	}
}

func TestTheQueueIsSmallAndTheHidingEnds(t *testing.T) {
	if len(queueCalls) > 100 {
		t.Errorf("the queue takes %d B, want at most 100", len(queueCalls))
	}
	if delay := fmt.Sprintf("near 0s %s both", strings.TrimPrefix(fmt.Sprintf("%gs", MaxHiding.Seconds()), "0")); !strings.Contains(hideSlots, delay) {
		t.Errorf("the style %q does not end the hiding after %v", hideSlots, MaxHiding)
	}
}

func TestIntegrity(t *testing.T) {
	// The example of https://www.w3.org/TR/SRI/ section 3.1.
	const want = "sha384-H8BRh8j48O9oYatfu5AZzq6A9RINhZO5H16dQZngK7T62em8MUt1FLm52t+eX6xO"
	if got := Integrity([]byte("alert('Hello, world.');")); got != want {
		t.Errorf("Integrity = %s, want %s", got, want)
	}
	sum := sha512.Sum384(Script)
	if got := Integrity(Script); got != "sha384-"+base64.StdEncoding.EncodeToString(sum[:]) {
		t.Errorf("Integrity(Script) = %s", got)
	}
}
