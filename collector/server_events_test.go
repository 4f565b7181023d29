// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/edge"
)

// A keyRing knows three keys: of the shop, of everywhere and of another site.
type keyRing struct {
	asked  atomic.Int64
	closed atomic.Bool
}

const (
	shopKey  = "near_shop"
	everyKey = "near_every"
	otherKey = "near_other"
)

func (k *keyRing) Key(secret string) (Access, error) {
	k.asked.Add(1)
	if k.closed.Load() {
		return Access{}, errors.New("the store is away")
	}
	switch secret {
	case shopKey:
		return Access{Sites: shopSites}, nil
	case everyKey:
		return Access{Every: true}, nil
	case otherKey:
		return Access{Sites: []string{"other"}}, nil
	}
	return Access{}, ErrNoKey
}

// openForServers is open with keys.
func openForServers(t testing.TB) (*house, *keyRing) {
	t.Helper()
	ring := &keyRing{}
	return open(t, func(o *Options) { o.Keys = ring }), ring
}

var shopSites = []string{"demo", "unborn"}

const withShopKey = "Authorization: Bearer " + shopKey

// batchOf returns a batch whose person granted everything.
func batchOf(more say, events ...say) string {
	b := say{"v": 1, "site": "demo", "consent": say{"granted": []string{"storage", "measure", "context", "profile"}}, "events": events}
	for name, value := range more {
		b[name] = value
	}
	out, err := json.Marshal(b)
	if err != nil {
		panic(err)
	}
	return string(out)
}

// toldEvent is an event of a minute ago.
func toldEvent(id, name string, more say) say {
	e := say{"id": id, "name": name, "at": testNow.Add(-time.Minute).UnixMilli(), "props": say{}}
	for name, value := range more {
		e[name] = value
	}
	return e
}

// A batchAnswer is what a server is told.
type batchAnswer struct {
	V, Accepted int
	Rejected    []struct {
		Index           int
		ID, Code, Field string
	}
}

func (r reply) batch(t testing.TB) (a batchAnswer) {
	t.Helper()
	dec := json.NewDecoder(strings.NewReader(r.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a); err != nil || r.StatusCode != 200 {
		t.Fatalf("answer %d %q: %v", r.StatusCode, r.body, err)
	}
	return a
}

func TestOnlyAServersKeyOpensItsAddresses(t *testing.T) {
	h, ring := openForServers(t)
	good, other := batchOf(nil, toldEvent("a", "login", nil)), batchOf(say{"site": "other"}, toldEvent("a", "login", nil))
	nowhere := batchOf(say{"site": "nowhere"}, toldEvent("a", "login", nil))
	tests := []struct {
		name, path, body string
		headers          []string
		status           int
		want             string
	}{
		{"its own site", "/v1/events", good, []string{withShopKey}, 200, ""},
		{"under the prefix", "/_near/v1/events", good, []string{withShopKey}, 200, ""},
		{"the scheme in small letters", "/v1/events", good, []string{"Authorization: bearer " + shopKey}, 200, ""},
		{"every site", "/v1/events", good, []string{"Authorization: Bearer " + everyKey}, 200, ""},
		{"no key", "/v1/events", good, nil, 401, "unauthenticated Authorization"},
		{"a wrong key", "/v1/events", good, []string{"Authorization: Bearer near_wrong"}, 401, "unauthenticated Authorization"},
		{"a wrong key of a site that is not there", "/v1/events", nowhere, []string{"Authorization: Bearer near_wrong"}, 401, "unauthenticated Authorization"},
		{"a wrong key and a body that is none", "/v1/events", "{", []string{"Authorization: Bearer near_wrong"}, 401, "unauthenticated Authorization"},
		{"another scheme", "/v1/events", good, []string{"Authorization: Basic " + shopKey}, 401, "unauthenticated Authorization"},
		{"two keys", "/v1/events", good, []string{withShopKey, withShopKey}, 401, "unauthenticated Authorization"},
		{"a key in the address alone", "/v1/events?key=" + shopKey, good, nil, 400, "key_in_address Authorization"},
		{"a key in the address too", "/v1/events?key=" + shopKey, good, []string{withShopKey}, 400, "key_in_address Authorization"},
		{"from a page", "/v1/events", good, []string{withShopKey, fromShop}, 403, "browser_refused Origin"},
		{"from a page of no origin", "/v1/events", good, []string{withShopKey, "Origin: null"}, 403, "browser_refused Origin"},
		{"from a page that hides it", "/v1/events", good, []string{withShopKey, "Sec-Fetch-Site: same-origin"}, 403, "browser_refused Origin"},
		// Of sites that are not its own a key learns nothing.
		{"another site that is not there", "/v1/events", nowhere, []string{withShopKey}, 403, "forbidden site"},
		{"another key's site", "/v1/events", other, []string{withShopKey}, 403, "forbidden site"},
		{"a site that is there", "/v1/events", good, []string{"Authorization: Bearer " + otherKey}, 403, "forbidden site"},
		{"its own site without a release", "/v1/events", batchOf(say{"site": "unborn"}), []string{withShopKey}, 404, "unknown_site site"},
		{"a site that every key of everywhere sees", "/v1/events", nowhere, []string{"Authorization: Bearer " + everyKey}, 404, "unknown_site site"},
		{"something else than JSON", "/v1/events", good, []string{withShopKey, "Content-Type: text/csv"}, 415, "unsupported_media_type Content-Type"},
		{"what is no JSON", "/v1/events", "{", []string{withShopKey}, 400, "bad_json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := h.do("POST", tt.path, tt.body, tt.headers...)
			if res.StatusCode != tt.status {
				t.Errorf("answer %d %s, want %d", res.StatusCode, res.body, tt.status)
			} else if tt.status != 200 && res.code(t) != tt.want {
				t.Errorf("code %q, want %q", res.code(t), tt.want)
			}
			if got := res.Header.Get("WWW-Authenticate"); (got == "Bearer") != (tt.status == 401) {
				t.Errorf("WWW-Authenticate %q", got)
			}
			if res.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("a page may read the answer")
			}
		})
	}
	ring.closed.Store(true)
	if res := h.do("POST", "/v1/events", good, withShopKey); res.StatusCode != 503 || res.code(t) != "not_ready" || res.Header.Get("Retry-After") == "" {
		t.Errorf("while keys cannot be read: %d %s", res.StatusCode, res.body)
	}
	if res := h.do("OPTIONS", "/v1/events", "", fromShop, "Access-Control-Request-Method: POST"); res.StatusCode != 403 || res.Header.Get("Access-Control-Allow-Headers") != "" {
		t.Errorf("a page that asks whether it may: %d %v", res.StatusCode, res.Header)
	}
	if log := h.log.String(); strings.Contains(log, "near_") {
		t.Error("a key is in the log")
	}
	metrics := string(h.metrics.appendText(nil))
	if !strings.Contains(metrics, `nearside_http_errors_total{code="unauthenticated"}`) || !strings.Contains(metrics, `route="events",status="2xx"`) || strings.Contains(metrics, "near_") {
		t.Errorf("metrics\n%s", metrics)
	}

	without := open(t, nil)
	if res := without.do("POST", "/v1/events", good, withShopKey); res.StatusCode != 404 {
		t.Errorf("a server without keys answers %d", res.StatusCode)
	}
}

