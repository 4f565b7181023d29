// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/valyala/fasthttp"
)

// The narrowest screen that the shop is made for, in CSS pixels: what a page of
// 1280 has left when it is enlarged four times (WCAG 2.2, 1.4.10).
const narrowest = 320

func TestNoPageIsWiderThanTheNarrowestScreen(t *testing.T) {
	s, v := openShop(t), openView(t)
	v.size(narrowest, 700)
	for _, l := range languages {
		for _, at := range []string{"/?place=newyork&device=crawler&gpc=1&bar=1", "/cart/?cart=signal-gloves:9,fell-beanie:1&grant=none"} {
			v.do(chromedp.Navigate(s.base + "/" + l.Tag + at))
			if got := evaluate[int](v, `document.documentElement.scrollWidth`); got > narrowest {
				t.Errorf("/%s%s is %d px wide: %q", l.Tag, at, got, evaluate[[]string](v, `[...document.querySelectorAll('body *')]
					.filter(e => e.getBoundingClientRect().right > innerWidth + 0.5 || e.getBoundingClientRect().left < -0.5)
					.map(e => e.tagName + '.' + e.className).slice(0, 8)`))
			}
			if cut := evaluate[[]string](v, `[...document.querySelectorAll('.near-prompt *, .stage-now, .stage-now *, .button, .line *')]
				.filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1).map(e => e.tagName + '.' + e.className + ' ' + e.textContent.trim())`); len(cut) > 0 {
				t.Errorf("/%s%s: wider than their room: %q", l.Tag, at, cut)
			}
		}
	}
}

func TestNothingMovesWhileThePageArrives(t *testing.T) {
	s, v := openShop(t), openView(t)
	s.slow = true
	for lang, width := range map[string]int64{"en": 1280, "ru": 390} {
		v.size(width, 900)
		v.do(chromedp.Navigate(s.base + "/" + lang + "/"))
		v.nothingMoved(fmt.Sprintf("/%s/ at %d px", lang, width))
	}
}

// answerWith answers a beacon with one variant for a slot of kind text.
func answerWith(slot, variant, text string) func(*fasthttp.RequestCtx) {
	return func(ctx *fasthttp.RequestCtx) {
		body, err := json.Marshal(map[string]any{"v": 1, "granted": 4, "decisions": []any{map[string]any{
			"id": "d1", "slot": slot, "variant": variant, "kind": "text", "lang": "en", "dir": "ltr", "reason": "rule", "rule": "by-device@1.0.0",
			"because": "Chosen.", "content": map[string]string{"text": text},
		}}})
		if err != nil {
			panic(err)
		}
		ctx.SetStatusCode(fasthttp.StatusOK)
		ctx.SetContentType("application/json")
		ctx.SetBody(body)
	}
}

func TestThePanelOfALateAnswerSaysWhatItWouldHaveShown(t *testing.T) {
	s, v := openShop(t), openView(t)
	late := make(chan struct{})
	s.answer = func(ctx *fasthttp.RequestCtx) {
		<-late
		answerWith("announce", "phone", "Too late")(ctx)
	}
	v.do(chromedp.Navigate(s.base + "/en/?grant=context"))
	v.until("the slot to be shown", `getComputedStyle(document.querySelector('near-slot')).visibility === 'visible'`)
	close(late)
	v.until("the answer", `document.querySelector('near-slot').dataset.near === 'late'`)
	v.do(chromedp.Click(`[data-explain=announce]`))
	v.until("the panel", `document.querySelector('#panel[open] .panel-facts')`)
	texts := newShop(t).languages[0].texts
	if got := evaluate[string](v, `document.querySelector('.panel-reason').textContent`); got != texts["why.late"] {
		t.Errorf("the reason is %q, want that it came late alone", got)
	}
	facts := evaluate[map[string]string](v, `Object.fromEntries([...document.querySelectorAll('.panel-facts > div')].map(d => [d.children[0].textContent, d.children[1].textContent]))`)
	if facts[texts["why.shows"]] != texts["why.own"] || facts[texts["why.would"]] != "phone" {
		t.Errorf("the facts are %q, want the page's own content shown and phone not", facts)
	}
}

