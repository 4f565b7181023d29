// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const hero = `<near-slot name=hero><b>own</b></near-slot>`

// nothingKept are the places where a page could keep something of its visitor.
const nothingKept = `document.cookie + Object.keys(localStorage) + Object.keys(sessionStorage)`

// gtag is the start of a page's Consent Mode script.
const gtag = `<script nonce=$>dataLayer=[];function gtag(){dataLayer.push(arguments)};`

// started is true once the tag has taken over from its queue.
const started = `near.toString().indexOf("near.q") < 0`

func TestWithoutAnAnswerNothingIsSentOrKept(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, policy, head string
	}{
		{"nobody has answered", "", ""},
		{"everything is refused", "us-optout", `near("consent",{` + strings.Join(allPurposes, ":false,") + `:false})`},
		{"only purposes that send nothing by themselves are granted", "", `near("consent",{storage:true,geo:true,device:true})`},
		{"a TCF platform has not answered", "", grantAll + `__tcfapi=()=>{}`},
		{"a GPP platform is loading", "us-optout", grantAll + `__gpp=()=>{}`},
		{"a TCF platform says no purposes", "", grantAll +
			`__tcfapi=(c,v,f)=>f({gdprApplies:true,eventStatus:"tcloaded",tcString:"CQ"},true)`},
		{"a TCF platform is asking", "", grantAll + tcData + `tc.eventStatus="cmpuishown"` + endTCData},
		{"a TCF platform does not know whether it applies", "us-optout", grantAll + tcData + `delete tc.gdprApplies` + endTCData},
		{"everything is refused by TCF", "us-optout", grantAll + tcData + `tc.purpose.consents={};tc.specialFeatureOptins={}` + endTCData},
		{"a TCF platform is out of order", "", grantAll + `__tcfapi=(c,v,f)=>f(null,false)`},
		{"a GPP platform says no sections", "us-optout",
			`__gpp=(c,f)=>f({pingData:{signalStatus:"ready",gppString:"DB",applicableSections:[7]}},true)`},
		{"a GPP platform is asking", "us-optout",
			`__gpp=(c,f)=>f({pingData:{signalStatus:"not ready",gppString:"DB",applicableSections:[7],parsedSections:{usnat:{SaleOptOut:2}}}},true)`},
		{"a GPP section in force is not of US law", "us-optout", gppData("2,7", `{usnat:{SaleOptOut:2}}`)},
		{"Consent Mode waits for its update", "", `gtag("consent","default",{analytics_storage:"granted",wait_for_update:60000})`},
	}
	s := newShop(t)
	var frames frameSet
	for _, tt := range tests {
		frames.add(s, SnippetOptions{Policy: tt.policy}, tt.head, hero)
	}
	b := frames.open(t, s)
	b.run(`for (const frame of everyFrame()) { frame.near("event", "add_to_cart"); frame.dispatchEvent(new Event("pagehide")) }`)
	settle()
	for i, tt := range tests {
		for _, sent := range s.sent() {
			if strings.HasSuffix(sent.Page.URL, frames.path(i)) {
				t.Errorf("%s, and yet this was sent: %s", tt.name, sent.raw)
			}
		}
		if got := eval[string](b, `frames[`+itoa(i)+`].document.querySelector("near-slot").textContent`); got != "own" {
			t.Errorf("%s, and the slot shows %q", tt.name, got)
		}
	}
	if n := len(s.calls()); n > 0 {
		t.Errorf("%d requests were sent", n)
	}
	if kept := eval[string](b, nothingKept); kept != "" {
		t.Errorf("kept %q", kept)
	}
}

func TestContextAloneSendsOneRequestWithoutIdentifiers(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.contents["hero"] = text("bonjour")
	b := openTab(t).open(s.page("/hats", SnippetOptions{}, grant("context"), hero) + "?utm_source=x&gclid=1&near_preview=AQAB#top")
	b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
	b.wantText("near-slot", "bonjour")
	b.run(`near("event", "add_to_cart", {value: 1})`)
	settle()
	sent := s.sent()
	if len(sent) != 1 {
		t.Fatalf("%d beacons, want 1", len(sent))
	}
	p := sent[0].Page
	if p.URL != s.server.URL+"/hats?near_preview=AQAB" || p.Lang != "en" || len(sent[0].Client.Langs) == 0 {
		t.Errorf("page %+v, client %+v", p, sent[0].Client)
	}
	if len(s.calls()[0].Cookies()) > 0 || eval[string](b, nothingKept) != "" {
		t.Error("a cookie was sent or something was kept")
	}
	if ref := s.calls()[0].Referer(); ref != s.server.URL+"/" {
		t.Errorf("the Referer header says %q, want the origin alone", ref)
	}
	wantGolden(t, "context-only.json", sent[0])
}

