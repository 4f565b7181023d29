// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// content is a decision of a kind.
func content(kind, json_ string) decision {
	return decision{Kind: kind, Variant: "v", Lang: "ar", Dir: "rtl", Reason: "rule", Content: json.RawMessage(json_)}
}

// strictPolicy allows nothing that the tag does not need.
const strictPolicy = "default-src 'none'; script-src 'nonce-n0'; style-src 'nonce-n0'; connect-src 'self'; img-src 'self'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'; report-uri /report"

func TestKinds(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.header.Set("Content-Security-Policy", strictPolicy)
	s.contents["one"] = content("html", `{"nodes":["a ",["b",{"class":"x","style":"color: red"},"b",["a",{"href":"/c?d=1&e"},"c"]]]}`)
	s.contents["two"] = content("text", `{"text":"<i>no markup</i>"}`)
	s.contents["three"] = content("image", `{"src":"/favicon.ico","alt":"a hat","width":4,"height":3}`)
	s.contents["four"] = content("link", `{"href":"/hats","text":"hats"}`)
	s.contents["five"] = content("json", `{"json":{"deep":[1,2]}}`)
	s.contents["six"] = content("items", `{"items":[{"id":"sku-1","reason":"r","text":"t"}]}`)
	s.contents["seven"] = content("video", `{"src":"/v"}`)
	var body strings.Builder
	for _, name := range []string{"one", "two", "three", "four", "five", "six", "seven", "eight"} {
		body.WriteString("<near-slot name=" + name + ">own</near-slot>")
	}
	b := openTab(t).open(s.page("/", SnippetOptions{}, grant("context")+`<script nonce=$>
		addEventListener("near:json", e => window.gotJSON = [e.target.getAttribute("name"), e.detail]);
		addEventListener("near:items", e => window.gotItems = [e.target.getAttribute("name"), e.detail])</script>`, body.String()))
	b.waitFor(`document.querySelector("[name=eight]").dataset.near`)
	for name, want := range map[string]string{
		"one":   `<near-slot name="one" data-near="variant" lang="ar" dir="rtl">a <b class="x" style="color: red;">b<a href="/c?d=1&amp;e">c</a></b></near-slot>`,
		"two":   `<near-slot name="two" data-near="variant" lang="ar" dir="rtl">&lt;i&gt;no markup&lt;/i&gt;</near-slot>`,
		"three": `<near-slot name="three" data-near="variant" lang="ar" dir="rtl"><img src="/favicon.ico" alt="a hat" width="4" height="3"></near-slot>`,
		"four":  `<near-slot name="four" data-near="variant" lang="ar" dir="rtl"><a href="/hats">hats</a></near-slot>`,
		"five":  `<near-slot name="five" data-near="variant">own</near-slot>`,
		"six":   `<near-slot name="six" data-near="variant">own</near-slot>`,
		"seven": `<near-slot name="seven" data-near="default">own</near-slot>`,
		"eight": `<near-slot name="eight" data-near="default">own</near-slot>`,
	} {
		if got := sortAttributes(eval[string](b, `document.querySelector("[name=`+name+`]").outerHTML`)); got != sortAttributes(want) {
			t.Errorf("slot %s is\n%s, want\n%s", name, got, want)
		}
	}
	if got := eval[string](b, `JSON.stringify([gotJSON, gotItems])`); got != `[["five",{"deep":[1,2]}],["six",[{"id":"sku-1","reason":"r","text":"t"}]]]` {
		t.Errorf("the page's scripts got %s", got)
	}
}

// sortAttributes makes the order of the slot's own attributes play no part.
func sortAttributes(html string) string {
	return strings.Replace(html, ` lang="ar" dir="rtl" data-near="variant"`, ` data-near="variant" lang="ar" dir="rtl"`, 1)
}