// A body of the size that a batch may have is held for who has a key alone.
func TestALargeBodyNeedsAKeyFirst(t *testing.T) {
	h, _ := openForServers(t)
	var events []say
	for i := range 200 {
		events = append(events, toldEvent(fmt.Sprint("e", i), "note", say{"props": say{"text": strings.Repeat("a", 4000)}}))
	}
	large := batchOf(nil, events...)
	if len(large) < 10*edge.MaxBeaconBytes {
		t.Fatal("the body is not large")
	}
	if a := h.do("POST", "/v1/events", large, withShopKey).batch(t); a.Accepted != 200 {
		t.Errorf("answer %+v", a)
	}
	for name, res := range map[string]reply{
		"no key":          h.do("POST", "/v1/events", large),
		"a wrong key":     h.do("POST", "/v1/events", large, "Authorization: Bearer near_wrong"),
		"a beacon":        h.do("POST", "/v1/beacon", large, withShopKey),
		"from a page":     h.do("POST", "/v1/events", large, withShopKey, fromShop),
		"beyond a batch":  h.do("POST", "/v1/events", large+strings.Repeat(" ", edge.MaxBatchBytes), withShopKey),
		"spelled oddly":   h.do("POST", "//v1/events", large, withShopKey),
		"another address": h.do("POST", "/v1/withdraw", large, withShopKey),
	} {
		if res.StatusCode != 413 || res.code(t) != "body_too_large" {
			t.Errorf("%s: %d %.100s", name, res.StatusCode, res.body)
		}
	}
}

