// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nearside/nearside/collector/rights"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A register erases in memory, and knows whom.
type register struct {
	mu     sync.Mutex
	err    error
	erased map[edge.PersonKey]time.Time
	names  []string
}

// refuse lets erasing fail from now on, or not.
func (r *register) refuse(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// hold has one person erased, and nobody else.
func (r *register) hold(key edge.PersonKey, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.erased = map[edge.PersonKey]time.Time{key: at}
}

// whom returns who was erased, in order.
func (r *register) whom() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.names)
}

func (r *register) Erase(site string, state *edge.State) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	if r.erased == nil {
		r.erased = map[edge.PersonKey]time.Time{}
	}
	r.erased[edge.PersonKeyOf(site, state.VisitorID())] = testNow
	r.names = append(r.names, site+" "+state.VisitorID())
	return nil
}

func (r *register) Erased(p edge.Person, at time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked, ok := r.erased[p.Key]
	return ok && !at.After(asked)
}

// profiles hold one line on everybody.
type profiles struct {
	text string
	err  error
}

func (p profiles) Mine(string, *edge.State) (json.RawMessage, error) {
	return json.RawMessage(p.text), p.err
}

// openOwn is a server that can erase, and a visitor's sealed state.
func openOwn(t *testing.T, edit func(*Options)) (h *house, r *register, state string) {
	t.Helper()
	r = &register{}
	h = open(t, func(o *Options) {
		o.Eraser, o.Profiles = r, profiles{text: `{"tier":"gold"}`}
		if edit != nil {
			edit(o)
		}
	})
	res := h.post(beaconOf(consent.All, say{"slots": []string{"hero"}, "events": []say{
		{"id": "e1", "name": "view_item", "at": testNow.UnixMilli(), "props": say{"items": []say{{"item_id": "sku-7", "item_category": "hats"}}}},
	}}))
	if a := res.answer(t); a.State != nil {
		state = *a.State
	}
	if state == "" {
		t.Fatalf("no state: %s", res.body)
	}
	return h, r, state
}

// opened is what is in a state, and what seals it again.
func (h *house) opened(state string) (*edge.State, *edge.Sealer) {
	h.t.Helper()
	sealer, err := edge.NewSealer(bytes.Repeat([]byte{7}, edge.KeyBytes))
	if err != nil {
		h.t.Fatal(err)
	}
	s, err := sealer.OpenState("demo", state)
	if err != nil {
		h.t.Fatal(err)
	}
	return s, sealer
}

// visitorOf is the id in a state.
func (h *house) visitorOf(state string) string {
	h.t.Helper()
	s, _ := h.opened(state)
	return s.VisitorID()
}

func claimOf(more say) string {
	c := say{"v": 1, "site": "demo"}
	for name, value := range more {
		c[name] = value
	}
	out, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return string(out)
}

func formOf(pairs ...string) string {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return form.Encode()
}

const (
	asForm   = "Content-Type: " + contentTypeForm
	ownForm  = "Origin: null" // with sameSite, a form of the page itself
	sameSite = "Sec-Fetch-Site: same-origin"
	pagePath = "/_near/privacy?site=demo&lang=en"
)

