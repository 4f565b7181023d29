// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/publishing"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// These tests use the page /console in a real browser against a real node: the
// modules, the desk, the store and the shop behind it are the product's own.

// seasonModule writes the shop's own hero rule as an agency would bring it: under
// another name, with settings of every kind that a form can ask for.
func seasonModule(t testing.TB) string {
	t.Helper()
	listed, err := wasmrules.Embedded().List()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(listed, func(l wasmrules.Listed) bool { return l.Manifest.Name == "season-by-place" })
	wasm, err := wasmrules.Embedded().Open(listed[at].Hash)
	if err != nil {
		t.Fatal(err)
	}
	manifest := listed[at].Manifest
	manifest.Name, manifest.Version, manifest.Author = "seasons", "1.0.0", "Tarn & Fell, Kendal"
	manifest.Settings = json.RawMessage(`{"type":"object","properties":{
		"north":{"title":"Season in the north","description":"The season it is north of the equator.","enum":["winter","summer"],"default":"summer"},
		"days":{"title":"Days of grace","type":"integer","minimum":0,"maximum":30,"default":7},
		"strict":{"title":"Only where the country is certain","type":"boolean","default":true},
		"note":{"title":"Note","description":"For your colleagues.","type":"string","maxLength":80}},"required":["north"],"additionalProperties":false,"default":{"north":"winter"}}`)
	text, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "seasons.wasm")
	for name, content := range map[string][]byte{file: wasm, filepath.Join(dir, "manifest.json"): text} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cli(t, "module", "pack", file, "--manifest", filepath.Join(dir, "manifest.json"))
	return file
}

// A guest is somebody at the console.
type guest struct {
	*tab
	node *testNode
	lang string
	shot string // prefix of screenshots
}

func startConsole(t *testing.T) *testNode {
	t.Helper()
	cfg := testConfig()
	cfg.Demo, cfg.AdminAddr = true, "127.0.0.1:0"
	return startNode(t, cfg)
}

// see checks the page that is shown, and keeps pictures of it.
func (g *guest) see(name, title string) {
	g.t.Helper()
	g.until("the page "+name, `document.readyState === 'complete' && document.querySelector('h1')`)
	if got := eval[string](g.tab, `document.querySelector('h1').textContent.replace(/[\u2066-\u2069]/g, '').trim()`); !strings.Contains(got, title) {
		g.t.Errorf("%s: the page is %q, want %q: %s", name, got, title, eval[string](g.tab, `document.querySelector('main').innerText`))
	}
	for _, fault := range eval[[]string](g.tab, pageFaults) {
		g.t.Errorf("%s: %s", name, fault)
	}
	if got := eval[[]string](g.tab, `[document.documentElement.lang, document.documentElement.dir]`); got[0] != g.lang || (got[1] == "rtl") != (g.lang == "ar") {
		g.t.Errorf("%s: language and direction are %q", name, got)
	}
	g.picture(name)
}

// picture keeps what a page looks like on a desk and in a hand, by day and by
// night, when SCREENSHOTS names a directory.
func (g *guest) picture(name string) {
	g.t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" || g.shot == "" {
		return
	}
	for _, look := range []struct {
		suffix, scheme string
		width          int64
	}{{"1280", "light", 1280}, {"1280-dark", "dark", 1280}, {"390", "light", 390}, {"390-dark", "dark", 390}} {
		g.scheme(look.scheme)
		g.do(chromedp.EmulateViewport(look.width, 800))
		g.do(chromedp.EmulateViewport(look.width, eval[int64](g.tab, `document.documentElement.scrollHeight`)))
		png, err := chromedp.Run(g.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			g.t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%s.png", g.shot, name, look.suffix)), png, 0o644); err != nil {
			g.t.Fatal(err)
		}
	}
	g.scheme("light")
	g.do(chromedp.EmulateViewport(1280, 800))
}

func (g *guest) scheme(name string) {
	g.t.Helper()
	_, err := chromedp.Call(g.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: name}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	if err != nil {
		g.t.Fatal(err)
	}
}

