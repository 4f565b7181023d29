// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// The words that visits are made of and that conditions ask for. The first ones
// are the commoner.
var words = struct {
	countries, devices, categories, types, channels, media, campaigns, tags, hosts, langs, models, screens []string
}{
	countries:  []string{"FR", "DE", "GB", "BE", "CH", "ES", "IT", "NL", "US", "CA", "AT", "SE"},
	devices:    []string{"phone", "desktop", "tablet", "tv"},
	categories: []string{"hats", "shoes", "scarves", "coats", "bags", "gloves", "socks", "belts"},
	types:      []string{"product", "category", "home", "search", "cart", "article"},
	channels:   []string{"search", "direct", "ads", "social", "mail", "referral"},
	media:      []string{"cpc", "email", "social", "affiliate", "display"},
	campaigns:  []string{"winter-2026", "spring-2027", "winter-sale", "newsletter-48", "brand", "black-friday"},
	tags:       []string{"sale", "new", "winter-warm", "winter-dress", "wool", "felt", "women", "men", "vip", "outlet", "gift", "summer"},
	hosts:      []string{"www.google.com", "www.bing.com", "m.facebook.com", "t.co", "blog.example", "mail.example"},
	langs:      []string{"fr", "de", "en", "es"},
	models:     []string{"Pixel 11", "iPhone18,2", "SM-S951B", "iPad16,1", "Fairphone 6"},
	screens:    []string{"1080x2400", "1290x2796", "1920x1080", "2560x1440"},
}

// places are where visits come from, with the point that the address data give.
var places = []edge.Place{
	{Country: "FR", Region: "IDF", City: "Paris", Postcode: "75011", Lat: 48.8566, Lon: 2.3522},
	{Country: "FR", Region: "ARA", City: "Lyon", Postcode: "69002", Lat: 45.7640, Lon: 4.8357},
	{Country: "FR", Region: "BRE", City: "Rennes", Postcode: "35000", Lat: 48.1173, Lon: -1.6778},
	{Country: "DE", Region: "BE", City: "Berlin", Postcode: "10115", Lat: 52.5200, Lon: 13.4050},
	{Country: "DE", Region: "BY", City: "Munich", Postcode: "80331", Lat: 48.1351, Lon: 11.5820},
	{Country: "GB", Region: "ENG", City: "London", Postcode: "N1 9GU", Lat: 51.5074, Lon: -0.1278},
	{Country: "BE", Region: "BRU", City: "Brussels", Postcode: "1000", Lat: 50.8503, Lon: 4.3517},
	{Country: "CH", Region: "GE", City: "Geneva", Postcode: "1201", Lat: 46.2044, Lon: 6.1432},
	{Country: "ES", Region: "MD", City: "Madrid", Postcode: "28001", Lat: 40.4168, Lon: -3.7038},
	{Country: "US", Region: "NY", City: "New York", Postcode: "10001", Lat: 40.7128, Lon: -74.0060},
}

// A visitor is a visit with what its visitor granted.
type visitor struct {
	visit   edge.Visit
	granted consent.Purposes
}

// dice makes visits and rules; the same seed gives the same ones.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 4))} }

// one picks a word, the first ones more often.
func (d dice) one(list []string) string {
	return list[min(d.IntN(len(list)), d.IntN(len(list)))]
}

// some picks n different words.
func (d dice) some(list []string, n int) []string {
	var out []string
	for _, i := range d.Perm(len(list))[:n] {
		out = append(out, list[i])
	}
	return out
}

func (d dice) chance(percent int) bool { return d.IntN(100) < percent }

func (d dice) sku() string { return fmt.Sprintf("sku-%d", min(d.IntN(40), d.IntN(40))) }

// fullVisits are visits in which every field is present and granted.
func fullVisits(seed uint64, n int) []visitor {
	d := newDice(seed)
	out := make([]visitor, n)
	for i := range out {
		out[i] = visitor{d.visit(), consent.All}
	}
	return out
}