func TestWhatIsNotOnesOwnIsRefused(t *testing.T) {
	h, r, state := openOwn(t, nil)
	cookie := "Cookie: __Secure-near-demo=" + state
	mine, sealer := h.opened(state)
	foreign := sealer.SealState("other", mine)
	tampered := []byte(state)
	tampered[len(tampered)/2] ^= 1
	id := mine.VisitorID()
	for _, tt := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
		code                     string
	}{
		{"another site's state", "POST", "/v1/forget", claimOf(say{"state": foreign}), []string{fromShop}, 403, "bad_state state"},
		{"another site's state as a cookie", "GET", "/_near/v1/mine?site=demo", "", []string{"Cookie: __Secure-near-demo=" + foreign}, 403, "bad_state state"},
		{"a tampered state", "POST", "/v1/mine", claimOf(say{"state": string(tampered)}), []string{fromShop}, 403, "bad_state state"},
		{"a state that is none", "POST", "/v1/forget", claimOf(say{"state": "AQAB"}), []string{fromShop}, 403, "bad_state state"},
		{"no state at all", "POST", "/_near/v1/forget", claimOf(nil), []string{atHome, atHomeHost}, 400, "no_state state"},
		{"nothing to export", "GET", "/_near/v1/mine?site=demo", "", nil, 400, "no_state state"},
		{"an id in the body", "POST", "/v1/forget", claimOf(say{"state": state, "visitor": id}), []string{fromShop}, 400, "id_not_accepted visitor"},
		{"an id alone", "POST", "/v1/mine", claimOf(say{"id": id}), []string{fromShop}, 400, "id_not_accepted id"},
		{"a person's key", "POST", "/v1/forget", claimOf(say{"person": edge.PersonKeyOf("demo", id).String()}), []string{fromShop}, 400, "id_not_accepted person"},
		{"an id in the address", "GET", "/_near/v1/mine?site=demo&visitor=" + id, "", []string{cookie}, 400, "id_not_accepted visitor"},
		{"an id in the page's address", "GET", pagePath + "&customer=ann", "", []string{cookie}, 400, "id_not_accepted customer"},
		{"an id in the page's form", "POST", pagePath, formOf("do", "erase", "state", state, "id", id), []string{asForm}, 400, "id_not_accepted id"},
		{"a cookie without an origin", "POST", "/_near/v1/forget", claimOf(nil), []string{cookie}, 403, "origin_not_allowed Origin"},
		{"a cookie from another origin", "POST", "/_near/v1/forget", claimOf(nil), []string{cookie, "Origin: https://evil.example"}, 403, "origin_not_allowed Origin"},
		{"a cookie from another origin of the site", "POST", "/_near/v1/forget", claimOf(nil), []string{cookie, "Origin: https://www.shop.example", atHomeHost}, 403, "origin_not_allowed Origin"},
		{"a cookie from a page without an origin", "POST", "/_near/v1/forget", claimOf(nil), []string{cookie, ownForm, "Sec-Fetch-Site: cross-site"}, 403, "origin_not_allowed Origin"},
		{"a browser that says nothing of a page without an origin", "POST", "/_near/v1/forget", claimOf(nil), []string{cookie, ownForm}, 403, "origin_not_allowed Origin"},
		{"the page's form from elsewhere", "POST", pagePath, formOf("do", "erase"), []string{asForm, cookie, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, 403, "origin_not_allowed Origin"},
		{"an export for another page", "GET", "/_near/v1/mine?site=demo", "", []string{cookie, "Sec-Fetch-Site: same-site"}, 403, "origin_not_allowed Origin"},
		{"an export for another page that says so", "GET", "/_near/v1/mine?site=demo", "", []string{cookie, "Origin: https://evil.example"}, 403, "origin_not_allowed Origin"},
		{"erased by a link", "GET", "/_near/v1/forget?site=demo", "", []string{cookie}, 405, "method_not_allowed"},
		{"another site", "POST", "/v1/mine", `{"v":1,"site":"nobody","state":"` + state + `"}`, []string{fromShop}, 404, "unknown_site site"},
		{"no site", "GET", "/_near/privacy", "", nil, 404, "unknown_site site"},
		{"a site without end", "GET", "/_near/privacy?site=" + strings.Repeat("a", 65), "", nil, 400, "too_long site"},
		{"a huge body", "POST", "/v1/forget", claimOf(say{"x": strings.Repeat("x", edge.MaxBeaconBytes)}), []string{fromShop}, 413, "body_too_large"},
		{"a huge form", "POST", pagePath, formOf("x", strings.Repeat("x", maxFormBytes)), []string{asForm}, 413, "body_too_large"},
		{"a state that is too long", "POST", "/v1/forget", claimOf(say{"state": strings.Repeat("A", edge.MaxStateBytes+1)}), []string{fromShop}, 400, "too_long state"},
		{"a state that is too long in a form", "POST", pagePath, formOf("state", strings.Repeat("A", edge.MaxStateBytes+1)), []string{asForm}, 400, "too_long state"},
		{"a state that is a number", "POST", "/v1/forget", `{"v":1,"site":"demo","state":7}`, []string{fromShop}, 400, "wrong_type state"},
		{"no JSON", "POST", "/v1/forget", `{`, []string{fromShop}, 400, "bad_json"},
		{"another version", "POST", "/v1/forget", `{"v":2,"site":"demo"}`, []string{fromShop}, 400, "unsupported_version v"},
		{"a form to the API", "POST", "/v1/forget", formOf("site", "demo"), []string{fromShop, asForm}, 415, "unsupported_media_type Content-Type"},
		{"JSON to the page", "POST", pagePath, claimOf(nil), []string{fromShop}, 415, "unsupported_media_type Content-Type"},
		{"an act that there is not", "POST", pagePath, formOf("do", "sell", "state", state), []string{asForm}, 400, "bad_value do"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := h.do(tt.method, tt.path, tt.body, tt.headers...)
			if res.StatusCode != tt.status || res.code(t) != tt.code {
				t.Errorf("answer %d %s, want %d %s", res.StatusCode, res.body, tt.status, tt.code)
			}
			if strings.Contains(res.body, id) || strings.Contains(res.body, state) || res.Header.Get("Set-Cookie") != "" {
				t.Errorf("a refusal holds something of the visitor: %s, cookie %q", res.body, res.Header.Get("Set-Cookie"))
			}
		})
	}
	if len(r.whom()) > 0 || slices.ContainsFunc(h.ledger.kept(), func(e string) bool { return strings.Contains(e, "consent_receipt") }) {
		t.Errorf("a refused request erased %q, or left a receipt", r.whom())
	}
	if log := h.log.String(); strings.Contains(log, id) || strings.Contains(log, state) {
		t.Errorf("the log holds something of the visitor: %s", log)
	}
}

