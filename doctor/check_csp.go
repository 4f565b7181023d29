// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// A blocking is one thing of the tag's that a policy stands against.
type blocking struct{ code, what, directive, from string }

// checkPolicies reads the page's Content-Security-Policies for what the tag needs,
// and says what the browser saw of them.
func (x *examination) checkPolicies() {
	policies := parsePolicies(x.page.header, x.page.doc.Metas)
	if x.tag == nil || x.src == nil {
		return
	}
	if len(policies) == 0 {
		x.find("csp-none", "the page has no Content-Security-Policy")
		return
	}
	var enforced, reported []blocking
	for i := range policies {
		found := x.blockings(&policies[i])
		if policies[i].isReport {
			reported = append(reported, found...)
		} else {
			enforced = append(enforced, found...)
		}
		if words, _, ok := policies[i].sources("sandbox"); ok && !policies[i].isReport && !hasKeyword(words, "allow-same-origin") {
			x.find("csp-sandbox", "the policy's sandbox takes the page's origin away")
		}
		if _, _, ok := policies[i].sources("require-trusted-types-for"); ok {
			x.find("csp-trusted-types", "the policy requires Trusted Types, which the tag works under: it makes no markup from text")
		}
	}
	enforced = x.seen(x.confirmed(enforced))
	for _, b := range enforced {
		x.find(b.code, fmt.Sprintf("%s of the policy (%s) blocks %s", b.directive, b.from, b.what), "directive", b.directive)
	}
	for _, b := range reported {
		x.find("csp-report-only", fmt.Sprintf("%s of a policy that only reports stands against %s", b.directive, b.what), "directive", b.directive)
	}
	if len(enforced) == 0 {
		x.find("csp-allows", "no policy of the page stands against the tag and its requests")
	}
	x.checkViolations()
}

// blockings are what a policy blocks of the tag.
func (x *examination) blockings(p *policy) []blocking {
	var found []blocking
	add := func(code, what, directive string) {
		if directive != "" {
			found = append(found, blocking{code, what, directive, p.from})
		}
	}
	add("csp-blocks-tag", x.src.String(), p.blocksScript(x.tag, x.src, x.page.url))
	add("csp-blocks-requests", x.endpoint("v1/beacon").String(), p.blocksConnect(x.endpoint("v1/beacon"), x.page.url))
	for i := range x.page.doc.Scripts {
		if s := &x.page.doc.Scripts[i]; s.Attrs["src"] == "" && isStub.MatchString(s.Text) {
			add("csp-blocks-stub", "the inline script that queues calls", p.blocksInline(scriptDirectives, s.Nonce, s.Text))
			break
		}
	}
	for _, s := range x.page.doc.Styles {
		add("csp-blocks-style", "the slots' inline style", p.blocksInline(styleDirectives, s.Nonce, s.Text))
	}
	return found
}

// confirmed leaves out what the browser did all the same: it knows which script
// added another, and what a long text hashes to.
func (x *examination) confirmed(found []blocking) []blocking {
	return slices.DeleteFunc(found, func(b blocking) bool {
		switch b.code {
		case "csp-blocks-tag":
			return x.page.doc.HasTag
		case "csp-blocks-requests":
			return slices.ContainsFunc(x.page.requests, func(r *request) bool { return r.status > 0 && x.isNodes(r.url) })
		case "csp-blocks-style":
			return x.page.inBrowser && x.page.doc.Styled
		case "csp-blocks-stub":
			return x.page.inBrowser && !slices.ContainsFunc(x.page.doc.Violations, func(v violation) bool {
				return v.Blocked == "inline" && strings.HasPrefix(v.Directive, "script-src")
			})
		}
		return false
	})
}

// seen adds what the browser blocked of the tag beside what could be told from the
// policies: a script that another one added, a policy of a frame or of a redirect.
func (x *examination) seen(found []blocking) []blocking {
	for _, v := range x.page.doc.Violations {
		b := blocking{directive: v.Directive, from: "browser", what: v.Blocked}
		switch {
		case v.IsReport:
			continue
		case v.Blocked == x.src.String():
			b.code = "csp-blocks-tag"
		case x.isNodes(v.Blocked):
			b.code = "csp-blocks-requests"
		default:
			continue
		}
		if !slices.ContainsFunc(found, func(known blocking) bool { return known.code == b.code }) {
			found = append(found, b)
		}
	}
	return found
}

// checkViolations tells what the browser blocked on the page.
func (x *examination) checkViolations() {
	var others []string
	blocked := 0
	for _, v := range x.page.doc.Violations {
		if v.IsReport {
			continue
		}
		blocked++
		what := v.Directive + " " + v.Blocked
		if u, err := url.Parse(v.Blocked); err == nil && u.Host != "" {
			what = v.Directive + " " + originOf(u)
		}
		if !slices.Contains(others, what) && len(others) < 10 {
			others = append(others, what)
		}
	}
	if len(others) > 0 {
		x.find("csp-violations", fmt.Sprintf("the browser blocked %s: %s", counted(blocked, "thing"), strings.Join(others, ", ")))
	}
}
