// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"
	"net/url"
)

// A problem is what a page says of something that was not done.
type problem struct {
	Text string // in the page's language
	// Field is the form field at fault, possibly empty.
	Field string
	// Detail is in English and holds names and numbers; possibly empty.
	Detail string
}

// problemOf says in the page's language why something was not done. The desk's
// own words follow.
func (q *call) problemOf(err error) *problem {
	r := refusalOf(err)
	if key := "problem." + r.Code; q.language().has(key) {
		return &problem{q.say(key), r.Field, r.Message}
	}
	return &problem{q.say("problem.other"), r.Field, r.Message}
}

// refusePage answers with an error where a page was asked for. Whoever is not
// signed in is asked to, and comes back.
func (q *call) refusePage(r *refusal) error {
	if r.status == http.StatusUnauthorized {
		return q.askToSignIn()
	}
	p := q.newPage(q.say("problem.title"), nil)
	p.Status, p.Problem = r.status, q.problemOf(r)
	if r == errInternal {
		p.Problem.Detail = ""
	}
	return q.render("message", p)
}

// askToSignIn sends to the sign-in page. A browser that follows a link from
// elsewhere leaves a strict cookie out, so it is asked once more from here
// before its user is.
func (q *call) askToSignIn() error {
	if q.r.Method != http.MethodGet && q.r.Method != http.MethodHead {
		p := q.newPage(q.say("signin.title"), signInForm{})
		p.Status, p.Problem = http.StatusUnauthorized, &problem{Text: q.say("signin.over")}
		return q.render("signin", p)
	}
	if q.r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return q.render("again", q.newPage(q.say("signin.title"), nil))
	}
	link := pagePath + "/signin"
	if q.r.URL.Path != pagePath {
		link += "?next=" + url.QueryEscape(q.r.URL.Path)
	}
	return q.seeOther(link, "")
}