// Slow senders of large bodies do not take a mebibyte for each connection: there
// are so many places, and what leaves its place gives it to the next.
func TestSoManyLargeBodiesAreHeldAtOnce(t *testing.T) {
	h, _ := openForServers(t)
	slow := func() net.Conn {
		c := dial(t, h.addr)
		_, _ = fmt.Fprintf(c, "POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n%s\r\nContent-Length: %d\r\n\r\n{", withShopKey, edge.MaxBatchBytes)
		return c
	}
	var first net.Conn
	for range maxLargeBodies {
		first = slow()
	}
	waitFor(t, "every place to be taken", func() bool {
		h.large.mu.Lock()
		defer h.large.mu.Unlock()
		return !slices.Contains(h.large.heads[:], nil)
	})
	small := batchOf(nil, toldEvent("small", "note", nil))
	large := batchOf(nil, toldEvent("large", "note", nil)) + strings.Repeat(" ", edge.MaxBeaconBytes)
	if res := h.do("POST", "/v1/events", large, withShopKey); res.StatusCode != 503 || res.code(t) != "too_many_bodies" || res.Header.Get("Retry-After") != "1" {
		t.Errorf("one more: %d %s", res.StatusCode, res.body)
	}
	if res := h.do("POST", "/v1/events", large); res.StatusCode != 413 {
		t.Errorf("without a key: %d %s", res.StatusCode, res.body)
	}
	if a := h.do("POST", "/v1/events", small, withShopKey).batch(t); a.Accepted != 1 {
		t.Errorf("a small one: %+v", a)
	}
	_ = first.Close()
	waitFor(t, "a place to be free", func() bool {
		h.large.mu.Lock()
		defer h.large.mu.Unlock()
		return slices.Contains(h.large.heads[:], nil)
	})
	for range 3 { // it gives its place back when it is answered
		if a := h.do("POST", "/v1/events", large, withShopKey).batch(t); a.Accepted != 1 {
			t.Errorf("one after another: %+v", a)
		}
	}
}

// A body that cannot arrive in time any more holds no place.
func TestALargeBodysPlaceEnds(t *testing.T) {
	var l largeBodies
	heads := make([]fasthttp.RequestHeader, maxLargeBodies+1)
	for i := range maxLargeBodies {
		if !l.take(&heads[i], time.Now().Add(time.Hour)) {
			t.Fatalf("place %d", i)
		}
	}
	l.until[0] = time.Now().Add(-time.Second) // both are late,
	l.until[maxLargeBodies-1] = l.until[0]
	l.keep(&heads[0]) // and one arrived before it was
	if last := &heads[maxLargeBodies]; !l.take(last, time.Now().Add(time.Hour)) || l.take(&heads[maxLargeBodies-1], time.Now()) || !l.free(last) || l.free(last) {
		t.Error("the place of a late body, and of that alone, is for the next")
	}
}

