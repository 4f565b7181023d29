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
	tests := []struct {
		name, head string
		give       SnippetOptions
	}{
		{name: "nobody has answered"},
		{name: "everything is refused", head: `<script nonce=$>near=function(){(near.q=near.q||[]).push(arguments)};
			near("consent",{storage:false,measure:false,context:false,profile:false,personalise:false,share:false,geo:false,device:false})</script>`},
		{name: "only purposes that send nothing by themselves are granted", head: grant("storage", "geo", "device")},
		{name: "a TCF platform has not answered", head: `<script nonce=$>__tcfapi=()=>{}</script>` + grant(allPurposes...)},
		{name: "a GPP platform is loading", head: `<script nonce=$>__gpp=()=>{}</script>` + grant(allPurposes...),
			give: SnippetOptions{Policy: "us-optout"}},
		{name: "a TC string is there that cannot be read yet", head: `<script nonce=$>
			__tcfapi=(c,v,f)=>f({gdprApplies:true,eventStatus:"tcloaded",tcString:"CQ"},true)</script>` + grant(allPurposes...)},
		{name: "a GPP string is there that cannot be read yet", head: `<script nonce=$>
			__gpp=(c,f)=>f({pingData:{signalStatus:"ready",gppString:"DB",applicableSections:[7]}},true)</script>`,
			give: SnippetOptions{Policy: "us-optout"}},
		{name: "Consent Mode waits for its update", head: gtag + `gtag("consent","default",{analytics_storage:"granted",wait_for_update:5000})</script>`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			b := openTab(t).open(s.page("/", tt.give, tt.head, hero) + "?utm_source=x")
			b.waitFor(started)
			b.run(`near("event", "add_to_cart", {value: 1})`)
			settle()
			if n := len(s.requests); n > 0 {
				t.Errorf("%d requests were sent", n)
			}
			if kept := eval[string](b, nothingKept); kept != "" {
				t.Errorf("kept %q", kept)
			}
			b.wantText("near-slot", "own")
		})
	}
}

func TestContextAloneSendsOneRequestWithoutIdentifiers(t *testing.T) {
	s := newShop(t)
	s.contents["hero"] = text("bonjour")
	b := openTab(t).open(s.page("/hats", SnippetOptions{}, grant("context"), hero) + "?utm_source=x&gclid=1#top")
	b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
	b.wantText("near-slot", "bonjour")
	b.run(`near("event", "add_to_cart", {value: 1})`)
	settle()
	sent := s.sent()
	if len(sent) != 1 {
		t.Fatalf("%d beacons, want 1", len(sent))
	}
	p := sent[0].Page
	if p.URL != s.server.URL+"/hats" || p.Lang != "en" || len(sent[0].Client.Langs) == 0 {
		t.Errorf("page %+v, client %+v", p, sent[0].Client)
	}
	if len(s.requests[0].Cookies()) > 0 || eval[string](b, nothingKept) != "" {
		t.Error("a cookie was sent or something was kept")
	}
	if ref := s.requests[0].Referer(); ref != s.server.URL+"/" {
		t.Errorf("the Referer header says %q, want the origin alone", ref)
	}
	wantGolden(t, "context-only.json", sent[0])
}

