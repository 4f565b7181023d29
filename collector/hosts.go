// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"strings"

	"github.com/nearside/nearside/edge"
)

// The classes of a referring page. All but classInternal are channels too.
const (
	classSearch   = channelSearch
	classSocial   = channelSocial
	classMail     = channelMail
	classReferral = channelReferral
	classDirect   = channelDirect
	classInternal = "internal"
)

// hostClass gives the class of well-known hosts and of the hosts below them. A
// longer name goes before a shorter one.
func hostClass(host string) string {
	switch host {
	case "mail.google.com", "outlook.live.com", "outlook.office.com", "outlook.office365.com", "mail.yahoo.com",
		"mail.yandex.ru", "mail.yandex.com", "e.mail.ru", "mail.proton.me", "mail.aol.com", "mail.qq.com", "mail.163.com",
		"mail.126.com", "mail.naver.com", "mail.zoho.com", "app.fastmail.com", "webmail.free.fr", "mail.orange.fr":
		return classMail
	case "search.brave.com", "duckduckgo.com", "ecosia.org", "qwant.com", "startpage.com", "baidu.com", "sogou.com",
		"so.com", "sm.cn", "search.naver.com", "seznam.cz", "search.yahoo.com", "search.yahoo.co.jp", "ya.ru",
		"kagi.com", "mojeek.com", "search.aol.com", "ask.com", "swisscows.com", "lite.duckduckgo.com", "go.mail.ru",
		"coccoc.com", "searx.be", "petalsearch.com":
		return classSearch
	case "facebook.com", "fb.me", "instagram.com", "t.co", "twitter.com", "x.com", "linkedin.com", "lnkd.in",
		"pinterest.com", "pin.it", "reddit.com", "redd.it", "tiktok.com", "youtube.com", "youtu.be", "vk.com", "vk.ru",
		"ok.ru", "weibo.com", "weibo.cn", "threads.net", "threads.com", "bsky.app", "mastodon.social", "snapchat.com",
		"whatsapp.com", "wa.me", "t.me", "telegram.org", "discord.com", "tumblr.com", "quora.com", "xing.com", "line.me",
		"zhihu.com", "douyin.com", "douban.com", "xiaohongshu.com", "news.ycombinator.com", "messenger.com", "twitch.tv":
		return classSocial
	}
	name, rest, _ := strings.Cut(host, ".")
	switch name {
	case "google", "bing", "yandex", "yahoo":
		if isCountryDomain(rest) {
			return classSearch
		}
	case "pinterest":
		if isCountryDomain(rest) {
			return classSocial
		}
	}
	return ""
}

// isCountryDomain reports whether a name is one under which a company has its
// national sites: com, fr, co.uk, com.br.
func isCountryDomain(name string) bool {
	if second, country, ok := strings.Cut(name, "."); ok {
		return len(country) == 2 && (second == "co" || second == "com")
	}
	return name == "com" || len(name) == 2
}

// classify reduces a referring page to its host and class. No referring page
// and one that is no web address are a direct visit.
func classify(ref, pageHost string) edge.Ref {
	from, ok := splitAddress(ref)
	if !ok {
		return edge.Ref{Class: classDirect}
	}
	if from.host == pageHost {
		return edge.Ref{Host: from.host, Class: classInternal}
	}
	for name := from.host; name != ""; {
		if class := hostClass(name); class != "" {
			return edge.Ref{Host: from.host, Class: class}
		}
		_, name, _ = strings.Cut(name, ".")
	}
	return edge.Ref{Host: from.host, Class: classReferral}
}
