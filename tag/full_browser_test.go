// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// newFullShop starts a shop with the everything build, under the strictest
// policy that pages may have.
func newFullShop(t *testing.T) *shop {
	t.Helper()
	s := newShop(t)
	s.script = FullScript
	s.header.Set("Content-Security-Policy", strictPolicy)
	return s
}

// hides lets a test hide the page.
const hides = `let hidden = false; Object.defineProperty(document, "hidden", {get: () => hidden});
	window.hide = is => { hidden = is; document.dispatchEvent(new Event("visibilitychange", {bubbles: true})) };`

func TestVitalsAreToldOnce(t *testing.T) {
	t.Parallel()
	s := newFullShop(t)
	b := openTab(t, hides).open(s.page("/", SnippetOptions{}, grant("measure"), `<h1>Hats</h1><button id=slow>slow</button><div id=gap></div><p>below</p>
		<script nonce=$>slow.onclick = () => { const end = performance.now() + 200; while (performance.now() < end); };
		new PerformanceObserver(list => list.getEntries().forEach(e => { if (e.interactionId) window.slowest = Math.max(window.slowest || 0, e.duration) }))
			.observe({type: "event", buffered: true});
		setTimeout(() => gap.style.height = "200px", 700)</script>`))
	s.waitForEvent("page_view")
	// A browser that does not measure one leaves it out.
	measures := func(entryType string) bool {
		return eval[bool](b, fmt.Sprintf(`PerformanceObserver.supportedEntryTypes.includes(%q)`, entryType))
	}
	if measures("layout-shift") {
		b.waitFor(`__shift > 0`)
	}
	b.click("#slow")
	// The browser tells of an interaction after its next frame, and Firefox not of
	// every one that a driver makes.
	const isHeard = `window.slowest >= 100`
	for try := 0; measures("event") && try < 6 && !eval[bool](b, `new Promise(told => setTimeout(() => told(`+isHeard+`), 1000))`); try++ {
		b.click("#slow")
	}
	heard := eval[bool](b, isHeard)
	b.run(`hide(true); hide(false); hide(true)`)
	e := s.waitForEvent("web_vitals")
	for _, vital := range []struct {
		name, entryType string
		least, most     float64
	}{
		{"lcp", "largest-contentful-paint", 0.1, 60_000}, {"inp", "event", 100, 5000},
		{"ttfb", "navigation", 0.1, 60_000}, {"cls", "layout-shift", 0.0001, b.shift() + 0.0001},
	} {
		value, told := e.Props[vital.name].(float64)
		expected := measures(vital.entryType)
		if vital.name == "inp" {
			expected = heard
		}
		if told != expected || told && (value < vital.least || value > vital.most) {
			t.Errorf("%s is %v", vital.name, e.Props[vital.name])
		}
	}
	settle()
	if n := len(s.events("web_vitals")); n != 1 {
		t.Errorf("told %d times", n)
	}
}

func TestAPageOnWhichNothingMovedSaysSo(t *testing.T) {
	t.Parallel()
	s := newFullShop(t)
	b := openTab(t, hides).open(s.page("/", SnippetOptions{}, grant("measure"), "<h1>Hats</h1>"))
	s.waitForEvent("page_view")
	measures := eval[bool](b, `PerformanceObserver.supportedEntryTypes.includes("layout-shift")`)
	b.run(`hide(true)`)
	if cls, told := s.waitForEvent("web_vitals").Props["cls"]; told != measures || told && cls != 0.0 {
		t.Errorf("cls is %v, told %v", cls, told)
	}
}

func TestTimeUnderARefusalIsNotCounted(t *testing.T) {
	t.Parallel()
	s := newFullShop(t)
	b := openTab(t, hides).open(s.page("/", SnippetOptions{}, grant("measure"), ""))
	s.waitForEvent("page_view")
	start := time.Now()
	b.run(`near("consent", {measure: false})`)
	time.Sleep(3 * time.Second)
	b.run(`near("consent", {measure: true})`)
	granted := time.Now()
	time.Sleep(1100 * time.Millisecond)
	b.run(`hide(true)`)
	most := time.Since(start) - 3*time.Second
	told := time.Duration(s.waitForEvent("user_engagement").Props["engagement_time_msec"].(float64)) * time.Millisecond
	if told < time.Second || told > most+500*time.Millisecond {
		t.Errorf("%v were counted, of %v since the grant", told, time.Since(granted))
	}
}

