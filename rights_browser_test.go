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

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/nearside/nearside/demo"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/prompt"
)

// These tests are a visitor of the demo who looks at what is held of them and takes
// it back, in a real browser against a real node.

// A reader is a visitor who said yes to everything and looked around.
type reader struct {
	*tab
	node *testNode
}

// watchPolicy notes what a page's content security policy stopped.
const watchPolicy = `window.__stopped = []; addEventListener('securitypolicyviolation', e => window.__stopped.push(e.violatedDirective + ' ' + e.blockedURI))`

func newReader(t *testing.T) *reader {
	t.Helper()
	r := &reader{newTab(t, 1200, 900), startDemo(t)}
	r.onEveryPage(watchPolicy)
	r.notARobot()
	r.open(r.node.base + "/en/?device=phone&place=paris")
	r.until("the prompt", promptShows)
	r.do(chromedp.Click(`[data-answer=accept]`))
	r.until("the answer", `near && new Promise(done => near('get', s => done(s.decisions.length > 0)))`)
	r.awaitReceipts(1)
	for _, path := range []string{"/en/item/tarn-scarf/", "/en/item/brae-felt/"} {
		r.open(r.node.at(path, "device", "phone", "place", "paris", "grant", everything))
		r.until("the page's events to be told", `window.near && new Promise(done => near('get', s => done(s.decisions.length > 0)))`)
		time.Sleep(300 * time.Millisecond)
	}
	return r
}

// awaitReceipts waits for so many receipts to be stored, and returns the latest.
func (r *reader) awaitReceipts(n int) map[string]any {
	r.t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var found []map[string]any
		for _, e := range r.node.storedEvents(r.t, demo.Site) {
			if e["name"] == edge.ReceiptEvent {
				found = append(found, e)
			}
		}
		if len(found) >= n {
			return found[len(found)-1]
		}
	}
	r.t.Fatalf("waited 15 s for %d receipts", n)
	return nil
}

// page opens the visitor's page in a language.
func (r *reader) page(lang string) {
	r.t.Helper()
	r.open(r.node.base + "/_near/privacy?site=demo&lang=" + lang)
	r.until("the page", `document.readyState === 'complete' && document.querySelector('#held')`)
}

// sound checks that nothing of the page was stopped, failed, or asked for elsewhere.
func (r *reader) sound(what string) {
	r.t.Helper()
	if stopped := eval[[]string](r.tab, `window.__stopped`); len(stopped) > 0 {
		r.t.Errorf("%s: the policy stopped %q", what, stopped)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.faults) > 0 {
		r.t.Errorf("%s: faults %q", what, r.faults)
	}
}

