// SPDX-License-Identifier: Apache-2.0

package console

import (
	"encoding/json"
	"html"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/publishing"
)

// rendered is a page that was made up, as somebody reads it in a language.
func (b *bench) rendered(name, lang string, body any) string {
	b.t.Helper()
	answered := httptest.NewRecorder()
	q := &call{
		console: b.Console, w: &answer{ResponseWriter: answered}, r: httptest.NewRequest("GET", "/console/sites/shop/rules?lang="+lang, nil),
		actor: publishing.Actor{Name: "eve", Role: publishing.Viewer, Sites: []string{"shop"}}, site: "shop",
	}
	if err := q.render(name, q.newPage("Title", body)); err != nil {
		b.t.Fatal(err)
	}
	words := withoutIsolates.Replace(answered.Body.String())
	return strings.TrimSpace(spaces.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString(words, " ")), " "))
}

func says(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s does not say %q: %s", what, w, text)
		}
	}
}

func TestTheRulesAreShownAsTheyAreWritten(t *testing.T) {
	b := openBench(t, nil)
	doc := &edge.ReleaseDocument{
		Settings:  edge.Settings{TimeZone: "Europe/Paris"},
		Audiences: []edge.Audience{{Name: "regulars", Description: "Who keeps coming back.", When: "visitor.visits > 3"}},
		Campaigns: []edge.Campaign{
			{Name: "spring", State: "live", From: "2026-11-22T14:00", Owner: "ada", Goal: "More hats"}, // in an hour
			{Name: "winter", State: "live", From: "2026-11-22T13:00"},                                  // now
			{Name: "autumn", State: "live", Until: "2026-11-22T13:00"},                                 // until now
			{Name: "summer", State: "archived"},
		},
		Slots: []edge.SlotSpec{{Name: "hero", Kind: "html", Ladder: []edge.RungSpec{
			{Rung: "profile", Rules: []edge.RuleSpec{{
				Name: "regular", When: `inAudience("regulars") && seen("x")`, Campaign: "spring", Priority: 7, Score: "visitor.visits", Rollout: 500,
				Show: []edge.ShowSpec{{Variant: "sun", Weight: 1}, {Variant: "rain", Weight: 3}},
			}}},
			{Rung: "context", Rules: []edge.RuleSpec{{Module: "weather"}, {Name: "anybody", Show: []edge.ShowSpec{{Variant: "fog"}}}}},
		}}},
		Modules: []edge.ModuleRef{{Name: "weather", Version: "1.2.0"}},
		Inputs:  map[string]edge.SlotInputs{"hero": {Purposes: consent.Set(consent.Personalise | consent.Storage), Reads: []string{"recent", "visitor.visits"}}},
	}
	conditions := &edge.RuleConditions{
		Rules: map[string]map[string]edge.Condition{"hero": {"regular": {Op: "and", Parts: []edge.Condition{
			{Op: "audience", Values: []string{"regulars"}}, {Op: "has", Field: "recent", Values: []string{"x"}}, {Op: "other", Text: "1 == 1"},
		}}}},
		Audiences: map[string]edge.Condition{"regulars": {Op: "more-than", Field: "visitor.visits", Values: []string{"3"}}},
	}
	says(t, "what nobody can tell in words", b.rendered("rules", "en", newRulesView(doc, &edge.RuleConditions{}, testNow)),
		`Priority 7 inAudience("regulars") && seen("x") Shows sun`, "Who keeps coming back. visitor.visits > 3")
	text := b.rendered("rules", "en", newRulesView(doc, conditions, testNow))
	says(t, "the page", text,
		`Full profile regular Not begun Priority 7 All of these Belongs to the audience regulars x is among Items looked at 1 == 1 As it is written inAudience("regulars") && seen("x") Shows sun 25% of the visitors it holds for rain 75% of the visitors it holds for`,
		"Score visitor.visits Campaign spring Audiences regulars 5% of visitors",
		"The moment weather 1.2.0 A module chooses here. anybody Always Shows fog Page’s own content",
		"What the answer depends on Two page views that agree on these get the same answer. recent visitor.visits Unlocked by Remember this browser · Use the notes",
		"regulars Who keeps coming back. Sessions so far is more than 3 As it is written visitor.visits > 3",
		"spring Not begun Owner ada From 2026-11-22 13:00 UTC Goal More hats", "winter Live From", "autumn Over Until", "summer Archived",
	)
	for tag := range allLanguages(t) {
		says(t, tag, b.rendered("rules", tag, newRulesView(doc, conditions, testNow)), "regular", "visitor.visits > 3")
	}
	says(t, "a site without slots", b.rendered("rules", "en", newRulesView(&edge.ReleaseDocument{}, conditions, testNow)), "This site has no slots yet.")
}