func TestContentCannotRunCode(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.contents["hero"] = content("html", `{"nodes":[
		["script",{},"hurt()"],["SCRIPT",{"src":"/evil.js"}],["iframe",{"srcdoc":"<script>parent.hurt()</script>"}],
		["object",{"data":"javascript:hurt()"}],["embed",{"src":"javascript:hurt()"}],["base",{"href":"https://evil.example/"}],
		["meta",{"http-equiv":"refresh","content":"0;url=javascript:hurt()"}],["link",{"rel":"stylesheet","href":"/evil.css"}],
		["style",{},"body{display:none}"],["frameset",{"onload":"hurt()"}],["near-slot",{"name":"hero"}],
		["img",{"src":"x:y","onerror":"hurt()","ONLOAD":"hurt()"}],["b",{"is":"evil-b","data-slot":"hero","autofocus":"","tabindex":0},"b"],
		["a",{"href":"javascript:hurt()","id":"l1"},"1"],["a",{"href":" java\nscript:hurt()","id":"l2"},"2"],
		["a",{"href":"JAVASCRIPT:hurt()","id":"l3"},"3"],["a",{"href":"data:text/html,<script>hurt()</script>","id":"l4"},"4"],
		["a",{"xlink:href":"javascript:hurt()","ping":"https://evil.example/","id":"l5"},"5"],
		["form",{"action":"javascript:hurt()"},["button",{"formaction":"vbscript:hurt()","id":"l6"},"6"]],
		["svg",{"onload":"hurt()"},["script",{},"hurt()"]],["p",{"style":"color:red"},"kept"],["a",{"href":"mailto:a@b.c"},"kept"]
	]}`)
	page := s.page("/", SnippetOptions{}, grant("context")+`<script nonce=$>window.hurt=()=>window.hurts=1;addEventListener("submit",e=>e.preventDefault())</script>`, hero)
	b := openTab(t).open(page)
	b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
	b.run(`for (const el of document.querySelectorAll("near-slot a, near-slot button")) if (el.href !== "mailto:a@b.c") el.click()`)
	settle()
	if eval[bool](b, `!!window.hurts`) {
		t.Error("content ran code")
	}
	const want = `<img><b tabindex="0">b</b><a id="l1">1</a><a id="l2">2</a><a id="l3">3</a><a id="l4">4</a><a id="l5">5</a>` +
		`<form><button id="l6">6</button></form><svg></svg><p style="color: red;">kept</p><a href="mailto:a@b.c">kept</a>`
	if got := eval[string](b, `document.querySelector("near-slot").innerHTML`); got != want {
		t.Errorf("the slot holds\n%s, want\n%s", got, want)
	}
	if eval[string](b, `document.activeElement.tagName`) != "BODY" {
		t.Error("filling the slot moved the focus")
	}
	if n := len(s.sent()); n != 1 {
		t.Errorf("content asked for a slot: %d beacons", n)
	}
}

func TestSlotsAreFoundWhenTheyAppear(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.contents["later"] = text("found")
	s.contents["twin"] = text("both")
	b := openTab(t).open(s.page("/", SnippetOptions{}, grant("context"),
		`<div id=there data-slot=twin></div><near-slot name=twin></near-slot><near-slot name="Bad Name">own</near-slot>`))
	b.waitFor(`document.querySelectorAll("[data-near=variant]").length == 2`)
	b.waitFor(`document.querySelector("[name='Bad Name']").dataset.near == "default"`)
	b.wantText("[name='Bad Name']", "own")
	b.run(`document.body.append(Object.assign(document.createElement("near-slot"), {textContent: "own"}));
		document.body.lastChild.setAttribute("name", "later")`)
	b.waitFor(`document.querySelector("[name=later]").dataset.near == "variant"`)
	b.wantText("[name=later]", "found")
	if slots := s.sent()[1].Slots; len(slots) != 1 || slots[0].Name != "later" {
		t.Errorf("asked for %v, want the new one alone", slots)
	}
}

