// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// pacesAt returns paces that begun a while ago, and what they hold clients to.
func pacesAt(t testing.TB, rates Tuning) (*paces, *tuning) {
	t.Helper()
	held, err := rates.complete()
	if err != nil {
		t.Fatal(err)
	}
	return newPaces(), held
}

// A million addresses in no memory of their own: one that sends too much among
// them is still limited, and those that do not are not.
func TestAMillionAddresses(t *testing.T) {
	p, held := pacesAt(t, Tuning{AddressRate: Rate{100, 400}, NetworkRate: Rate{-1, 0}})
	heavy, light := netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("198.51.100.9")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const addresses = 1_000_000
	served, refused := 0, 0
	for i := range uint32(addresses) {
		// A clock of its own: the million arrives in ten seconds.
		now := int64(i) * int64(10*time.Second) / addresses
		var ip [4]byte
		binary.BigEndian.PutUint32(ip[:], 0x0b000000+i*7)
		if !p.address.take(hashAddr(p.addressSeed, netip.AddrFrom4(ip)), held.AddressRate, now+1) {
			t.Fatalf("address %d is limited at its first request", i)
		}
		if i%100 == 0 { // 1,000 a second
			if p.address.take(hashAddr(p.addressSeed, heavy), held.AddressRate, now+1) {
				served++
			} else {
				refused++
			}
		}
		if i%10_000 == 0 && !p.address.take(hashAddr(p.addressSeed, light), held.AddressRate, now+1) { // 10 a second
			t.Fatalf("the light one is limited after %d addresses", i)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	// Ten seconds at 100 a second, and a burst of 400.
	if served < 1390 || served > 1410 {
		t.Errorf("of the heavy one's 10000 requests %d were served and %d refused, want 1400", served, refused)
	}
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 64<<10 {
		t.Errorf("a million addresses left %d bytes", grown)
	}
	size := unsafe.Sizeof(*p)
	if size > 5<<19 {
		t.Errorf("the paces take %d bytes", size)
	}
	t.Logf("%d addresses, %d bytes in all; of the heavy one's 10000 requests %d served, %d refused; %d not counted", addresses, size, served, refused, p.address.crowded.Load())
}

// Addresses that are all at their limit at once, more than there are places:
// the heaviest keep theirs, and a new one is still served.
func TestACrowdDoesNotFreeAHeavyOne(t *testing.T) {
	p, held := pacesAt(t, Tuning{AddressRate: Rate{10, 100}})
	heavy := hashAddr(p.addressSeed, netip.MustParseAddr("203.0.113.7"))
	now := int64(1)
	for p.address.take(heavy, held.AddressRate, now) {
	}
	for i := range uint64(4 * paceSets * paceWays) { // a fresh address each, ten requests
		for range 10 {
			if !p.address.take(i*0x9e3779b97f4a7c15|1<<63, held.AddressRate, now) {
				t.Fatalf("address %d is limited at its tenth request of a hundred", i)
			}
		}
	}
	if p.address.take(heavy, held.AddressRate, now) {
		t.Error("the crowd has freed the heavy one")
	}
	if p.address.crowded.Load() == 0 {
		t.Error("nobody was crowded out: the test has too few addresses")
	}
}

func TestFootprints(t *testing.T) {
	p, _ := pacesAt(t, Tuning{})
	of := func(addr string) footprint { return p.footprint(netip.MustParseAddr(addr)) }
	for _, tt := range []struct {
		a, b             string
		address, network bool // are one
	}{
		{"203.0.113.7", "203.0.113.7", true, true},
		{"203.0.113.7", "203.0.113.8", false, true},
		{"203.0.113.7", "203.0.114.7", false, false},
		{"2001:db8:1:2::3", "2001:db8:1:2:ffff::4", true, true},
		{"2001:db8:1:2::3", "2001:db8:1:3::3", false, true},
		{"2001:db8:1:2::3", "2001:db8:2:2::3", false, false},
	} {
		a, b := of(tt.a), of(tt.b)
		if (a.address == b.address) != tt.address || (a.network == b.network) != tt.network {
			t.Errorf("%s and %s: address %v, network %v", tt.a, tt.b, a.address == b.address, a.network == b.network)
		}
	}
	for _, private := range []string{"127.0.0.1", "::1", "10.1.2.3", "192.168.1.1", "fd00::1", "fe80::1"} {
		if of(private) != (footprint{}) {
			t.Errorf("%s is counted", private)
		}
	}
	if other, _ := pacesAt(t, Tuning{}); other.footprint(netip.MustParseAddr("203.0.113.7")) == of("203.0.113.7") {
		t.Error("two processes count an address by the same number")
	}
}

func TestTooManyRequests(t *testing.T) {
	h := open(t, func(o *Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		o.AddressRate, o.NetworkRate = Rate{1, 5}, Rate{1, 8}
	})
	send := func(addr string) reply {
		return h.post(beaconOf(usual&^8, say{"slots": []string{"hero"}}), "X-Forwarded-For: "+addr)
	}
	served := func(addr string, n int) (ok int) {
		for range n {
			switch res := send(addr); {
			case res.StatusCode == 200:
				ok++
			case res.StatusCode != 429 || res.code(t) != "too_many_requests" || res.Header.Get("Retry-After") != "1":
				t.Fatalf("answer %d %s", res.StatusCode, res.body)
			}
		}
		return ok
	}
	// Give or take what a second that passes gives.
	if n := served("203.0.113.1", 20); n < 5 || n > 7 {
		t.Errorf("%d of 20 requests of one address were served, want 5", n)
	}
	if n := served("203.0.113.2", 20); n < 3 || n > 6 {
		t.Errorf("%d of 20 of its neighbour's were served, want the network's other 3", n)
	}
	if n := served("198.51.100.1", 5); n != 5 {
		t.Errorf("%d of 5 of a stranger's were served", n)
	}
	if res := h.do("GET", "/healthz", "", "X-Forwarded-For: 203.0.113.1"); res.StatusCode != 200 {
		t.Errorf("healthz answers %d", res.StatusCode)
	}
	if err := h.Tune(Tuning{AddressRate: Rate{PerSecond: -1}, NetworkRate: Rate{PerSecond: -1}}); err != nil {
		t.Fatal(err)
	}
	if n := served("203.0.113.1", 20); n != 20 {
		t.Errorf("%d of 20 were served without a limit", n)
	}
	var out strings.Builder
	if err := h.WritePrometheus(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`nearside_limited_total{limit="address"} `, `nearside_limited_total{limit="network"} `, `nearside_http_errors_total{code="too_many_requests"} `} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if text := out.String() + h.log.String(); strings.Contains(text, "203.0.113") {
		t.Error("an address is in the metrics or the log")
	}
}

func TestTuneIsAllOrNothing(t *testing.T) {
	h := newHouse(t, nil)
	before := h.tuning.Load()
	for name, bad := range map[string]Tuning{
		"a rate above all":            {AddressRate: Rate{2_000_000, 1}},
		"a rate without a burst":      {NetworkRate: Rate{10, 0}},
		"a negative quota":            {Quota: Quota{Events: -1}},
		"a negative quota of a site":  {Quotas: map[string]Quota{"demo": {Decisions: -1}}},
		"a proxy that is no prefix":   {TrustedProxies: make([]netip.Prefix, 1)},
		"a good and then a bad value": {Quota: Quota{Events: 1}, AddressRate: Rate{1, -5}},
	} {
		if err := h.Tune(bad); err == nil || h.tuning.Load() != before {
			t.Errorf("%s: %v, changed %v", name, err, h.tuning.Load() != before)
		}
	}
}

// A proxy that manages one of the forwarding headers lets the other through as
// the client wrote it: that is no way around the limit, and none to use up
// somebody else's.
func TestASecondForwardingHeaderIsNoWayAroundThePace(t *testing.T) {
	h := open(t, func(o *Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		o.AddressRate, o.NetworkRate = Rate{1, 5}, Rate{1, 50}
	})
	status := func(headers ...string) int {
		return h.post(beaconOf(usual&^8, say{"slots": []string{"hero"}}), headers...).StatusCode
	}
	const victim = "198.51.100.9"
	for name, forge := range map[string]func(n int) (forwardedFor, forwarded string){
		"Forwarded":          func(n int) (string, string) { return "203.0.113.7", fmt.Sprintf("for=198.18.%d.1", n) },
		"X-Forwarded-For":    func(n int) (string, string) { return fmt.Sprintf("198.19.%d.1", n), "for=192.0.2.7" },
		"unreadable":         func(int) (string, string) { return "203.0.115.7", "for=unknown" },
		"somebody's address": func(int) (string, string) { return "203.0.116.7", "for=" + victim },
	} {
		served, begin := 0, time.Now()
		for n := range 20 {
			forwardedFor, forwarded := forge(n)
			if status("X-Forwarded-For: "+forwardedFor, "Forwarded: "+forwarded) != 429 {
				served++
			}
		}
		if most := 6 + int(time.Since(begin)/time.Second); served > most {
			t.Errorf("%s: %d of 20 requests at once are served, want %d at most", name, served, most)
		}
	}
	if got := status("X-Forwarded-For: " + victim); got != 200 {
		t.Errorf("whom others named is answered %d", got)
	}
}

func TestQuestionsBeforeARequestArePaced(t *testing.T) {
	h := open(t, func(o *Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		o.AddressRate = Rate{1, 3}
	})
	served, begin := 0, time.Now()
	for range 100 {
		if res := h.do("OPTIONS", "/v1/beacon", "", fromShop, "Access-Control-Request-Method: POST", "X-Forwarded-For: 203.0.113.7"); res.StatusCode == 204 {
			served++
		} else if res.StatusCode != 429 || res.code(t) != "too_many_requests" {
			t.Fatalf("answer %d %s", res.StatusCode, res.body)
		}
	}
	if most := 4 + int(time.Since(begin)/time.Second); served < 3 || served > most {
		t.Errorf("%d of 100 at once are answered, want 3 to %d", served, most)
	}
}

func TestPaceAllocs(t *testing.T) {
	p, held := pacesAt(t, Tuning{})
	addr := netip.MustParseAddr("2001:db8:1:2::3")
	r := newRations()
	for name, run := range map[string]func(){
		"footprint": func() { p.footprint(addr) },
		"take":      func() { p.take(p.footprint(addr), held, time.Now()) },
		"quota":     func() { spend(&r.of("demo").events, 10, 1, int64(time.Since(r.begin))) },
	} {
		run()
		if n := testing.AllocsPerRun(200, run); n != 0 {
			t.Errorf("%s: %.1f allocations, want 0", name, n)
		}
	}
}

func BenchmarkPace(b *testing.B) {
	p, held := pacesAt(b, Tuning{})
	addr := netip.MustParseAddr("203.0.113.7")
	b.ReportAllocs()
	for b.Loop() {
		p.take(p.footprint(addr), held, time.Now())
	}
}

func TestQuotas(t *testing.T) {
	h := open(t, func(o *Options) { o.Quotas = map[string]Quota{"demo": {Decisions: 1, Events: 2}} })
	beacon := func(i int) reply {
		return h.post(beaconOf(usual&^8, say{"slots": []string{"hero"}, "events": eventsOf(fmt.Sprintf("a%d", i), fmt.Sprintf("b%d", i))}))
	}
	ruled, kept, defaults, rejected := 0, 0, 0, 0
	for i := range 30 {
		res := beacon(i)
		if res.StatusCode != 200 {
			t.Fatalf("beacon %d: answer %d %s", i, res.StatusCode, res.body)
		}
		a := res.answer(t)
		if len(a.Decisions) != 1 {
			t.Fatalf("beacon %d: %s", i, res.body)
		}
		switch d := a.Decisions[0]; {
		case d.Reason == "rule":
			ruled++
		case d.Reason == "budget" && d.Kind == "default" && len(d.Content) == 0:
			defaults++
		default:
			t.Errorf("beacon %d: %+v", i, d)
		}
		kept += a.Accepted
		for _, r := range a.Rejected {
			if r.Code != "over_quota" {
				t.Errorf("beacon %d: rejected as %s", i, r.Code)
			}
			rejected++
		}
	}
	if ruled < 10 || ruled > 13 || ruled+defaults != 30 {
		t.Errorf("%d slots by rules, %d by default, want ten seconds' and the rest", ruled, defaults)
	}
	if kept < 20 || kept > 26 || kept+rejected != 60 || kept != len(h.ledger.kept()) {
		t.Errorf("%d events acknowledged, %d stored, %d rejected", kept, len(h.ledger.kept()), rejected)
	}
	// Only events, over the quota: an answer, not an error, and nothing to resend.
	res := h.post(beaconOf(usual&^8, say{"events": eventsOf("z1", "z2", "z3")}))
	if a := res.answer(t); a.Accepted != 0 || len(a.Rejected) != 3 {
		t.Errorf("answer %s", res.body)
	}
	if err := h.Tune(Tuning{}); err != nil {
		t.Fatal(err)
	}
	if a := beacon(99).answer(t); a.Accepted != 2 || a.Decisions[0].Reason != "rule" {
		t.Errorf("without a quota: %+v", a)
	}
}

func TestAProxyThatNobodyListedIsCounted(t *testing.T) {
	h := open(t, func(o *Options) { o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")} })
	h.post(beaconOf(usual, nil))
	h.post(beaconOf(usual, nil), "X-Forwarded-For: 203.0.113.1", "Forwarded: for=203.0.113.1")
	h.post(beaconOf(usual, nil), "Forwarded: for=203.0.113.1")
	if n := h.metrics.unlisted.Load(); n != 2 {
		t.Errorf("%d requests are counted, want 2", n)
	}
	if err := h.Tune(Tuning{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}); err != nil {
		t.Fatal(err)
	}
	h.post(beaconOf(usual, nil), "X-Forwarded-For: 203.0.113.1")
	if n := h.metrics.unlisted.Load(); n != 2 {
		t.Errorf("%d requests are counted: a listed proxy too", n)
	}
}
