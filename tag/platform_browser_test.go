// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// tcData starts a script that has a TCF platform say all of TCF's purposes but
// for the changes that the caller makes to "tc" before endTCData.
const (
	tcData = `tc={gdprApplies:true,eventStatus:"tcloaded",tcString:"CQ",purposeOneTreatment:false,
		purpose:{consents:{},legitimateInterests:{}},specialFeatureOptins:{1:true,2:true}};
		for(let id=1;id<12;id++)tc.purpose.consents[id]=true;`
	endTCData = `;__tcfapi=(c,v,f)=>{tell=f;f(tc,true)};`
)

// gppData has a GPP platform say which sections are in force, all of them in the
// string, and what stands in it.
func gppData(sections, parsed string) string {
	return `__gpp=(c,f)=>f({pingData:{signalStatus:"ready",gppString:"DB",applicableSections:[` + sections + `],sectionList:[` + sections + `],parsedSections:` + parsed + `}},true);`
}

func TestPlatformsAreRead(t *testing.T) {
	t.Parallel()
	const all = 255
	tests := []foldCase{
		{"TCF grants by consent", "", tcData + endTCData, all, "tcf"},
		{"TCF comes before Consent Mode and the owner, whose refusal is a veto", "", tcData + endTCData +
			`near("consent",{measure:true,device:false});gtag("consent","default",{analytics_storage:"denied",wait_for_update:9000})`, all - device, "tcf"},
		{"purpose 1 is storage, and profiles need it", "", tcData + `tc.purpose.consents[1]=false` + endTCData, all - storage - profile - personalise, "tcf"},
		{"where purpose 1 is not asked nobody has agreed to storage", "", tcData + `tc.purpose.consents[1]=false;tc.purposeOneTreatment=true` + endTCData, all &^ (1 | 8 | 16), "tcf"},
		{"purposes 8 and 9 are measure, and share needs it", "", tcData + `tc.purpose.consents[9]=false` + endTCData, all - measure - share, "tcf"},
		{"measure takes a legitimate interest", "", tcData + `tc.purpose.consents[8]=tc.purpose.consents[9]=false;tc.purpose.legitimateInterests={8:true,9:true}` + endTCData, all, "tcf"},
		{"purpose 11 or 6 is context", "", tcData + `tc.purpose.consents[11]=false` + endTCData, all, "tcf"},
		{"purpose 6 is personalise and takes no legitimate interest", "", tcData + `tc.purpose.consents[6]=false;tc.purpose.legitimateInterests[6]=true` + endTCData, all - personalise, "tcf"},
		{"context takes a legitimate interest", "", tcData + `tc.purpose.consents={};tc.purpose.legitimateInterests[11]=true;tc.specialFeatureOptins={}` + endTCData, context_, "tcf"},
		{"purpose 5 is profile and takes no legitimate interest", "", tcData + `tc.purpose.consents[5]=false;tc.purpose.legitimateInterests[5]=true` + endTCData, all - profile, "tcf"},
		{"share needs purposes 2, 3, 4 and 7", "", tcData + `tc.purpose.consents[7]=false;tc.purpose.legitimateInterests[7]=true` + endTCData, all - share, "tcf"},
		{"a platform may leave out what nobody may rest on", "", tcData + `delete tc.purpose.legitimateInterests;delete tc.specialFeatureOptins` + endTCData, all - geo - device, "tcf"},
		{"special feature 1 is geo", "", tcData + `tc.specialFeatureOptins={2:true}` + endTCData, all - geo, "tcf"},
		{"special feature 2 is device", "", tcData + `tc.specialFeatureOptins={1:true}` + endTCData, all - device, "tcf"},
		{"GPC refuses share against TCF", "", `Object.defineProperty(navigator,"globalPrivacyControl",{value:true});` + tcData + endTCData, all - share, "tcf"},
		{"Consent Mode as a list", "", `dataLayer.push(["consent","update",{analytics_storage:"granted"}])`, measure | context_, "gcm"},
		{"Consent Mode as an object, among others", "", `dataLayer.push({event:"gtm.js"},{0:"consent",1:"default",2:{analytics_storage:"granted"}},{ecommerce:null})`, measure | context_, "gcm"},
	}
	checkFolds(t, Script, tests, func(foldCase) bool { return true })
}

