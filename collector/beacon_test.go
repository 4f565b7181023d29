// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

const usual = consent.Storage | consent.Measure | consent.Context | consent.Profile | consent.Personalise

func TestABeaconIsAnsweredAndItsEventsAreKept(t *testing.T) {
	h := open(t, nil)
	res := h.post(beaconOf(usual, say{
		"page":   say{"id": "p1", "url": "https://shop.example/hats?utm_source=news&utm_medium=email", "ref": "https://www.google.fr/", "lang": "fr"},
		"client": say{"langs": []string{"fr-FR"}},
		"events": eventsOf("p1.0", "p1.1"),
		"slots":  []any{"hero", say{"name": "bare"}, "nowhere"},
	}), "Accept-Language: en")
	a := res.answer(t)
	if a.V != 1 || a.Granted != int(usual) || a.Accepted != 2 || len(a.Rejected) != 0 || len(a.Decisions) != 3 {
		t.Fatalf("answer %s", res.body)
	}
	hero := a.Decisions[0]
	if hero.Slot != "hero" || hero.Variant != "desktop" || hero.Kind != "text" || hero.Lang != "fr" || hero.Dir != "ltr" ||
		hero.Reason != "rule" || hero.Rule != "by-device@1.0.0" || string(hero.Content) != `{"text":"Grands chapeaux"}` || hero.ID == "" {
		t.Errorf("hero %+v", hero)
	}
	if d := a.Decisions[1]; d.Slot != "bare" || d.Kind != "default" || d.Reason != "default" || d.Content != nil {
		t.Errorf("bare %+v", d)
	}
	if d := a.Decisions[2]; d.Slot != "nowhere" || d.Kind != "default" || d.Reason != "unknown-slot" || d.ID != "" {
		t.Errorf("nowhere %+v", d)
	}
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type %q", got)
	}
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("cache control %q", got)
	}
	kept := h.ledger.kept()
	if len(kept) != 2 {
		t.Fatalf("kept %q", kept)
	}
	for _, want := range []string{`"id":"p1.0"`, `"site":"demo"`, `"path":"/hats"`, `"channel":"mail"`, `"class":"search"`, `"host":"www.google.fr"`, `"type":"desktop"`} {
		if !strings.Contains(kept[0], want) {
			t.Errorf("the kept event lacks %s: %s", want, kept[0])
		}
	}
	if strings.Contains(kept[0], "127.0.0") {
		t.Errorf("the kept event holds an address: %s", kept[0])
	}
}

func TestDecisionsAreRecordedUnderMeasureOnly(t *testing.T) {
	for _, tt := range []struct {
		name    string
		granted consent.Purposes
		slots   []any
		want    int
	}{
		{"under measure", usual, []any{"hero"}, 1},
		{"without it", usual &^ consent.Measure, []any{"hero"}, 0},
		{"without a slot", usual, []any{}, 0},
		{"without a slot that the site has", usual, []any{"nowhere"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t, nil)
			if res := h.post(beaconOf(tt.granted, say{"slots": tt.slots})); res.StatusCode >= 300 {
				t.Fatalf("answer %d %s", res.StatusCode, res.body)
			}
			if got := h.ledger.recorded(); got != tt.want {
				t.Errorf("%d records, want %d", got, tt.want)
			}
		})
	}
}

func TestWhyIsToldWhenAsked(t *testing.T) {
	h := open(t, nil)
	a := h.post(beaconOf(consent.Context, say{"why": true, "slots": []string{"hero"}})).answer(t)
	if len(a.Decisions) != 1 || a.Decisions[0].Why == nil || len(a.Decisions[0].Why.Tried) != 1 {
		t.Fatalf("no explanation: %+v", a)
	}
	if tried := a.Decisions[0].Why.Tried[0]; tried.Rule != "by-device@1.0.0" || len(tried.Saw) != 1 || tried.Saw[0].Field != "device.type" {
		t.Errorf("tried %+v", tried)
	}
	if a = h.post(beaconOf(consent.Context, say{"slots": []string{"hero"}})).answer(t); a.Decisions[0].Why != nil {
		t.Error("explained without being asked")
	}
}