// pageFaults lists what is wrong with a page whatever it says.
const pageFaults = `(() => {
	const faults = [], seen = e => e.checkVisibility({visibilityProperty: true, opacityProperty: true}) && e.getClientRects().length > 0;
	const name = e => e.outerHTML.slice(0, 90);
	if (document.querySelectorAll('h1').length !== 1) faults.push(document.querySelectorAll('h1').length + ' first headings');
	for (const tag of ['header', 'main', 'footer']) if (document.querySelectorAll('body > ' + tag).length !== 1) faults.push('no one ' + tag);
	let level = 0;
	for (const h of document.querySelectorAll('main :is(h1,h2,h3)')) {
		if (!seen(h)) continue;
		if (+h.tagName[1] > level + 1 && level) faults.push('skips a level: ' + name(h));
		level = +h.tagName[1];
	}
	const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
	for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push('twice the id ' + id);
	for (const e of document.querySelectorAll('[aria-describedby],[aria-labelledby]'))
		for (const id of ((e.getAttribute('aria-describedby') || '') + ' ' + (e.getAttribute('aria-labelledby') || '')).split(' ').filter(Boolean))
			if (!document.getElementById(id)) faults.push('nothing is called ' + id);
	for (const e of document.querySelectorAll('input:not([type=hidden]),select,textarea')) if (!e.labels.length) faults.push('no label: ' + name(e));
	for (const e of document.querySelectorAll('a,button,summary,label,legend')) if (!e.textContent.trim()) faults.push('no words: ' + name(e));
	for (const e of document.querySelectorAll('img')) if (e.getAttribute('alt') === null) faults.push('no alt: ' + name(e));
	for (const e of document.querySelectorAll('[style],[onclick],script:not([src]),style')) faults.push('inline: ' + name(e));
	for (const e of document.querySelectorAll('a[href^="#"]')) if (!document.getElementById(e.getAttribute('href').slice(1))) faults.push('leads nowhere: ' + name(e));
	for (const e of document.querySelectorAll('.button,summary,.tabs a,input,select,textarea')) {
		const box = e.getBoundingClientRect();
		if (seen(e) && (box.height < 24 || box.width < 16) && !e.closest('.choice,.field-check')) faults.push('too small to press: ' + name(e));
	}
	const colour = text => (text.match(/[\d.]+/g) || []).map(Number);
	const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const ground = e => { for (; e; e = e.parentElement) { const c = colour(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0.99) return c.slice(0, 3); } return [255, 255, 255]; };
	for (const e of document.querySelectorAll('body *')) {
		if (!seen(e) || ![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim()) || e.closest('.unseen,[disabled],option')) continue;
		const style = getComputedStyle(e), a = light(colour(style.color).slice(0, 3)), b = light(ground(e));
		const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), large = parseFloat(style.fontSize) >= 24;
		if (ratio < (large ? 3 : 4.5)) faults.push('contrast ' + ratio.toFixed(2) + ': ' + name(e));
	}
	return faults;
})()`

// everyLook checks a page by day and by night, and that nothing is wider than
// the narrowest screen: what 1280 pixels have left when they are enlarged four
// times (WCAG 2.2, 1.4.10).
func (g *guest) everyLook(name string) {
	g.t.Helper()
	g.do(chromedp.EmulateViewport(320, 700))
	for _, scheme := range []string{"dark", "light"} {
		g.scheme(scheme)
		for _, fault := range eval[[]string](g.tab, pageFaults) {
			g.t.Errorf("%s, %s: %s", name, scheme, fault)
		}
	}
	if wide := eval[[]string](g.tab, `document.documentElement.scrollWidth <= 320 ? [] : [...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll *,.tabs ul *,.unseen') && (e.getBoundingClientRect().right > 320.5 || e.getBoundingClientRect().left < -0.5)).map(e => e.outerHTML.slice(0, 90)).slice(0, 5)`); len(wide) > 0 {
		g.t.Errorf("%s is wider than 320 px: %q", name, wide)
	}
	g.do(chromedp.EmulateViewport(1280, 800))
}

