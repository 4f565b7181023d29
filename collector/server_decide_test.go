// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A decideAnswer is what a server is told of a visitor's slots.
type decideAnswer struct {
	answerJSON
	Cookie    string
	Decisions []struct {
		ID, Slot, Variant, Kind, Lang, Dir, Reason, Rule, Because, HTML string
		Content                                                         json.RawMessage
		Why                                                             *edge.Why
	}
}

func (r reply) decided(t testing.TB) (a decideAnswer) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil || r.StatusCode != 200 {
		t.Fatalf("answer %d %q: %v", r.StatusCode, r.body, err)
	}
	return a
}

// askOf is a question of a server about a visitor who granted purposes.
func askOf(purposes consent.Purposes, more say) string {
	b := say{"v": 1, "site": "demo", "consent": say{"granted": purposes}, "slots": []any{"hero", "bare", "nowhere"}}
	for name, value := range more {
		b[name] = value
	}
	out, err := json.Marshal(b)
	if err != nil {
		panic(err)
	}
	return string(out)
}

func (h *house) ask(body string, headers ...string) reply {
	h.t.Helper()
	return h.do("POST", "/v1/decide", body, append([]string{withShopKey}, headers...)...)
}

// The same visitor gets the same answer from the tag and from a server, for the
// same engine was told the same.
func TestAServerGetsTheAnswerThatThePageGets(t *testing.T) {
	h, _ := openForServers(t)
	for _, agent := range []string{phoneAgent, desktopAgent} {
		for _, granted := range []consent.Purposes{consent.All, usual &^ consent.Context, 0} {
			page := say{"id": "p1", "url": "https://shop.example/hats?utm_medium=email", "ref": "https://www.google.com/", "lang": "fr"}
			signals := say{"purposes": granted, "owner": say{"granted": granted, "refused": 0}}
			tag := h.post(beaconOf(granted, say{"page": page, "consent": signals, "slots": []string{"hero", "bare", "nowhere"}, "why": true}),
				"User-Agent: "+agent, "Accept-Language: fr-FR").answer(t)
			server := h.ask(askOf(granted, say{
				"page": page, "consent": signals, "why": true, "address": "127.0.0.1",
				"headers": say{"user-agent": agent, "Accept-Language": "fr-FR", "X-Other": "passed over"},
			})).decided(t)
			if tag.Granted != server.Granted || len(server.Decisions) != 3 {
				t.Fatalf("granted %d and %d, %d decisions", tag.Granted, server.Granted, len(server.Decisions))
			}
			for i, want := range tag.Decisions {
				got := server.Decisions[i]
				if got.Slot != want.Slot || got.Variant != want.Variant || got.Lang != want.Lang || got.Reason != want.Reason || got.Rule != want.Rule ||
					got.Because != want.Because || string(got.Content) != string(want.Content) || (got.ID == "") != (want.ID == "") {
					t.Errorf("the page gets %+v, the server %+v", want, got)
				}
				tagWhy, _ := json.Marshal(want.Why)
				if serverWhy, _ := json.Marshal(got.Why); string(serverWhy) != string(tagWhy) {
					t.Errorf("%s: the page's rules saw %s, the server's %s", want.Slot, tagWhy, serverWhy)
				}
			}
		}
	}
}