func TestMineIsAllThatTheStateHolds(t *testing.T) {
	h, _, state := openOwn(t, nil)
	cookie, id := "Cookie: __Secure-near-demo="+state, h.visitorOf(state)
	for _, tt := range []struct {
		name    string
		res     reply
		whole   bool   // the ids
		reader  string // Access-Control-Allow-Origin
		isAFile bool
	}{
		{"a download", h.do("GET", "/_near/v1/mine?site=demo", "", cookie, sameSite, "Sec-Fetch-Dest: document"), true, "", true},
		{"a script of the same origin", h.do("GET", "/_near/v1/mine?site=demo", "", cookie, sameSite, "Sec-Fetch-Dest: empty"), false, "", false},
		{"an old browser", h.do("GET", "/_near/v1/mine?site=demo", "", cookie), false, "", false},
		{"a script that sends the state", h.do("POST", "/v1/mine", claimOf(say{"state": state}), fromShop), false, "https://shop.example", false},
		{"a state from an origin that is not the site's", h.do("POST", "/v1/mine", claimOf(say{"state": state}), "Origin: https://near.example"), false, "", false},
		{"a post of the same origin", h.do("POST", "/_near/v1/mine", claimOf(nil), atHome, atHomeHost, cookie), false, "", false},
		{"the page's file", h.do("POST", pagePath, formOf("do", "download"), asForm, ownForm, sameSite, cookie), true, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d edge.Disclosure
			if err := json.Unmarshal([]byte(tt.res.body), &d); err != nil || tt.res.StatusCode != 200 {
				t.Fatalf("answer %d %s: %v", tt.res.StatusCode, tt.res.body, err)
			}
			if d.Site != "demo" || len(d.Items) != 1 || d.Items[0].ID != "sku-7" || d.Interests[0].Category != "hats" || string(compact(t, d.Profile)) != `{"tier":"gold"}` {
				t.Errorf("mine is %s", tt.res.body)
			}
			if (d.Visitor.ID == id) != tt.whole || !strings.HasPrefix(d.Visitor.ID, id[:6]) {
				t.Errorf("the id is %q", d.Visitor.ID)
			}
			header := tt.res.Header
			if got := header.Get("Content-Disposition"); (got != "") != tt.isAFile {
				t.Errorf("disposition %q", got)
			}
			if header.Get("Access-Control-Allow-Origin") != tt.reader || header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("headers %v", header)
			}
		})
	}
}

func compact(t *testing.T, raw json.RawMessage) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestAProfileThatCannotBeReadIsNotLeftOut(t *testing.T) {
	for _, p := range []profiles{{err: errors.New("down")}, {text: `{`}} {
		h, _, state := openOwn(t, func(o *Options) { o.Profiles = p })
		if res := h.do("POST", "/v1/mine", claimOf(say{"state": state}), fromShop); res.StatusCode != 503 || res.code(t) != "unavailable profile" {
			t.Errorf("%+v: answer %d %s", p, res.StatusCode, res.body)
		}
	}
	h, _, state := openOwn(t, func(o *Options) { o.Profiles = profiles{} })
	if res := h.do("POST", "/v1/mine", claimOf(say{"state": state}), fromShop); res.StatusCode != 200 || strings.Contains(res.body, "profile") {
		t.Errorf("nothing is held: answer %d %s", res.StatusCode, res.body)
	}
}

// receipts are the stored receipts.
func (h *house) receipts() (all []string) {
	for _, e := range h.ledger.kept() {
		if strings.Contains(e, `"name":"consent_receipt"`) {
			all = append(all, e)
		}
	}
	return all
}