func (g *guest) press(selector string) {
	g.t.Helper()
	// What is pressed leads to another page, or to another main part of this one.
	eval[bool](g.tab, `document.querySelector('main').isOld = true`)
	g.do(chromedp.Click(selector))
	g.until("what follows "+selector, `document.readyState === 'complete' && document.querySelector('main') && !document.querySelector('main').isOld`)
}

func (g *guest) signIn(secret string) {
	g.t.Helper()
	g.do(chromedp.SendKeys(`#f-token`, secret))
	g.press(`main form .button`)
}

func (g *guest) says(what, words string) {
	g.t.Helper()
	if got := eval[string](g.tab, `document.querySelector('main').innerText.replace(/[\u2066-\u2069]/g, '')`); !strings.Contains(got, words) {
		g.t.Errorf("%s: the page does not say %q:\n%s", what, words, got)
	}
}

// pageViews are page views of the shop, from everybody's phones: each sees what
// it is shown, and every fourth presses it.
func (n *testNode) pageViews(t testing.TB, name string, count int) {
	t.Helper()
	header := map[string]string{"Origin": n.base}
	send := func(body string) string {
		res, text := n.post(t, "/_near/v1/beacon", strings.NewReplacer(`"site":"shop"`, `"site":"demo"`, "https://shop.example", n.base).Replace(body), header)
		if res.StatusCode != 200 && res.StatusCode != 204 {
			t.Fatalf("beacon: %d %s", res.StatusCode, text)
		}
		return text
	}
	for i := range count {
		view := fmt.Sprint(name, i)
		var answer struct{ Decisions []shown }
		if err := json.Unmarshal([]byte(send(beaconOf(consent.All, view))), &answer); err != nil || len(answer.Decisions) != 1 {
			t.Fatalf("%v: %+v", err, answer)
		}
		events := fmt.Sprintf(`"events":[{"id":"%s.8","name":"slot_impression","at":1000,"props":{"decision":%q,"shown":"variant"}}`, view, answer.Decisions[0].ID)
		if i%4 == 0 {
			events += fmt.Sprintf(`,{"id":"%s.9","name":"slot_click","at":1000,"props":{"decision":%q,"shown":"variant"}}`, view, answer.Decisions[0].ID)
		}
		before, _, _ := strings.Cut(beaconOf(consent.All, view), `"events":`)
		send(before + events + `],"slots":[]}`)
	}
}

// awaitCount waits until so many variants of the shop were counted as shown: the
// count follows the log.
func (n *testNode) awaitCount(t testing.TB, want uint64) {
	t.Helper()
	var counts publishing.Counts
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if err := json.Unmarshal([]byte(n.adminGet(t, "/v1/sites/demo/counts")), &counts); err != nil {
			t.Fatal(err)
		}
		shown := uint64(0)
		for _, row := range counts.Rows {
			shown += row.Shown
		}
		if shown == want {
			return
		}
	}
	t.Fatalf("waited 15 s for %d to be counted: %+v", want, counts.Rows)
}

