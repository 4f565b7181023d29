// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"html"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/publishing"
)

// A visitor is somebody with a browser that runs no scripts.
type visitor struct {
	t      testing.TB
	base   string
	client *http.Client
}

func (b *bench) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return &visitor{b.t, b.base, &http.Client{Timeout: 30 * time.Second, Jar: jar}}
}

// signedIn is somebody who signed in with a token.
func (b *bench) signedIn(name string, role publishing.Role) *visitor {
	b.t.Helper()
	v := b.visitor()
	if page := v.post("/console/signin", url.Values{"token": {b.token(name, role, "shop")}}); page.status != 200 || page.path != "/console/sites/shop" {
		b.t.Fatalf("sign in: %d %s %s", page.status, page.path, page.text)
	}
	return v
}

// A sheet is a page as somebody reads it.
type sheet struct {
	status     int
	path       string // after redirects
	header     http.Header
	html, text string
	t          testing.TB
}

var (
	tags   = regexp.MustCompile(`(?s)<head>.*?</head>|<[^>]*>`)
	spaces = regexp.MustCompile(`\s+`)
)

func (v *visitor) send(req *http.Request, err error) sheet {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	res, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	words := strings.NewReplacer(isolate, "", popIsolate, "").Replace(string(body))
	text := strings.TrimSpace(spaces.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString(words, " ")), " "))
	return sheet{res.StatusCode, res.Request.URL.Path, res.Header, string(body), text, v.t}
}

func (v *visitor) get(path string) sheet {
	v.t.Helper()
	return v.send(http.NewRequest("GET", v.base+path, nil))
}

func (v *visitor) post(path string, form url.Values) sheet {
	v.t.Helper()
	req, err := http.NewRequest("POST", v.base+path, strings.NewReader(form.Encode()))
	if err == nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return v.send(req, err)
}

// upload sends a module with the form that a browser without scripts sends.
func (v *visitor) upload(name, wasm string) sheet {
	v.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	part, err := form.CreateFormFile("module", name)
	if err == nil {
		_, err = io.WriteString(part, wasm)
	}
	if err == nil {
		_, err = form.CreateFormFile("signature", "")
	}
	if err != nil {
		v.t.Fatal(err)
	}
	form.Close()
	req, err := http.NewRequest("POST", v.base+"/console/sites/shop/modules", &body)
	if err == nil {
		req.Header.Set("Content-Type", form.FormDataContentType())
	}
	return v.send(req, err)
}

func (s sheet) want(what string, status int, words ...string) {
	s.t.Helper()
	if s.status != status {
		s.t.Errorf("%s: answer %d, want %d: %s", what, s.status, status, s.text)
		return
	}
	for _, w := range words {
		if !strings.Contains(s.text, w) {
			s.t.Errorf("%s: the page does not say %q: %s", what, w, s.text)
		}
	}
}

