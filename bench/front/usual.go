// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"

	"github.com/oschwald/geoip2-golang/v2"
	"golang.org/x/text/language"

	"github.com/nearside/nearside/bench/traffic"
)

// A usualReader finds out of a beacon and its headers what rules ask for, the way
// one writes it with the libraries that one takes: encoding/json, net/url,
// geoip2-golang, x/text. It does what the Lua script does and no more. It is safe
// for concurrent use.
type usualReader struct {
	places  *geoip2.Reader
	matcher language.Matcher
	names   []string

	mu    sync.RWMutex
	langs map[string]string // by the reader's languages, as matching takes long
}

// maxCachedLanguages bounds what clients can make the reader remember.
const maxCachedLanguages = 4096

func newUsualReader(countries string) (*usualReader, error) {
	places, err := geoip2.Open(countries)
	if err != nil {
		return nil, err
	}
	u := &usualReader{places: places, names: traffic.Languages, langs: map[string]string{}}
	var tags []language.Tag
	for _, name := range u.names {
		tags = append(tags, language.Make(name))
	}
	u.matcher = language.NewMatcher(tags)
	return u, nil
}

// A usualBeacon is the part of a beacon that is used.
type usualBeacon struct {
	V    int
	Site string
	Page struct {
		URL, Ref, Type, Category string
	}
	Consent struct {
		Purposes int
		Owner    struct{ Granted int }
	}
	Client struct{ Langs []string }
	Slots  []string
}

var errUsual = errors.New("not a beacon that is answered")

// read returns the context of a request and the slots that it asks for.
func (u *usualReader) read(r *http.Request) (map[string]any, []string, error) {
	var b usualBeacon
	if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
		return nil, nil, err
	}
	if b.V != 1 || b.Site != traffic.Site || r.Header.Get("Origin") != traffic.Origin {
		return nil, nil, errUsual
	}
	in := map[string]any{"visitor": ""}
	if b.Consent.Purposes&b.Consent.Owner.Granted&traffic.GrantsContext == 0 {
		return in, b.Slots, nil
	}
	page, err := url.Parse(b.Page.URL)
	if err != nil {
		return nil, nil, err
	}
	in["page_type"], in["page_category"], in["device_type"] = b.Page.Type, b.Page.Category, usualDevice(r.Header)
	if channel := usualChannel(b.Page.Ref, page.Hostname()); channel != "" {
		in["source_channel"] = channel
	}
	if lang := u.language(b.Client.Langs, r.Header.Get("Accept-Language")); lang != "" {
		in["lang"] = lang
	}
	if addr, err := netip.ParseAddr(r.Header.Get("X-Forwarded-For")); err == nil {
		if place, err := u.places.Country(addr); err == nil && place.Country.ISOCode != "" {
			in["geo_country"] = place.Country.ISOCode
		}
	}
	return in, b.Slots, nil
}

func (u *usualReader) language(langs []string, accept string) string {
	key := strings.Join(langs, ",") + ";" + accept
	u.mu.RLock()
	name, ok := u.langs[key]
	u.mu.RUnlock()
	if ok {
		return name
	}
	var tags []language.Tag
	for _, l := range langs {
		tags = append(tags, language.Make(l))
	}
	accepted, _, err := language.ParseAcceptLanguage(accept)
	if err == nil {
		tags = append(tags, accepted...)
	}
	if _, at, confidence := u.matcher.Match(tags...); confidence > language.No {
		name = u.names[at]
	}
	u.mu.Lock()
	if len(u.langs) < maxCachedLanguages {
		u.langs[key] = name
	}
	u.mu.Unlock()
	return name
}

// usualDevice reads the hints, else words of the User-Agent.
func usualDevice(h http.Header) string {
	agent := h.Get("User-Agent")
	has := func(word string) bool { return strings.Contains(agent, word) }
	switch mobile := h.Get("Sec-CH-UA-Mobile"); {
	case mobile == "?1":
		return "phone"
	case mobile == "?0" && h.Get("Sec-CH-UA-Platform") == `"Android"`:
		return "tablet"
	case mobile == "?0":
		return "desktop"
	case has("iPhone"):
		return "phone"
	case has("iPad"):
		return "tablet"
	case has("Android") && has("Mobile"):
		return "phone"
	case has("Android"):
		return "tablet"
	case has("Windows NT"), has("Macintosh"), has("X11"):
		return "desktop"
	}
	return "other"
}

// usualChannels are the referring sites that are known.
var usualChannels = map[string]string{
	"google.com": "search", "bing.com": "search", "duckduckgo.com": "search",
	"facebook.com": "social", "instagram.com": "social", "reddit.com": "social",
}

func usualChannel(ref, own string) string {
	from, err := url.Parse(ref)
	if err != nil || from.Hostname() == "" {
		return "direct"
	}
	host := from.Hostname()
	if host == own {
		return ""
	}
	for name := host; name != ""; _, name, _ = strings.Cut(name, ".") {
		if channel, ok := usualChannels[name]; ok {
			return channel
		}
	}
	return "referral"
}

// A usualDecision is a slot's answer.
type usualDecision struct {
	Slot    string          `json:"slot"`
	Variant string          `json:"variant"`
	Kind    string          `json:"kind"`
	Reason  string          `json:"reason"`
	Content json.RawMessage `json:"content,omitempty"`
}

// usualAnswer writes variants with their contents, which were made beforehand.
func usualAnswer(slots []string, variants map[string]any, contents map[string]json.RawMessage) ([]byte, error) {
	out := struct {
		V         int             `json:"v"`
		Granted   int             `json:"granted"`
		Decisions []usualDecision `json:"decisions"`
	}{V: 1, Granted: traffic.GrantsContext}
	for _, slot := range slots {
		variant, ok := variants[slot].(string)
		if !ok {
			return nil, fmt.Errorf("no answer for %s", slot)
		}
		d := usualDecision{Slot: slot, Variant: variant, Kind: "json", Reason: "rule", Content: contents[variant]}
		if variant == "" {
			d.Kind, d.Reason = "default", "no-answer"
		}
		out.Decisions = append(out.Decisions, d)
	}
	return json.Marshal(out)
}