// A marketer's morning.
func TestAMarketerUsesTheConsole(t *testing.T) {
	n := startConsole(t)
	file := seasonModule(t)
	g := &guest{newTab(t, 1280, 800), n, "en", "en"}

	g.open(n.admin + "/console/sites/demo/history")
	g.see("signin", "Sign in")
	g.everyLook("signin")
	g.signIn("near_" + strings.Repeat("A", 43))
	g.see("signin-wrong", "Sign in")
	g.says("a wrong token", "not known here")
	if got := eval[string](g.tab, `document.activeElement.id`); got != "problem" {
		t.Errorf("the focus is on %q, want the problem", got)
	}
	g.signIn(n.token)
	g.see("history-first", "Releases") // where the guest wanted to go
	if cookies := g.cookies(); len(cookies) != 1 || !strings.Contains(cookies[0], `"httpOnly":true`) || !strings.Contains(cookies[0], `"sameSite":"Strict"`) {
		t.Errorf("cookies: %s", cookies)
	}

	g.press(`.tabs a[href$="/demo"]`)
	g.see("site-first", "demo")
	g.everyLook("site")
	g.refusedFile()
	g.press(`.tabs a[href$="/modules"]`)
	g.do(chromedp.SetUploadFiles(`#f-module`, []string{file}))
	g.press(`.drop > .button`)
	g.see("module", "seasons 1.0.0")
	g.everyLook("module")
	g.says("the check", "needed to run")
	g.says("the check", "Country geo.country")
	g.says("the check", "Tarn & Fell, Kendal")

	g.do(chromedp.SendKeys(`[id="f-settings.note"]`, "für Anna"))
	g.press(`button[formaction$="/shadow"]`)
	g.see("slot-shadow-first", "hero")
	g.says("a shadow", "compares silently")
	n.pageViews(t, "a", 12)
	g.do(chromedp.Reload())
	g.see("slot-shadow", "hero")
	g.everyLook("slot")
	g.says("a comparison", "Decisions compared\n12")
	g.previewIn()

	g.do(chromedp.SetValue(`#f-share`, "25"))
	g.press(`button[formaction$="/publish"]`)
	g.see("review", "Publish this?")
	g.everyLook("review")
	g.says("the review", "25% of visitors")
	g.press(`main form .button`)
	g.see("slot-rollout", "hero")
	g.says("a gradual release", "25% of visitors")
	g.says("a gradual release", "seasons 1.0.0\nGradual")
	n.pageViews(t, "b", 8)
	g.press(`.tabs a[href$="/demo"]`)
	g.see("site", "demo")
	g.says("the counts", "Counts, not proof")
	n.awaitCount(t, 20)
	g.do(chromedp.Reload())
	g.see("counts", "demo")
	g.everyLook("counts")
	// Which variant a visitor saw is up to the share; all of them were phones.
	if got := eval[[]int](g.tab, `[...document.querySelectorAll('.counts tbody tr')].reduce(([shown, clicked], row) => [shown + +row.cells[2].textContent, clicked + +row.cells[4].textContent], [0, 0])`); !slices.Equal(got, []int{20, 5}) {
		t.Errorf("shown and clicked: %d, want 20 and 5", got)
	}

	g.press(`a[href$="/rollback"]`)
	g.see("rollback", "Roll back to release 2?")
	g.everyLook("rollback")
	g.press(`main form .button`)
	g.says("a rollback", "The earlier release is live again")
	for _, tab := range []string{"history", "audit", "proposals", "modules"} {
		g.press(`.tabs a[href$="/` + tab + `"]`)
		g.see(tab, map[string]string{"history": "Releases", "audit": "Activity", "proposals": "Approvals", "modules": "Modules"}[tab])
		g.everyLook(tab)
	}

	g.press(`a[href$="/modules/season-by-place/1.0.0"]`)
	g.see("builtin", "season-by-place 1.0.0")
	g.says("what comes with the node", "Comes with the node")

	g.do(chromedp.Click(`.menu-end:last-child summary`))
	g.press(`.menu-body .button`)
	g.see("signout", "Sign in")
	g.open(n.admin + "/console/sites/demo")
	g.see("signed-out", "Sign in")
	if faults := g.faults; len(faults) > 0 {
		t.Errorf("scripts failed: %q", faults)
	}
}