// partVisits are visits under random grants, in which some fields are absent and
// some visitors have no state.
func partVisits(seed uint64, n int) []visitor {
	d := newDice(seed)
	out := make([]visitor, n)
	for i := range out {
		v := d.visit()
		if d.chance(25) {
			v.State, v.Counts = nil, nil
		}
		if d.chance(25) {
			v.Source.UTM, v.Source.Campaign, v.Source.ClickID = edge.UTM{}, "", ""
		}
		if d.chance(25) {
			v.Page.Category, v.Page.Item = "", ""
		}
		if d.chance(25) {
			v.Place.HasPoint, v.Place.City, v.Place.Region = false, "", ""
		}
		if d.chance(10) {
			v.Page.Tags = nil
		}
		out[i] = visitor{v, consent.Purposes(d.Uint32()|d.Uint32()) & consent.All}
	}
	return out
}

func (d dice) visit() edge.Visit {
	category := d.one(words.categories)
	place := places[min(d.IntN(len(places)), d.IntN(len(places)))]
	place.Lat += d.Float64()/2 - 0.25
	place.Lon += d.Float64()/2 - 0.25
	place.HasPoint = true
	campaign, medium := d.one(words.campaigns), d.one(words.media)
	at := now.Add(-time.Duration(d.IntN(40*24)) * time.Hour)
	v := edge.Visit{
		Site: "shop", Now: at, Local: at.Add(time.Hour), Lang: d.one(words.langs), Surface: "web",
		ViewportWidth: 300 + 100*d.IntN(18),
		Page: edge.Page{
			ID: "p1", Host: "shop.example", Path: "/" + d.one(words.langs) + "/" + category + "/" + d.sku(),
			Title: strings.ToUpper(category[:1]) + category[1:] + d.one([]string{" for every day", " as a Gift", " on sale"}),
			Type:  d.one(words.types), Category: category, Item: d.sku(), Lang: d.one(words.langs),
			Tags: d.some(words.tags, 1+d.IntN(8)),
		},
		Device: edge.Device{
			Type: d.one(words.devices), Model: d.one(words.models), OSVersion: fmt.Sprint(14 + d.IntN(6)),
			Screen: d.one(words.screens), TimeZone: location,
		},
		Place: place,
		Ref:   edge.Ref{Host: d.one(words.hosts), Class: d.one(words.channels)},
		Source: edge.Source{
			Channel: d.one(words.channels), Campaign: campaign, ClickID: "Cj0KCQiA" + d.sku(),
			UTM: edge.UTM{Source: "mail", Medium: medium, Campaign: campaign, Term: "hat", Content: "top"},
		},
	}
	v.State, v.Counts = d.state(at), d.counts()
	return v
}

// state is a history of up to sixteen events.
func (d dice) state(at time.Time) *edge.State {
	ago := time.Duration(1+d.IntN(60*24)) * time.Hour
	s := &edge.State{
		First: at.Add(-200 * 24 * time.Hour), Last: at, Started: at, PreviousLast: at.Add(-ago),
		Visits: uint32(1 + min(d.IntN(30), d.IntN(30))),
	}
	for i := range s.Visitor {
		s.Visitor[i] = byte(d.Uint32())
	}
	for range d.IntN(17) {
		name := "view_item"
		if d.chance(30) {
			name = d.one([]string{"view_item", "add_to_cart", "remove_from_cart", "purchase"})
		}
		s.Learn(name, at.Add(-ago), edge.ItemEvent{
			Item: d.sku(), Category: d.one(words.categories), Quantity: uint8(1 + d.IntN(3)), Price: float64(5 + d.IntN(150)),
		})
	}
	return s
}

// windows are those that conditions count in, sorted by key.
var windows = []edge.EventWindow{
	{Event: "add_to_cart", Days: 7}, {Event: "purchase", Days: 30}, {Event: "view_item", Days: 1}, {Event: "view_item", Days: 7},
}

func (d dice) counts() []edge.Entry {
	var out []edge.Entry
	for _, w := range windows {
		out = append(out, edge.Entry{Key: w.Key(), Value: float64(min(d.IntN(12), d.IntN(12))), Purpose: consent.Personalise})
	}
	return out
}