// The everything build looks into the sections of a GPP string. The core does not:
// it takes every one for an opt-out.
func TestGPPSectionsAreRead(t *testing.T) {
	t.Parallel()
	const all = 255
	tests := []foldCase{
		{"a US section in force allows what its law does", "", gppData("7", `{usnat:{SaleOptOut:2,SaleOptOutNotice:1,SharingOptOutNotice:1}}`), 63, "gpp"},
		{"an opt-out of sale refuses share", "", gppData("7", `{usnat:{SaleOptOut:1}}`), 63 - share, "gpp"},
		{"an opt-out of sharing refuses share", "", gppData("8", `{usca:[{SharingOptOut:1},{Gpc:false}]}`), 63 - share, "gpp"},
		{"an opt-out of targeted advertising refuses share", "", gppData("9", `{usva:{SaleOptOut:0,TargetedAdvertisingOptOut:1}}`), 63 - share, "gpp"},
		{"a GPC segment refuses share", "", gppData("8", `{usca:[{SaleOptOut:0},{GpcSegmentType:1,Gpc:true}]}`), 63 - share, "gpp"},
		{"the older US string is read", "", gppData("6", `{uspv1:{Version:1,Notice:"Y",OptOutSale:"Y",LspaCovered:"N"}}`), 63 - share, "gpp"},
		{"a yes to precise location is left to the server", "", gppData("7", `{usnat:{SaleOptOut:0,SensitiveDataProcessing:[0,0,0,0,0,0,0,2]}}`), 63, "gpp"},
		{"US law leaves the answer to who has one, and its opt-out stands", "", gppData("7", `{usnat:{SaleOptOut:1}}`) + grantAll, all - share, "owner"},
		{"an opt-out counts though its section is not in force", "", gppData("-1", `{usnat:{SaleOptOut:1}}`) + grantAll, all - share, "owner"},
		{"what is not in force hands on", "", gppData("-1", `{usnat:{SaleOptOut:2}}`) + grantAll, all, "owner"},
		{"US Privacy that does not apply grants nothing", "us-optout", gppData("6", `{uspv1:{Version:1,Notice:"-",OptOutSale:"-",LspaCovered:"-"}}`), 0, "gpp"},
		{"but beside a section in force it takes nothing away", "", gppData("7", `{usnat:{SaleOptOut:2},uspv1:{Version:1,Notice:"-",OptOutSale:"-",LspaCovered:"-"}}`), 63, "gpp"},
		{"a section in force that is not in the string grants nothing", "us-optout", strings.Replace(gppData("8", `{usnat:{SaleOptOut:2}}`), "sectionList:[8]", "sectionList:[7]", 1), 0, "gpp"},
	}
	sends := func(c foldCase) bool { return c.want != 0 }
	t.Run("tag.full.js", func(t *testing.T) {
		t.Parallel()
		checkFolds(t, FullScript, tests, sends)
	})
	t.Run("tag.js", func(t *testing.T) {
		t.Parallel()
		stricter := slices.Clone(tests)
		for i := range stricter {
			stricter[i].want &^= share
			if strings.HasPrefix(stricter[i].name, "US Privacy that does not apply") {
				// The server alone sees that, and grants nothing.
				stricter[i].want = 63 - share
			}
		}
		checkFolds(t, Script, stricter, sends)
	})
}

// A platform that asks again takes nothing back: what waits goes on waiting, and
// only its answer sends or forgets it.
func TestAPlatformThatAsksAgain(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.contents["hero"] = text("bonjour")
	b := openTab(t).open(s.page("/", SnippetOptions{}, `<script nonce=$>`+tcData+endTCData+`</script>`, hero))
	b.waitFor(`document.querySelector("near-slot").dataset.near == "variant"`)
	s.waitForEvent("page_view")
	b.run(`near("event", "before"); tell({...tc, eventStatus: "cmpuishown"}, true); near("event", "between"); tell(null, false)`)
	time.Sleep(1200 * time.Millisecond) // longer than events wait for each other
	if n, withdrawals := s.counts(); n != 1 || withdrawals != 0 {
		t.Errorf("%d beacons and %d withdrawals while the visitor chooses, want 1 and 0", n, withdrawals)
	}
	b.wantText("near-slot", "bonjour")
	b.run(`tell({...tc, eventStatus: "useractioncomplete"}, true)`)
	s.waitForEvent("between")
	if n := len(s.events("before")); n != 1 {
		t.Errorf("what waited was sent %d times", n)
	}

	b.run(`near("event", "late"); tell({...tc, eventStatus: "cmpuishown"}, true);
		tell({...tc, eventStatus: "useractioncomplete", purpose: {consents: {}, legitimateInterests: {}}, specialFeatureOptins: {}}, true)`)
	s.waitFor("withdrawal", func() bool { _, n := s.counts(); return n == 1 })
	b.run(`tell({...tc, eventStatus: "useractioncomplete"}, true)`)
	s.waitFor("new question", func() bool { n, _ := s.counts(); return n >= 3 })
	time.Sleep(1200 * time.Millisecond)
	if _, withdrawals := s.counts(); withdrawals != 1 || s.withdrawals()[0] != `{"v":1,"site":"shop","purposes":0}` || len(s.events("late")) != 0 {
		t.Errorf("withdrawals %s, and %d of the withdrawn events", s.withdrawals(), len(s.events("late")))
	}
}