// refusedFile drops a file that is no module.
func (g *guest) refusedFile() {
	g.t.Helper()
	if got := eval[string](g.tab, `(() => {
		const files = new DataTransfer(), form = document.querySelector('.drop');
		files.items.add(new File([new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 7])], 'holiday.wasm'));
		form.dispatchEvent(new DragEvent('dragover', {dataTransfer: files, bubbles: true, cancelable: true}));
		const over = form.classList.contains('is-over');
		form.dispatchEvent(new DragEvent('drop', {dataTransfer: files, bubbles: true, cancelable: true}));
		return [over, form.classList.contains('is-over'), document.querySelector('#f-module').files[0]?.name, document.activeElement.textContent].join(' ');
	})()`); got != "true false holiday.wasm Check it" {
		g.t.Errorf("a dropped file: %q", got)
	}
	g.press(`.drop > .button`)
	g.see("refused", "may not be uploaded")
	g.says("a refusal", "not a whole and valid WebAssembly module")
	g.everyLook("refused")
}

// previewIn asks for a preview and looks at the shop through its link, and
// without.
func (g *guest) previewIn() {
	g.t.Helper()
	g.press(`a[href$="/modules/seasons/1.0.0"]`)
	page := g.node.base + "/en/?grant=context&place=paris&device=phone"
	g.do(chromedp.SetValue(`#f-page`, page), chromedp.SetValue(`[id="f-settings.north"]`, g.node.otherSeason(g.t)))
	g.press(`form .act .button`)
	g.see("preview", "seasons 1.0.0")
	link := eval[string](g.tab, `document.querySelector('#f-link').value`)
	if !strings.HasPrefix(link, g.node.base+"/en/?") || !strings.Contains(link, "near_preview=") {
		g.t.Errorf("the link is %q", link)
	}
	back := eval[string](g.tab, `location.href.replace(/\/preview$/, '')`)
	look := func(address string) string {
		g.open(address)
		g.until("the hero", `document.querySelector('near-slot[name=hero]').dataset.near`)
		return eval[string](g.tab, heroTitle)
	}
	if live, preview := look(page), look(link); live == preview {
		g.t.Errorf("the preview shows what everybody sees: %q", live)
	}
	if log := g.node.adminGet(g.t, "/v1/events?site=demo"); strings.Contains(log, `"reason":"preview"`) {
		g.t.Errorf("the preview is in the log: %s", log)
	}
	g.open(back)
	g.see("module-again", "seasons 1.0.0")
}

// otherSeason is the season that it is not in the shop's north, as a choice.
func (n *testNode) otherSeason(t testing.TB) string {
	t.Helper()
	var doc edge.ReleaseDocument
	if err := json.Unmarshal([]byte(n.adminGet(t, "/v1/releases/demo")), &doc); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(doc.Slots[0].Ladder[0].Rules[0].Settings), "summer") {
		return `"winter"`
	}
	return `"summer"`
}

// The same in Arabic, from right to left, with the keyboard alone.
func TestTheConsoleInArabicByKeyboard(t *testing.T) {
	n := startConsole(t)
	g := &guest{newTab(t, 1280, 800), n, "ar", "ar"}
	g.open(n.admin + "/console?lang=ar")
	g.see("signin", "تسجيل الدخول")
	g.do(chromedp.KeyEvent(n.token))
	g.do(chromedp.KeyEvent("\r"))
	g.until("the site", `document.readyState === 'complete' && document.querySelector('.tabs')`)
	g.see("site", "demo")
	g.everyLook("site")
	g.tabThrough()

	g.do(chromedp.SetUploadFiles(`#f-module`, []string{seasonModule(t)}))
	g.press(`.drop > .button`)
	g.see("module", "seasons 1.0.0")
	g.everyLook("module")
	g.press(`button[formaction$="/publish"]`)
	g.see("review", "أتنشر هذا؟")
	g.press(`main form .button`)
	g.see("slot", "hero")
	g.everyLook("slot")
	g.says("a publication", "على الهواء")
	g.open(n.admin + "/console/sites/demo/rollback")
	g.see("rollback", "أتتراجع إلى الإصدار 1؟")
	g.press(`main form .button`)
	g.says("a rollback", "عاد الإصدار السابق إلى الهواء")
	g.press(`.tabs a[href$="/audit"]`)
	g.see("audit", "السجل")
	g.everyLook("audit")
	var doc edge.ReleaseDocument
	if err := json.Unmarshal([]byte(n.adminGet(t, "/v1/releases/demo")), &doc); err != nil || doc.Number != 3 {
		t.Errorf("release %d, %v", doc.Number, err)
	}
}

