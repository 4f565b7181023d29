// SPDX-License-Identifier: Apache-2.0

package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/nearside/nearside/publishing"
)

// open are the routes that anybody may call.
var open = map[string]bool{
	"GET /healthz": true, "GET /{$}": true, "GET /console/{$}": true, "GET /console/asset/{name}": true,
	"GET /console/signin": true, "POST /console/signin": true, "POST /console/signout": true,
}

// Each row is tried by nobody, by too small a role, at another site, and by who
// may.
func TestRoutesAdmitWhomTheirRowsSay(t *testing.T) {
	b := openBench(t, nil)
	secrets := map[string]string{}
	as := func(role publishing.Role, site string) string {
		key := fmt.Sprintf("%s-%d", strings.Trim(site, "*"), role)
		if secrets[key] == "" {
			secrets[key] = b.token("u-"+key, role, site)
		}
		return secrets[key]
	}
	for _, r := range b.routes {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			path := strings.NewReplacer("{site}", "shop", "{id}", "abcdefgh01234567", "{$}", "").Replace(r.path)
			if r.scope == atQuery {
				path += "?site=shop"
			}
			ask := func(secret string) int { return b.as(secret, r.method, path, "").StatusCode }
			if open[r.method+" "+r.path] {
				if r.role != none {
					t.Error("it is not open")
				}
				return
			}
			if r.role == none {
				t.Fatal("anybody may call it, and no test says so")
			}
			refused := http.StatusUnauthorized
			if isPage(r.path) && r.method == "GET" {
				refused = http.StatusSeeOther // to the sign-in page
			}
			if got := ask(""); got != refused {
				t.Errorf("nobody gets %d", got)
			}
			if got := ask("near_" + strings.Repeat("A", 43)); got != refused {
				t.Errorf("a forged token gets %d", got)
			}
			if r.role >= publishing.Viewer { // below a viewer is a server
				if got := ask(as(r.role-1, publishing.AnySite)); got != http.StatusForbidden {
					t.Errorf("%s gets %d", r.role-1, got)
				}
			}
			if r.scope != anywhere {
				if got := ask(as(publishing.Admin, "blog")); got != http.StatusForbidden {
					t.Errorf("an admin of another site gets %d", got)
				}
			}
			site := publishing.AnySite
			if r.scope == atSite || r.scope == atQuery {
				site = "shop"
			}
			if got := ask(as(r.role, site)); got == http.StatusUnauthorized || got == http.StatusForbidden {
				t.Errorf("%s of %s gets %d", r.role, site, got)
			}
		})
	}
}

func TestEventsOfEverySiteNeedARoleAtEverySite(t *testing.T) {
	b := openBench(t, nil)
	if res := b.as(b.token("ada", publishing.Admin, "shop", "blog"), "GET", "/v1/events", ""); res.StatusCode != 403 {
		t.Errorf("answer %d", res.StatusCode)
	}
	if res := b.as(b.token("bob", publishing.Viewer, "*"), "GET", "/v1/events", ""); res.StatusCode != 200 {
		t.Errorf("answer %d", res.StatusCode)
	}
}

// A page of somebody else's must not use what a browser holds.
func TestForeignPagesAreRefused(t *testing.T) {
	b := openBench(t, nil)
	secret := b.token("ada", publishing.Admin, "*")
	for _, header := range []string{"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"} {
		if res := b.as(secret, "POST", "/v1/sites/shop/rollback", "{}", header); res.StatusCode != 403 {
			t.Errorf("%s: answer %d", header, res.StatusCode)
		}
	}
}
