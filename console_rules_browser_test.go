// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// Who may only look reads the rules and has a visit explained.
func TestTheRulesInTheConsole(t *testing.T) {
	n := startConsole(t)
	token := strings.TrimSpace(cli(t, "token", "create", "eve", "--role", "viewer", "--site", "demo", "--data", n.data))
	g := &guest{newTab(t, 1280, 800), n, "en", "rules-en"}
	g.open(n.admin + "/console/sites/demo?lang=en")
	g.signIn(token)
	g.see("live", "demo")
	g.says("what is live", "complete-cart\nLive")
	g.everyLook("live")
	g.press(`.tabs a[href$="/rules"]`)
	g.see("rules", "Rules")
	g.everyLook("rules")
	g.do(chromedp.Click(`[aria-labelledby=slot-hero] .ladder > li:nth-child(2) .original summary`))
	for _, words := range []string{
		`device.type == "phone" && inAudience("south-winter")`,
		"All of these", "Kind of device is phone", "At least one of these", "Belongs to the audience south-winter", "Was here before",
		"Month is one of October, November, December, January, February, March", "50% of the visitors it holds for", "second-thoughts", "A module chooses here.",
	} {
		g.says("the rules", words)
	}
	g.do(chromedp.Click(`[aria-labelledby=slot-hero] .inputs summary`))
	g.says("what the hero depends on", `interests["hats"]`)

	g.press(`a[href$="/rules/explain"]`)
	g.see("explain", "Explain a page view")
	g.everyLook("explain")
	g.press(`.samples a[href*="careful"]`)
	g.see("explain-careful", "Explain a page view")
	g.everyLook("explain-careful")
	g.says("a visit whose notes may not be used", "Items in the cart cannot be read: the visitor did not allow “Use the notes”")
	if got := g.shown(); len(got) != 3 || got[2] != "offer: welcome-back, by welcome-back" {
		t.Errorf("a visit whose notes may not be used shows %q", got)
	}

	// The same with the notes, and another place.
	g.do(chromedp.Click(`#f-grant-personalise`))
	eval[bool](g.tab, `(f => (f.value = f.value.replace('"AU"', '"FR"'), true))(document.querySelector('#f-visit'))`)
	g.press(`.visit .button`)
	g.see("explain-own", "Explain a page view")
	if got := g.shown(); len(got) != 3 || got[2] != "offer: complete-cart, by complete-cart" {
		t.Errorf("a visit with a basket shows %q", got)
	}
	if got := eval[[]int](g.tab, `['held', 'failed', 'unknown'].map(v => document.querySelectorAll('.condition.is-' + v).length)`); got[0] < 5 || got[1] < 5 {
		t.Errorf("held, failed and unknown: %d", got)
	}
	if got := eval[bool](g.tab, `document.querySelector('#f-visit').value.includes('"FR"') && document.querySelector('#f-grant-personalise').checked`); !got {
		t.Error("the form forgot what was asked")
	}

	for lang, title := range map[string]string{"ar": "شرح مشاهدة صفحة", "ru": "Объяснить просмотр", "zh-Hans": "解释一次浏览", "zh-Hant": "解釋一次瀏覽"} {
		g.lang, g.shot = lang, "rules-"+lang
		g.open(n.admin + "/console/sites/demo/rules?lang=" + lang)
		g.everyLook(lang + " rules")
		g.picture("rules")
		g.open(n.admin + "/console/sites/demo/rules/explain?sample=careful")
		g.see("explain", title)
		g.everyLook(lang + " explain")
	}
	if faults := g.faults; len(faults) > 0 {
		t.Errorf("scripts failed: %q", faults)
	}
}

// shown is what the page says that each slot shows, and by which rule.
func (g *guest) shown() []string {
	g.t.Helper()
	return eval[[]string](g.tab, `[...document.querySelectorAll('.explained')].map(e => {
		const rule = [...e.querySelectorAll('.tried > li')].find(li => li.querySelector('.chip-live'));
		return e.querySelector('h3').textContent + ': ' + e.querySelector('header b').textContent + ', by ' + (rule ? rule.querySelector('code').textContent : 'none');
	})`)
}