// Two people, in Russian, whose words are the longest.
func TestTwoPeopleAtTheConsole(t *testing.T) {
	n := startConsole(t)
	var doc edge.ReleaseDocument
	if err := json.Unmarshal([]byte(n.adminGet(t, "/v1/releases/demo")), &doc); err != nil {
		t.Fatal(err)
	}
	doc.Settings.SecondPerson = true
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := dialAdmin(n.data).putRelease(t.Context(), "demo", 1, text); err != nil {
		t.Fatal(err)
	}
	token := func(name, role string) string {
		return strings.TrimSpace(cli(t, "token", "create", name, "--role", role, "--site", "demo", "--data", n.data))
	}
	ada, bob := token("ada", "publisher"), token("bob", "approver")
	g := &guest{newTab(t, 1280, 800), n, "ru", "ru"}
	g.open(n.admin + "/console/sites/demo/modules?lang=ru")
	g.signIn(ada)
	g.do(chromedp.SetUploadFiles(`#f-module`, []string{seasonModule(t)}))
	g.press(`.drop > .button`)
	g.see("module", "seasons 1.0.0")
	g.everyLook("module")
	g.press(`button[formaction$="/publish"]`)
	g.see("review", "Опубликовать?")
	g.everyLook("review")
	g.press(`main form .button`)
	g.see("proposals-mine", "Согласование")
	g.says("who proposed it", "Это предложили вы")
	g.do(chromedp.Click(`.menu-end:last-child summary`))
	g.press(`.menu-body .button`)

	g.signIn(bob)
	g.see("site", "demo")
	g.everyLook("site")
	g.says("a colleague", "Изменений ждут второго человека: 1")
	g.press(`.notice a`)
	g.do(chromedp.Click(`.proposal summary`))
	g.see("proposals", "Согласование")
	g.everyLook("proposals")
	g.press(`.proposal .actions form .button`)
	g.says("an approval", "Согласовал bob")
	g.see("proposals-approved", "Согласование")

	for lang, words := range map[string]string{"zh-Hans": "审批", "zh-Hant": "審核"} {
		g.lang, g.shot = lang, lang
		g.open(n.admin + "/console/sites/demo/proposals?lang=" + lang)
		g.see("proposals", words)
		for _, page := range []string{"", "/modules/seasons/1.0.0", "/slots/hero", "/history", "/audit"} {
			g.open(n.admin + "/console/sites/demo" + page)
			g.everyLook(lang + page)
			g.picture("page" + strings.ReplaceAll(page, "/", "-"))
		}
	}
}

// tabThrough goes through a page with the tab key: what has the focus is seen to
// have it, and everything that can be pressed is reached.
func (g *guest) tabThrough() {
	g.t.Helper()
	reached := map[string]bool{}
	g.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	for range 60 {
		g.do(chromedp.KeyEvent("\t"))
		got := eval[[]string](g.tab, `(e => [e.outerHTML.slice(0, 120), String(e === document.body || parseFloat(getComputedStyle(e).outlineWidth) > 0 && getComputedStyle(e).outlineStyle !== 'none')])(document.activeElement)`)
		if got[1] != "true" {
			g.t.Errorf("nobody sees the focus on %s", got[0])
		}
		if strings.HasPrefix(got[0], "<body") {
			break
		}
		reached[got[0]] = true
	}
	for _, want := range eval[[]string](g.tab, `[...document.querySelectorAll('a[href],button,summary,input:not([type=hidden])')].filter(e => e.checkVisibility()).map(e => e.outerHTML.slice(0, 120))`) {
		if !reached[want] {
			g.t.Errorf("the tab key does not reach %s", want)
		}
	}
}