func TestEverythingGrantedSendsOneRequest(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.script = FullScript
	s.header.Set("Content-Security-Policy", strictPolicy)
	s.contents["hero"] = text("bonjour")
	head := grant(allPurposes...) + `<meta name="near:type" content=category><meta name="near:tags" content="felt, wool">` +
		`<script nonce=$>near("page",{category:"hats",item:"sku-7"})</script>`
	b := openTab(t).open(s.page("/hats", SnippetOptions{Why: true}, head, hero+`<div data-slot=also-like data-limit=6 data-item=sku-7></div>`) +
		"?utm_source=x&gclid=1&q=secret&near_preview=AQAB#top")
	b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
	settle()
	sent := s.sent()
	if len(sent) != 1 {
		t.Fatalf("%d beacons, want 1", len(sent))
	}
	got := sent[0]
	if want := s.server.URL + "/hats?utm_source=x&gclid=1&near_preview=AQAB"; got.Page.URL != want {
		t.Errorf("url %q, want %q", got.Page.URL, want)
	}
	if p := got.Page; p.Type != "category" || p.Category != "hats" || p.Item != "sku-7" || !slices.Equal(p.Tags, []string{"felt", "wool"}) || p.Title != "Hats" {
		t.Errorf("page %+v", p)
	}
	if len(got.Events) != 1 || got.Events[0].Name != "page_view" {
		t.Errorf("events %+v, want one page_view", got.Events)
	}
	if want := []beaconSlot{{Name: "hero"}, {Name: "also-like", Limit: 6, Item: "sku-7"}}; !slices.Equal(got.Slots, want) {
		t.Errorf("slots %+v, want %+v", got.Slots, want)
	}
	if c := got.Client; len(c.Viewport) != 2 || c.Viewport[0]%100 != 0 || len(c.Screen) != 2 || c.TZ == "" {
		t.Errorf("client %+v", c)
	}
	if !got.Why || got.Consent.Purposes != 255 || got.Consent.Owner.Granted != 255 {
		t.Errorf("why %v, consent %+v", got.Why, got.Consent)
	}
	wantGolden(t, "everything-granted.json", got)
}

func TestSignalsDecideWhatIsGranted(t *testing.T) {
	t.Parallel()
	const gpc = `Object.defineProperty(navigator,"globalPrivacyControl",{value:true});`
	tests := []foldCase{
		{"strict pages grant nothing by silence", "strict", "", 0, "region"},
		{"pages under an opt-out law grant all but geo and device", "us-optout", "", 63, "region"},
		{"British pages grant measure, which the server narrows", "uk", "", measure, "region"},
		{"a refusal alone does not let the defaults answer", "us-optout", `near("consent",{share:false})`, 0, "owner"},
		{"GPC removes share", "", gpc + grantAll, 255 - share, "owner"},
		{"GPC removes share from the defaults", "us-optout", gpc, 63 - share, "region"},
		{"profile and personalise need storage", "", `near("consent",{profile:true,personalise:true,context:true})`, context_, "owner"},
		{"share needs measure", "", `near("consent",{share:true,context:true})`, context_, "owner"},
		{"later words win", "", grantAll + `near("consent",{geo:false});near("consent","withdraw");near("consent",{context:true})`, context_, "owner"},
		{"Consent Mode comes before the owner, whose refusal is a veto", "", grantAll + `near("consent",{measure:false});
			gtag("consent","default",{functionality_storage:"granted",analytics_storage:"granted"})`, storage | context_, "gcm"},
		{"an update comes before a default", "", `gtag("consent","default",{analytics_storage:"denied"});
			gtag("consent","update",{analytics_storage:"granted"})`, measure | context_, "gcm"},
		{"a regional grant does not count", "", `gtag("consent","default",{analytics_storage:"granted",region:["US"]});
			gtag("consent","default",{ad_storage:"denied"})`, context_, "gcm"},
		{"a regional refusal stands beside a general grant", "", `gtag("consent","default",{analytics_storage:"denied",region:["FR"]});
			gtag("consent","default",{analytics_storage:"granted"})`, context_, "gcm"},
		{"what is no word of Consent Mode is passed by", "", `gtag("consent");gtag("consent","default");dataLayer.push(null,{},"consent",()=>{});
			gtag("consent","update",{security_storage:"granted",other:"granted"})`, 0, "region"},
		{"share needs all three advertising types", "", `gtag("consent","default",
			{analytics_storage:"granted",ad_storage:"granted",ad_user_data:"granted"})`, measure | context_, "gcm"},
		{"TCF that does not apply hands on", "", grantAll + `__tcfapi=(c,v,f)=>f({gdprApplies:false,eventStatus:"tcloaded",tcString:""},true)`, 255, "owner"},
	}
	checkFolds(t, Script, tests, func(c foldCase) bool { return c.want&(context_|measure) != 0 })
}