func TestADecisionIsExplained(t *testing.T) {
	b := openBench(t, nil)
	condition := &edge.Condition{Op: "and", Verdict: edge.VerdictUnknown, Parts: []edge.Condition{
		{Op: "one-of", Field: "geo.country", Values: []string{"FR", "DE"}, Saw: `"FR"`, Verdict: edge.VerdictHeld},
		{Op: "or", Verdict: edge.VerdictUnknown, Parts: []edge.Condition{
			{Op: "is", Field: "device.type", Values: []string{"tablet"}, Saw: `"phone"`, Verdict: edge.VerdictFailed},
			{
				Op: "has", Field: "recent", Values: []string{"hat-1"}, Verdict: edge.VerdictUnknown,
				Unknown: []edge.UnknownField{{Field: "recent", Cause: "refused", Purpose: "personalise"}},
			},
		}},
		{Op: "other", Text: "recent.exists(r, r == page.item)", Verdict: edge.VerdictUnknown, Unknown: []edge.UnknownField{{Field: "page.item", Cause: "absent"}}},
	}}
	explanation := &publishing.Explanation{Site: "shop", Release: 1, Decisions: []edge.SampledDecision{
		{Slot: "hero", Variant: "sun", Reason: "rule", Rule: "weather@1.0.0", Because: "It shines.", Why: &edge.Why{Rung: "context", Tried: []edge.Try{
			{Rule: "again", Rung: "profile", Reason: "no-answer", Condition: condition},
			{Rule: "weather@1.0.0", Rung: "context", Reason: "rule", Saw: []edge.Saw{{Field: "geo.country", Value: json.RawMessage(`"FR"`)}}},
			{Rule: "other@1.0.0", Rung: "context", Reason: "no-consent", Withheld: []edge.Withheld{{Field: "recent", Purpose: "personalise"}}},
		}}},
		{Slot: "offer", Reason: "default", Why: &edge.Why{Rung: "default"}},
	}}
	view := &explainView{Visit: "{}"}
	view.show(explanation)
	text := b.rendered("explain", "en", view)
	says(t, "the page", text,
		"hero Shows sun The moment It shines. again Full profile Not known",
		"? Not known: All of these ✓ Held: Country is one of FR, DE here FR ? Not known: At least one of these "+
			"✗ Did not hold: Kind of device is tablet here phone ? Not known: hat-1 is among Items looked at "+
			"Items looked at cannot be read: the visitor did not allow “Use the notes” "+
			"? Not known: recent.exists(r, r == page.item) This page view has no value for “Item on the page”",
		"weather@1.0.0 The moment Chosen It saw geo.country FR", "other@1.0.0 The moment Consent is missing Kept back recent Use the notes",
		"offer Shows page’s own content Nothing here",
	)
	for tag := range allLanguages(t) {
		says(t, tag, b.rendered("explain", tag, view), "recent.exists(r, r == page.item)", "weather@1.0.0")
	}
}

func TestAVisitIsReadFromAForm(t *testing.T) {
	const boxes = consent.Context
	tests := []struct {
		name, text, fields string
		granted            consent.Purposes
		fails              bool
	}{
		{"fields alone", `{"geo.country":"FR"}`, `{"geo.country":"FR"}`, boxes, false},
		{"with what is granted", `{"id":"7","granted":["storage"],"fields":{"lang":"fr"}}`, "{\n  \"lang\": \"fr\"\n}", consent.Storage, false},
		{"with nothing granted", `{"granted":[],"fields":{}}`, "{}", 0, false},
		{"without saying what is granted", `{"fields":{}}`, "{}", boxes, false},
		{"a purpose that is none", `{"granted":["all"],"fields":{}}`, "", boxes, true},
		{"no JSON", `{`, "", boxes, true},
		{"a list", `[]`, "", boxes, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			fields, granted, err := readVisit(tt.text, boxes)
			if fields != tt.fields || granted != tt.granted || (err != nil) != tt.fails {
				t.Errorf("read %q, %v, %v", fields, granted, err)
			}
		})
	}
}

// The page's way, with a browser that runs no scripts: who may only look explains
// a ready-made visit, then one of their own.
func TestAVisitIsExplainedOnThePage(t *testing.T) {
	b := openBench(t, nil)
	const site = "/console/sites/shop"
	v := b.signedIn("eve", publishing.Viewer)
	v.get(site+"/rules").want("the rules", 200, "Explain a page view", "hero", "Page’s own content Everybody else sees this.")
	v.get(site+"/rules/explain").want("the question", 200, "Somebody new, on a phone in Paris", "Fit the moment context")
	ready := v.get(site + "/rules/explain?sample=regular")
	ready.want("a ready-made visit", 200, "What is decided hero Shows page’s own content Nothing here")
	if !strings.Contains(ready.html, `"geo.country": &#34;AU&#34;`) && !strings.Contains(ready.html, `&#34;geo.country&#34;: &#34;AU&#34;`) {
		t.Error("the form does not hold the ready-made visit")
	}
	if !strings.Contains(ready.html, `value="storage" checked`) || strings.Contains(ready.html, `value="geo" checked`) {
		t.Error("the boxes are not those of the ready-made visit")
	}
	own := v.post(site+"/rules/explain", url.Values{"visit": {`{"granted":["geo"],"fields":{"geo.lat":48.9}}`}, "grant": {"context"}})
	own.want("a visit of one's own", 200, "What is decided")
	if !strings.Contains(own.html, `value="geo" checked`) || strings.Contains(own.html, `value="context" checked`) {
		t.Error("what the visit grants is not ticked")
	}
	v.post(site+"/rules/explain", url.Values{"visit": {`{`}}).want("no JSON", 422, "This is not a page view.", "Go to the field")
	v.post(site+"/rules/explain", url.Values{"visit": {`{"geo.cuntry":"FR"}`}}).want("a field that is not there", 422, "This is not a page view.", "geo.cuntry")
	v.post(site+"/rules/explain", url.Values{"visit": {`{}`}, "grant": {"all"}}).want("a purpose that is none", 400, "could not be read")
	v.get("/console/sites/blog/rules").want("another site", 403, "does not allow this")
}
