// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// seasonal is the condition of a rule that was tried and is not known: its parts
// came out in every way that there is.
var seasonal = edge.Condition{
	Text: `inAudience("regulars") && (geo.country in ["FR", "DE"] || device.type == "phone") && !bought("tarn-scarf") && count("view_item", "7d") >= 2`,
	Op:   "and", Verdict: edge.VerdictUnknown,
	Parts: []edge.Condition{
		{Op: "audience", Values: []string{"regulars"}, Verdict: edge.VerdictFailed, Parts: []edge.Condition{
			{Op: "more-than", Field: "visitor.visits", Values: []string{"3"}, Saw: "1", Verdict: edge.VerdictFailed},
		}},
		{Op: "or", Verdict: edge.VerdictHeld, Parts: []edge.Condition{
			{Op: "one-of", Field: "geo.country", Values: []string{"FR", "DE"}, Saw: `"FR"`, Verdict: edge.VerdictHeld},
			{Op: "is", Field: "device.type", Values: []string{"phone"}, Saw: `"desktop"`, Verdict: edge.VerdictFailed},
		}},
		{Op: "not", Verdict: edge.VerdictUnknown, Parts: []edge.Condition{{
			Op: "has", Field: "bought", Values: []string{"tarn-scarf"}, Verdict: edge.VerdictUnknown,
			Unknown: []edge.UnknownField{{Field: "bought", Cause: "refused", Purpose: "personalise"}},
		}}},
		{
			Op: "at-least", Field: `count("view_item", "7d")`, Values: []string{"2"}, Verdict: edge.VerdictUnknown,
			Unknown: []edge.UnknownField{{Field: `count("view_item", "7d")`, Cause: "warming-up"}},
		},
		{Op: "is", Field: "geo.city", Values: []string{"Paris"}, Verdict: edge.VerdictUnknown, Unknown: []edge.UnknownField{{Field: "geo.city", Cause: "absent"}}},
		{
			Op: "at-least", Field: `interests["hats"]`, Values: []string{"3"}, Verdict: edge.VerdictUnknown,
			Unknown: []edge.UnknownField{{Field: `interests["hats"]`, Cause: "absent"}},
		},
		{Op: "is", Field: "cart.size()", Values: []string{"0"}, Saw: "0", Verdict: edge.VerdictHeld},
		{Op: "share", Values: []string{"25"}, Text: `hash("offer/again") < 2500`, Verdict: edge.VerdictHeld},
		{Op: "other", Text: `recent.exists(r, r == page.item)`, Verdict: edge.VerdictFailed},
	},
}

// answerWithConditions answers a beacon for the slot offer: a rule without code
// was chosen below one that is not known.
func answerWithConditions(ctx *fasthttp.RequestCtx) {
	chosen := edge.Condition{Text: "now.getMonth() in [9, 10, 11]", Op: "one-of", Field: "now.getMonth()", Values: []string{"9", "10", "11"}, Saw: "10", Verdict: edge.VerdictHeld}
	body, err := json.Marshal(map[string]any{"v": 1, "granted": 4, "decisions": []any{map[string]any{
		"id": "d1", "slot": "announce", "variant": "phone", "kind": "text", "lang": "en", "dir": "ltr", "reason": "rule", "rule": "autumn",
		"because": "Chosen.", "content": map[string]string{"text": "It is autumn"},
		"why": edge.Why{Rung: "context", Tried: []edge.Try{
			{Rule: "again", Rung: "profile", Reason: "no-answer", Saw: []edge.Saw{}, Withheld: []edge.Withheld{{Field: "bought", Purpose: "personalise"}}, Condition: &seasonal},
			{Rule: "autumn", Rung: "context", Reason: "rule", Saw: []edge.Saw{}, Withheld: []edge.Withheld{}, Condition: &chosen},
		}},
	}}})
	if err != nil {
		panic(err)
	}
	ctx.SetStatusCode(fasthttp.StatusOK)
	ctx.SetContentType("application/json")
	ctx.SetBody(body)
}

// openPanel opens the panel of the slot announce.
func (v *view) openPanel(base, lang string) {
	v.do(chromedp.Navigate(base + "/" + lang + "/?grant=context"))
	v.until("the answer", `document.querySelector('near-slot[name=announce]').dataset.near`)
	v.do(chromedp.Click(`[data-explain=announce]`))
	v.until("the panel", `document.querySelector('#panel[open] .conditions')`)
}