func TestASignalThatIsAbsentOnTheNextPageIsNoWithdrawal(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	b := openTab(t).open(s.page("/", SnippetOptions{}, grant("measure", "context", "storage"), hero))
	s.waitForEvent("page_view")
	b.waitFor(`"near.shop" in localStorage`)
	for _, policy := range []string{"", "uk", "us-optout"} {
		b.open(s.page("/"+policy, SnippetOptions{Policy: policy}, "", hero))
		b.waitFor(started)
		settle()
	}
	if _, withdrawals := s.counts(); withdrawals != 0 || !eval[bool](b, `"near.shop" in localStorage`) {
		t.Errorf("%d withdrawals, and the entry is gone", withdrawals)
	}
}

// What the server takes off the claim stays off when the tag looks at its
// signals again, as it does when the page is parsed, and until one has changed.
func TestTheServersNarrowingStandsUntilASignalChanges(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.pageDelay = time.Second
	s.reply = func(n int, b *beacon, w http.ResponseWriter) bool {
		writeJSON(w, answer{V: 1, Granted: b.Consent.Purposes &^ storage, Accepted: len(b.Events)})
		return true
	}
	b := openTab(t)
	b.run(`location.href = "` + s.page("/", SnippetOptions{}, grant("measure", "storage"), `<script nonce=$ src=/slow></script>`) + `"`)
	s.waitForEvent("page_view")
	b.waitFor(`document.readyState == "complete"`)
	settle()
	if got := eval[int](b, `__now().granted`); got != measure {
		t.Errorf("granted %d after the page was parsed, want %d", got, measure)
	}
	b.run(`near("event", "narrowed")`)
	s.waitForEvent("narrowed")
	b.run(`near("consent", {geo: true}); near("event", "claimed")`)
	s.waitForEvent("claimed")
	sent := s.sent()
	if got := []int{sent[0].Consent.Purposes, sent[1].Consent.Purposes, sent[2].Consent.Purposes}; got[0] != measure|storage || got[1] != measure || got[2] != measure|storage|geo {
		t.Errorf("sent under %d", got)
	}
	if _, withdrawals := s.counts(); withdrawals != 0 {
		t.Errorf("%d withdrawals", withdrawals)
	}
}

// A tag manager wraps dataLayer.push as well, cuts the layer's length and pushes
// what it likes; consent comes in the middle of that.
func TestAPageWithATagManager(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.contents["hero"] = text("bonjour")
	b := openTab(t).open(s.page("/", SnippetOptions{}, gtag+`
		gtag("consent", "default", {ad_storage: "denied", analytics_storage: "denied", functionality_storage: "denied", wait_for_update: 9000});
		gtag("consent", "default", {analytics_storage: "granted", region: ["US"]});
		dataLayer.push({"gtm.start": 1795305600000, event: "gtm.js"}); gtag("js", new Date()); gtag("config", "G-X", {send_page_view: false})</script>`, hero))
	b.waitFor(started)
	b.run(`window.heard = 0; const wrapped = dataLayer.push;
		dataLayer.push = function (...entries) { heard += entries.length; const n = wrapped.apply(dataLayer, entries); while (dataLayer.length > 300) dataLayer.shift(); return n };
		for (let i = 0; i < 500; i++) dataLayer.push({event: "gtm.scrollDepth", i}, {ecommerce: null});
		dataLayer.push({event: "gtm.dom"}, {event: "gtm.load"}, function () { this.set("x", 1) }, ["config", "G-Y"], "consent", {0: "consent"})`)
	settle()
	if n, _ := s.counts(); n != 0 {
		t.Fatalf("%d beacons before the visitor's answer", n)
	}
	b.run(`gtag("consent", "update", {analytics_storage: "granted"}); dataLayer.push({event: "cookie_consent_update"})`)
	s.waitForEvent("page_view")
	b.waitFor(`document.querySelector("near-slot").dataset.near`)
	if got := s.sent()[0].Consent; got.Purposes != measure|context_ || got.GCM["functionality_storage"] != "denied" || len(s.events("gtm.dom")) > 0 {
		t.Errorf("sent under %d with %v", got.Purposes, got.GCM)
	}
	if got := eval[string](b, `heard + " " + dataLayer.length + " " + dataLayer[299].event`); got != "1008 300 cookie_consent_update" {
		t.Errorf("the layer passed on and holds %s", got)
	}
	b.run(`gtag("consent", "update", {analytics_storage: "denied"})`)
	s.waitFor("withdrawal", func() bool { _, n := s.counts(); return n == 1 })
}
