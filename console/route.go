// SPDX-License-Identifier: Apache-2.0

package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// A scope is where a route's role must count.
type scope uint8

const (
	anywhere   scope = iota // at one site at least; the answer is of the sites that the actor sees
	atSite                  // at the site that the path names
	atQuery                 // at the site that the query names, at every site if it names none
	everywhere              // at every site
)

// none is the role of a route that anybody may call.
const none publishing.Role = 0

// noBody bounds a body that nothing reads.
const noBody = 0

// Limits of bodies.
const (
	maxCasesBytes = 1 << 20
	maxJSONBytes  = 1 << 20
	// maxTestBytes is a module, its cases and what a form puts around them.
	maxTestBytes = edge.MaxModuleBytes + maxCasesBytes + 64<<10
)

// A route is who may do what.
type route struct {
	method string
	path   string // a pattern of http.ServeMux
	role   publishing.Role
	scope  scope
	body   int64 // the largest body, in bytes
	does   string
	handle func(*call) error
}

// table lists the routes of the API.
func (c *Console) table() []route {
	const (
		viewer, editor, approver = publishing.Viewer, publishing.Editor, publishing.Approver
		publisher, admin         = publishing.Publisher, publishing.Admin
	)
	return []route{
		{"GET", "/healthz", none, anywhere, noBody, "`ok` while the process serves requests", c.health},
		{"GET", "/metrics", viewer, everywhere, noBody, "what the node counts, as Prometheus reads it", c.metrics},
		{"GET", "/v1/events", viewer, atQuery, noBody, "stored events as JSON lines; `?site=`, `?since=` (RFC 3339, or `90m` ago), `?follow=true`, and of one person of a site `?visitor=` or `?profile=` (the customer's id), in the order in which they happened", c.events},
		{"POST", "/v1/replay", editor, anywhere, maxJSONBytes, "answers a recorded decision again: `{\"decision\"}`", c.replay},

		{"GET", "/v1/sites", viewer, anywhere, noBody, "the sites that have a release", c.sites},
		{"GET", "/v1/releases", viewer, anywhere, noBody, "the sites with their live releases' numbers and hashes", c.releases},
		{"GET", "/v1/releases/{site}", viewer, atSite, noBody, "the live release's document, or that of `?number=`; its number is the entity tag", c.release},
		{"PUT", "/v1/releases/{site}", publisher, atSite, edge.MaxReleaseBytes, "makes a document the next release; `If-Match` is the live one's number, 0 for a site's first", c.putRelease},

		{"POST", "/v1/modules/check", editor, anywhere, edge.MaxModuleBytes, "what a module declares and whether it may be uploaded; the body is the module", c.check},
		{"POST", "/v1/modules/test", editor, anywhere, maxTestBytes, "runs a module on its cases; a form with the parts `module` and `cases` (JSON)", c.test},
		{"GET", "/v1/sites/{site}/modules", viewer, atSite, noBody, "the modules that the site may publish", c.modules},
		{"GET", "/v1/sites/{site}/modules/{name}/{version}", viewer, atSite, noBody, "one of them with its check", c.module},
		{"PUT", "/v1/sites/{site}/modules", editor, atSite, edge.MaxModuleBytes, "brings a module to the site; the body is the module, `Near-Signature` its minisign text in base64", c.upload},

		{"POST", "/v1/sites/{site}/publish", publisher, atSite, maxJSONBytes, "puts a module to work: `{\"module\":{\"name\",\"version\"},\"slot\",\"rung\",\"role\",\"settings\",\"priority\",\"rollout\",\"because\"}`", c.publish},
		{"POST", "/v1/sites/{site}/shadow", publisher, atSite, maxJSONBytes, "runs a module beside the live one, unseen; the same body without `rollout`", c.shadow},
		{"POST", "/v1/sites/{site}/preview", editor, atSite, maxJSONBytes, "a link that shows a page as if a module were published: `{\"placement\",\"page\",\"hours\"}` (24)", c.preview},
		{"POST", "/v1/sites/{site}/rollout", publisher, atSite, maxJSONBytes, "shows a module to `share` of 10,000 visitors: `{\"slot\",\"module\",\"share\"}`", c.rollout},
		{"POST", "/v1/sites/{site}/remove", publisher, atSite, maxJSONBytes, "takes a module out of a slot: `{\"slot\",\"module\"}`", c.remove},
		{"POST", "/v1/sites/{site}/rollback", publisher, atSite, maxJSONBytes, "publishes an earlier release again: `{\"to\"}`, 0 for the one before", c.rollback},
		{"GET", "/v1/sites/{site}/proposals", viewer, atSite, noBody, "changes that wait for a second person, and those that did", c.proposals},
		{"POST", "/v1/sites/{site}/proposals/{id}/approve", approver, atSite, noBody, "applies a proposal of somebody else", c.approve},
		{"POST", "/v1/sites/{site}/proposals/{id}/reject", approver, atSite, maxJSONBytes, "ends a proposal: `{\"reason\"}`", c.reject},

		{"POST", "/v1/sites/{site}/explain", viewer, atSite, maxJSONBytes, "what the live release decides for a sample visit, and why: `{\"granted\",\"fields\",\"slots\"}`, without `slots` for all", c.explain},
		{"GET", "/v1/sites/{site}/status", viewer, atSite, noBody, "what is live, how it does, and what shadows would have changed", c.status},
		{"GET", "/v1/sites/{site}/history", viewer, atSite, noBody, "the releases that are or were live", c.history},
		{"GET", "/v1/sites/{site}/counts", viewer, atSite, noBody, "shown and clicked by slot and variant within `?days=` (30): counts, not proof", c.counts},
		{"GET", "/v1/sites/{site}/audit", viewer, atSite, noBody, "who did what, newest first, at most `?limit=` entries (100)", c.audit},
		{"GET", "/v1/audit", viewer, anywhere, noBody, "the same of every site that the token sees", c.audit},

		{"GET", "/v1/sites/{site}/items", viewer, atSite, noBody, "the site's catalogue: how many items, and `?limit=` of them (100) that follow the one of `?after=`", c.items},
		{"GET", "/v1/sites/{site}/items/{item}", viewer, atSite, noBody, "one item, also one that is gone", c.item},
		{"PUT", "/v1/sites/{site}/items", publisher, atSite, maxFeedBytes, "imports items, all or nothing: one a line, at last `{\"end\": lines}`; `?full=true` marks gone what is not there, `&shrink=true` more than half (`docs/ITEMS.md`)", c.importItems},
		{"DELETE", "/v1/sites/{site}/items/{item}", publisher, atSite, noBody, "takes an item out at once", c.deleteItem},
		{"GET", "/v1/sinks", viewer, everywhere, noBody, "where events flow on to, how that does and what waits (`docs/SINKS.md`)", c.sinks},
		{"DELETE", "/v1/sinks/{name}", admin, everywhere, noBody, "forgets how far a sink is that nobody runs", c.dropSink},
		{"GET", "/v1/erasures", admin, everywhere, noBody, "who was erased and when, of every site: `site`, `person`, `at` (`docs/ERASURE.md`)", c.erasures},
		{"POST", "/v1/sites/{site}/erasures", admin, atSite, maxJSONBytes, "erases a person everywhere: `{\"person\"}`, their key, `{\"visitor\"}`, a visitor's id, or `{\"profile\"}`, a customer's as the site knows it", c.erase},
		{"GET", "/v1/sites/{site}/erasures/{person}", admin, atSite, noBody, "how far that is, by place; `person` is the key", c.erasure},
		{"POST", "/v1/sites/{site}/erasures/find", admin, atSite, maxJSONBytes, "the same with what a search of every file finds; the body names the person as above", c.findPerson},
		{"GET", "/v1/dead", viewer, atQuery, noBody, "events that a sink could not take, oldest first; `?site=`, `?sink=`, `?limit=` (100, at most 1000)", c.dead},
		{"GET", "/v1/sites/{site}/dead/{id}", viewer, atSite, noBody, "one of them, with the event", c.deadLetter},
		{"POST", "/v1/sites/{site}/dead/{id}/replay", publisher, atSite, noBody, "gives it to its sink again", c.replayDead},
		{"DELETE", "/v1/sites/{site}/dead/{id}", admin, atSite, noBody, "deletes it", c.dropDead},

		{"GET", "/v1/keys", admin, everywhere, noBody, "the sealing keys: what each is there for, since when, and when it may be retired; never a key itself", c.keys},
		{"POST", "/v1/keys", admin, everywhere, noBody, "makes a key that opens at once and seals after `?seconds=` (60, at most 86400)", c.rotateKey},
		{"DELETE", "/v1/keys/{key}", admin, everywhere, noBody, "ends the key with a number when no state that it sealed counts any more, with `?now=true` before; answers what it was", c.retireKey},
		{"GET", "/v1/sites/{site}/profile", admin, atSite, noBody, "all that is held of the customer `?profile=`, as the site knows them: attributes, history, linked visitors", c.profile},
		{"GET", "/v1/sites/{site}/identity-keys", admin, atSite, noBody, "the keys by which the site says who has signed in, without their secrets", c.identityKeys},
		{"POST", "/v1/sites/{site}/identity-keys", admin, atSite, maxJSONBytes, "makes one, whose secret is told this once, or takes in `{\"public\"}` in PEM; two count at once", c.createIdentityKey},
		{"DELETE", "/v1/sites/{site}/identity-keys/{id}", admin, atSite, noBody, "ends one", c.revokeIdentityKey},

		{"GET", "/v1/tokens", admin, anywhere, noBody, "the tokens, without their secrets", c.tokens},
		{"POST", "/v1/tokens", admin, anywhere, maxJSONBytes, "makes a token: `{\"name\",\"role\",\"sites\",\"expires\"}`; the secret is told this once", c.createToken},
		{"DELETE", "/v1/tokens/{id}", admin, anywhere, noBody, "ends a token", c.revokeToken},
	}
}

