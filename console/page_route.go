// SPDX-License-Identifier: Apache-2.0

package console

import (
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// Limits of the page's forms.
const (
	maxFormBytes = 256 << 10
	// maxUploadBytes is a module, its signature and what a form puts around them.
	maxUploadBytes = edge.MaxModuleBytes + edge.MaxSignatureBytes + 64<<10
)

// pageTable lists the page's routes. They answer with HTML and are on TCP alone:
// a browser does not reach the socket.
func (c *Console) pageTable() []route {
	const (
		viewer, editor      = publishing.Viewer, publishing.Editor
		approver, publisher = publishing.Approver, publishing.Publisher

		site   = pagePath + "/sites/{site}"
		module = site + "/modules/{name}/{version}"
		slot   = site + "/slots/{slot}"
	)
	return []route{
		{"GET", "/{$}", none, anywhere, noBody, "goes to the page", c.start},
		{"GET", pagePath + "/{$}", none, anywhere, noBody, "goes to the page", c.start},
		{"GET", pagePath + "/asset/{name}", none, anywhere, noBody, "style, script, pictures", c.asset},
		{"GET", pagePath + "/signin", none, anywhere, noBody, "asks for a token", c.signInPage},
		{"POST", pagePath + "/signin", none, anywhere, maxFormBytes, "begins a session", c.signIn},
		{"POST", pagePath + "/signout", none, anywhere, noBody, "ends the session", c.signOut},

		{"GET", pagePath, viewer, anywhere, noBody, "the sites", c.sitesPage},
		{"GET", site, viewer, atSite, noBody, "what is live, and counts", c.sitePage},
		{"GET", site + "/modules", viewer, atSite, noBody, "the site's modules", c.modulesPage},
		{"POST", site + "/modules", editor, atSite, maxUploadBytes, "checks a module and brings it to the site", c.uploadPage},
		{"GET", module, viewer, atSite, noBody, "a module in plain words", c.modulePage},
		{"POST", module + "/preview", editor, atSite, maxFormBytes, "makes a preview's link", c.previewPage},
		{"POST", module + "/shadow", publisher, atSite, maxFormBytes, "compares silently", c.shadowPage},
		{"POST", module + "/publish", publisher, atSite, maxFormBytes, "asks, then publishes", c.publishPage},
		{"GET", slot, viewer, atSite, noBody, "a slot's fallback levels and comparison", c.slotPage},
		{"POST", slot + "/rollout", publisher, atSite, maxFormBytes, "changes a share", c.rolloutPage},
		{"POST", slot + "/remove", publisher, atSite, maxFormBytes, "asks, then removes a module", c.removePage},
		{"GET", site + "/rules", viewer, atSite, noBody, "the rules as they are written", c.rulesPage},
		{"GET", site + "/rules/explain", viewer, atSite, noBody, "asks for a sample visit", c.explainPage},
		{"POST", site + "/rules/explain", viewer, atSite, maxFormBytes, "explains a sample visit", c.explainForm},
		{"GET", site + "/rollback", publisher, atSite, noBody, "asks about a rollback", c.rollbackPage},
		{"POST", site + "/rollback", publisher, atSite, maxFormBytes, "rolls back", c.rollBack},
		{"GET", site + "/proposals", viewer, atSite, noBody, "changes that wait", c.proposalsPage},
		{"POST", site + "/proposals/{id}/approve", approver, atSite, noBody, "approves", c.approvePage},
		{"POST", site + "/proposals/{id}/reject", approver, atSite, maxFormBytes, "rejects", c.rejectPage},
		{"GET", site + "/history", viewer, atSite, noBody, "the releases", c.historyPage},
		{"GET", site + "/audit", viewer, atSite, noBody, "who did what", c.auditPage},
	}
}

// start answers GET / and GET /console/.
func (c *Console) start(q *call) error { return q.seeOther(pagePath, "") }