func TestBadEventsAreRejectedOneByOne(t *testing.T) {
	h := open(t, nil)
	old := say{"id": "old", "name": "page_view", "at": testNow.Add(-edge.MaxEventAge - time.Hour).UnixMilli()}
	events := append(eventsOf("good", "bad id"), say{"id": "e3", "name": "Bad"}, old)
	a := h.post(beaconOf(usual, say{"events": events})).answer(t)
	if a.Accepted != 1 || len(h.ledger.kept()) != 1 {
		t.Errorf("accepted %d, kept %q", a.Accepted, h.ledger.kept())
	}
	want := map[string]string{"bad id": "bad_id id", "e3": "bad_name name", "old": "event_too_old at"}
	for _, r := range a.Rejected {
		if want[r.ID] != r.Code+" "+r.Field {
			t.Errorf("rejected %+v, want %q", r, want[r.ID])
		}
		delete(want, r.ID)
	}
	if len(want) > 0 {
		t.Errorf("not rejected: %v", want)
	}
}

func TestNothingToSayIs204(t *testing.T) {
	h := open(t, nil)
	noState := consent.Measure | consent.Context
	tests := []struct {
		name   string
		status int
		body   string
	}{
		{"events that are kept", 204, beaconOf(noState, say{"events": eventsOf("e1")})},
		{"no event and no slot", 204, beaconOf(0, nil)},
		{"an event is rejected", 200, beaconOf(0, say{"events": eventsOf("e1")})},
		{"an event is refused by the decoder", 200, beaconOf(noState, say{"events": eventsOf("e 1")})},
		{"a slot is asked for", 200, beaconOf(0, say{"slots": []string{"hero"}})},
		{"the state is new", 200, beaconOf(usual, say{"events": eventsOf("e2")})},
		{"the state must be forgotten", 200, beaconOf(noState, say{"state": "AQAB"})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := h.post(tt.body)
			if res.StatusCode != tt.status || tt.status == 204 && (res.body != "" || res.Header.Get("Content-Type") != "") {
				t.Errorf("answer %d %q, want %d", res.StatusCode, res.body, tt.status)
			}
			if got := res.Header.Get("Access-Control-Allow-Origin"); got != "https://shop.example" {
				t.Errorf("allowed origin %q", got)
			}
		})
	}
}

// TestASlowLog checks whom a slow or full log costs what: a page with slots
// gets them at once and its events back, a page without is told to come again.
func TestASlowLog(t *testing.T) {
	tests := []struct {
		name  string
		pace  time.Duration
		err   error
		slots []string
		want  string
	}{
		{"a quick log keeps both", time.Millisecond, nil, []string{"hero"}, "accepted"},
		{"a page with slots does not wait long", 100 * time.Millisecond, nil, []string{"hero"}, "unavailable"},
		{"a page without slots waits", 100 * time.Millisecond, nil, nil, "accepted"},
		{"but not for ever", time.Minute, nil, nil, "503"},
		{"a full log gives the events back", 0, edge.ErrUnavailable, []string{"hero"}, "unavailable"},
		{"a full log tells a page without slots to come again", 0, edge.ErrUnavailable, nil, "503"},
		{"a broken log costs no page its slots", 0, errors.New("disk on fire"), []string{"hero"}, "unavailable"},
		{"a broken log is unavailable", 0, errors.New("disk on fire"), nil, "503"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t, nil)
			h.ledger.set(tt.pace, tt.err)
			res := h.postHome(beaconOf(usual, say{"events": eventsOf("e1", "e2"), "slots": tt.slots}))
			switch tt.want {
			case "503":
				if res.StatusCode != 503 || res.code(t) != "unavailable" || res.Header.Get("Retry-After") != "1" {
					t.Errorf("answer %d %s, retry after %q", res.StatusCode, res.body, res.Header.Get("Retry-After"))
				}
				if cookie := res.Header.Get("Set-Cookie"); cookie != "" {
					t.Errorf("the state moved on without its events: %s", cookie)
				}
			case "unavailable":
				a := res.answer(t)
				if a.Accepted != 0 || len(a.Rejected) != 2 || a.Rejected[0].ID != "e1" || a.Rejected[1].Code != "unavailable" || !a.Resend || len(a.Decisions) != 1 {
					t.Errorf("answer %s", res.body)
				}
			case "accepted":
				if a := res.answer(t); a.Accepted != 2 || len(a.Rejected) != 0 || a.Resend || len(a.Decisions) != len(tt.slots) {
					t.Errorf("answer %s", res.body)
				}
			}
			if logged := h.log.String(); strings.Contains(logged, "disk on fire") != (tt.err != nil && !errors.Is(tt.err, edge.ErrUnavailable)) {
				t.Errorf("log: %s", logged)
			}
		})
	}
}

