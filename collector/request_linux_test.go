// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// manyRequests are beacons of as many different visitors, as a proxy hands them on. Of
// one that comes again and again the processor learns every branch by heart.
func manyRequests(n int) [][]byte {
	random := rand.New(rand.NewPCG(1, 9))
	one := func(of ...string) string { return of[random.IntN(len(of))] }
	list := make([][]byte, n)
	for i := range list {
		version, mobile := 100+random.IntN(60), random.IntN(2)
		lang := one("de-DE", "en-US", "fr-FR", "ja", "en", "pt-BR")
		hints := ""
		if random.IntN(3) > 0 {
			hints = fmt.Sprintf("sec-ch-ua-platform: %q\r\nsec-ch-ua: \"Chromium\";v=\"%d\", \"Not/A)Brand\";v=\"24\"\r\nsec-ch-ua-mobile: ?%d\r\n", one("Windows", "Android", "macOS"), version, mobile)
		}
		path := fmt.Sprintf("/%s/%s/sku-%d", lang[:2], one("hats", "scarves", "gloves", "coats"), random.IntN(10_000))
		body := fmt.Sprintf(`{"v":1,"site":"demo","page":{"url":"https://shop.example%s?utm_source=%s&utm_campaign=autumn","id":"p%d","title":"What is worn this winter, %d","lang":%q,"type":"product","item":"sku-%d","tags":["felt","wool"],"ref":%q},`+
			`"client":{"viewport":[%d00,900],"langs":[%q,"en"]},"consent":{"purposes":4,"policy":"strict","owner":{"granted":4,"refused":251},"gpc":false},"sent":%d,"slots":["hero","bare"]}`,
			path, one("news", "mail", "ads"), random.Uint32(), i, lang[:2], i, one("", "https://www.google.com/", "https://duckduckgo.com/", "https://a-blog.example/about-hats", "https://shop.example/"),
			4+random.IntN(20), lang, 1_795_305_600_000+random.Int64N(1e9))
		list[i] = fmt.Appendf(nil, "POST /_near/v1/beacon HTTP/1.1\r\nHost: near.example\r\nX-Forwarded-For: %d.%d.%d.%d\r\nX-Forwarded-Proto: https\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36\r\n%s"+
			"Accept: */*\r\nOrigin: https://shop.example\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nReferer: https://shop.example/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: %s,en;q=0.8\r\nContent-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n\r\n%s",
			1+random.IntN(200), random.IntN(256), random.IntN(256), random.IntN(256), version, hints, lang, len(body), body)
	}
	return list
}

// BenchmarkManyRequests takes requests as a loop does, up to the engine, and frees their
// exchange: the head alone, with who asks, with what they say, and all of it.
func BenchmarkManyRequests(b *testing.B) {
	h := newHouse(b, func(o *Options) {
		o.Now, o.TrustedProxies = nil, []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		o.AddressRate, o.NetworkRate = Rate{maxRate, maxRate}, Rate{maxRate, maxRate}
	})
	l := &loop{way: &doorway{door: h.door, fast: h.Server}}
	x := &exchange{raw: make([]byte, loopBytes)}
	requests := manyRequests(4096)
	steps := []struct {
		name string
		do   func(request []byte) error
	}{
		{"head", func(request []byte) error {
			raw := x.raw[:copy(x.raw, request)]
			if whole, _ := l.follow(raw); !whole {
				return errFraming
			}
			x.read = time.Now()
			x.take(&l.picked, raw[len(raw)-int(l.framing.head.length):], sender{netip.MustParseAddr("127.0.0.1"), false, &l.picked})
			return nil
		}},
		{"who", func([]byte) error { return x.begin(h.Server) }},
		{"what", func([]byte) error { return x.decoder.fillBeacon(x.body, &x.beacon) }},
		{"all", func([]byte) error {
			release, err := h.admit(x, x.beacon.Site)
			if err != nil {
				return err
			}
			return x.describe(h.Server, release)
		}},
	}
	for last, step := range steps {
		b.Run(step.name, func(b *testing.B) {
			b.ReportAllocs()
			for at := 0; b.Loop(); at = (at + 1) % len(requests) {
				for _, s := range steps[:last+1] {
					if err := s.do(requests[at]); err != nil {
						b.Fatal(err)
					}
				}
				x.free()
			}
		})
	}
}
