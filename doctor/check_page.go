// SPDX-License-Identifier: Apache-2.0

package doctor

import "fmt"

// checkPage says how the page was reached. Where there is none to look at, the
// finding is the page's problem and nothing else is checked.
func (x *examination) checkPage() {
	p := x.page
	if p.problem == "" {
		switch {
		case p.download || isAttachment(p.header):
			x.find("page-download", "the address is a file to download and not a page")
			p.problem = "download"
		case !isHTML(p.kind):
			x.find("page-not-html", fmt.Sprintf("the address answers %d with content of type %q", p.status, line(p.kind)))
			p.problem = "not HTML"
		case p.status >= 400:
			x.find("page-status", fmt.Sprintf("%s answers %d", p.url, p.status))
		default:
			x.find("page-opened", fmt.Sprintf("%s answers %d", p.url, p.status))
		}
	} else {
		x.find("page-unreachable", fmt.Sprintf("%s: %s", p.url, p.problem), "url", p.url.String())
	}
	if p.hops > 0 && p.problem == "" {
		x.find("page-redirected", fmt.Sprintf("%s, ending at %s", counted(p.hops, "redirect"), p.url))
	}
	switch {
	case p.loops:
		x.find("page-loops", fmt.Sprintf("the page was left %s, and was stopped", counted(p.moves, "time")))
	case p.moves > 0:
		x.find("page-left", fmt.Sprintf("the page went on by itself %s; this is about the last, %s", counted(p.moves, "time"), p.url))
	}
	if p.isTooLong {
		x.find("page-too-large", "the page is larger than what is read of it")
	}
	switch {
	case !p.isSlow || p.isTooLong || p.loops:
	case p.inBrowser:
		x.find("page-slow", fmt.Sprintf("the page was not loaded within %v", x.options.Timeout))
	default:
		x.find("page-slow", fmt.Sprintf("the page's HTML did not come whole within %v, or its connection broke", x.options.Timeout))
	}
	if p.dialogs > 0 {
		x.find("page-dialogs", fmt.Sprintf("the page opened %s, each was dismissed", counted(p.dialogs, "dialog")))
	}
}

// counted is a number of things in words.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