func TestAnswersThatComeLater(t *testing.T) {
	t.Parallel()
	t.Run("a click that grants fills the slot in view without a shift", func(t *testing.T) {
		t.Parallel()
		inTime(t, func() bool {
			s := newShop(t)
			s.contents["hero"] = text("bonjour")
			b := openTab(t).open(s.page("/", SnippetOptions{}, "", hero+`<button id=yes>yes</button>
				<script nonce=$>yes.onclick=()=>near("consent",{context:true,measure:true})</script>`))
			b.waitFor(`getComputedStyle(document.querySelector("near-slot")).visibility == "visible"`)
			b.run(`near("event", "add_to_cart", {value: 1})`)
			b.click("#yes")
			b.waitFor(`document.querySelector("near-slot").dataset.near != "default"`)
			if eval[string](b, `document.querySelector("near-slot").dataset.near`) == "late" {
				return false
			}
			b.wantText("near-slot", "bonjour")
			if shift := b.shift(); shift != 0 {
				t.Errorf("layout shift %v", shift)
			}
			s.waitForEvent("page_view")
			if n := len(s.events("add_to_cart")); n != 0 {
				t.Errorf("the event from before the answer was sent %d times", n)
			}
			if n, _ := s.counts(); n != 1 {
				t.Errorf("%d beacons, want 1", n)
			}
			return true
		})
	})
	t.Run("a script that grants leaves a slot in view alone", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.contents["hero"] = text("bonjour")
		b := openTab(t).open(s.page("/", SnippetOptions{}, "", hero))
		b.waitFor(`getComputedStyle(document.querySelector("near-slot")).visibility == "visible"`)
		b.run(`near("consent",{context:true})`)
		b.waitFor(`document.querySelector("near-slot").dataset.near == "late"`)
		b.wantText("near-slot", "own")
	})
	t.Run("what was refused before is not sent by a later grant", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		b := openTab(t).open(s.page("/", SnippetOptions{}, "", hero))
		b.waitFor(started)
		b.run(`near("event", "add_to_cart"); near("consent",{measure:false}); near("event", "remove_from_cart")`)
		b.run(`near("consent",{measure:true}); near("event", "add_to_wishlist")`)
		s.waitForEvent("add_to_wishlist")
		if len(s.events("page_view")) != 1 || len(s.events("add_to_cart"))+len(s.events("remove_from_cart")) > 0 {
			t.Errorf("sent %s", s.sent()[0].raw)
		}
	})
	t.Run("Consent Mode's update is waited for and then obeyed", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.contents["hero"] = text("bonjour")
		b := openTab(t).open(s.page("/", SnippetOptions{}, gtag+`gtag("consent","default",{analytics_storage:"denied",wait_for_update:9000})</script>`, hero))
		b.waitFor(started)
		if n, _ := s.counts(); n != 0 {
			t.Error("the tag did not wait")
		}
		b.run(`gtag("consent","update",{analytics_storage:"granted"})`)
		s.waitForEvent("page_view")
		if got := s.sent()[0].Consent.GCM["analytics_storage"]; got != "granted" {
			t.Errorf("the beacon says analytics_storage is %q", got)
		}
		wantGolden(t, "consent-mode.json", s.sent()[0])
	})
	t.Run("the server's narrower grant is obeyed", func(t *testing.T) {
		t.Parallel()
		s := newShop(t)
		s.reply = func(_ int, b *beacon, w http.ResponseWriter) bool {
			b.Consent.Purposes = context_
			s.answer(b, w)
			b.Consent.Purposes = measure | context_ | storage
			return true
		}
		b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure", "context", "storage"), hero))
		b.waitFor(`__now().granted == 4`)
		b.run(`near("event", "add_to_cart")`)
		settle()
		if n, withdrawals := s.counts(); n != 1 || withdrawals != 0 {
			t.Errorf("%d beacons and %d withdrawals, want 1 and 0", n, withdrawals)
		}
	})
}
