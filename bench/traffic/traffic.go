// SPDX-License-Identifier: Apache-2.0

// Package traffic makes what the whole-request benches send and what must come
// back: visitors, the beacons and headers that their browsers would send, the
// same visitors as a context of twenty fields, sixty rules, and the variants that
// these rules choose for each visitor.
//
// Everything is made from a seed, so that every server of a run and every run get
// the same. The values are made up; the shapes (lengths, headers, how often a
// User-Agent comes) are those of a shop's traffic. What is known of a visitor is
// known by construction and not read with the product's own code, but for the
// country of an address.
package traffic

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"

	"github.com/nearside/nearside/geo"
)

// Site and Origin are whom the beacons are for.
const (
	Site   = "shop"
	Origin = "https://shop.example"
)

// A Visitor is one page view of somebody, as far as rules ask.
type Visitor struct {
	ID       string
	Agent    Agent
	Addr     netip.Addr
	Country  string // of the address's /24
	Accept   string // Accept-Language
	Langs    []string
	Lang     string // of the site's, what they read best
	Ref      string
	Channel  string // what the referring page says, "" for a page of the site
	PageType string
	Category string
	Item     string
	Path     string
	Viewport [2]int
}

// A Corpus is visitors and what is decided for them.
type Corpus struct {
	Visitors []Visitor
	Rules    []Rule
	// Wants are the variants of Slots for each visitor, "" for the page's own.
	Wants [][len(Slots)]string
}

// New makes a corpus of n visitors.
func New(n int, seed uint64) (*Corpus, error) {
	places, err := geo.Open(geo.Options{})
	if err != nil {
		return nil, fmt.Errorf("traffic: %w", err)
	}
	defer places.Close()
	random := rand.New(rand.NewPCG(seed, 7))
	c := &Corpus{Visitors: make([]Visitor, n), Rules: rules(), Wants: make([][len(Slots)]string, n)}
	agents := newAgents(random)
	for i := range c.Visitors {
		v := &c.Visitors[i]
		v.Agent = agents.pick(random)
		v.Addr, v.Country = address(random, places)
		c.describe(v, random)
		c.Wants[i] = decide(c.Rules, v)
	}
	return c, nil
}

// countries are where nearly all visitors come from, as a shop of Europe has them.
var countries = []string{"DE", "FR", "GB", "US", "ES", "IT", "NL", "JP", "BR", "CA", "PL", "SE"}

// address draws a public IPv4 address.
func address(random *rand.Rand, places *geo.DB) (netip.Addr, string) {
	for tries := 0; ; tries++ {
		a := netip.AddrFrom4([4]byte{byte(1 + random.IntN(223)), byte(random.IntN(256)), byte(random.IntN(256)), byte(1 + random.IntN(254))})
		if a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
			continue
		}
		network, err := a.Prefix(24)
		if err != nil {
			continue
		}
		country := places.Locate(network.Addr()).Country
		if country == "" {
			continue
		}
		// One in eight comes from anywhere else.
		for _, usual := range countries {
			if country == usual && (country != "US" || random.IntN(4) == 0) {
				return a, country
			}
		}
		if tries > 0 && random.IntN(40) == 0 {
			return a, country
		}
	}
}

// A reader is a browser's languages and the site's language that fits them best.
type reader struct {
	accept string
	langs  []string
	lang   string
}

var readers = []reader{
	{"de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", []string{"de-DE", "de", "en-US", "en"}, "de"},
	{"en-US,en;q=0.9", []string{"en-US", "en"}, "en"},
	{"fr-FR,fr;q=0.9,en;q=0.8", []string{"fr-FR", "fr", "en"}, "fr"},
	{"en-GB,en;q=0.9", []string{"en-GB", "en"}, "en"},
	{"es-ES,es;q=0.9", []string{"es-ES", "es"}, "es"},
	{"it-IT,it;q=0.9,en;q=0.8", []string{"it-IT", "it", "en"}, "it"},
	{"nl-NL,nl;q=0.9,en;q=0.6", []string{"nl-NL", "nl", "en"}, "nl"},
	{"ja,en-US;q=0.9,en;q=0.8", []string{"ja", "en-US", "en"}, "ja"},
	{"de-AT,de;q=0.9", []string{"de-AT", "de"}, "de"},
	{"fr-CA,fr;q=0.9,en-CA;q=0.8", []string{"fr-CA", "fr", "en-CA"}, "fr"},
}

// Languages are what the site speaks.
var Languages = []string{"en", "de", "fr", "es", "it", "nl", "ja"}

// referrers are pages that visitors come from, and the channel of each.
var referrers = []struct{ url, channel string }{
	{"", "direct"}, {"https://www.google.com/", "search"}, {"https://www.bing.com/", "search"}, {"https://duckduckgo.com/", "search"},
	{"https://www.facebook.com/", "social"}, {"https://www.instagram.com/", "social"}, {"https://www.reddit.com/", "social"},
	{"https://a-blog-about-hats.example/the-best-of-them", "referral"}, {Origin + "/en/", ""},
}

var (
	pageTypes  = []string{"home", "category", "product", "search", "cart"}
	categories = []string{"hats", "scarves", "gloves", "coats", "socks", "bags"}
	windows    = [][2]int{{390, 844}, {412, 915}, {768, 1024}, {1366, 768}, {1536, 864}, {1920, 1080}}
	words      = strings.Fields("summer sale felt wool winter warm light grey blue offer bundle kids garden travel gift new soft long short best")
)

// describe fills in what is drawn independently of each other.
func (c *Corpus) describe(v *Visitor, random *rand.Rand) {
	v.ID = fmt.Sprintf("%032x", [2]uint64{random.Uint64(), random.Uint64()})[:32]
	r := readers[min(random.IntN(len(readers)), random.IntN(len(readers)))]
	v.Accept, v.Langs, v.Lang = r.accept, r.langs, r.lang
	from := referrers[random.IntN(len(referrers))]
	v.Ref, v.Channel = from.url, from.channel
	v.PageType = pageTypes[random.IntN(len(pageTypes))]
	v.Category = categories[random.IntN(len(categories))]
	v.Viewport = windows[random.IntN(len(windows))]
	v.Path = "/en/" + v.Category
	if v.PageType == "product" {
		v.Item = "sku-" + strconv.Itoa(1000+random.IntN(9000))
		v.Path += "/" + words[random.IntN(len(words))] + "-" + v.Item
	}
}