func (r *reader) look(width int64, scheme string) {
	r.t.Helper()
	_, err := chromedp.Call(r.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.do(chromedp.EmulateViewport(width, 900))
}

// picture keeps the whole page when SCREENSHOTS names a directory.
func (r *reader) picture(name string, width int64) {
	r.t.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	r.do(chromedp.EmulateViewport(width, eval[int64](r.tab, `document.documentElement.scrollHeight`)))
	png, err := chromedp.Run(r.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "rights-"+name+".png"), png, 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func TestTheVisitorsPageInEveryLanguage(t *testing.T) {
	r := newReader(t)
	for _, lang := range prompt.Languages {
		r.page(lang)
		if got := eval[string](r.tab, `document.documentElement.lang + ' ' + document.dir`); got != lang+map[bool]string{true: " rtl", false: " ltr"}[lang == "ar"] {
			t.Errorf("%s: the page is in %s", lang, got)
		}
		text := eval[string](r.tab, `document.querySelector('main').innerText`)
		for _, want := range []string{"tarn-scarf", "brae-felt", "hero", "announce", "offer"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: the page does not name %s", lang, want)
			}
		}
		if yes := eval[int](r.tab, `document.querySelectorAll('.yes').length`); yes < 5 {
			t.Errorf("%s: only %d purposes are marked yes", lang, yes)
		}
		for _, width := range []int64{1200, 390, 320} {
			for _, scheme := range []string{"light", "dark"} {
				r.look(width, scheme)
				what := fmt.Sprintf("%s-%d-%s", lang, width, scheme)
				// The style and the script are those that the policy names by their hashes.
				for _, fault := range eval[[]string](r.tab, pageFaults) {
					if !strings.HasPrefix(fault, "inline: <style>") && !strings.HasPrefix(fault, "inline: <script>") && fault != "no one footer" {
						t.Errorf("%s: %s", what, fault)
					}
				}
				if wide := eval[[]string](r.tab, `[...document.querySelectorAll('body *')].filter(e => !e.closest('.skip,.wide *') && (e.getBoundingClientRect().right > innerWidth + 0.5 || e.getBoundingClientRect().left < -0.5)).map(e => e.outerHTML.slice(0, 90)).slice(0, 5)`); len(wide) > 0 {
					t.Errorf("%s: wider than the screen: %q", what, wide)
				}
				if width != 320 {
					r.picture(what, width)
				}
			}
		}
		for _, request := range r.sent("") {
			if !strings.HasPrefix(request, "GET "+r.node.base+"/_near/privacy") && !strings.HasPrefix(request, "GET data:") {
				t.Errorf("%s: the page asks for %s", lang, request)
			}
		}
		r.sound(lang)
	}
}

// What a screen reader is told.
func TestTheVisitorsPageIsReadAloud(t *testing.T) {
	r := newReader(t)
	r.page("en")
	heard := r.heard()
	for _, want := range []string{
		"heading Your data at demo", "navigation Language", "region What this browser carries", "region What you can do", "columnheader Item", "rowheader tarn-scarf",
		"button Download", "DisclosureTriangle Withdraw consent", "DisclosureTriangle Erase", "link Skip to what you can do",
	} {
		if !slices.Contains(heard, want) {
			t.Errorf("not heard: %q in %q", want, heard)
		}
	}
}

// awaitFile waits for a file to be there whole.
func awaitFile(t *testing.T, path string) []byte {
	t.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if text, err := os.ReadFile(path); err == nil && json.Valid(text) {
			return text
		}
	}
	t.Fatalf("waited 15 s for %s", path)
	return nil
}

// With the keyboard alone: from the shop to the page, download, withdraw.
func TestAVisitorDownloadsAndWithdrawsByKeyboard(t *testing.T) {
	r := newReader(t)
	dir := t.TempDir()
	if _, err := chromedp.Call(r.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: dir}); err != nil {
		t.Fatal(err)
	}
	press := func(keys ...string) {
		for _, key := range keys {
			r.do(chromedp.KeyEvent(key))
		}
	}
	focused := func() string {
		return eval[string](r.tab, `document.activeElement.textContent.trim()`)
	}
	read := eval[string](r.tab, `fetch('/_near/v1/mine?site=demo').then(a => a.json()).then(m => m.visitor.id)`)
	r.do(chromedp.Evaluate[chromedp.Void](`document.querySelector('.foot a').focus()`))
	press(kb.Enter)
	r.until("the page", `location.pathname === '/_near/privacy' && document.readyState === 'complete'`)
	press(kb.Tab)
	if got := focused(); got != "Skip to what you can do" {
		t.Fatalf("the first stop is %q", got)
	}
	press(kb.Enter, kb.Tab)
	if got := focused(); got != "Download" {
		t.Fatalf("behind the link stands %q", got)
	}
	press(kb.Enter)
	var mine edge.Disclosure
	if err := json.Unmarshal(awaitFile(t, filepath.Join(dir, "demo-my-data.json")), &mine); err != nil {
		t.Fatal(err)
	}
	receipt := r.awaitReceipts(1)
	if id := receipt["visitor"].(map[string]any)["id"]; mine.Visitor.ID != id || len(mine.Items) != 2 || mine.Receipt == nil {
		t.Errorf("the file tells of %+v, want the visitor %v", mine, id)
	}
	if !strings.HasPrefix(mine.Visitor.ID, strings.TrimSuffix(read, "…")) || len(read) != 6+len("…") {
		t.Errorf("a script of the shop reads the id %q", read)
	}

	press(kb.Tab)
	if got := focused(); got != "Withdraw consent" {
		t.Fatalf("the next stop is %q", got)
	}
	press(kb.Enter, kb.Tab)
	if got := focused(); got != "Yes, withdraw" {
		t.Fatalf("unfolded, the next stop is %q", got)
	}
	r.picture("withdraw", 1200)
	eval[bool](r.tab, `localStorage['near.prompt.demo'] = JSON.stringify({version: '2026-11', granted: ['storage'], at: 1}), true`)
	press(kb.Enter)
	r.until("the result", `document.querySelector('[data-done=withdraw]')`)
	r.sound("the withdrawal")
	r.picture("withdrawn", 1200)
	last := r.awaitReceipts(2)
	if props := last["props"].(map[string]any); props["answer"] != "withdrawn" || fmt.Sprint(last["consent"].(map[string]any)["purposes"]) != "0" {
		t.Errorf("the receipt is %v", last)
	}
	if said := eval[string](r.tab, `document.querySelector('#said').textContent`); !strings.Contains(said, fmt.Sprint(last["id"])) || !strings.HasPrefix(said, "Your consent is withdrawn") {
		t.Errorf("it is said: %q", said)
	}
	if cookies := r.cookies(); len(cookies) != 0 {
		t.Errorf("cookies are left: %q", cookies)
	}
	if left := eval[string](r.tab, `Object.keys(localStorage).join() + ' ' + JSON.parse(localStorage['near.prompt.demo']).granted.length`); left != "near.prompt.demo 0" {
		t.Errorf("web storage has %s, want the refusal alone", left)
	}
	if text := eval[string](r.tab, `document.querySelector('main').innerText`); strings.Contains(text, "tarn-scarf") {
		t.Error("the page still tells what has gone")
	}
}