func TestAnswersThatComeLate(t *testing.T) {
	t.Parallel()
	const body = `<near-slot name=hero>own</near-slot><p>below</p><div style="height:2000px"></div><near-slot name=deep>own</near-slot>`
	t.Run("are left alone in view, used out of it, and counted", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.hurries = true
		s.contents["hero"], s.contents["deep"] = text("bonjour"), text("bonjour")
		s.reply = func(int, *beacon, http.ResponseWriter) bool { time.Sleep(1500 * time.Millisecond); return false }
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("context", "measure"), strings.ReplaceAll(body, "style=", "nonce=$ style=")))
		b.waitFor(`document.querySelector("[name=hero]").dataset.near == "late"`)
		b.wantText("[name=hero]", "own")
		b.wantText("[name=deep]", "bonjour")
		if shift := b.shift(); shift != 0 {
			t.Errorf("layout shift %v", shift)
		}
		if e := s.waitForEvent("slot_impression"); e.Props["shown"] != "late" || e.Props["decision"] != "d0.hero" {
			t.Errorf("counted %v", e.Props)
		}
	})
	t.Run("in time move nothing", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.contents["hero"], s.contents["deep"] = text("bonjour"), text("bonjour")
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("context"), body))
		b.waitFor(`document.querySelector("[name=hero]").dataset.near == "variant"`)
		settle()
		if shift := b.shift(); shift != 0 {
			t.Errorf("layout shift %v", shift)
		}
	})
	t.Run("leave a slot alone that has the focus", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.contents["hero"], s.contents["deep"] = text("bonjour"), text("bonjour")
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("context"), strings.ReplaceAll(body, "own</near-slot>", "own<input></near-slot>")+
			`<script nonce=$>const el = document.querySelector("[name=deep]"); el.style.animation = "none";
			el.firstElementChild.focus({preventScroll: true})</script>`))
		b.waitFor(`document.querySelector("[name=hero]").dataset.near == "variant"`)
		b.wantText("[name=deep]", "own")
		if got := eval[string](b, `el.dataset.near + " " + (document.activeElement === el.firstElementChild)`); got != "late true" {
			t.Errorf("the slot with the focus is %s", got)
		}
	})
}

func TestABlockedTagCostsThePageNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		block func(*shop)
	}{
		{"the tag is refused", func(s *shop) { s.noTag = true }},
		{"the tag is slow", func(s *shop) { s.tagDelay = 3 * time.Second }},
		{"the collector is down", func(s *shop) {
			s.reply = func(_ int, _ *beacon, w http.ResponseWriter) bool {
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.hurries = true
			tt.block(s)
			page := s.page("/", SnippetOptions{}, grant(allPurposes...), hero+`<p>b</p>`) // the slot's own is the largest
			b := openTab(t, `if (PerformanceObserver.supportedEntryTypes.includes("largest-contentful-paint"))
					new PerformanceObserver(l => window.__largest = l.getEntries().at(-1)).observe({type: "largest-contentful-paint", buffered: true});
				document.addEventListener("animationend", e => window.__revealed = performance.now() - __painted, true);
				new PerformanceObserver(l => window.__painted ??= l.getEntries()[0].startTime).observe({type: "paint", buffered: true})`)
			b.run(`location.href = "` + page + `"`)
			b.waitFor(`document.querySelector("near-slot") && window.__revealed`)
			if after := eval[float64](b, `__revealed`); after > 2000 { // a busy machine says so late
				t.Errorf("the page's own content showed %v ms after the first paint, want 800 and the time it takes to say so", after)
			}
			if got := eval[string](b, `getComputedStyle(document.querySelector("near-slot b")).visibility`); got != "visible" {
				t.Errorf("the page's own content is %s", got)
			}
			b.wantText("near-slot", "own")
			if eval[bool](b, `PerformanceObserver.supportedEntryTypes.includes("largest-contentful-paint")`) {
				b.waitFor(`window.__largest?.element?.closest("near-slot")`)
				if after := eval[float64](b, `__largest.startTime - __painted`); after > 2000 {
					t.Errorf("the largest paint came %v ms after the first, want 800 and a frame", after)
				}
			}
			if shift := b.shift(); shift != 0 {
				t.Errorf("layout shift %v", shift)
			}
		})
	}
}