func cookieGone(res reply) bool {
	return strings.Contains(res.Header.Get("Set-Cookie"), "__Secure-near-demo=; Max-Age=0; Path=/_near;")
}

func TestWhoEraseIsForgottenOnce(t *testing.T) {
	for name, ask := range map[string]func(h *house, state string) reply{
		"by the cookie": func(h *house, state string) reply {
			return h.do("POST", "/_near/v1/forget", claimOf(nil), atHome, atHomeHost, "Cookie: __Secure-near-demo="+state)
		},
		"by the state": func(h *house, state string) reply {
			return h.do("POST", "/v1/forget", claimOf(say{"state": state}), fromShop)
		},
		"on the page": func(h *house, state string) reply {
			return h.do("POST", pagePath, formOf("do", "erase"), asForm, ownForm, sameSite, "Cookie: __Secure-near-demo="+state)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h, r, state := openOwn(t, nil)
			id := h.visitorOf(state)
			r.refuse(errors.New("disk"))
			if res := ask(h, state); res.StatusCode != 503 || res.Header.Get("Set-Cookie") != "" || len(h.receipts()) != 0 {
				t.Errorf("not erased: answer %d, cookie %q, receipts %q: the browser could not ask again", res.StatusCode, res.Header.Get("Set-Cookie"), h.receipts())
			}
			r.refuse(nil)
			res := ask(h, state)
			if res.StatusCode != 200 || len(r.whom()) != 1 || r.whom()[0] != "demo "+id {
				t.Fatalf("answer %d %s, erased %q", res.StatusCode, res.body, r.whom())
			}
			if byCookie := name != "by the state"; cookieGone(res) != byCookie {
				t.Errorf("the cookie: %q", res.Header.Get("Set-Cookie"))
			}
			receipts := h.receipts()
			if len(receipts) != 1 || !strings.Contains(receipts[0], `"purposes":0`) || !strings.Contains(receipts[0], `"answer":"withdrawn"`) || strings.Contains(receipts[0], "visitor") {
				t.Errorf("the receipts are %q, want one of nobody", receipts)
			}
			if again := ask(h, state); again.StatusCode != 410 || len(r.whom()) != 1 || len(h.receipts()) != 1 {
				t.Errorf("replayed: answer %d %s, erased %q", again.StatusCode, again.body, r.whom())
			}
			if res := h.do("POST", "/v1/mine", claimOf(say{"state": state}), fromShop); res.StatusCode != 410 || res.code(t) != "erased state" {
				t.Errorf("mine of an erased state: %d %s", res.StatusCode, res.body)
			}
			if strings.Contains(h.log.String(), id) {
				t.Error("the log names the visitor")
			}
		})
	}
}

// A customer has one id: what they do after they were erased is theirs again.
func TestACustomerWhoComesBackIsNotErased(t *testing.T) {
	h, r, state := openOwn(t, nil)
	s, sealer := h.opened(state)
	s.Customer = true
	before := sealer.SealState("demo", s)
	key := edge.PersonKeyOf("demo", s.VisitorID())
	for since, want := range map[time.Duration]int{time.Hour: 410, -time.Hour: 200} {
		r.hold(key, testNow.Add(since))
		if res := h.do("POST", "/v1/mine", claimOf(say{"state": before}), fromShop); res.StatusCode != want {
			t.Errorf("erased %v after the state began: answer %d, want %d", since, res.StatusCode, want)
		}
	}
}

// A log that takes no receipt is no reason not to erase.
func TestErasureDoesNotWaitForItsReceipt(t *testing.T) {
	h, r, state := openOwn(t, nil)
	h.ledger.set(0, edge.ErrUnavailable)
	res := h.do("POST", "/v1/forget", claimOf(say{"state": state}), fromShop)
	if res.StatusCode != 200 || res.body != `{"v":1,"erased":true}` || len(r.whom()) != 1 {
		t.Errorf("answer %d %s, erased %q", res.StatusCode, res.body, r.whom())
	}
}

func TestAServerThatCannotEraseSaysSo(t *testing.T) {
	h, _, state := openOwn(t, func(o *Options) { o.Eraser = nil })
	cookie := "Cookie: __Secure-near-demo=" + state
	res := h.do("POST", "/_near/v1/forget", claimOf(nil), atHome, atHomeHost, cookie)
	if res.StatusCode != 501 || res.code(t) != "not_available" || res.Header.Get("Set-Cookie") != "" || len(h.receipts()) != 0 {
		t.Errorf("answer %d %s, cookie %q, receipts %q", res.StatusCode, res.body, res.Header.Get("Set-Cookie"), h.receipts())
	}
	if page := h.do("GET", pagePath, "", cookie); strings.Contains(page.body, `value="erase"`) || !strings.Contains(page.body, `value="withdraw"`) {
		t.Error("the page offers what the server cannot do, or less than it can")
	}
}