// Erased without a script: the page works where scripts are off.
func TestAVisitorErasesWithoutScripts(t *testing.T) {
	r := newReader(t)
	id := r.awaitReceipts(1)["visitor"].(map[string]any)["id"].(string)
	r.page("en")
	state := r.cookies() // which this path has
	if len(state) != 1 {
		t.Fatalf("cookies %q, want the state alone", state)
	}
	if _, err := chromedp.Call(r.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		t.Fatal(err)
	}
	r.do(chromedp.Navigate(r.node.base+"/_near/privacy?site=demo&lang=en"), chromedp.Click(`.act:last-child summary`), chromedp.Click(`[value=erase]`))
	for end := time.Now().Add(10 * time.Second); len(r.cookies()) > 0 && time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
	}
	if cookies := r.cookies(); len(cookies) != 0 {
		t.Fatalf("cookies are left: %q", cookies)
	}
	// The receipt of the grant is forgotten with the rest: what is there is nobody's.
	waitFor(t, "the receipt", func() bool {
		left := r.awaitReceipts(1)
		return left["visitor"] == nil && left["props"].(map[string]any)["answer"] == "withdrawn"
	})
	key := edge.PersonKeyOf(demo.Site, id)
	if got := r.node.adminGet(t, "/v1/sites/demo/erasures/"+key.String()); !strings.Contains(got, key.String()) {
		t.Errorf("the node does not erase: %s", got)
	}
	var cookie struct{ Name, Value string }
	if err := json.Unmarshal([]byte(state[0]), &cookie); err != nil {
		t.Fatal(err)
	}
	res, text := r.node.post(t, "/_near/v1/mine", `{"v":1,"site":"demo","state":"`+cookie.Value+`"}`, map[string]string{"Origin": r.node.base})
	if res.StatusCode != 410 || !strings.Contains(text, `"erased"`) {
		t.Errorf("the state of before gives %d %s", res.StatusCode, text)
	}
	if _, err := chromedp.Call(r.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: false}); err != nil {
		t.Fatal(err)
	}
	r.page("en")
	if got := eval[string](r.tab, `document.querySelector('[aria-labelledby=held]').textContent`); !strings.Contains(got, "Nothing. This browser brought no note") {
		t.Errorf("afterwards the page says %q", got)
	}
}