// TestABadSlotIsRefusedAlone holds the answer to a page on which somebody wrote a slot's
// name wrong.
func TestABadSlotIsRefusedAlone(t *testing.T) {
	h := open(t, nil)
	res := h.postHome(beaconOf(usual, say{"slots": []any{"He ro", "hero", say{"name": "hero", "limit": 5000}}, "events": eventsOf("e1")}))
	a := res.answer(t)
	if a.Accepted != 1 || len(a.Decisions) != 1 || a.Decisions[0].Slot != "hero" {
		t.Errorf("answer %s", res.body)
	}
	if want := `"refused":[{"code":"bad_value","field":"slots[0]"},{"code":"bad_value","field":"slots[2].limit"}]`; !strings.Contains(string(res.body), want) {
		t.Errorf("answer %s, want %s", res.body, want)
	}
	if res := h.postHome(beaconOf(usual, say{"slots": []string{"Hero"}})); res.StatusCode != 200 || !strings.Contains(string(res.body), `"refused":[{`) {
		t.Errorf("a bad slot alone: answer %d %s", res.StatusCode, res.body)
	}
	if got := h.metrics.passed.Load(); got != 3 {
		t.Errorf("%d refused slots are counted, want 3", got)
	}
}

// TestElementsOfOneNameShareOneAnswer holds that a page with many pays for one, and that a
// server has as many answers as it asks for.
func TestElementsOfOneNameShareOneAnswer(t *testing.T) {
	h := open(t, nil)
	a := h.postHome(beaconOf(usual, say{"slots": []any{"hero", say{"name": "hero", "limit": 3}, "hero"}})).answer(t)
	if len(a.Decisions) != 1 || a.Decisions[0].Slot != "hero" {
		t.Errorf("a page has %d decisions", len(a.Decisions))
	}
	var d Decoder
	var b edge.Beacon
	if err := d.decodeDecide([]byte(`{"v":1,"site":"demo","slots":["hero","hero"]}`), &b, &ask{}); err != nil || len(b.Slots) != 2 {
		t.Errorf("a server asks for %v, %v", b.Slots, err)
	}
}

