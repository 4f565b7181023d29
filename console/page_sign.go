// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"
	"strings"

	"github.com/nearside/nearside/publishing"
)

// A signInForm is what the sign-in page shows.
type signInForm struct {
	Next string // where to go then
}

// signInPage answers GET /console/signin.
func (c *Console) signInPage(q *call) error {
	next := safeNext(q.r.URL.Query().Get("next"))
	if c.bySession(q) == nil {
		return q.seeOther(next, "")
	}
	q.actor = publishing.Actor{}
	p := q.newPage(q.say("signin.title"), signInForm{next})
	return q.render("signin", p)
}

// signIn answers POST /console/signin.
func (c *Console) signIn(q *call) error {
	if err := q.form(); err != nil {
		return err
	}
	next := safeNext(q.r.PostFormValue("next"))
	token, err := c.options.Desk.Authenticate(q.ctx(), strings.TrimSpace(q.r.PostFormValue("token")))
	if err == nil && token.Actor.Role < publishing.Viewer {
		err = errNoCredentials // a server's: there is nothing here for it
	}
	if err != nil {
		p := q.newPage(q.say("signin.title"), signInForm{next})
		p.Status = refusalOf(err).status
		p.Problem = q.problemOf(err)
		if p.Status == http.StatusUnauthorized {
			p.Problem = &problem{Text: q.say("signin.wrong"), Field: "token"}
		}
		return q.render("signin", p)
	}
	c.sessions.end(q.session())
	q.setSession(c.sessions.begin(token.ID, c.options.Now()))
	return q.seeOther(next, "")
}

// signOut answers POST /console/signout.
func (c *Console) signOut(q *call) error {
	c.sessions.end(q.session())
	q.setSession("")
	return q.seeOther(pagePath+"/signin", "signout")
}

// safeNext returns where to go after signing in: a page of ours, never
// somebody else's.
func safeNext(next string) string {
	if !isPage(next) || strings.ContainsAny(next, "\\?#\r\n") || strings.HasPrefix(next, pagePath+"/sign") {
		return pagePath
	}
	return next
}

// form reads a posted form.
func (q *call) form() error {
	if err := q.r.ParseForm(); err != nil {
		return unread(err)
	}
	q.arrived()
	return nil
}

// sitesPage answers GET /console: whoever sees one site goes there.
func (c *Console) sitesPage(q *call) error {
	sites, err := q.desk().Sites(q.ctx(), q.actor)
	if err != nil {
		return err
	}
	if len(sites) == 1 {
		return q.seeOther(siteLink(sites[0]), "")
	}
	type row struct {
		Site    string
		Status  *publishing.Status
		Modules []string
	}
	var rows []row
	for _, site := range sites {
		status, err := q.desk().Status(q.ctx(), q.actor, site)
		if err != nil {
			return err
		}
		rows = append(rows, row{site, status, modulesIn(status)})
	}
	return q.render("sites", q.newPage(q.say("sites.title"), rows))
}