// placing is a form that puts a module into the slot hero.
func placing(fields ...string) url.Values {
	form := url.Values{"slot": {"hero/hero"}, "rung": {"context"}, "share": {"100"}, "settings.north": {`"summer"`}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return form
}

// A marketer's way through the page, with a browser that runs no scripts.
func TestAMarketerWithoutScripts(t *testing.T) {
	b := openBench(t, nil)
	v := b.signedIn("ada", publishing.Publisher)
	const site = "/console/sites/shop"
	v.get(site).want("what is live", 200, "Release 1", "hero", "Counts, not proof", "Choose a .wasm file")

	v.upload("holiday.wasm", "\x00asm\x01\x00\x00\x00\x07").want("a refusal", 422, "may not be uploaded", "holiday.wasm", "not a whole and valid", "For its author")
	module := v.upload("seasons.wasm", moduleOf(t, "seasons", "1.0.0", "Shines or rains.", formSchema))
	if module.path != site+"/modules/seasons/1.0.0" {
		t.Fatalf("upload: %d %s: %s", module.status, module.path, module.text)
	}
	module.want("the check", 200, "passed the check", "Shines or rains.", "Tarn & Fell", "Fit the moment needed to run", "Kind of device device.type",
		"Without any consent", "Page page.path", "Room to the limits", "Season in the north", "North of the equator.")

	v.post(module.path+"/preview", placing()).want("a preview", 200, "Your preview")
	elsewhere := v.post(module.path+"/preview", placing("page", "https://evil.example/"))
	elsewhere.want("a preview of another site's page", 422, "refuses this change", "Go to the field")
	v.post(module.path+"/shadow", placing()).want("a shadow", 200, "compares silently from now on", "seasons 1.0.0 Comparing silently")
	v.post(site+"/slots/hero/rollout", url.Values{"module": {"seasons@1.0.0"}, "share": {"12.5"}}).want("a share", 200, "12.5% of visitors")

	form := placing("settings.days", "7", "settings.strict", "true", "settings.note", "für Anna")
	review := v.post(module.path+"/publish", form)
	review.want("a review", 200, "Publish this?", "Now The moment seasons 1.0.0 Gradual 12.5% of visitors", "Then The moment seasons 1.0.0 Live", `{"days":7,"north":"summer","note":"für Anna","strict":true}`, "Everybody on this level")
	form.Set("confirmed", "yes")
	v.post(module.path+"/publish", form).want("a publication", 200, "Published. It is live.", "seasons 1.0.0 Live", `"note":"für Anna"`)
	v.get(module.path).want("the form afterwards", 200, "Where it is at work hero 1.0.0 Live")
	v.post(module.path+"/publish", form).want("the same again", 200, "nothing to change")

	// Another module of the same level goes before it, or after.
	rain := v.upload("rain.wasm", moduleOf(t, "rain", "1.0.0", "", plainSchema)).path
	form = placing("first", "yes")
	v.post(rain+"/publish", form).want("two modules of one level", 200, "Then The moment rain 1.0.0 Live seasons 1.0.0 Live")
	form.Del("first")
	v.post(rain+"/publish", form).want("two modules of one level", 200, "} rain 1.0.0 Live")

	v.get(site+"/rollback").want("a rollback's question", 200, "Roll back to release 3?", "Then The moment seasons 1.0.0 Gradual 12.5% of visitors")
	v.post(site+"/rollback", url.Values{"to": {"3"}, "follows": {"1"}}).want("a rollback from an old page", 409, "Somebody else changed this meanwhile")
	v.post(site+"/rollback", url.Values{"to": {"3"}, "follows": {"4"}}).want("a rollback", 200, "Rolled back", "12.5% of visitors")
	v.get(site+"/rollback").want("one further back", 200, "Roll back to release 2?")
	v.post(site+"/slots/hero/remove", url.Values{"module": {"seasons@1.0.0"}}).want("a removal's question", 200, "Remove this module?")
	v.post(site+"/slots/hero/remove", url.Values{"module": {"seasons@1.0.0"}, "confirmed": {"yes"}}).want("a removal", 200, "removed from the slot")
	v.get(site+"/history").want("history", 200, "Release 6 Live", "Roll back: Release 3 · ada", "Go back to this")
	v.get(site+"/audit").want("the log", 200, "ada May publish Upload seasons@1.0.0", "4 → 5")
	if b.log.String() != "" {
		t.Errorf("log: %s", b.log)
	}
}

func TestWhatIsWrongIsSaidBesideItsField(t *testing.T) {
	b := openBench(t, nil)
	v := b.signedIn("ada", publishing.Publisher)
	path := v.upload("seasons.wasm", moduleOf(t, "seasons", "1.0.0", "", formSchema)).path
	for _, tt := range []struct {
		name          string
		form          url.Values
		words, linked string
	}{
		{"no slot", placing("slot", ""), "Choose a slot.", "slot"},
		{"a slot that is not there", placing("slot", "foot/hero"), "Choose a slot.", "slot"},
		{"no share", placing("share", "0"), "above 0, at most 100", "share"},
		{"a share that is a word", placing("share", "all"), "above 0, at most 100", "share"},
		{"a share with a comma is good, a level that is none is not", placing("share", "12,5", "rung", "attic", "confirmed", "yes"), "refuses this change", "rung"},
		{"a number that is none", placing("settings.days", "many"), "A setting cannot be read.", "settings.days"},
		{"a choice that is none", placing("settings.north", `"spring"`), "A setting cannot be read.", "settings.north"},
		{"a number that the schema refuses", placing("settings.days", "31", "confirmed", "yes"), "refuses this change", ""},
	} {
		page := v.post(path+"/publish", tt.form)
		page.want(tt.name, 422, tt.words)
		if tt.linked != "" && (!strings.Contains(page.html, `href="#f-`+tt.linked+`"`) || !strings.Contains(page.html, `id="f-`+tt.linked+`"`)) {
			t.Errorf("%s: no way leads to the field %s", tt.name, tt.linked)
		}
		if !strings.Contains(page.html, `<title>Problem:`) {
			t.Errorf("%s: the title does not tell of it", tt.name)
		}
	}
	v.post("/console/sites/shop/slots/hero/rollout", url.Values{"module": {"snow"}, "share": {"5"}}).want("a module that is not there", 422, "refuses this change")
	v.post("/console/sites/shop/slots/hero/rollout", url.Values{"module": {"snow"}, "share": {"x"}}).want("a share of x", 400, "could not be read")
	v.get("/console/sites/shop/rollback").want("nothing before", 404, "no release before")
	v.get("/console/sites/shop/slots/attic").want("a slot that is not there", 404, "nothing here")
	v.get("/console/sites/blog").want("another site", 403, "Your role does not allow this")
	v.get("/console/attic").want("a page that is not there", 404, "nothing here")
}

func TestASecondPersonOnThePage(t *testing.T) {
	b := openBench(t, nil)
	doc := strings.Replace(string(siteDocument(t, "shop")), `"languages"`, `"secondPerson":true,"languages"`, 1)
	if res := b.do("PUT", "/v1/releases/shop", doc, "If-Match: 1"); res.StatusCode != 200 {
		t.Fatal(res.body)
	}
	ada, bob, eve := b.signedIn("ada", publishing.Publisher), b.signedIn("bob", publishing.Approver), b.signedIn("eve", publishing.Viewer)
	path := ada.upload("seasons.wasm", moduleOf(t, "seasons", "1.0.0", "", formSchema)).path
	ada.post(path+"/publish", placing()).want("the review", 200, "wants a second person", "Ask for approval")
	asked := ada.post(path+"/publish", placing("confirmed", "yes"))
	asked.want("a proposal", 200, "waits for a second person", "You proposed this")
	id := regexp.MustCompile(`/proposals/([a-z0-9]{16})/reject`).FindStringSubmatch(asked.html)
	if id == nil {
		t.Fatal(asked.html)
	}
	proposal := "/console/sites/shop/proposals/" + id[1]
	ada.post(proposal+"/approve", nil).want("her own", 403, "somebody else must approve it")
	eve.get("/console/sites/shop/proposals").want("who only looks", 200, "Your role does not approve")
	eve.post(proposal+"/approve", nil).want("who only looks", 403, "does not allow this")
	bob.get("/console/sites/shop").want("a colleague", 200, "Changes that wait for a second person: 1")
	bob.post(proposal+"/reject", url.Values{"reason": {""}}).want("a rejection without words", 422, "refuses this change")
	bob.post(proposal+"/approve", nil).want("an approval", 200, "Approved and published", "Approved by bob · ")
	bob.post(proposal+"/reject", url.Values{"reason": {"late"}}).want("too late", 409, "decided about this already")
}

func TestAFormOfJSON(t *testing.T) {
	b := openBench(t, nil)
	v := b.signedIn("ada", publishing.Publisher)
	schema := `{"type":"object","properties":{"north":{"type":["string","null"]}}}`
	path := v.upload("deep.wasm", moduleOf(t, "deep", "1.0.0", "", schema)).path
	if page := v.get(path); !strings.Contains(page.html, `<textarea id="f-settings"`) {
		t.Error("no box of JSON")
	}
	bad := v.post(path+"/publish", placing("settings", `{"north":`))
	bad.want("no JSON", 422, "A setting cannot be read.", `{"north":`)
	v.post(path+"/publish", placing("settings", `{"north": "summer"}`, "confirmed", "yes")).want("JSON", 200, "Published", `{"north":"summer"}`)
	v.get(path).want("the settings come back", 200, `"north": "summer"`)
}