func TestEverythingGrantedSendsOneRequest(t *testing.T) {
	s := newShop(t)
	s.contents["hero"] = text("bonjour")
	head := grant(allPurposes...) + `<meta name="near:type" content=category><meta name="near:tags" content="felt, wool">` +
		`<script nonce=$>near("page",{category:"hats",item:"sku-7"})</script>`
	b := openTab(t).open(s.page("/hats", SnippetOptions{Why: true}, head, hero+`<div data-slot=also-like data-limit=6 data-item=sku-7></div>`) +
		"?utm_source=x&gclid=1&q=secret#top")
	b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
	settle()
	sent := s.sent()
	if len(sent) != 1 {
		t.Fatalf("%d beacons, want 1", len(sent))
	}
	got := sent[0]
	if want := s.server.URL + "/hats?utm_source=x&gclid=1"; got.Page.URL != want {
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
	const gpc = `Object.defineProperty(Navigator.prototype, "globalPrivacyControl", {get: () => true})`
	all := `near("consent",{` + strings.Join(allPurposes, ":true,") + `:true});`
	tests := []struct {
		name, before, head string
		policy             string
		want               int
		authority          string
	}{
		{name: "strict pages grant nothing by silence", want: 0, authority: "region"},
		{name: "pages under an opt-out law grant all but geo and device", policy: "us-optout", want: 63, authority: "region"},
		{name: "British pages grant measure, which the server narrows", policy: "uk", want: 2, authority: "region"},
		{name: "a refusal alone does not let the defaults answer", policy: "us-optout", head: `near("consent",{share:false});`, want: 0, authority: "owner"},
		{name: "GPC removes share", before: gpc, head: all, want: 255 - share, authority: "owner"},
		{name: "GPC removes share from the defaults", before: gpc, policy: "us-optout", want: 63 - share, authority: "region"},
		{name: "profile and personalise need storage", head: `near("consent",{profile:true,personalise:true,context:true});`, want: context_, authority: "owner"},
		{name: "share needs measure", head: `near("consent",{share:true,context:true});`, want: context_, authority: "owner"},
		{name: "later words win", head: all + `near("consent",{geo:false});near("consent","withdraw");near("consent",{context:true});`, want: context_, authority: "owner"},
		{name: "Consent Mode comes before the owner, whose refusal is a veto", want: storage | context_, authority: "gcm",
			head: all + `near("consent",{measure:false});gtag("consent","default",{functionality_storage:"granted",analytics_storage:"granted",ad_storage:"granted"});`},
		{name: "an update comes before a default", want: measure | context_, authority: "gcm",
			head: `gtag("consent","default",{analytics_storage:"denied"});gtag("consent","update",{analytics_storage:"granted"});`},
		{name: "a regional grant does not count", want: context_, authority: "gcm",
			head: `gtag("consent","default",{analytics_storage:"granted",region:["US"]});gtag("consent","default",{ad_storage:"denied"});`},
		{name: "a regional refusal stands beside a general grant", want: context_, authority: "gcm",
			head: `gtag("consent","default",{analytics_storage:"denied",region:["FR"]});gtag("consent","default",{analytics_storage:"granted"});`},
		{name: "share needs all three advertising types", want: measure | context_, authority: "gcm",
			head: `gtag("consent","default",{analytics_storage:"granted",ad_storage:"granted",ad_user_data:"granted"});`},
		{name: "TCF that does not apply hands on", want: 255, authority: "owner",
			head: all + `window.__tcfapi=(c,v,f)=>f({gdprApplies:false,eventStatus:"tcloaded",tcString:""},true);`},
		{name: "GPP without a section in force hands on", want: 255, authority: "owner",
			head: all + `window.__gpp=(c,f)=>f({pingData:{signalStatus:"ready",gppString:"DB",applicableSections:[-1]}},true);`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			head := gtag + `near=function(){(near.q=near.q||[]).push(arguments)};` + tt.head + `</script>`
			b := openTab(t, tt.before).open(s.page("/", SnippetOptions{Policy: tt.policy}, head, hero))
			b.waitFor(started)
			b.waitFor(`__now().granted == ` + itoa(tt.want))
			settle()
			if got := eval[string](b, `__now().granted + " " + __now().authority`); got != itoa(tt.want)+" "+tt.authority {
				t.Errorf("granted %s, want %d %s", got, tt.want, tt.authority)
			}
			for _, sent := range s.sent() {
				if sent.Consent.Purposes != tt.want {
					t.Errorf("sent under %d, want %d", sent.Consent.Purposes, tt.want)
				}
			}
			if n, _ := s.counts(); (n > 0) != (tt.want&(context_|measure) != 0) {
				t.Errorf("%d beacons", n)
			}
		})
	}
}

func TestAnswersThatComeLater(t *testing.T) {
	t.Run("a click that grants fills the slot in view without a shift", func(t *testing.T) {
		s := newShop(t)
		s.contents["hero"] = text("bonjour")
		b := openTab(t).open(s.page("/", SnippetOptions{}, "", hero+`<button id=yes>yes</button>
			<script nonce=$>yes.onclick=()=>near("consent",{context:true,measure:true})</script>`))
		b.waitFor(`getComputedStyle(document.querySelector("near-slot")).visibility == "visible"`)
		b.run(`near("event", "add_to_cart", {value: 1})`)
		b.click("#yes")
		b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
		b.wantText("near-slot", "bonjour")
		if shift := b.shift(); shift != 0 {
			t.Errorf("layout shift %v", shift)
		}
		s.waitForEvent("page_view")
		if e := s.waitForEvent("add_to_cart"); e.Props["value"] != 1.0 {
			t.Errorf("the event from before the answer has %v", e.Props)
		}
		if n, _ := s.counts(); n != 1 {
			t.Errorf("%d beacons, want 1", n)
		}
	})
	t.Run("a script that grants leaves a slot in view alone", func(t *testing.T) {
		s := newShop(t)
		s.contents["hero"] = text("bonjour")
		b := openTab(t).open(s.page("/", SnippetOptions{}, "", hero))
		b.waitFor(`getComputedStyle(document.querySelector("near-slot")).visibility == "visible"`)
		b.run(`near("consent",{context:true})`)
		b.waitFor(`document.querySelector("near-slot").dataset.near == "late"`)
		b.wantText("near-slot", "own")
	})
	t.Run("what was refused before is not sent by a later grant", func(t *testing.T) {
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
		s := newShop(t)
		s.contents["hero"] = text("bonjour")
		b := openTab(t).open(s.page("/", SnippetOptions{}, gtag+`gtag("consent","default",{analytics_storage:"denied",wait_for_update:500})</script>`, hero))
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
