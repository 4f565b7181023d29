// SPDX-License-Identifier: Apache-2.0

package main

// A correction says what the list does not, or says otherwise than it.
type correction struct{ class, hosts string }

// corrections are ours, each group with its reason.
var corrections = [...]correction{
	// A shop and what else has a search box of its own is not a search engine:
	// whoever comes from there did not search the web.
	{"referral", "amazon.com amazon.co.uk amazon.de alexa.com digg.com friendfeed.com marktplaats.nl kununu.com softonic.com pricerunner.co.uk " +
		"cnn.com msnbc.msn.com icq.com technorati.com charter.net"},
	// What was a network there is a sign-in page today.
	{"referral", "login.live.com"},
	// Engines that are younger than the list's main part.
	{"search", "search.brave.com kagi.com mojeek.com swisscows.com presearch.com petalsearch.com coccoc.com searx.be metager.org " +
		"lilo.org ya.ru sm.cn so.com so.360.cn yep.com search.marginalia.nu stract.com ghostery.com startpage.com qwant.com ecosia.org " +
		"duckduckgo.com search.seznam.cz seznam.cz"},
	// Networks and messengers that are younger, or known by more names. A link in
	// a messenger was passed on by somebody, as in a network.
	{"social", "threads.net threads.com messenger.com tiktok.com snapchat.com whatsapp.com wa.me telegram.org telegram.me t.me discord.com " +
		"discord.gg twitch.tv pin.it redd.it vk.ru weibo.cn zhihu.com douyin.com xiaohongshu.com line.me lemmy.world mastodon.online " +
		"truthsocial.com gab.com livejournal.com last.fm dribbble.com behance.net v2ex.com nextdoor.com bereal.com tumblr.com slideshare.net medium.com"},
	// Pinterest has national sites.
	{"social", "pinterest.at pinterest.ca pinterest.ch pinterest.cl pinterest.co.kr pinterest.co.uk pinterest.com.au pinterest.com.mx " +
		"pinterest.de pinterest.dk pinterest.es pinterest.fr pinterest.ie pinterest.it pinterest.jp pinterest.nz pinterest.ph pinterest.pt " +
		"pinterest.ru pinterest.se"},
	// Webmail that the list does not have.
	{"mail", "outlook.office.com outlook.office365.com outlook.cloud.microsoft mail.proton.me mail.protonmail.com app.fastmail.com " +
		"webmail.free.fr mail.orange.fr mail.zoho.eu mail.zoho.in app.tuta.com mail.tutanota.com mail.gmx.net navigator.gmx.net mail.gmx.com " +
		"navigator.web.de mail.web.de mailbox.org mail.icloud.com deref-gmx.net deref-web.de deref-mail.com mail.hey.com app.hey.com " +
		"mail.libero.it mail.virgilio.it poczta.wp.pl poczta.onet.pl poczta.o2.pl poczta.interia.pl mail.uol.com.br mail.bol.uol.com.br " +
		"mail.terra.com.br webmail.laposte.net mail.sfr.fr mail.ukr.net"},
	// Android apps, whose referrer names their package (android-app://package/).
	{"search", "com.google.android.googlequicksearchbox com.google.android.apps.searchlite com.microsoft.bing ru.yandex.searchplugin"},
	{"mail", "com.google.android.gm com.google.android.gm.lite com.microsoft.office.outlook com.yahoo.mobile.client.android.mail " +
		"com.samsung.android.email.provider ch.protonmail.android com.fastmail.app ru.mail.mailapp ru.yandex.mail com.aol.mobile.aolapp"},
	{"social", "com.facebook.katana com.facebook.lite com.facebook.orca com.instagram.android com.instagram.barcelona com.pinterest " +
		"com.linkedin.android com.twitter.android com.reddit.frontpage com.zhiliaoapp.musically com.ss.android.ugc.trill com.snapchat.android " +
		"com.whatsapp org.telegram.messenger com.vkontakte.android ru.ok.android com.google.android.youtube jp.naver.line.android com.tumblr " +
		"com.discord xyz.blueskyweb.app"},
}

// notCrawlers are patterns of the list that people's browsers match too. An
// example that only they recognise is no crawler to us.
var notCrawlers = map[string]bool{
	`AP3A\.240617\.008`: true, // a build of Android 15 that phones of several makers run
	`MetaIAB Facebook`:  true, // Facebook's browser inside of its app
	`Fluid`:             true, // a browser for single sites on a Mac
	`Sogou`:             true, // also a browser; the crawlers of that name say spider
}
