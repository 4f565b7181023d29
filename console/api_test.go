// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// One story: what the operator does, in order.
func TestAPI(t *testing.T) {
	b := openBench(t, nil)
	doc := string(siteDocument(t, "shop"))
	const put, site = "/v1/releases/shop", "/v1/sites/shop"
	tests := []struct {
		name, method, path, body, header string
		status                           int
		want                             string // what the body holds, or code and field of an error
	}{
		{"health", "GET", "/healthz", "", "", 200, "ok\n"},
		{"metrics are one after the other", "GET", "/metrics", "", "", 200, "first 1\nsecond 2\n"},
		{"sites", "GET", "/v1/sites", "", "", 200, `["blog","shop"]`},
		{"releases", "GET", "/v1/releases", "", "", 200, `{"site":"shop","number":1,"hash":"`},
		{"a release", "GET", put, "", "", 200, `"site":"shop"`},
		{"a release by number", "GET", put + "?number=1", "", "", 200, `"number":1`},
		{"a release that never was", "GET", put + "?number=9", "", "", 404, "not_found site"},
		{"a release of a word", "GET", put + "?number=last", "", "", 400, "bad_request number"},
		{"a release nobody has", "GET", "/v1/releases/other", "", "", 404, "not_found site"},

		{"a release that follows another one", "PUT", put, strings.Replace(doc, "shop.example", "shop.test", 1), `If-Match: "7"`, 412, "conflict If-Match"},
		{"a release that does not say what it follows", "PUT", put, doc, "", 428, "precondition_required If-Match"},
		{"a release that follows a word", "PUT", put, doc, "If-Match: *", 428, "precondition_required If-Match"},
		{"no release", "PUT", put, "", `If-Match: "1"`, 400, "bad_request"},
		{"a release that is no JSON", "PUT", put, "nope", `If-Match: "1"`, 422, "invalid document"},
		{"a release of another site", "PUT", put, strings.Replace(doc, `"site":"shop"`, `"site":"blog"`, 1), `If-Match: "1"`, 422, "invalid site"},
		{"the next release", "PUT", put, strings.Replace(doc, "shop.example", "shop.test", 1), `If-Match: "1"`, 200, `"was":1,"release":2`},
		{"is there", "GET", put, "", "", 200, "shop.test"},
		{"a site that is there already", "PUT", put, doc, "If-Match: 0", 412, "conflict If-Match"},
		{"a site's first release", "PUT", "/v1/releases/new", strings.ReplaceAll(doc, "shop", "new"), "If-Match: 0", 200, `"was":0,"release":1`},

		{"a check", "POST", "/v1/modules/check", module(t, "1.0.0"), "", 200, `"ok":true`},
		{"a check of nothing", "POST", "/v1/modules/check", "", "", 400, "bad_request"},
		{"a check that refuses", "POST", "/v1/modules/check", "\x00asm", "", 200, `"ok":false,"code":"header"`},
		{"a test that is no form", "POST", "/v1/modules/test", "[]", "", 400, "bad_request Content-Type"},
		{"an upload that the check refuses", "PUT", site + "/modules", "\x00asm", "", 422, "header module"},
		{"an upload whose signature is no base64", "PUT", site + "/modules", module(t, "1.0.0"), "Near-Signature: ?", 400, "bad_request Near-Signature"},
		{"an upload", "PUT", site + "/modules", module(t, "1.0.0"), "", 200, `"name":"weather","version":"1.0.0"`},
		{"other bytes of the same version", "PUT", site + "/modules", moduleOf(t, "weather", "1.0.0", "Snows.", plainSchema), "", 409, "taken version"},
		{"one of them", "GET", site + "/modules/weather/1.0.0", "", "", 200, `"report":{"ok":true`},
		{"one that is not there", "GET", site + "/modules/snow/1.0.0", "", "", 404, "not_found module"},
		{"uploads", "GET", site + "/modules", "", "", 200, `"by":"operator"`},

		{"a placement with a member nobody knows", "POST", site + "/publish", `{"slot":"hero","rung":"context","rolout":500}`, "", 400, "bad_request"},
		{"a placement with a member of the wrong type", "POST", site + "/publish", `{"slot":7}`, "", 400, "bad_request slot"},
		{"two placements", "POST", site + "/publish", `{} {}`, "", 400, "bad_request"},
		{"a placement of nothing", "POST", site + "/publish", `{"module":{"name":"snow"},"slot":"hero","rung":"context"}`, "", 404, "not_found module"},
		{"a placement nowhere", "POST", site + "/publish", `{"module":{"name":"weather"},"slot":"foot","rung":"context"}`, "", 422, "invalid slot"},
		{"a shadow with a share", "POST", site + "/shadow", `{"module":{"name":"weather"},"slot":"hero","rung":"context","rollout":5}`, "", 400, "bad_request rollout"},
		{"a shadow", "POST", site + "/shadow", `{"module":{"name":"weather"},"slot":"hero","rung":"context"}`, "", 200, `"release":3`},
		{"a preview", "POST", site + "/preview", `{"placement":{"module":{"name":"weather"},"slot":"hero","rung":"context"}}`, "", 200, `"link":"https://shop.test/?near_preview=`},
		{"a preview of another site's page", "POST", site + "/preview", `{"placement":{"module":{"name":"weather"},"slot":"hero","rung":"context"},"page":"https://evil.example/"}`, "", 422, "invalid page"},
		{"a preview for ever", "POST", site + "/preview", `{"hours":1000}`, "", 400, "bad_request hours"},
		{"a roll-out without a share", "POST", site + "/rollout", `{"slot":"hero","module":"weather"}`, "", 400, "bad_request share"},
		{"a roll-out", "POST", site + "/rollout", `{"slot":"hero","module":"weather","share":500}`, "", 200, `"release":4`},
		{"a publication", "POST", site + "/publish", `{"module":{"name":"weather"},"slot":"hero","rung":"context"}`, "", 200, `"release":5`},
		{"a publication from an old release of the slot", "POST", site + "/rollout", `{"slot":"hero","module":"weather","share":7}`, `If-Match: "3"`, 412, "conflict If-Match"},
		{"what is live", "GET", site + "/status", "", "", 200, `"module":"weather","version":"1.0.0"`},
		{"a rollback", "POST", site + "/rollback", `{}`, "", 200, `"release":6`},
		{"a rollback to a release that never was", "POST", site + "/rollback", `{"to":99}`, "", 404, "not_found site"},
		{"an explained visit", "POST", site + "/explain", `{"granted":["context"],"fields":{"geo.country":"FR"},"slots":["hero"]}`, "", 200, `"decisions":[{"slot":"hero"`},
		{"an explained visit with a member nobody knows", "POST", site + "/explain", `{"feilds":{}}`, "", 400, "bad_request"},
		{"an explained visit with a field nobody knows", "POST", site + "/explain", `{"fields":{"geo.cuntry":"FR"}}`, "", 422, "invalid visit"},
		{"an explained visit to a slot nobody knows", "POST", site + "/explain", `{"slots":["foot"]}`, "", 404, "not_found slots"},
		{"a removal", "POST", site + "/remove", `{"slot":"hero","module":"weather"}`, "", 200, `"release":7`},
		{"history", "GET", site + "/history", "", "", 200, `"number":7`},
		{"counts", "GET", site + "/counts", "", "", 200, `"rows":[]`},
		{"counts of too many days", "GET", site + "/counts?days=10000", "", "", 422, "invalid days"},
		{"proposals", "GET", site + "/proposals", "", "", 200, "[]"},
		{"a proposal nobody made", "POST", site + "/proposals/abcdefgh01234567/approve", "", "", 404, "not_found id"},
		{"a rejection of nothing", "POST", site + "/proposals/abcdefgh01234567/reject", `{"reason":"no"}`, "", 404, "not_found id"},
		{"audit", "GET", site + "/audit?limit=1", "", "", 200, `"act":"remove"`},
		{"audit of all", "GET", "/v1/audit", "", "", 200, `"site":"blog"`},
		{"a replay", "POST", "/v1/replay", `{"decision":"d"}`, "", 503, "unavailable"},

		{"a token with a role nobody has", "POST", "/v1/tokens", `{"name":"ada","role":"king","sites":["shop"]}`, "", 400, "bad_request"},
		{"a token without sites", "POST", "/v1/tokens", `{"name":"ada","role":"viewer"}`, "", 422, "invalid sites"},
		{"a token", "POST", "/v1/tokens", `{"name":"ada","role":"viewer","sites":["shop"],"expires":"2126-01-01T00:00:00Z"}`, "", 201, `"secret":"near_`},
		{"tokens", "GET", "/v1/tokens", "", "", 200, `"name":"ada"`},
		{"a token nobody has", "DELETE", "/v1/tokens/0123456789abcdef", "", "", 404, "not_found id"},

		{"nothing", "GET", "/v1/beacon", "", "", 404, "not_found"},
		{"a method nobody knows", "DELETE", put, "", "", 405, "method_not_allowed"},
		{"a site without a name", "GET", "/v1/sites//status", "", "", 404, "not_found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var headers []string
			if tt.header != "" {
				headers = append(headers, tt.header)
			}
			res := b.do(tt.method, tt.path, tt.body, headers...)
			if res.StatusCode != tt.status {
				t.Fatalf("answer %d %s, want %d", res.StatusCode, res.body, tt.status)
			}
			if tt.status < 300 && !strings.Contains(res.body, tt.want) {
				t.Errorf("body %q, want %q", res.body, tt.want)
			}
			if tt.status >= 300 && res.refused(t) != tt.want {
				t.Errorf("refused with %q, want %q", res.refused(t), tt.want)
			}
		})
	}
	if res := b.do("GET", put, ""); res.Header.Get("ETag") != `"7"` {
		t.Errorf("entity tag %q", res.Header.Get("ETag"))
	}
	if res := b.do("DELETE", put, ""); res.Header.Get("Allow") != "GET, HEAD, PUT" {
		t.Errorf("allowed %q", res.Header.Get("Allow"))
	}
}