// What the server's own request says of it is no word on the visitor.
func TestAServersOwnRequestSaysNothingOfTheVisitor(t *testing.T) {
	h, _ := openForServers(t)
	seen := func(more say, headers ...string) map[string]string {
		t.Helper()
		more["why"] = true
		a := h.ask(askOf(consent.All, more), headers...).decided(t)
		got := map[string]string{"reason": a.Decisions[0].Reason, "variant": a.Decisions[0].Variant, "lang": a.Decisions[0].Lang}
		for _, saw := range a.Decisions[0].Why.Tried[0].Saw {
			got[saw.Field] = string(saw.Value)
		}
		return got
	}
	if got := seen(say{}, "Accept-Language: fr", "Sec-GPC: 1"); got["device.type"] != "" || got["reason"] != "no-answer" {
		t.Errorf("of a server's request the rules saw %v", got)
	}
	if got := seen(say{"headers": say{"Accept-Language": "fr"}, "device": "phone"}); got["device.type"] != `"phone"` || got["lang"] != "fr" {
		t.Errorf("what is said of the device: %v", got)
	}
	if got := seen(say{"headers": say{"User-Agent": phoneAgent}, "device": "desktop", "client": say{"langs": []string{"zh-TW"}}}); got["variant"] != "desktop" {
		t.Errorf("what is said goes before what the headers tell: %v", got)
	}
	if a := h.ask(askOf(consent.All, say{"headers": say{"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}})).decided(t); a.Decisions[0].Reason != "bot" {
		t.Errorf("a crawler that the server saw: %+v", a.Decisions[0])
	}
	for _, tt := range []struct {
		address string
		want    netip.Addr
	}{
		{"203.0.113.77", netip.MustParseAddr("203.0.113.0")}, {"2001:db8:1:2::3", netip.MustParseAddr("2001:db8:1::")}, {"", netip.Addr{}}, {"none", netip.Addr{}},
	} {
		more := say{}
		if tt.address != "none" {
			more["address"] = tt.address
		}
		if h.ask(askOf(consent.All, more)).decided(t); h.places.last() != tt.want {
			t.Errorf("address %q: the engine is asked about %v, want %v", tt.address, h.places.last(), tt.want)
		}
	}
}

func TestDecideRefusesWhatItCannotRead(t *testing.T) {
	h, _ := openForServers(t)
	for name, tt := range map[string]struct {
		body   string
		status int
		want   string
	}{
		"an address that is none": {askOf(0, say{"address": "shop.example"}), 400, "bad_value address"},
		"a device that is none":   {askOf(0, say{"device": "fridge"}), 400, "bad_value device"},
		"a surface that is none":  {askOf(0, say{"surface": "till"}), 400, "bad_value surface"},
		"a form that is none":     {askOf(0, say{"render": "pdf"}), 400, "bad_value render"},
		"a header that is none":   {askOf(0, say{"headers": say{"User-Agent": 7}}), 400, "wrong_type headers.User-Agent"},
		"a header of kilobytes":   {askOf(0, say{"headers": say{"User-Agent": strings.Repeat("a", maxHeaderBytes+1)}}), 400, "too_long headers.User-Agent"},
		"a page that is none":     {askOf(0, say{"page": say{"url": "ftp://x"}}), 400, "bad_value page.url"},
		"a profile of kilobytes":  {askOf(0, say{"profile": strings.Repeat("a", edge.MaxProfileBytes+1)}), 400, "too_long profile"},
		"a system of two words":   {askOf(0, say{"system": "a b"}), 400, "bad_value system"},
		"another site":            {askOf(0, say{"site": "other"}), 403, "forbidden site"},
		"a version of tomorrow":   {askOf(0, say{"v": 2}), 400, "unsupported_version v"},
		"consent twice":           {`{"v":1,"site":"demo","consent":{"granted":[]},"consent":{"granted":["measure"]}}`, 400, "bad_value consent"},
		"a slot that cannot be":   {askOf(0, say{"slots": []string{"He ro"}}), 400, "bad_value slots[0]"},
		"too much":                {askOf(0, say{"x": strings.Repeat("a", edge.MaxBeaconBytes)}), 413, "body_too_large"},
	} {
		if res := h.ask(tt.body); res.StatusCode != tt.status || res.code(t) != tt.want {
			t.Errorf("%s: %d %s, want %s", name, res.StatusCode, res.body, tt.want)
		}
	}
	if res := h.do("POST", "/v1/decide", askOf(0, nil)); res.StatusCode != 401 {
		t.Errorf("without a key: %d", res.StatusCode)
	}
	if res := h.ask(askOf(0, nil), fromShop); res.StatusCode != 403 || res.code(t) != "browser_refused Origin" {
		t.Errorf("from a page: %d %s", res.StatusCode, res.body)
	}
}

// The state goes through the server and on with the tag, and is one state.
func TestAStateGoesOnFromServerToPage(t *testing.T) {
	h, _ := openForServers(t)
	first := h.ask(askOf(usual, nil)).decided(t)
	if first.State == nil || *first.State == "" {
		t.Fatal("no state")
	}
	want := "__Host-near-demo=" + *first.State + "; Max-Age=15552000; Path=/; HttpOnly; Secure; SameSite=Lax"
	if first.Cookie != want {
		t.Errorf("cookie %q, want %q", first.Cookie, want)
	}
	if again := h.ask(askOf(usual, say{"state": *first.State})).decided(t); again.State != nil || again.Cookie != "" {
		t.Errorf("a state that did not change is handed on: %+v", again)
	}
	whose := func(state string) string {
		t.Helper()
		sealer, err := edge.NewSealer([]byte(strings.Repeat("\x07", edge.KeyBytes)))
		if err != nil {
			t.Fatal(err)
		}
		s, err := sealer.OpenState("demo", state)
		if err != nil {
			t.Fatal(err)
		}
		return s.VisitorID()
	}
	visitor := whose(*first.State)

	// The tag's beacon on the site's own origin carries it and renews it.
	view := beaconOf(usual, say{"slots": []string{"hero"}, "events": []say{{"id": "a", "name": "view_item", "at": testNow.UnixMilli(), "props": say{"items": []say{{"item_id": "hat-1"}}}}}})
	res := h.postHome(view, "Cookie: other=1; __Host-near-demo="+*first.State)
	cookies := res.Cookies()
	if len(cookies) != 1 || cookies[0].Name != "__Host-near-demo" || cookies[0].Path != "/" || whose(cookies[0].Value) != visitor {
		t.Fatalf("cookies %q", res.Header["Set-Cookie"])
	}
	// One that the tag had before is the older one: both become it.
	old := h.postHome(beaconOf(usual, say{"slots": []string{"hero"}})).Cookies()[0]
	res = h.postHome(beaconOf(usual, say{"slots": []string{"hero"}}), "Cookie: __Secure-near-demo="+old.Value+"; __Host-near-demo="+*first.State)
	got := map[string]string{}
	for _, c := range res.Cookies() {
		got[c.Name+" "+c.Path] = c.Value
	}
	if len(got) != 2 || got["__Host-near-demo /"] != old.Value || got["__Secure-near-demo /_near"] != "" {
		t.Errorf("cookies %q", res.Header["Set-Cookie"])
	}
	// A withdrawal ends both.
	gone := h.do("POST", "/_near/v1/withdraw", `{"v":1,"site":"demo","purposes":0}`, atHome, atHomeHost, "Cookie: __Host-near-demo="+*first.State)
	for _, c := range gone.Cookies() {
		if c.Value != "" || c.MaxAge >= 0 && c.MaxAge != 0 {
			t.Errorf("cookie %v", c)
		}
	}
	if len(gone.Cookies()) != 2 {
		t.Errorf("a withdrawal sets %q", gone.Header["Set-Cookie"])
	}
	// So does a server whose visitor refuses storage.
	refused := h.ask(askOf(usual&^consent.Storage, say{"state": *first.State})).decided(t)
	if refused.State == nil || *refused.State != "" || !strings.HasPrefix(refused.Cookie, "__Host-near-demo=; Max-Age=0; ") {
		t.Errorf("without storage: %+v", refused)
	}
}

// Lots fall the same for a customer wherever the customer is met first.
func TestAStateThatBeginsForACustomerIsTheCustomers(t *testing.T) {
	h, _ := openForServers(t)
	visitor := func(granted consent.Purposes, more say) string {
		t.Helper()
		a := h.ask(askOf(granted, more)).decided(t)
		if a.State == nil || *a.State == "" {
			return ""
		}
		sealer, _ := edge.NewSealer([]byte(strings.Repeat("\x07", edge.KeyBytes)))
		s, err := sealer.OpenState("demo", *a.State)
		if err != nil {
			t.Fatal(err)
		}
		return s.VisitorID()
	}
	app, mail := visitor(usual, say{"profile": "c-1", "surface": "app"}), visitor(usual, say{"profile": "c-1", "surface": "mail"})
	if app == "" || app != mail {
		t.Errorf("one customer is %q and %q", app, mail)
	}
	if other, nobody := visitor(usual, say{"profile": "c-2"}), visitor(usual, nil); other == app || nobody == app || nobody == visitor(usual, nil) {
		t.Error("others are the customer")
	}
	for _, without := range []consent.Purposes{consent.Storage, consent.Profile} {
		if got := visitor(usual&^without, say{"profile": "c-1"}); got != "" {
			t.Errorf("without %s there is a state of %q", without, got)
		}
	}
	// Events on the way say whose they are, under the same purposes.
	told := func(granted consent.Purposes) string {
		t.Helper()
		before := len(h.ledger.kept())
		h.ask(askOf(granted, say{"profile": "c-1", "surface": "app", "system": "ios", "events": []say{toldEvent("e"+strconv.Itoa(int(granted)), "view_item", nil)}})).decided(t)
		kept := h.ledger.kept()
		if len(kept) != before+1 {
			t.Fatalf("kept %d", len(kept)-before)
		}
		return kept[before]
	}
	if ev := told(usual); !strings.Contains(ev, `"profile":"`+app+`"`) || !strings.Contains(ev, `"system":"ios"`) || !strings.Contains(ev, `"surface":"app"`) || strings.Contains(ev, "c-1") {
		t.Errorf("event %s", ev)
	}
	if ev := told(usual &^ consent.Profile); strings.Contains(ev, `"profile"`) {
		t.Errorf("without profile: %s", ev)
	}
}

// What began for one customer is not carried on for another, whose events would
// be found, and forgotten, as the first one's.
func TestAStateOfOneCustomerEndsWhereAnotherComes(t *testing.T) {
	h, _ := openForServers(t)
	sealer, err := edge.NewSealer([]byte(strings.Repeat("\x07", edge.KeyBytes)))
	if err != nil {
		t.Fatal(err)
	}
	decide := func(granted consent.Purposes, more say) (decideAnswer, *edge.State) {
		t.Helper()
		a := h.ask(askOf(granted, more)).decided(t)
		if a.State == nil || *a.State == "" {
			return a, nil
		}
		s, err := sealer.OpenState("demo", *a.State)
		if err != nil {
			t.Fatal(err)
		}
		return a, s
	}
	viewed := func(id string) []say {
		return []say{toldEvent(id, "view_item", say{"props": say{"items": []say{{"item_id": "hat-" + id}}}})}
	}
	lastKept := func() string {
		kept := h.ledger.kept()
		return kept[len(kept)-1]
	}
	a, first := decide(usual, say{"profile": "c-1", "events": viewed("a")})
	if first == nil || !first.Customer || len(first.Items) != 1 {
		t.Fatalf("state %+v", first)
	}
	_, second := decide(usual, say{"profile": "c-2", "state": *a.State, "events": viewed("b")})
	switch {
	case second == nil:
		t.Fatal("the first customer's state goes on for the second")
	case second.VisitorID() != sealer.ProfileID("demo", "c-2"), !second.Customer:
		t.Errorf("the second customer is %s", second.VisitorID())
	case len(second.Items) != 1 || second.Items[0].ID != "hat-b":
		t.Errorf("the second customer's history is %+v", second.Items)
	}
	if ev := lastKept(); strings.Contains(ev, first.VisitorID()) || !strings.Contains(ev, `"id":"`+second.VisitorID()+`"`) {
		t.Errorf("the second customer's event %s names the first", ev)
	}
	// Nor is it read where a new one may not be written, and it is given up.
	b, _ := decide(usual&^consent.Profile, say{"profile": "c-2", "state": *a.State, "events": viewed("c")})
	if b.State == nil || *b.State != "" || strings.Contains(lastKept(), first.VisitorID()) {
		t.Errorf("without profile: state %v, event %s", b.State, lastKept())
	}
	// So it is with events that are told later.
	h.do("POST", "/v1/events", batchOf(nil, toldEvent("d", "view_item", say{"profile": "c-2", "state": *a.State})), withShopKey).batch(t)
	if ev := lastKept(); strings.Contains(ev, first.VisitorID()) || !strings.Contains(ev, second.VisitorID()) {
		t.Errorf("the second customer's event %s names the first", ev)
	}
	// It goes on for its own customer, and where nobody says who is there; what
	// began for nobody goes on for whoever signs in.
	for _, more := range []say{{"profile": "c-1"}, {}} {
		more["state"], more["events"] = *a.State, viewed("e"+strconv.Itoa(len(more)))
		if _, same := decide(usual, more); same == nil || same.VisitorID() != first.VisitorID() || len(same.Items) < 2 || !same.Customer {
			t.Errorf("%v: state %+v", more["profile"], same)
		}
	}
	n, nobody := decide(usual, nil)
	if _, same := decide(usual, say{"profile": "c-1", "state": *n.State, "events": viewed("f")}); nobody.Customer || same == nil || same.VisitorID() != nobody.VisitorID() {
		t.Error("a state of nobody does not go on for who signs in")
	}
}

// Events without a time of sending are by the server's clock; slots never wait
// for them in vain.
func TestDecideTakesEventsOnTheWay(t *testing.T) {
	h, _ := openForServers(t)
	early := toldEvent("a", "view_item", say{"at": testNow.UnixMilli() - 3_600_000})
	h.ask(askOf(usual, say{"events": []say{early}})).decided(t)
	var ev struct{ At int64 }
	if err := json.Unmarshal([]byte(h.ledger.kept()[0]), &ev); err != nil || ev.At != testNow.UnixMilli()-3_600_000 {
		t.Errorf("event %s", h.ledger.kept()[0])
	}
	h.ledger.set(0, edge.ErrUnavailable)
	if a := h.ask(askOf(usual, say{"events": []say{toldEvent("b", "login", nil)}})).decided(t); len(a.Decisions) != 3 || len(a.Rejected) != 1 || a.Rejected[0].Code != "unavailable" {
		t.Errorf("with a full log: %+v", a)
	}
	if res := h.ask(askOf(usual, say{"slots": []string{}, "events": []say{toldEvent("c", "login", nil)}})); res.StatusCode != 503 {
		t.Errorf("events alone: %d %s", res.StatusCode, res.body)
	}
}

func TestContentComesAsHTMLWhereItIsAsked(t *testing.T) {
	h, _ := openForServers(t)
	a := h.ask(askOf(consent.All, say{"device": "phone", "render": "html"})).decided(t)
	if d := a.Decisions[0]; d.HTML != "Small hats" || d.Content != nil {
		t.Errorf("decision %+v", d)
	}
	if d := a.Decisions[1]; d.HTML != "" || d.Kind != "default" {
		t.Errorf("a default %+v", d)
	}
	if d := a.Decisions[2]; d.Reason != "unknown-slot" || d.Kind != "default" || d.ID != "" {
		t.Errorf("a slot that is not there %+v", d)
	}
	if d := h.ask(askOf(consent.All, say{"device": "phone", "render": "data"})).decided(t).Decisions[0]; d.HTML != "" || string(d.Content) != `{"text":"Small hats"}` {
		t.Errorf("decision %+v", d)
	}
}

func FuzzDecodeDecide(f *testing.F) {
	f.Add([]byte(askOf(usual, say{
		"address": "2001:db8::1", "headers": say{"USER-AGENT": "x", "Sec-GPC": "1", "a": []int{1}}, "device": "phone", "surface": "app", "system": "ios", "profile": "c",
		"render": "html", "sent": 1, "why": true, "state": "AQ", "client": say{"langs": []string{"fr"}}, "page": say{"url": "https://a/"}, "events": []say{toldEvent("a", "b", nil)},
	})))
	f.Add(typicalBeacon(f))
	f.Fuzz(func(t *testing.T, body []byte) {
		var d Decoder
		var b edge.Beacon
		var a ask
		if err := d.decodeDecide(body, &b, &a); err != nil {
			if _, ok := err.(*DecodeError); !ok {
				t.Fatalf("%v is no *DecodeError", err)
			}
			return
		}
		if !json.Valid(body) {
			t.Fatalf("accepted what is not JSON: %q", body)
		}
		checkLimits(t, &b, d.Rejected())
		if a.address.IsValid() && a.address != truncate(a.address) {
			t.Errorf("a whole address %v", a.address)
		}
		if len(a.headers.userAgent) > maxHeaderBytes || len(a.profile) > edge.MaxProfileBytes || len(a.system) > edge.MaxSystemBytes {
			t.Error("a limit is broken")
		}
	})
}