func TestScriptErrorsAreTold(t *testing.T) {
	t.Parallel()
	s := newFullShop(t)
	b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure"), ""))
	s.waitForEvent("page_view")
	b.run(`for (let i = 0; i < 20; i++) dispatchEvent(new ErrorEvent("error", {message: "broken " + i + "x".repeat(500), filename: "https://shop.example/a.js?user=7#x", lineno: 12}))`)
	s.waitForEvent("exception")
	settle()
	list := s.events("exception")
	if len(list) != 10 {
		t.Fatalf("%d errors were told, want 10", len(list))
	}
	if p := list[0].Props; p["source"] != "https://shop.example/a.js" || p["line"] != 12.0 || len(p["description"].(string)) != 256 || !strings.HasPrefix(p["description"].(string), "broken 0x") {
		t.Errorf("told %v", p)
	}
	s2 := newFullShop(t)
	b = openTab(t).open(s2.page("/", SnippetOptions{}, grant("measure"), ""))
	s2.waitForEvent("page_view")
	b.run(`dispatchEvent(new PromiseRejectionEvent("unhandledrejection", {promise: Promise.resolve(), reason: new TypeError("no such hat")}))`)
	if e := s2.waitForEvent("exception"); e.Props["description"] != "no such hat" {
		t.Errorf("told %v", e.Props)
	}
}