func TestAServerIsToldWhatBecameOfEachEvent(t *testing.T) {
	h, _ := openForServers(t)
	body := batchOf(say{"surface": "service", "system": "pos-7", "profile": "c-1", "origin": "first"},
		toldEvent("a", "purchase", say{"props": say{"transaction_id": "t-1", "value": 12.5, "currency": "EUR"}}),
		toldEvent("b b", "purchase", nil),
		toldEvent("c", "purchase", say{"surface": "till"}),
		toldEvent("d", "purchase", say{"consent": say{"granted": []string{"storage"}}}),
		toldEvent("e", "purchase", say{"at": testNow.Add(time.Minute).UnixMilli()}),
		toldEvent("f", "purchase", say{"consent": say{"granted": []string{"mesure"}}}),
		toldEvent("g", "login", say{"surface": "app", "system": "ios", "origin": "zero", "profile": "c-2", "consent": say{"granted": 15}}),
		toldEvent("h", "login", say{"origins": say{"a": "fourth"}}),
		toldEvent("i", "login", say{"system": "a b", "profile": 7}),
		toldEvent("j", "login", say{"state": strings.Repeat("A", edge.MaxStateBytes+1)}),
		toldEvent("k", "login", say{"consent": say{"owner": say{"granted": 15}, "gcm": []int{1}}, "name": "login"}),
		toldEvent("l", "login", say{"unknown": say{"a": []int{}}, "profile": nil}),
		toldEvent("m", "login", say{"consent": nil}), // nobody knows, whatever is said of all
	)
	a := h.do("POST", "/v1/events", body, withShopKey).batch(t)
	want := []string{
		"1 bad_id id", "2 bad_value surface", "3 no_consent consent", "4 event_in_future at", "5 bad_value consent",
		"7 bad_value origins", "8 wrong_type profile", "9 too_long state", "10 wrong_type consent",
		"12 no_consent consent",
	}
	var got []string
	for _, r := range a.Rejected {
		got = append(got, fmt.Sprint(r.Index, " ", r.Code, " ", r.Field))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") || a.Accepted != 3 || a.V != 1 {
		t.Fatalf("accepted %d, rejected\n%s\nwant\n%s", a.Accepted, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	kept := h.ledger.kept()
	if len(kept) != 3 {
		t.Fatalf("kept %d", len(kept))
	}
	for i, parts := range [][]string{
		{`"surface":"service"`, `"system":"pos-7"`, `"origin":"first"`, `"value":"12.5"`, `"authority":"owner"`},
		{`"surface":"app"`, `"system":"ios"`, `"origin":"zero"`},
		{`"surface":"service"`, `"system":"pos-7"`},
	} {
		for _, part := range parts {
			if !strings.Contains(kept[i], part) {
				t.Errorf("event %d has no %s: %s", i, part, kept[i])
			}
		}
	}
	metrics := string(h.metrics.appendText(nil))
	for _, part := range []string{`nearside_events_accepted_total 3`, `rejected_total{code="bad_value"} 3`, `rejected_total{code="wrong_type"} 2`} {
		if !strings.Contains(metrics, part) {
			t.Errorf("metrics lack %s:\n%s", part, metrics)
		}
	}
}

// What is acknowledged is on disk; what is not is told to wait, whole.
func TestABatchIsAcknowledgedOnceItIsKept(t *testing.T) {
	h, _ := openForServers(t)
	body := batchOf(nil, toldEvent("a", "login", nil), toldEvent("b b", "login", nil))
	for name, set := range map[string]struct {
		pace time.Duration
		err  error
	}{"slow": {time.Hour, nil}, "full": {0, edge.ErrUnavailable}, "broken": {0, errors.New("disk on fire")}} {
		h.ledger.set(set.pace, set.err)
		res := h.do("POST", "/v1/events", body, withShopKey)
		if res.StatusCode != 503 || res.code(t) != "unavailable" || res.Header.Get("Retry-After") == "" || len(h.ledger.kept()) != 0 {
			t.Errorf("%s: %d %s, kept %v", name, res.StatusCode, res.body, h.ledger.kept())
		}
	}
	h.ledger.set(0, nil)
	if a := h.do("POST", "/v1/events", body, withShopKey).batch(t); a.Accepted != 1 || len(h.ledger.kept()) != 1 {
		t.Errorf("answer %+v, kept %v", a, h.ledger.kept())
	}
	if a := h.do("POST", "/v1/events", batchOf(nil), withShopKey).batch(t); a.Accepted != 0 || len(a.Rejected) != 0 {
		t.Errorf("an empty batch: %+v", a)
	}
}

// Consent that nobody names is refused, whatever place the server is in.
func TestABatchNeedsConsentThatSomebodyNamed(t *testing.T) {
	h, _ := openForServers(t)
	for _, tt := range []struct {
		name    string
		consent any
		want    string // of the event's rejection, "" for none; or of the batch's refusal
	}{
		{"nothing", nil, "no_consent"},
		{"no signal", say{}, "no_consent"},
		{"an answer on file", say{"granted": []string{"measure"}}, ""},
		{"as a number", say{"granted": 2}, ""},
		{"an empty answer under an open policy", say{"granted": []string{}, "policy": "us-optout"}, "no_consent"},
		{"a policy without an answer", say{"policy": "us-optout"}, "no_consent"},
		{"a refusal alone", say{"refused": []string{"share"}}, "no_consent"},
		{"granted and refused", say{"granted": []string{"measure"}, "refused": []string{"measure"}}, "no_consent"},
		{"a beacon's, handed on", say{"purposes": 31, "policy": "strict", "owner": say{"granted": 31, "refused": 0}, "gpc": false}, ""},
		{"a beacon's that claimed less", say{"purposes": 1, "owner": say{"granted": 31, "refused": 0}}, "no_consent"},
		{"a ceiling by name", say{"purposes": []string{"storage"}, "owner": say{"granted": 31}}, "no_consent"},
		{"Consent Mode", say{"gcm": say{"analytics_storage": "granted"}}, ""},
		{"Consent Mode against the answer on file", say{"granted": []string{"storage"}, "gcm": say{"analytics_storage": "granted"}}, "no_consent"},
		{"a TCF string that nobody can read", say{"gdpr": true, "tcf": "CQ", "granted": []string{"measure"}}, "no_consent"},
		{"two answers on file", say{"granted": []string{"measure"}, "owner": say{"granted": 31}}, "bad_value consent.owner"},
		{"a purpose that is none", say{"granted": []string{"measures"}}, "bad_value consent.granted"},
		{"a list of numbers", say{"granted": []int{1}}, "wrong_type consent.granted"},
		{"a text", "granted", "wrong_type consent"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := h.do("POST", "/v1/events", batchOf(say{"consent": tt.consent}, toldEvent("a", "login", nil)), withShopKey)
			if strings.Contains(tt.want, " ") {
				if res.StatusCode != 400 || res.code(t) != tt.want {
					t.Errorf("answer %d %s, want %s", res.StatusCode, res.body, tt.want)
				}
				return
			}
			a := res.batch(t)
			got := ""
			if len(a.Rejected) > 0 {
				got = a.Rejected[0].Code
			}
			if got != tt.want {
				t.Errorf("answer %s, want %q", res.body, tt.want)
			}
		})
	}
}