// Where the browser's own policy would tell the origin alone, nobody would be
// played.
func TestTheTagsRequestsCarryThePagesAddress(t *testing.T) {
	s, v := openShop(t), openView(t)
	v.do(chromedp.Navigate(s.base + "/en/?place=tokyo&device=tablet&lang=ru&gpc=1&grant=context"))
	v.until("a beacon", `document.querySelector('near-slot').dataset.near`)
	s.mu.Lock()
	defer s.mu.Unlock()
	want := seen{addr: "2001:240:2400::1", agent: devices[1].userAgent, langs: "ru-RU,ru;q=0.9", gpc: "1"}
	if len(s.beacons) != 1 || s.beacons[0] != want {
		t.Errorf("the collector sees %+v, want one beacon of %+v", s.beacons, want)
	}
}

func TestTheBarFollowsThePagesAddress(t *testing.T) {
	s, v := openShop(t), openView(t)
	v.size(1280, 900)
	current := `[...document.querySelectorAll('.stage-who [aria-current]')].map(a => a.textContent)`
	grants := func(selector string) string {
		return evaluate[string](v, `[...new Set([...document.querySelectorAll('`+selector+`')].map(a => new URL(a.href).searchParams.get('grant')))].join(' ')`)
	}
	v.do(chromedp.Navigate(s.base + "/en/"))
	texts := newShop(t).languages[0].texts
	if got := evaluate[[]string](v, current); len(got) != 1 || got[0] != texts["preset.nobody"] {
		t.Errorf("not asked yet, %q are marked as played", got)
	}
	v.do(chromedp.Click(`[data-answer=accept]`))
	if got := evaluate[[]string](v, current); len(got) != 0 {
		t.Errorf("after the answer %q are marked as played", got)
	}
	if got, want := grants(".card, .masthead a, near-slot a"), strings.Join(asked.Names(), ","); got != want {
		t.Errorf("after the answer links say %q, want %q", got, want)
	}
	v.do(chromedp.Click(`#bar summary`))
	v.until("the open bar to be in the address", `location.search.includes('bar=1')`)
	v.do(chromedp.Click(`.stage-who a[href*=sydney]`))
	v.until("Sydney, with the bar open", `location.search.includes('sydney') && document.querySelector('#bar')?.open`)
	if got := evaluate[[]string](v, current); len(got) != 1 || got[0] != texts["preset.sydney"] {
		t.Errorf("in Sydney %q are marked as played", got)
	}
	if got := grants(".stage-again"); got != "" {
		t.Errorf("to be asked again keeps the answer %q", got)
	}
}

func TestABoxOfTheBarStandsBesideItsFirstLine(t *testing.T) {
	s, v := openShop(t), openView(t)
	for _, width := range []int64{1280, 390} {
		v.size(width, 900)
		v.do(chromedp.Navigate(s.base + "/ru/?grant=none&bar=1"))
		off := evaluate[[]string](v, `[...document.querySelectorAll('.stage-check')].flatMap(label => {
			const box = label.querySelector('input').getBoundingClientRect();
			const range = document.createRange();
			range.selectNodeContents(label.querySelector('span'));
			const line = range.getClientRects()[0];
			const by = (box.top + box.bottom - line.top - line.bottom) / 2;
			return Math.abs(by) > 3 ? [label.textContent.trim() + ' ' + by] : [];
		})`)
		if len(off) > 0 {
			t.Errorf("at %d px boxes stand off their text: %q", width, off)
		}
	}
}

func TestBothSidesCountTheBasketAlike(t *testing.T) {
	s, v := openShop(t), openView(t)
	for cart, want := range map[string]string{
		"signal-gloves:12": "9", "signal-gloves:99999999999999999999": "9", "brae-felt": "1", "brae-felt:": "1",
		"brae-felt:2,brae-felt:3,tarn-scarf:1": "3", "brae-felt:0,brae-felt:3": "3",
		"brae-felt:-1,tarn-scarf:x,loop-snood:2.5,crag-mittens:0x5,none:2,fell-beanie:1:2,linen-square:%2B2": "0",
	} {
		v.do(chromedp.Navigate(s.base + "/en/cart/?grant=none&cart=" + cart))
		header := evaluate[string](v, `document.getElementById('basket-count').textContent`)
		listed := evaluate[string](v, `String([...document.querySelectorAll('#cart-lines output')].reduce((n, o) => n + +o.textContent, 0))`)
		if header != want || listed != want {
			t.Errorf("%s: the header counts %s, the list %s, want %s", cart, header, listed, want)
		}
	}
}