// The pushes are those of a page that a tag manager serves, and of one with gtag.
func TestEcommerceFromTheDataLayer(t *testing.T) {
	t.Parallel()
	const before = `<script nonce=$>dataLayer=[{"gtm.start":1,event:"gtm.js"},{ecommerce:null},
		{event:"view_item",ecommerce:{currency:"EUR",value:49,items:[{item_id:"sku-7",price:49}]},user_data:{email:"a@b.c"}}];
		function gtag(){dataLayer.push(arguments)}</script>`
	s := newFullShop(t)
	b := openTab(t, hides).open(s.page("/", SnippetOptions{Ecommerce: true}, before+grant("measure"), ""))
	if e := s.waitForEvent("view_item"); e.Props["value"] != 49.0 || e.Props["currency"] != "EUR" || len(e.Props["items"].([]any)) != 1 || len(e.Props) != 3 {
		t.Errorf("told %v", e.Props)
	}
	b.run(`dataLayer.push({ecommerce: null}, {event: "add_to_cart", ecommerce: {items: [{item_id: "sku-8"}]}}, {event: "scroll"}, {event: "begin_checkout"}, () => {}, null, "text", {event: Symbol("x"), ecommerce: {}});
		dataLayer.push({event: "remove_from_cart", ecommerce: {value: {email: "a@b.c"}, items: [{item_id: "sku-8", price: 9, quantity: 2, item_brand: "b", item_variant: "v", item_category: "c", item_name: "n", engraving: "For Ada", user: {id: 7}}]}});
		gtag("event", "purchase", {transaction_id: "T1", value: 98, currency: "EUR", items: [], user_id: "u"}); gtag("event", "login", {method: "x"})`)
	if p := s.waitForEvent("purchase").Props; p["transaction_id"] != "T1" || p["value"] != 98.0 || p["user_id"] != nil {
		t.Errorf("told %v", p)
	}
	want := map[string]any{"value": map[string]any{}, "items": []any{map[string]any{"item_id": "sku-8", "item_name": "n", "item_category": "c", "item_brand": "b", "item_variant": "v", "price": 9.0, "quantity": 2.0}}}
	if got := s.waitForEvent("remove_from_cart").Props; !reflect.DeepEqual(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
	// A page may put a copy of its dataLayer in the place of that.
	b.run(`dataLayer = [...dataLayer, {event: "begin_checkout", ecommerce: {value: 7}}]; hide(true)`)
	if got := s.waitForEvent("begin_checkout").Props["value"]; got != 7.0 {
		t.Errorf("told %v", got)
	}
	settle()
	if n := len(s.events("add_to_cart")); n != 1 {
		t.Errorf("add_to_cart was told %d times", n)
	}
	if n := len(s.events("begin_checkout")) + len(s.events("login")) + len(s.events("scroll")); n != 1 {
		t.Errorf("%d events were told that are no ecommerce", n)
	}
	t.Run("only where it is asked for", func(t *testing.T) {
		t.Parallel()
		s := newFullShop(t)
		openTab(t).open(s.page("/", SnippetOptions{}, before+grant("measure"), ""))
		s.waitForEvent("page_view")
		settle()
		if n := len(s.events("view_item")); n != 0 {
			t.Errorf("told %d times", n)
		}
	})
}

func TestFormsAndCartsByAttributes(t *testing.T) {
	t.Parallel()
	s := newFullShop(t)
	b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure"), `<form data-near-form=newsletter><input id=mail name=mail><button id=send>send</button></form>
		<button id=add data-near-cart=add data-near-item=sku-7 data-near-name="Felt hat" data-near-category=hats data-near-price=49.5 data-near-quantity=2 data-near-currency=EUR><b>add</b></button>
		<button id=less data-near-cart=remove data-near-item=sku-7 data-near-price="49,50">less</button>
		<script nonce=$>addEventListener("submit", e => e.preventDefault())</script>`))
	s.waitForEvent("page_view")
	b.click("#add")
	p := s.waitForEvent("add_to_cart").Props
	item := p["items"].([]any)[0].(map[string]any)
	if p["value"] != 99.0 || p["currency"] != "EUR" || item["item_id"] != "sku-7" || item["item_name"] != "Felt hat" || item["item_category"] != "hats" || item["price"] != 49.5 || item["quantity"] != 2.0 {
		t.Errorf("told %v", p)
	}
	b.click("#less")
	b.typeInto("#mail", "ada")
	b.click("#send")
	if p := s.waitForEvent("form_submit").Props; p["form_name"] != "newsletter" || len(p) != 1 {
		t.Errorf("told %v", p)
	}
	if n := len(s.events("form_start")); n != 1 {
		t.Errorf("the form was begun %d times", n)
	}
	if item := s.events("remove_from_cart")[0].Props["items"].([]any)[0].(map[string]any); item["quantity"] != 1.0 || item["price"] != 49.5 {
		t.Errorf("took away %v", item)
	}
	b.run(`document.getElementById("add").click()`)
	settle()
	if n := len(s.events("add_to_cart")); n != 1 {
		t.Errorf("a script's click was told")
	}
}

func TestAnswersAndSurveys(t *testing.T) {
	t.Parallel()
	s := newFullShop(t)
	s.contents["ask"] = content("json", `{"json":{"survey":{"name":"style","question":"Which do you like?",
		"answers":[{"value":"classic","text":"Classic"},{"value":"modern","text":"Modern"}],"submit":"Send","thanks":"Thank you"}}}`)
	head := grant("measure", "context") + `<script nonce=$>near("answer","size","58")</script>`
	b := openTab(t).open(s.page("/", SnippetOptions{}, head, `<near-slot name=ask>own</near-slot>`))
	if p := s.waitForEvent("answer").Props; p["size"] != "58" || len(p) != 1 {
		t.Errorf("told %v", p)
	}
	b.waitFor(`document.querySelector("near-slot form")`)
	const want = `<form><fieldset><legend>Which do you like?</legend><label><input type="radio" name="style" value="classic" required="">Classic</label>` +
		`<label><input type="radio" name="style" value="modern" required="">Modern</label></fieldset><button>Send</button></form>`
	if got := eval[string](b, `document.querySelector("near-slot").innerHTML`); got != want {
		t.Errorf("the slot holds %s", got)
	}
	if lang := eval[string](b, `document.querySelector("near-slot").lang + document.querySelector("near-slot").dir`); lang != "arrtl" {
		t.Errorf("the question is in %s", lang)
	}
	b.click("near-slot button")
	settle()
	if n := len(s.events("answer")); n != 1 {
		t.Error("no answer was told as one")
	}
	b.click("[value=modern]")
	b.click("near-slot button")
	s.waitFor("answer", func() bool { return len(s.events("answer")) == 2 })
	if p := s.events("answer")[1].Props; p["style"] != "modern" {
		t.Errorf("told %v", p)
	}
	b.wantText("near-slot", "Thank you")
	if focus := eval[string](b, `document.activeElement.textContent`); focus != "Thank you" {
		t.Errorf("the focus is on %q", focus)
	}
}

// Nobody is asked what could not be kept, or thanked for it.
func TestASurveyWhoseAnswerCannotBeKept(t *testing.T) {
	t.Parallel()
	s := newFullShop(t)
	s.contents["ask"] = content("json", `{"json":{"survey":{"name":"style","question":"Which?","answers":[{"value":"modern","text":"Modern"}],"submit":"Send","thanks":"Thank you"}}}`)
	page := func(path string, purposes ...string) string {
		return s.page(path, SnippetOptions{}, grant(purposes...), `<near-slot name=ask>own</near-slot>`)
	}
	b := openTab(t).open(page("/a", "context"))
	b.waitFor(`document.querySelector("near-slot").dataset.near == "default"`)
	b.wantText("near-slot", "own")
	b.open(page("/b", "context", "measure"))
	b.waitFor(`document.querySelector("near-slot form")`)
	b.run(`near("consent", {measure: false})`)
	b.click("[value=modern]")
	b.click("near-slot button")
	b.waitFor(`!document.querySelector("near-slot").textContent`)
	settle()
	if n := len(s.events("answer")); n != 0 {
		t.Errorf("%d answers were told", n)
	}
}

func TestUnsentEventsOutliveThePage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		more []string
		want bool
	}{
		{"where storage is granted", []string{"storage"}, true},
		{"and nowhere else", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newFullShop(t)
			down := true
			s.reply = func(_ int, _ *beacon, w http.ResponseWriter) bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				if down {
					w.WriteHeader(http.StatusServiceUnavailable)
				}
				return down
			}
			head := grant(append([]string{"measure"}, tt.more...)...)
			b := openTab(t).open(s.page("/a", SnippetOptions{}, head+`<script nonce=$>near("event","add_to_cart",{value:1})</script>`, ""))
			s.waitFor("beacon", func() bool { n, _ := s.counts(); return n > 0 })
			settle()
			kept := eval[string](b, `Object.keys(sessionStorage).join()`)
			if (kept == "near.unsent.shop") != tt.want {
				t.Fatalf("kept %q", kept)
			}
			b.open("about:blank")
			settle()
			s.mu.Lock()
			down = false
			tried := len(s.beacons)
			s.mu.Unlock()
			b.open(s.page("/b", SnippetOptions{}, head, ""))
			s.waitFor("page view", func() bool { n, _ := s.counts(); return n > tried })
			settle()
			var ids []string
			for _, sent := range s.sent()[tried:] {
				for _, e := range sent.Events {
					if e.Name == "add_to_cart" && sent.Page.URL == s.server.URL+"/a" && sent.Page.Title == "" {
						ids = append(ids, e.ID)
					}
				}
			}
			if tt.want != (len(ids) == 1) || tt.want && !slices.Contains(ids, s.sent()[0].Events[0].ID) && !slices.Contains(ids, s.sent()[0].Events[1].ID) {
				t.Errorf("sent again %q", ids)
			}
			b.waitFor(`!Object.keys(sessionStorage).length`)
			if tt.want {
				s.mu.Lock()
				down = true
				s.mu.Unlock()
				b.run(`near("event", "scroll")`)
				b.waitFor(`Object.keys(sessionStorage).length`)
				b.run(`near("consent", "withdraw")`)
				b.waitFor(`!Object.keys(sessionStorage).length`)
			}
		})
	}
}

func TestVisitorsMayAskWhy(t *testing.T) {
	t.Parallel()
	s := newFullShop(t)
	d := text("bonjour")
	d.Because = "You looked at hats."
	s.contents["hero"] = d
	b := openTab(t).open(s.page("/", SnippetOptions{WhyWords: "Why this?"}, grant("context"), hero+`<near-slot name=other>own</near-slot>`))
	b.waitFor(`document.querySelector("[name=other]").dataset.near`)
	if !s.sent()[0].Why {
		t.Error("no reasons were asked for")
	}
	if got := eval[string](b, `document.querySelector("near-slot").innerHTML`); got != `bonjour<details class="near-why"><summary>Why this?</summary>You looked at hats.</details>` {
		t.Errorf("the slot holds %s", got)
	}
	b.wantText("[name=other]", "own")
}

func TestTheDebugView(t *testing.T) {
	t.Parallel()
	s := newFullShop(t)
	d := text("bonjour")
	d.Because = "You looked at hats."
	s.contents["hero"] = d
	page := s.page("/", SnippetOptions{DebugKey: "k7"}, `<script nonce=$>`+tcData+`tc.purpose.consents[5]=false`+endTCData+`
		near=function(){(near.q=near.q||[]).push(arguments)};near("consent",{profile:true,geo:false})</script>`, hero)
	const view = `document.querySelector("near-debug")`
	b := openTab(t).open(page + "?near_debug=k8")
	b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
	settle()
	if eval[bool](b, `!!`+view) || s.sent()[0].Why {
		t.Error("the view opened to another key")
	}
	b.open(page + "?near_debug=k7")
	b.waitFor(view + `?.shadowRoot.textContent.includes("You looked at hats.")`)
	shown := eval[string](b, view+`.shadowRoot.textContent`)
	for _, want := range []string{"consent: tcf", "disagreement: profile, geo", `"tcf": "CQ"`, "slot hero: text · v · rule · You looked at hats.; shown: variant"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the view lacks %q: %s", want, shown)
		}
	}
	sent := s.sent()
	if !sent[len(sent)-1].Why {
		t.Error("the server was not asked to explain itself")
	}
	b.run(view + `.shadowRoot.querySelector("button").click()`)
	b.waitFor(`!` + view)
}
