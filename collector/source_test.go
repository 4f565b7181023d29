// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

func TestSplitAddress(t *testing.T) {
	tests := []struct {
		name, give string
		want       address
		ok         bool
	}{
		{"with everything", "https://shop.example/hats/?a=1&b=2#top", address{"https://shop.example", "shop.example", "/hats/", "a=1&b=2"}, true},
		{"with a port", "http://127.0.0.1:8080/x", address{"http://127.0.0.1:8080", "127.0.0.1", "/x", ""}, true},
		{"without a path", "https://shop.example", address{"https://shop.example", "shop.example", "/", ""}, true},
		{"with a query and no path", "https://shop.example?a", address{"https://shop.example", "shop.example", "/", "a"}, true},
		{"a question mark in the fragment", "https://shop.example/#/a?b", address{"https://shop.example", "shop.example", "/", ""}, true},
		{"an IPv6 host", "http://[2001:db8::1]:81/a", address{"http://[2001:db8::1]:81", "[2001:db8::1]", "/a", ""}, true},
		{"an international host", "https://xn--e1afmkfd.xn--p1ai/", address{"https://xn--e1afmkfd.xn--p1ai", "xn--e1afmkfd.xn--p1ai", "/", ""}, true},
		{"percent signs stay", "https://shop.example/%D0%B0%2F/b", address{"https://shop.example", "shop.example", "/%D0%B0%2F/b", ""}, true},
		{name: "another scheme", give: "ftp://shop.example/"},
		{name: "a script", give: "javascript:alert(1)"},
		{name: "a relative address", give: "/hats"},
		{name: "no host", give: "https:///hats"},
		{name: "a user name", give: "https://me@shop.example/"},
		{name: "a password", give: "https://me:secret@shop.example/"},
		{name: "capitals in the host", give: "https://Shop.example/"},
		{name: "a space in the host", give: "https://shop example/"},
		{name: "a space in the path", give: "https://shop.example/a b"},
		{name: "a control character", give: "https://shop.example/a\x7f"},
		{name: "a port that is no number", give: "https://shop.example:x/"},
		{name: "two ports", give: "https://shop.example:1:2/"},
		{name: "an IPv6 host without brackets", give: "https://2001:db8::1/"},
		{name: "nothing", give: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := splitAddress(tt.give); got != tt.want || ok != tt.ok {
				t.Errorf("got %+v, %v, want %+v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestSource(t *testing.T) {
	search := edge.Ref{Host: "www.google.com", Class: "search"}
	direct := edge.Ref{Class: "direct"}
	tests := []struct {
		name, query, ref string
		wantRef          edge.Ref
		want             edge.Source
	}{
		{"nothing is a direct visit", "", "", direct, edge.Source{Channel: "direct"}},
		{"a search engine", "", "https://www.google.com/", search, edge.Source{Channel: "search"}},
		{"a page of the site itself", "", "https://shop.example/", edge.Ref{Host: "shop.example", Class: "internal"}, edge.Source{}},
		{"a page nobody knows", "", "https://blog.example/post", edge.Ref{Host: "blog.example", Class: "referral"}, edge.Source{Channel: "referral"}},
		{"campaign parameters", "utm_source=news&utm_medium=email&utm_campaign=autumn&utm_term=felt&utm_content=top", "", direct,
			edge.Source{Channel: "mail", Campaign: "autumn", UTM: edge.UTM{Source: "news", Medium: "email", Campaign: "autumn", Term: "felt", Content: "top"}}},
		{"the medium says more than the referrer", "utm_medium=cpc", "https://www.google.com/", search, edge.Source{Channel: "ads", UTM: edge.UTM{Medium: "cpc"}}},
		{"capitals and dashes do not matter", "utm_medium=Paid-Social", "", direct, edge.Source{Channel: "ads", UTM: edge.UTM{Medium: "Paid-Social"}}},
		{"a medium nobody knows", "utm_medium=carrier-pigeon", "https://www.google.com/", search, edge.Source{Channel: "search", UTM: edge.UTM{Medium: "carrier-pigeon"}}},
		{"a paid click", "gclid=Cj0K", "https://www.google.com/", search, edge.Source{Channel: "ads", ClickID: "gclid=Cj0K"}},
		{"a click on Facebook need not be paid for", "fbclid=IwAR", "https://l.facebook.com/", edge.Ref{Host: "l.facebook.com", Class: "social"}, edge.Source{Channel: "social", ClickID: "fbclid=IwAR"}},
		{"the first click id counts", "a=b&msclkid=1&gclid=2", "", direct, edge.Source{Channel: "ads", ClickID: "msclkid=1"}},
		{"the first of a parameter that stands twice counts", "utm_source=&utm_source=a&utm_source=b", "", direct, edge.Source{Channel: "direct", UTM: edge.UTM{Source: "a"}}},
		{"values are decoded", "utm_campaign=%D0%9E%D1%81%D0%B5%D0%BD%D1%8C+2026&utm_term=a%2bb%zz%4", "", direct,
			edge.Source{Channel: "direct", Campaign: "Осень 2026", UTM: edge.UTM{Campaign: "Осень 2026", Term: "a+b%zz%4"}}},
		{"what is no text is left out", "utm_source=%ff%fe&utm_medium=a%00b&utm_term=ok", "", direct, edge.Source{Channel: "direct", UTM: edge.UTM{Term: "ok"}}},
		{"what is too long is left out", "utm_source=" + strings.Repeat("a", 257) + "&gclid=" + strings.Repeat("a", 257), "", direct, edge.Source{Channel: "direct"}},
		{"other parameters are nobody's business", "q=secret&email=a@b.example&utm_sources=x&xgclid=1", "", direct, edge.Source{Channel: "direct"}},
		{"a mail program's app", "", "android-app://com.google.android.gm/", edge.Ref{Host: "com.google.android.gm", Class: "mail"}, edge.Source{Channel: "mail"}},
		{"a referrer that is no web page", "", "chrome-extension://abcdef/", direct, edge.Source{Channel: "direct"}},
	}
	known := newReferrers()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			page, ok := splitAddress("https://shop.example/hats?" + tt.query)
			if !ok {
				t.Fatal("the page's address is refused")
			}
			ref, source, _ := known.readSource(page, tt.ref, nil)
			source.Channel = source.ChannelFor(consent.All)
			source.MediumChannel, source.ClickChannel = "", ""
			if ref != tt.wantRef || source != tt.want {
				t.Errorf("got %+v %+v, want %+v %+v", ref, source, tt.wantRef, tt.want)
			}
		})
	}
}

func FuzzSource(f *testing.F) {
	known := newReferrers()
	f.Add("https://shop.example/hats?utm_source=a%20b&gclid=1#x", "https://www.google.com/")
	f.Add("https://[::1]:80?%&=&utm_term=%", "http://a.b.c.d.e:9")
	f.Fuzz(func(t *testing.T, raw, ref string) {
		page, ok := splitAddress(raw)
		if !ok {
			return
		}
		if !strings.HasPrefix(raw, page.origin) || page.host == "" || strings.ContainsAny(page.path, "?# ") || page.path[0] != '/' {
			t.Errorf("%q gives %+v", raw, page)
		}
		if _, authority, _ := strings.Cut(page.origin, "://"); page.host != hostOf(authority) {
			t.Errorf("the host of %q is %q", raw, page.host)
		}
		from, source, _ := known.readSource(page, ref, nil)
		if from.Class == "" || len(source.ClickID) > edge.MaxWordBytes {
			t.Errorf("%q from %q gives %+v %+v", raw, ref, from, source)
		}
		for _, value := range []string{source.UTM.Source, source.UTM.Medium, source.UTM.Campaign, source.UTM.Term, source.UTM.Content} {
			if len(value) > edge.MaxWordBytes || strings.ToValidUTF8(value, "") != value {
				t.Errorf("value %q", value)
			}
		}
	})
}

func TestPreviewToken(t *testing.T) {
	for query, want := range map[string]string{
		"":                                  "",
		"near_preview=AQAB":                 "AQAB",
		"utm_source=a&near_preview=AQAB&b=": "AQAB",
		"near_preview":                      "",
		"xnear_preview=AQAB":                "",
		"near_previews=AQAB":                "",
	} {
		if got := previewToken(query); got != want {
			t.Errorf("previewToken(%q) = %q, want %q", query, got, want)
		}
	}
}