func TestASecondPersonApproves(t *testing.T) {
	b := openBench(t, nil)
	doc := strings.Replace(string(siteDocument(t, "shop")), `"languages"`, `"secondPerson":true,"languages"`, 1)
	if res := b.do("PUT", "/v1/releases/shop", doc, "If-Match: 1"); res.StatusCode != 200 {
		t.Fatal(res.body)
	}
	ada, bob := b.token("ada", publishing.Publisher, "shop"), b.token("bob", publishing.Approver, "shop")
	b.as(ada, "PUT", "/v1/sites/shop/modules", module(t, "1.0.0"))
	asked := b.as(ada, "POST", "/v1/sites/shop/publish", `{"module":{"name":"weather"},"slot":"hero","rung":"context"}`)
	var out publishing.Outcome
	if err := json.Unmarshal([]byte(asked.body), &out); err != nil || asked.StatusCode != 202 || out.Proposal == nil {
		t.Fatalf("answer %d %s", asked.StatusCode, asked.body)
	}
	path := "/v1/sites/shop/proposals/" + out.Proposal.ID
	if res := b.as(ada, "POST", path+"/approve", ""); res.StatusCode != 403 || res.refused(t) != "same_person" {
		t.Errorf("who proposed it approves it: %d %s", res.StatusCode, res.body)
	}
	if res := b.as(bob, "POST", path+"/approve", ""); res.StatusCode != 200 || !strings.Contains(res.body, `"release":3`) {
		t.Errorf("approval: %d %s", res.StatusCode, res.body)
	}
	if res := b.as(bob, "POST", path+"/reject", `{"reason":"late"}`); res.StatusCode != 409 || res.refused(t) != "decided id" {
		t.Errorf("a rejection that comes too late: %d %s", res.StatusCode, res.body)
	}
}

