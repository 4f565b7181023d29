// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"html"
	"strings"
	"time"
)

// MaxHiding is how long a slot's own content is hidden at most while the tag may
// still fill the slot, script or no script.
const MaxHiding = 800 * time.Millisecond

// hideSlots hides each slot until the tag marks it with data-near, and for
// MaxHiding at most. The animation takes no time and moves nothing, so it also
// ends where scripts are blocked and where motion is unwanted. near-slot gets a
// box of its own because an inline element cannot reserve its height.
const hideSlots = `near-slot{display:block}` +
	`near-slot:not([data-near]),[data-slot]:not([data-near]){animation:near 0s .8s both}` +
	`@keyframes near{0%{visibility:hidden}to{visibility:visible}}`

// queueCalls lets the page call near before the tag has come.
const queueCalls = `window.near=window.near||function(){(near.q=near.q||[]).push(arguments)}`

// SnippetOptions say what the snippet is for. Every value is escaped.
type SnippetOptions struct {
	// Src is the address of the tag, for example "/_near/tag.js". The collector
	// is looked for beside it.
	Src string
	// Site is the site's id.
	Site string
	// Policy is the page's consent policy: "strict", "uk" or "us-optout"; empty
	// means strict.
	Policy string
	// Nonce is put on every element for a Content-Security-Policy, empty for
	// none.
	Nonce string
	// Integrity is the hash that the script must have, empty for none. A script
	// that carries one can only be updated together with the page.
	Integrity string
	// Ask lets slots be asked for, without identifiers, before the visitor has
	// answered about consent.
	Ask bool
	// Why asks for explanations of each decision. WhyWords, which ask for them
	// too, are what stands on a control beside a slot's content by which visitors
	// ask why they see it: "Why this?". Only the everything build has it.
	Why      bool
	WhyWords string
	// Ecommerce has the everything build tell what the page's dataLayer says of
	// carts and purchases in GA4's form.
	Ecommerce bool
	// DebugKey is what ?near_debug= must be in a page's address for the debug
	// view to open in the everything build, empty for never. It is no secret:
	// the view shows a visitor's own data to the visitor.
	DebugKey string
}

// Snippet returns the HTML that a site's developer puts into the head of each
// page: a style that hides slots for a moment, a queue for early calls, and the
// tag itself. It ends in a line break.
func Snippet(o SnippetOptions) string {
	var b strings.Builder
	attr := func(name, value string) {
		if value != "" {
			b.WriteString(" " + name + `="` + html.EscapeString(value) + `"`)
		}
	}
	b.WriteString("<style")
	attr("nonce", o.Nonce)
	b.WriteString(">" + hideSlots + "</style>\n<script")
	attr("nonce", o.Nonce)
	b.WriteString(">" + queueCalls + "</script>\n<script async")
	attr("nonce", o.Nonce)
	attr("src", o.Src)
	attr("integrity", o.Integrity)
	if o.Integrity != "" {
		attr("crossorigin", "anonymous")
	}
	attr("data-site", o.Site)
	attr("data-policy", o.Policy)
	if o.Ask {
		b.WriteString(" data-ask")
	}
	if o.Why && o.WhyWords == "" {
		b.WriteString(" data-why")
	}
	attr("data-why", o.WhyWords)
	if o.Ecommerce {
		b.WriteString(" data-ecommerce")
	}
	attr("data-debug", o.DebugKey)
	b.WriteString("></script>\n")
	return b.String()
}