func TestThePanelSaysWhichConditionHeld(t *testing.T) {
	s, v := openShop(t), openView(t)
	s.answer = answerWithConditions
	v.openPanel(s.base, "en")
	// Each condition as it is read aloud, with those that it hangs below.
	lines := evaluate[[]string](v, `[...document.querySelectorAll('.panel .conditions p')].map(p => {
		let depth = 0;
		for (let at = p.parentElement.parentElement; at = at.parentElement.closest('.conditions'); ) depth++;
		const spoken = p.cloneNode(true);
		spoken.querySelectorAll('[aria-hidden]').forEach(e => e.remove());
		return '> '.repeat(depth) + spoken.textContent.trim();
	})`)
	want := []string{
		"Yes: Month is October, November, or December here: November",
		"Not known: All of these",
		"> No: You are one of: regulars",
		"> > No: Visits so far: more than 3 here: 1",
		"> Yes: At least one of these",
		"> > Yes: Country is France or Germany here: France",
		"> > No: Device is Phone here: Desktop",
		"> Not known: Not this",
		"> > Not known: Bought: Tarn Scarf",
		"> > You do not allow “Use the notes”.",
		"> Not known: Pieces you looked at in 7 days: at least 2",
		"> Counting has only begun: Pieces you looked at in 7 days.",
		"> Not known: City is Paris",
		"> This page view has no value for “City”.",
		"> Not known: Interest in Hats: at least 3",
		"> This page view has no value for “Interest in Hats”.",
		"> Yes: Number of things in the basket is 0 here: 0",
		"> Yes: You are among 25% of visitors, drawn by lot",
		"> No: recent.exists(r, r == page.item)",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("the panel says\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	signs := evaluate[string](v, `[...document.querySelectorAll('.panel .sign')].map(s => s.textContent).join('')`)
	if want := "✓?✗✗✓✓✗??" + "???✓✓✗"; signs != want {
		t.Errorf("the signs are %s, want %s", signs, want)
	}
	if written := evaluate[[]string](v, `[...document.querySelectorAll('.panel .written code')].map(c => c.textContent)`); len(written) != 2 || written[1] != seasonal.Text {
		t.Errorf("as they are written: %q", written)
	}
}

func TestConditionsFitThePanelInEveryLanguage(t *testing.T) {
	s, v := openShop(t), openView(t)
	s.answer = answerWithConditions
	v.prefer(t, "light")
	for _, l := range languages {
		for _, width := range []int64{1280, 390, narrowest} {
			v.size(width, 844)
			v.openPanel(s.base, l.Tag)
			off := evaluate[[]string](v, `[...document.querySelectorAll('.panel *')].filter(e => !e.closest('.unseen') && e.checkVisibility())
				.filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1 && getComputedStyle(e).display !== 'inline'
					|| e.getBoundingClientRect().right > innerWidth + 0.5 || e.getBoundingClientRect().left < -0.5)
				.map(e => e.tagName + '.' + e.className + ' ' + e.textContent.trim().slice(0, 40))`)
			if len(off) > 0 {
				t.Errorf("/%s/ at %d px: wider than their room: %q", l.Tag, width, off)
			}
			// A sign stands before its words, on the side that the language begins at.
			wrong := evaluate[[]string](v, `[...document.querySelectorAll('.panel .conditions p')].filter(p => p.querySelector('.sign')).filter(p => {
				const sign = p.querySelector('.sign').getBoundingClientRect(), words = p.querySelector('.unseen + span').getBoundingClientRect();
				return document.dir === 'rtl' ? sign.left < words.right - 1 : sign.right > words.left + 1;
			}).map(p => p.textContent)`)
			if len(wrong) > 0 {
				t.Errorf("/%s/ at %d px: signs do not stand before their words: %q", l.Tag, width, wrong)
			}
			v.picture(t, l.Tag, width)
		}
	}
}

// picture keeps what the panel looks like, by day and by night, when SCREENSHOTS
// names a directory.
func (v *view) picture(t *testing.T, lang string, width int64) {
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" || width == narrowest {
		return
	}
	evaluate[bool](v, `(document.querySelector('.panel-withheld').scrollIntoView(), true)`)
	for _, scheme := range []string{"light", "dark"} {
		v.prefer(t, scheme)
		png, err := chromedp.Run(v.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		name := map[int64]string{1280: "desktop", 390: "phone"}[width]
		if err := os.WriteFile(filepath.Join(dir, "panel-conditions-"+lang+"-"+name+"-"+scheme+".png"), png, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// prefer makes the page's reader prefer a colour scheme, and that nothing moves.
func (v *view) prefer(t *testing.T, scheme string) {
	t.Helper()
	_, err := chromedp.Call(v.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}})
	if err != nil {
		t.Fatal(err)
	}
}