func TestARevokedTokenIsRefusedAtOnce(t *testing.T) {
	b := openBench(t, nil)
	secret := b.token("ada", publishing.Viewer, "shop")
	if res := b.as(secret, "GET", "/v1/sites", ""); res.StatusCode != 200 || res.body != "[\"shop\"]\n" {
		t.Fatalf("answer %d %s", res.StatusCode, res.body)
	}
	var tokens []publishing.Token
	if err := json.Unmarshal([]byte(b.do("GET", "/v1/tokens", "").body), &tokens); err != nil || len(tokens) != 1 {
		t.Fatal(tokens, err)
	}
	if res := b.do("DELETE", "/v1/tokens/"+tokens[0].ID, ""); res.StatusCode != 204 {
		t.Fatal(res.body)
	}
	if res := b.as(secret, "GET", "/v1/sites", ""); res.StatusCode != 401 || res.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("answer %d %s", res.StatusCode, res.body)
	}
}

func TestModuleTestReadsAForm(t *testing.T) {
	b := openBench(t, nil)
	form := func(parts ...string) reply {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		for i := 0; i < len(parts); i += 2 {
			part, err := w.CreateFormFile(parts[i], "file")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(part, parts[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		return b.do("POST", "/v1/modules/test", body.String(), "Content-Type: "+w.FormDataContentType())
	}
	if res := form("module", module(t, "1.0.0"), "cases", `[{"name":"a tablet","granted":["context"],"fields":{"device.type":"tablet"},"want":{"variant":"rain"}}]`); res.StatusCode != 200 || !strings.Contains(res.body, `"passed":1`) {
		t.Errorf("answer %d %s", res.StatusCode, res.body)
	}
	for name, tt := range map[string]struct {
		parts  []string
		status int
		want   string
	}{
		"no cases":             {[]string{"module", "x"}, 400, "bad_request cases"},
		"no module":            {[]string{"cases", "[]"}, 400, "bad_request module"},
		"two modules":          {[]string{"module", "x", "module", "y"}, 400, "bad_request"},
		"a part nobody knows":  {[]string{"picture", "x"}, 400, "bad_request"},
		"cases that are words": {[]string{"module", "x", "cases", "rain"}, 400, "bad_request cases"},
		"too many cases":       {[]string{"module", "x", "cases", strings.Repeat(" ", maxCasesBytes+1)}, 413, "too_large"},
		"too large a module":   {[]string{"module", strings.Repeat("x", edge.MaxModuleBytes+1), "cases", "[]"}, 413, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			if res := form(tt.parts...); res.StatusCode != tt.status || res.refused(t) != tt.want {
				t.Errorf("answer %d %s, want %d %s", res.StatusCode, res.body, tt.status, tt.want)
			}
		})
	}
}

func TestASignatureReachesTheDesk(t *testing.T) {
	b := openBench(t, nil)
	signature := base64.StdEncoding.EncodeToString([]byte("untrusted comment: x\nabc\n"))
	res := b.do("PUT", "/v1/sites/shop/modules", module(t, "1.0.0"), "Near-Signature: "+signature)
	if res.StatusCode != 200 || !strings.Contains(res.body, `"signature":"untrusted comment: x\nabc\n"`) {
		t.Errorf("answer %d %s", res.StatusCode, res.body)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	b := openBench(t, nil)
	for _, tt := range []struct {
		method, path, header string
		size                 int
	}{
		{"POST", "/v1/modules/check", "", edge.MaxModuleBytes},
		{"PUT", "/v1/sites/shop/modules", "", edge.MaxModuleBytes},
		{"POST", "/v1/sites/shop/publish", "", maxJSONBytes},
		{"PUT", "/v1/releases/shop", "If-Match: 1", 16 << 20},
	} {
		var headers []string
		if tt.header != "" {
			headers = append(headers, tt.header)
		}
		if res := b.do(tt.method, tt.path, strings.Repeat(" ", tt.size+1), headers...); res.StatusCode != 413 || res.refused(t) != "too_large" {
			t.Errorf("%s: answer %d %s", tt.path, res.StatusCode, res.body)
		}
	}
}

func TestAFailureIsLoggedOnceAndNotTold(t *testing.T) {
	b := openBench(t, func(o *Options) {
		o.Metrics = []func(io.Writer) error{func(io.Writer) error { return errors.New("disk on fire") }}
		o.Events = func(context.Context, EventQuery, func([]byte) error) error { panic("boom") }
	})
	if res := b.do("GET", "/metrics", ""); res.StatusCode != 500 || res.refused(t) != "internal" || strings.Contains(res.body, "fire") {
		t.Errorf("answer %d %s", res.StatusCode, res.body)
	}
	if res := b.do("GET", "/v1/events", ""); strings.Contains(res.body, "boom") {
		t.Errorf("body %s", res.body)
	}
	if logged := b.log.String(); strings.Count(logged, "disk on fire") != 1 || strings.Count(logged, "handler panicked") != 1 || strings.Contains(logged, "boom") {
		t.Errorf("log: %s", logged)
	}
}