// mux serves routes to whom identify finds.
func (c *Console) mux(routes []route, identify identity) http.Handler {
	mux := http.NewServeMux()
	for i := range routes {
		r := &routes[i]
		mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, req *http.Request) {
			c.serveRoute(r, identify, w, req)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		q := &call{console: c, w: &answer{ResponseWriter: w}, r: req}
		q.refuse(unrouted(q, routes))
	})
	return mux
}

// unrouted says why a request has no route.
func unrouted(q *call, routes []route) error {
	var methods []string
	for i := range routes {
		if r := &routes[i]; matches(r.path, q.r.URL.Path) {
			methods = append(methods, r.method)
			if r.method == http.MethodGet {
				methods = append(methods, http.MethodHead)
			}
		}
	}
	if len(methods) == 0 {
		return errNotFound
	}
	q.w.Header().Set("Allow", strings.Join(slices.Compact(methods), ", "))
	return errMethod
}

// matches reports whether a path is one of a pattern's, whose wildcards stand
// for one segment each.
func matches(pattern, path string) bool {
	want, have := strings.Split(strings.TrimSuffix(pattern, "{$}"), "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, have, func(w, h string) bool { return w == h || strings.HasPrefix(w, "{") && h != "" })
}

// serveRoute finds out who asks, compares them with the route's row, and lets it
// answer. A panic stays inside its request.
func (c *Console) serveRoute(r *route, identify identity, w http.ResponseWriter, req *http.Request) {
	q := &call{console: c, w: &answer{ResponseWriter: w}, r: req, site: req.PathValue("site")}
	defer func() {
		if p := recover(); p != nil {
			q.recovered(p)
		}
	}()
	q.w.Header().Set("Cache-Control", "no-store")
	q.w.Header().Set("X-Content-Type-Options", "nosniff")
	if isPage(r.path) {
		for name, value := range pageHeaders {
			q.w.Header().Set(name, value)
		}
		q.keepLanguage()
	}
	err := q.admit(r, identify)
	if err == nil {
		if r.body > noBody {
			req.Body = http.MaxBytesReader(q.w, req.Body, r.body)
		}
		err = r.handle(q)
	}
	if err != nil {
		q.refuse(err)
	}
}