func TestThePageKeepsToItsReader(t *testing.T) {
	h, _, state := openOwn(t, nil)
	s, sealer := h.opened(state)
	s.Receipt = edge.StateReceipt{ID: "r1", Purposes: consent.All}
	state = sealer.SealState("demo", s)
	res := h.do("GET", pagePath, "", "Cookie: __Secure-near-demo="+state)
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY",
		"X-Robots-Tag": "noindex", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": rights.Policy, "Set-Cookie": "",
		"Cross-Origin-Opener-Policy": "same-origin", "Access-Control-Allow-Origin": "",
	} {
		if got := res.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, part := range []string{"frame-ancestors 'none'", "default-src 'none'", "form-action 'self'", "trusted-types 'none'"} {
		if !strings.Contains(rights.Policy, part) || strings.Contains(rights.Policy, "unsafe") {
			t.Errorf("the policy lacks %s: %s", part, rights.Policy)
		}
	}
	id := h.visitorOf(state)
	for _, want := range []string{"sku-7", id[:6] + "…", "hero", "by-device", "Device: <bdi>desktop"} {
		if !strings.Contains(res.body, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(res.body, id) || strings.Contains(res.body, state) {
		t.Error("the page has the whole id, or the state that a cookie brought")
	}
	if got := h.ledger.recorded(); got != 1 { // the beacon's
		t.Errorf("%d decisions are recorded, want the beacon's alone", got)
	}
	if got := len(h.ledger.kept()); got != 1 {
		t.Errorf("%d events are kept, want the beacon's alone", got)
	}
}

func TestThePagesLanguage(t *testing.T) {
	h, _, _ := openOwn(t, nil)
	for _, tt := range []struct{ query, accept, want string }{
		{"&lang=ar", "ru", `lang="ar" dir="rtl"`}, {"&lang=zh-Hant", "", `lang="zh-Hant" dir="ltr"`}, {"", "ru-RU, en;q=0.5", `lang="ru"`},
		{"", "zh-TW", `lang="zh-Hant"`}, {"", "zh", `lang="zh-Hans"`}, {"&lang=tlh", "ar-SA", `lang="ar"`}, {"", "", `lang="en"`}, {"", "nl", `lang="en"`},
		{"&lang=" + strings.Repeat("x", 80), "", `lang="en"`},
	} {
		res := h.do("GET", "/_near/privacy?site=demo"+tt.query, "", "Accept-Language: "+tt.accept)
		if !strings.Contains(res.body, "<html "+tt.want) {
			t.Errorf("%q, %q: %.60s, want %s", tt.query, tt.accept, res.body, tt.want)
		}
	}
}

// On addresses without the prefix the cookie's path is /v1.
func TestThePageIsReadWhereTheCookieIs(t *testing.T) {
	h, _, _ := openOwn(t, nil)
	h.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res := h.do("GET", "/privacy?site=demo&lang=ru", "")
	if got := res.Header.Get("Location"); res.StatusCode != 303 || got != "v1/privacy?site=demo&lang=ru" {
		t.Errorf("answer %d to %q", res.StatusCode, got)
	}
	if res := h.do("GET", "/v1/privacy?site=demo&lang=ru", ""); res.StatusCode != 200 || !strings.Contains(res.body, `lang="ru"`) {
		t.Errorf("answer %d", res.StatusCode)
	}
}

// A site on another origin hands the state on: the page's own forms have it then.
func TestASiteOnAnotherOriginHandsItsStateOn(t *testing.T) {
	h, r, state := openOwn(t, nil)
	res := h.do("POST", "/privacy?site=demo&lang=en", formOf("state", state), asForm, fromShop, "Sec-Fetch-Site: cross-site")
	if res.StatusCode != 200 || !strings.Contains(res.body, "sku-7") || !strings.Contains(res.body, `name="state" value="`+state) {
		t.Fatalf("answer %d", res.StatusCode)
	}
	if res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("a script of the site may read the page")
	}
	res = h.do("POST", "/privacy?site=demo&lang=en", formOf("state", state, "do", "erase"), asForm, ownForm, sameSite)
	if res.StatusCode != 200 || len(r.whom()) != 1 || strings.Contains(res.body, state) || !strings.Contains(res.body, `data-done="erase"`) || !strings.Contains(res.body, "Say no there as well") {
		t.Errorf("answer %d, erased %q", res.StatusCode, r.whom())
	}
}

func TestAWithdrawalOnThePage(t *testing.T) {
	h, _, state := openOwn(t, nil)
	withdraw := func() reply {
		return h.do("POST", pagePath, formOf("do", "withdraw"), asForm, ownForm, sameSite, "Cookie: __Secure-near-demo="+state)
	}
	h.ledger.set(0, edge.ErrUnavailable)
	if res := withdraw(); res.StatusCode != 503 || !cookieGone(res) || !strings.Contains(res.body, `data-done="withdraw"`) || strings.Contains(res.body, "sku-7") {
		t.Errorf("with a full log: answer %d, cookie %q", res.StatusCode, res.Header.Get("Set-Cookie"))
	}
	h.ledger.set(0, nil)
	res := withdraw()
	if receipts := h.receipts(); res.StatusCode != 200 || !cookieGone(res) || len(receipts) != 1 || !strings.Contains(receipts[0], `"purposes":0`) {
		t.Errorf("answer %d, receipts %q", res.StatusCode, receipts)
	}
	if strings.Contains(res.body, "sku-7") || strings.Contains(res.body, `class="yes"`) {
		t.Error("what was taken back is still there")
	}
}

func TestWhatIsAllowedIsToldAsFarAsItIsKnown(t *testing.T) {
	state := &edge.State{}
	state.Learn("view_item", testNow, edge.ItemEvent{Item: "sku-7"})
	known := knownGrants(state)
	if want := consent.Storage | consent.Profile | consent.Personalise; known != want {
		t.Errorf("known is %v, want %v", known, want)
	}
	state.Receipt = edge.StateReceipt{ID: "r1", Purposes: consent.Storage | consent.Share}
	known = knownGrants(state)
	got := bases(state, known&^consent.Share, known, true, false)
	for purpose, want := range map[consent.Purposes]rights.Basis{
		consent.Storage: rights.ByAnswer, consent.Personalise: rights.ByNote, consent.Share: rights.TakenAway, consent.Measure: rights.Refused,
	} {
		if got[purpose] != want {
			t.Errorf("%v is %q, want %q", purpose, got[purpose], want)
		}
	}
	if got := bases(nil, consent.Context, 0, false, false); got[consent.Context] != rights.ByDefault || got[consent.Measure] != rights.Unknown {
		t.Errorf("without a state: %v", got)
	}
}

func TestOnesOwnIsAskedForAtTheDoorsLimits(t *testing.T) {
	h := open(t, func(o *Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		o.AddressRate = Rate{PerSecond: 1, Burst: 6}
	})
	codes := map[int]int{}
	for range 4 {
		for _, path := range []string{pagePath, "/_near/v1/mine?site=demo"} {
			codes[h.do("GET", path, "", "X-Forwarded-For: 203.0.113.7").StatusCode]++
		}
		codes[h.do("POST", "/_near/v1/forget", claimOf(nil), atHome, atHomeHost, "X-Forwarded-For: 203.0.113.7").StatusCode]++
	}
	if codes[429] < 5 || codes[200] < 2 {
		t.Errorf("answers by status: %v", codes)
	}
}

// FuzzDecodeClaim checks that whatever is sent is read within its bounds or refused
// with a code, and that nobody is named by an id.
func FuzzDecodeClaim(f *testing.F) {
	for _, body := range []string{`{"v":1,"site":"demo","state":"AQAB"}`, `{"v":1,"site":"demo","id":"x"}`, `{"v":1,"site":"demo","x":[{}]}`, `{"\u0069d":"x"}`, `[`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var d Decoder
		var c claim
		err := d.decodeClaim(body, &c)
		if err != nil {
			if r := refusalOf(err); r == errInternal || r.code == "" {
				t.Fatalf("%q is refused without a code: %v", body, err)
			}
			return
		}
		if c.site == "" || len(c.site) > edge.MaxSiteBytes || len(c.state) > edge.MaxStateBytes {
			t.Fatalf("%q is read as %+v", body, c)
		}
		var members map[string]json.RawMessage
		if json.Unmarshal(body, &members) == nil {
			for _, name := range idMembers {
				if members[name] != nil {
					t.Fatalf("%q names somebody by %s", body, name)
				}
			}
		}
	})
}
