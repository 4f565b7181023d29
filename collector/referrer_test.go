// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strings"
	"testing"
)

func TestReferrerClasses(t *testing.T) {
	known := newReferrers()
	for class, hosts := range map[string]string{
		"search": "www.google.com google.fr www.google.co.uk google.com.br www.bing.com cn.bing.com duckduckgo.com html.duckduckgo.com " +
			"yandex.ru m.baidu.com fr.search.yahoo.com search.yahoo.co.jp www.ecosia.org search.brave.com kagi.com www.startpage.com " +
			"m.search.naver.com www.qwant.com news.google.com images.google.de go.mail.ru www.ask.com",
		"mail": "mail.google.com outlook.live.com us.mail.yahoo.com e.mail.ru outlook.office.com mail.proton.me webmail.free.fr " +
			"mail.yandex.ru poczta.onet.pl deref-gmx.net",
		"social": "l.facebook.com m.facebook.com t.co www.linkedin.com old.reddit.com www.pinterest.fr x.com www.tiktok.com youtu.be " +
			"web.telegram.org t.me lnkd.in bsky.app mastodon.social www.youtube.com my.mail.ru",
		"referral": "google.evil.example notgoogle.com google facebook.com.evil.example docs.example www.shop.example netflix.com " +
			// below a search engine's name lies more than its search
			"docs.google.com maps.google.com classroom.google.com translate.google.com maps.yandex.ru finance.yahoo.com " +
			// assistants that answer in place of a search engine, and a shop
			"gemini.google.com chatgpt.com chat.openai.com www.perplexity.ai claude.ai copilot.microsoft.com www.amazon.com",
		"internal": "shop.example",
	} {
		for host := range strings.FieldsSeq(hosts) {
			if got := known.classify("https://"+host+"/", "shop.example"); got.Class != class || got.Host != host {
				t.Errorf("%s is %+v, want %s", host, got, class)
			}
		}
	}
}

func TestReferrersThatAreNoPages(t *testing.T) {
	known := newReferrers()
	for ref, want := range map[string]string{
		"":                                     "direct",
		"about:blank":                          "direct",
		"null/":                                "direct",
		"ftp://mail.google.com/":               "direct",
		"android-app://":                       "direct",
		"android-app://a b/":                   "direct",
		"android-app://com.google.android.gm/": "mail",
		"android-app://com.google.android.gm/https/mail.google.com/": "mail",
		"android-app://com.google.android.googlequicksearchbox/":     "search",
		"android-app://com.facebook.katana":                          "social",
		"android-app://com.Slack/":                                   "referral",
		"android-app://" + strings.Repeat("a", maxHostBytes+1):       "direct",
	} {
		if got := known.classify(ref, "shop.example"); got.Class != want {
			t.Errorf("%q is %+v, want %s", ref, got, want)
		}
	}
}

// TestReferrerTable checks the generated table: every line is read, and every
// host in it has the class that the table says.
func TestReferrerTable(t *testing.T) {
	known := newReferrers()
	below, exact := 0, 0
	for host, is := range known.hosts {
		for _, class := range []string{is.below, is.exact} {
			if class == "" {
				continue
			}
			if class != classSearch && class != classSocial && class != classMail && class != classReferral {
				t.Errorf("%s has the class %q", host, class)
			}
			if got := known.class(host); got != class {
				t.Errorf("%s is %s, the table says %s", host, got, class)
			}
		}
		if is.below != "" {
			below++
		}
		if is.exact != "" {
			exact++
		}
		if hostOf(host) != host {
			t.Errorf("%q is no host", host)
		}
	}
	if below < 800 || exact < 250 {
		t.Fatalf("the table has %d and %d hosts", below, exact)
	}
}

func TestReferrerAllocs(t *testing.T) {
	known := newReferrers()
	for _, ref := range []string{"https://www.google.com/", "https://a.b.c.d.example/", "android-app://com.google.android.gm/", ""} {
		if n := testing.AllocsPerRun(100, func() { known.classify(ref, "shop.example") }); n > 0 {
			t.Errorf("%q costs %v allocations", ref, n)
		}
	}
}

func FuzzReferrer(f *testing.F) {
	for _, ref := range []string{"https://www.google.com/", "android-app://com.whatsapp/", "http://[::1]:80/", "https://" + strings.Repeat("a.", 200) + "fr/"} {
		f.Add(ref, "shop.example")
	}
	known := newReferrers()
	f.Fuzz(func(t *testing.T, ref, page string) {
		got := known.classify(ref, page)
		switch got.Class {
		case classSearch, classSocial, classMail, classReferral:
			if got.Host == "" || !strings.Contains(ref, got.Host) {
				t.Errorf("%q gives %+v", ref, got)
			}
		case classInternal:
			if got.Host != page {
				t.Errorf("%q from a page of %q gives %+v", ref, page, got)
			}
		case classDirect:
			if got.Host != "" {
				t.Errorf("%q gives %+v", ref, got)
			}
		default:
			t.Errorf("%q has the class %q", ref, got.Class)
		}
	})
}