func TestRefusedBeaconsSayWhy(t *testing.T) {
	h := open(t, nil)
	good := beaconOf(usual, say{"page": say{"url": "https://shop.example/"}, "slots": []string{"hero"}})
	deep := strings.Replace(good, `"v":1`, `"v":1,"x":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000), 1)
	tests := []struct {
		name    string
		body    string
		headers []string
		status  int
		code    string
		allowed string // Access-Control-Allow-Origin
	}{
		{name: "the good one", body: good, headers: []string{fromShop}, status: 200, allowed: "https://shop.example"},
		{name: "a site nobody has", body: strings.Replace(good, `"demo"`, `"other"`, 1), headers: []string{fromShop}, status: 404, code: "unknown_site site"},
		{name: "a foreign origin", body: good, headers: []string{"Origin: https://evil.example"}, status: 403, code: "origin_not_allowed Origin"},
		{name: "an origin that only looks like ours", body: good, headers: []string{"Origin: https://shop.example.evil.example"}, status: 403, code: "origin_not_allowed Origin"},
		{name: "an origin with another port", body: good, headers: []string{"Origin: https://shop.example:8443"}, status: 403, code: "origin_not_allowed Origin"},
		{name: "no origin", body: good, status: 403, code: "origin_not_allowed Origin"},
		{name: "a null origin", body: good, headers: []string{"Origin: null"}, status: 403, code: "origin_not_allowed Origin"},
		{name: "two origins", body: good, headers: []string{fromShop, "Origin: https://evil.example"}, status: 403, code: "origin_not_allowed Origin"},
		{name: "an empty body", headers: []string{fromShop}, status: 400, code: "bad_json"},
		{name: "broken JSON of an allowed page", body: good[:len(good)-1], headers: []string{fromShop}, status: 400, code: "bad_json", allowed: "https://shop.example"},
		{name: "broken JSON of a foreign page", body: good[:len(good)-1], headers: []string{"Origin: https://evil.example"}, status: 400, code: "bad_json"},
		{name: "deep nesting", body: deep, headers: []string{fromShop}, status: 400, code: "too_deep", allowed: "https://shop.example"},
		{name: "a wrong type", body: strings.Replace(good, `["hero"]`, `7`, 1), headers: []string{fromShop}, status: 400, code: "wrong_type slots", allowed: "https://shop.example"},
		{name: "an address of another origin", body: strings.Replace(good, "https://shop", "https://www.shop", 1), headers: []string{fromShop}, status: 400, code: "url_origin_mismatch page.url", allowed: "https://shop.example"},
		{name: "an address that is none", body: strings.Replace(good, "https://shop.example/", "javascript:alert(1)", 1), headers: []string{fromShop}, status: 400, code: "bad_value page.url", allowed: "https://shop.example"},
		{name: "JSON that says what it is", body: good, headers: []string{fromShop, "Content-Type: application/json; charset=utf-8"}, status: 200, allowed: "https://shop.example"},
		{name: "a form", body: good, headers: []string{fromShop, "Content-Type: application/x-www-form-urlencoded"}, status: 415, code: "unsupported_media_type Content-Type"},
		{name: "a multipart form", body: good, headers: []string{fromShop, "Content-Type: multipart/form-data; boundary=x"}, status: 415, code: "unsupported_media_type Content-Type"},
		{name: "a compressed body", body: good, headers: []string{fromShop, "Content-Encoding: gzip"}, status: 415, code: "unsupported_encoding Content-Encoding"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, path := range []string{"/v1/beacon", "/_near/v1/beacon"} {
				res := h.do("POST", path, tt.body, tt.headers...)
				if res.StatusCode != tt.status {
					t.Fatalf("answer %d %s, want %d", res.StatusCode, res.body, tt.status)
				}
				if tt.code != "" && res.code(t) != tt.code {
					t.Errorf("code %q, want %q", res.code(t), tt.code)
				}
				if got := res.Header.Get("Access-Control-Allow-Origin"); got != tt.allowed {
					t.Errorf("allowed origin %q, want %q", got, tt.allowed)
				}
				if got := res.Header.Get("Vary"); (got == "Origin") != (tt.allowed != "") {
					t.Errorf("vary %q", got)
				}
				if res.Header.Get("Access-Control-Allow-Credentials") != "" {
					t.Error("credentials are allowed")
				}
			}
		})
	}
	if kept := h.ledger.kept(); len(kept) != 0 {
		t.Errorf("kept %q", kept)
	}
}

func TestSignalsOfTheRequest(t *testing.T) {
	h := open(t, nil)
	all := consent.Measure | consent.Context | consent.Share
	tests := []struct {
		name    string
		body    string
		headers []string
		want    consent.Purposes
	}{
		{"no signal takes nothing away", beaconOf(all, say{"slots": []string{"bare"}}), nil, all},
		{"the Sec-GPC header takes share", beaconOf(all, say{"slots": []string{"bare"}}), []string{"Sec-GPC: 1"}, all &^ consent.Share},
		{"one of two Sec-GPC headers is enough", beaconOf(all, say{"slots": []string{"bare"}}), []string{"Sec-GPC: 1", "Sec-GPC: 0"}, all &^ consent.Share},
		{"another value says nothing", beaconOf(all, say{"slots": []string{"bare"}}), []string{"Sec-GPC: 0"}, all},
		{"the beacon's own word is enough", beaconOf(all, say{"slots": []string{"bare"}, "consent": say{
			"purposes": all, "owner": say{"granted": all}, "gpc": true}}), nil, all &^ consent.Share},
		{"the header cannot be talked down", beaconOf(all, say{"slots": []string{"bare"}, "consent": say{
			"purposes": all, "owner": say{"granted": all}, "gpc": false}}), []string{"Sec-GPC: 1"}, all &^ consent.Share},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := h.post(tt.body, tt.headers...).answer(t).Granted; got != int(tt.want) {
				t.Errorf("granted %d, want %d", got, tt.want)
			}
		})
	}
}

func TestACrawlerGetsDefaultsAndIsNotCounted(t *testing.T) {
	h := open(t, nil)
	const crawler = "User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
	res := h.postHome(beaconOf(usual, say{"events": eventsOf("e1"), "slots": []string{"hero"}}), crawler)
	a := res.answer(t)
	if len(a.Decisions) != 1 || a.Decisions[0].Reason != "bot" || a.Decisions[0].Kind != "default" {
		t.Errorf("answer %s", res.body)
	}
	if kept := h.ledger.kept(); len(kept) != 0 {
		t.Errorf("kept %q", kept)
	}
	if cookie := res.Header.Get("Set-Cookie"); cookie != "" {
		t.Errorf("the crawler got a cookie: %s", cookie)
	}
}

func TestACrawlerIsToldByItsHints(t *testing.T) {
	h := open(t, nil)
	body := beaconOf(usual, say{"slots": []string{"hero"}})
	for brands, want := range map[string]bool{
		`"HeadlessChrome";v="156", "Chromium";v="156"`: true,
		`"Google Chrome";v="156", "Chromium";v="156"`:  false,
		``: false,
	} {
		agent := "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"
		got := h.post(body, "User-Agent: "+agent, "Sec-CH-UA: "+brands).answer(t).Decisions[0].Reason == "bot"
		if got != want {
			t.Errorf("brands %q: a crawler %v, want %v", brands, got, want)
		}
	}
}

// TestAPageLoadedAheadIsDecidedAndNotCounted sends what a page sends that is
// fetched or rendered before anybody looks at it, and then what it sends when
// somebody does.
func TestAPageLoadedAheadIsDecidedAndNotCounted(t *testing.T) {
	for _, header := range []string{"Sec-Purpose: prefetch;prerender", "Sec-Purpose: prefetch", "Purpose: prefetch", "X-Purpose: preview", "X-Moz: prefetch"} {
		t.Run(header, func(t *testing.T) {
			h := open(t, nil)
			body := beaconOf(usual, say{"events": eventsOf("e1"), "slots": []string{"hero"}})
			res := h.postHome(body, header)
			ahead := res.answer(t)
			if len(ahead.Decisions) != 1 || ahead.Decisions[0].Reason == "bot" || ahead.Accepted != 0 || len(ahead.Rejected) != 0 {
				t.Errorf("answer %s", res.body)
			}
			if kept := h.ledger.kept(); len(kept) != 0 {
				t.Errorf("kept %q", kept)
			}
			if n := h.ledger.recorded(); n != 0 {
				t.Errorf("%d records are kept", n)
			}
			if cookie := res.Header.Get("Set-Cookie"); cookie != "" {
				t.Errorf("a page that nobody sees moves the state: %s", cookie)
			}
			seen := h.postHome(body, "Sec-Purpose: navigation").answer(t)
			if seen.Accepted != 1 || len(h.ledger.kept()) != 1 || h.ledger.recorded() != 1 {
				t.Errorf("the page that is looked at: accepted %d, kept %q, %d records", seen.Accepted, h.ledger.kept(), h.ledger.recorded())
			}
			if seen.Decisions[0].Variant != ahead.Decisions[0].Variant {
				t.Errorf("shown %q, ahead it was %q", seen.Decisions[0].Variant, ahead.Decisions[0].Variant)
			}
		})
	}
}

func TestTheAddressIsTruncatedAndOnlyProxiesSpeakForOthers(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	tests := []struct {
		name    string
		trusted []netip.Prefix
		headers []string
		want    string
	}{
		{"the socket's address is truncated", nil, nil, "127.0.0.0"},
		{"nobody is believed without being trusted", nil, []string{"X-Forwarded-For: 203.0.113.9", "Forwarded: for=203.0.113.9"}, "127.0.0.0"},
		{"a trusted proxy is believed", loopback, []string{"X-Forwarded-For: 203.0.113.9"}, "203.0.113.0"},
		{"the client's own entries are not", loopback, []string{"X-Forwarded-For: 198.51.100.7, 203.0.113.9, 127.0.0.2"}, "203.0.113.0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := open(t, func(o *Options) { o.TrustedProxies = tt.trusted })
			h.post(beaconOf(consent.Context, say{"slots": []string{"hero"}}), tt.headers...).answer(t)
			if got := h.places.last(); got.String() != tt.want {
				t.Errorf("the engine saw %v, want %s", got, tt.want)
			}
		})
	}
}
