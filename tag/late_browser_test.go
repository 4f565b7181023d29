// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"net/http"
	"testing"
	"time"
)

// refusingTCF has a TCF platform come up on a page that is open, which says no to
// everything.
const refusingTCF = `window.tc = null; ` + tcData + `tc.purpose.consents = {}; tc.specialFeatureOptins = {}` + endTCData

// afterTheHold is longer than the tag waits for platforms.
const afterTheHold = 700 * time.Millisecond

// However late a platform comes up, what it says counts: nothing is sent under the
// page's policy any more, and a grant of its sends what waits for one.
func TestAPlatformThatComesUpLateIsHeard(t *testing.T) {
	t.Parallel()
	for name, script := range map[string][]byte{"tag.js": Script, "tag.full.js": FullScript, "tag.measure.js": MeasureScript} {
		t.Run(name+" and refuses", func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.script = script
			b := openTab(t).open(s.page("/", SnippetOptions{Policy: "us-optout"}, "", ""))
			s.waitForEvent("page_view")
			time.Sleep(afterTheHold)
			b.run(refusingTCF)
			b.run(`near("event", "refused"); history.pushState(0, "", "/other")`)
			time.Sleep(1500 * time.Millisecond)
			if n := len(s.sent()); n != 1 || len(s.events("refused")) > 0 {
				t.Errorf("%d beacons, want the first alone", n)
			}
		})
	}
	for name, script := range map[string][]byte{"tag.js": Script, "tag.full.js": FullScript} {
		t.Run(name+" and grants", func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.script = script
			s.contents["hero"] = text("bonjour")
			b := openTab(t).open(s.page("/", SnippetOptions{}, "", hero))
			b.waitFor(started)
			time.Sleep(afterTheHold)
			b.run(`window.tc = null; ` + tcData + endTCData)
			s.waitForEvent("page_view")
			b.waitFor(`document.querySelector("near-slot").dataset.near`)
		})
	}
	t.Run("GPP as well", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		b := openTab(t).open(s.page("/", SnippetOptions{}, "", ""))
		b.waitFor(started)
		time.Sleep(afterTheHold)
		b.run(gppData("7", `{usnat:{SaleOptOut:2}}`))
		s.waitForEvent("page_view")
	})
}

func TestADataLayerInThePlaceOfAnotherIsHeard(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := openTab(t).open(s.page("/", SnippetOptions{Policy: "us-optout"}, "", ""))
	s.waitForEvent("page_view")
	b.run(`window.dataLayer = [{pageType: "x"}]; window.gtag = function () { dataLayer.push(arguments) };
		gtag("consent", "update", {analytics_storage: "denied", functionality_storage: "denied"}); near("event", "refused")`)
	s.waitFor("withdrawal", func() bool { _, n := s.counts(); return n == 1 })
	time.Sleep(1200 * time.Millisecond)
	if got := eval[int](b, `__now().granted`); got != context_ || len(s.events("refused")) > 0 {
		t.Errorf("granted %d, and %d events", got, len(s.events("refused")))
	}
	b.run(`gtag("consent", "update", {analytics_storage: "granted"})`)
	if got := eval[string](b, `__now().granted + " " + dataLayer.length`); got != "6 3" {
		t.Errorf("granted and pushed %s", got)
	}
}

// What the server takes off a claim is taken off that claim: an answer to an older
// one leaves a newer yes alone.
func TestALateAnswerUndoesNoNewerYes(t *testing.T) {
	t.Parallel()
	for name, script := range map[string][]byte{"tag.js": Script, "tag.measure.js": MeasureScript} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.script = script
			s.reply = func(n int, b *beacon, w http.ResponseWriter) bool {
				if n > 1 {
					return false
				}
				time.Sleep(600 * time.Millisecond)
				writeJSON(w, answer{V: 1, Granted: 0, Rejected: []rejection{{ID: b.Events[0].ID, Code: "consent"}}})
				return true
			}
			b := openTab(t).open(s.page("/", SnippetOptions{Policy: "us-optout"}, "", ""))
			s.waitFor("beacon", func() bool { n, _ := s.counts(); return n == 1 })
			b.run(`near("consent", {measure: true, context: true, storage: true}); near("event", "after")`)
			s.waitForEvent("after")
		})
	}
}

func TestWhoListensInTheQueueIsTold(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := openTab(t).open(s.page("/", SnippetOptions{}, `<script nonce=$>window.near=function(){(near.q=near.q||[]).push(arguments)};
		window.told = []; near("on", "consent", granted => told.push(granted)); near("consent", {measure: true})</script>`, ""))
	s.waitForEvent("page_view")
	if got := eval[string](b, `told.join()`); got != "2" {
		t.Errorf("told %q, want 2", got)
	}
}

func TestAnAnswerThatIsNoneChangesNothing(t *testing.T) {
	t.Parallel()
	for name, script := range map[string][]byte{"tag.js": Script, "tag.measure.js": MeasureScript} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.script = script
			b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure", "context"), ""))
			s.waitForEvent("page_view")
			b.run(`near("consent", {measure: false}); near("consent", {measure: undefined, context: null, geo: true})`)
			if got := eval[int](b, `__now().granted`); got != context_|geo {
				t.Errorf("granted %d, want %d", got, context_|geo)
			}
		})
	}
}
