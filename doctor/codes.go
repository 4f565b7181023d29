// SPDX-License-Identifier: Apache-2.0

package doctor

// A Group is what a finding is about.
type Group string

// groups in the order of a report.
var groups = []Group{"page", "tag", "csp", "origin", "consent", "slots", "requests"}

// A Kind is a finding that can be made. docs/DOCTOR.md is held to the table of them.
type Kind struct {
	Code  string
	Group Group
	Level Level
	// Means is what the finding says, in a sentence for the page of documentation.
	Means string
	// Next is the next step. Places in braces are filled with what was seen.
	Next string
}

// Kinds returns every finding that there is, in the order of the groups. The caller
// owns the slice.
func Kinds() []Kind {
	var all []Kind
	for _, list := range tables {
		all = append(all, list...)
	}
	return all
}

var tables = [][]Kind{pageKinds, tagKinds, cspKinds, originKinds, consentKinds, slotKinds, requestKinds}

// kindOf returns the kind of a code. A code without a row is a mistake in this
// package.
func kindOf(code string) Kind {
	for _, list := range tables {
		for _, k := range list {
			if k.Code == code {
				return k
			}
		}
	}
	panic("doctor: no finding is called " + code)
}

var pageKinds = []Kind{
	{"page-opened", "page", OK, "The page answered.", ""},
	{"page-unreachable", "page", Error, "There was no page: no answer, a broken connection, a certificate that does not hold, too many redirects.", "Open {url} in a browser of your own; a page that only some may see needs its user and password in the address."},
	{"page-status", "page", Error, "The page answered with an error. What is on it was looked at all the same.", "Give the address of a page that answers 200."},
	{"page-not-html", "page", Error, "The address is something else than a page.", "Give the address of an HTML page."},
	{"page-download", "page", Error, "The address is a file that browsers save and do not show.", "Give the address of an HTML page, without Content-Disposition: attachment."},
	{"page-redirected", "page", Note, "The address leads to another one.", "Ask about the last address to be sure of which page this is."},
	{"page-left", "page", Warning, "A script or a refresh of the page went on to another one. The findings are of the last.", "Ask about the page that is meant to stay."},
	{"page-loops", "page", Error, "The page goes on by itself without end, and was stopped.", "Take away the script or refresh that leaves the page."},
	{"page-too-large", "page", Warning, "The page, or all that it loads, is larger than what the doctor reads (5 MB of HTML without a browser; 64 MB of HTML and 256 MB in all with one).", "Put the tag into the <head>, where it is read first."},
	{"page-slow", "page", Warning, "The page was not loaded in time. The findings are of what was there by then.", "See which request keeps the page loading, or give more time with --timeout."},
	{"page-stuck", "page", Error, "The page's scripts kept the browser busy until the time was over, or it would not stop loading, so its HTML was read instead.", "Find the script that does not end in the browser's tools, or take scripts out until the page answers."},
	{"page-dialogs", "page", Note, "The page opened dialogs (alert, confirm, prompt), which stop its scripts. Each was dismissed.", "Nothing, if they are meant."},
	{"page-read", "page", Note, "Only the page's HTML was read: there is no browser, it was not wanted, or it could not look into the page.", "Where there is no browser, install Chromium or name one with --browser PATH, to see the rest."},
	{"browser-failed", "page", Warning, "The browser could not be started, so the page was read without one.", "Start the browser by hand to see why. In a container without user namespaces its sandbox cannot start. --browser none reads the page alone."},
}

var tagKinds = []Kind{
	{"tag-found", "tag", OK, "The script element is there and holds up nothing.", ""},
	{"tag-missing", "tag", Error, "No script element of the page is the tag: none has data-site, and none loads a tag.js.", `Put the snippet that nearside site add printed into the page's <head>; its last line is <script async src="{src}" data-site="SITE"></script>`},
	{"tag-twice", "tag", Warning, "The tag is on the page more than once. The first copy that comes works, the others stop with an error.", "Leave one of them, mostly that in the page's template, and take the other out of the tag manager."},
	{"tag-without-src", "tag", Error, "The tag has no address, or one that is not http or https. It finds the node by its own address, so it cannot be inline.", `Load it by its address: <script async src="/_near/tag.js" data-site="{site}"></script>`},
	{"tag-type", "tag", Error, "The script element is not a classic script: a module has no element to read its settings from, and another type does not run (some tools that delay scripts rewrite it).", `Take the type away, and exempt the element from tools that rewrite it: <script async src="{src}" data-site="{site}"></script>`},
	{"tag-not-async", "tag", Warning, "The page waits for the file before it goes on.", `Add async: <script async src="{src}" data-site="{site}"></script>`},
	{"site-missing", "tag", Error, "The script element names no site, so the node refuses everything.", `Add data-site, with the ID that nearside site add was given: <script async src="{src}" data-site="SITE"></script>`},
	{"site-invalid", "tag", Error, "What stands in data-site cannot be a site's id: words of a-z and 0-9 joined by dashes.", "Write the ID that nearside site add was given into data-site."},
	{"policy-unknown", "tag", Warning, "data-policy is none of strict, uk and us-optout. It counts as strict.", `Write data-policy="strict", "uk" or "us-optout", or leave it out for strict.`},
	{"wait-invalid", "tag", Warning, "data-wait is no number of milliseconds.", `Write a number, like data-wait="1000", or leave it out for 500.`},
	{"attribute-misspelt", "tag", Warning, "An attribute of the script element looks like one of the tag's and is none.", "Write {near} in place of {name}."},
	{"tag-unreachable", "tag", Error, "There was no answer at the tag's address.", "Start the node, and pass {base} on to it: docs/SITE.md, “Where the node stands”."},
	{"tag-status", "tag", Error, "The tag's address answers with an error.", "Pass {base} on to the node, with its whole path: docs/SITE.md, “Where the node stands”."},
	{"tag-file-type", "tag", Error, "The tag's address gives out something that is no script, mostly the site's own page for what it does not know.", "Pass {base} on to the node before the site's catch-all: docs/SITE.md, “Where the node stands”."},
	{"tag-build", "tag", OK, "The file is a tag of the version that nearside doctor is of.", ""},
	{"tag-other-build", "tag", Note, "The file is a tag of another version than nearside doctor.", "Nothing, if the node is of another version; else clear the cache in front of {src}."},
	{"tag-other-file", "tag", Error, "The file is a script, and not the tag.", "Correct the address: the node gives the tag out at {base}tag.js if its http.prefix is that path."},
	{"integrity-holds", "tag", OK, "The file has the hash that the page demands.", ""},
	{"integrity-mismatch", "tag", Error, "The file has another hash than the page demands, so browsers do not run it. A node of another version has another file.", "Write the new hash into integrity, or leave the attribute out: then the tag is updated without the page."},
	{"integrity-without-cors", "tag", Error, "A script of another origin can be checked only if it is asked for with CORS. Browsers do not run it.", `Add crossorigin="anonymous" to the script element.`},
	{"stub-found", "tag", OK, "Calls of near(…) before the tag has come are kept.", ""},
	{"stub-missing", "tag", Warning, "An inline script calls near(…), and nothing keeps the call until the tag has come: it throws an error if it is made before.", "Put this before the first call: <script>window.near=window.near||function(){(near.q=near.q||[]).push(arguments)}</script>"},
	{"stub-late", "tag", Warning, "The queue for early calls is made after an inline script that calls near(…).", "Move <script>window.near=window.near||function(){(near.q=near.q||[]).push(arguments)}</script> before the first call of near(…)."},
	{"stub-absent", "tag", Note, "Nothing keeps calls of near(…) before the tag has come. No inline script needs it; one in a file may.", "Put this before the tag: <script>window.near=window.near||function(){(near.q=near.q||[]).push(arguments)}</script>"},
	{"tag-runs", "tag", OK, "The tag started in the browser.", ""},
	{"tag-does-not-run", "tag", Error, "The tag did not start in the browser.", "Follow the other findings about the tag and the policy; the browser's console says the rest."},
}

var cspKinds = []Kind{
	{"csp-none", "csp", OK, "No policy limits the page.", ""},
	{"csp-allows", "csp", OK, "What the tag needs is allowed by every policy that is enforced.", ""},
	{"csp-blocks-tag", "csp", Error, "A policy forbids the tag's file.", "Add the page's nonce to the script element, or {src} to {directive}."},
	{"csp-blocks-requests", "csp", Error, "A policy forbids the tag's requests to the node.", "Add {base} to connect-src."},
	{"csp-blocks-stub", "csp", Warning, "A policy forbids the inline script that queues calls.", "Add the page's nonce to it: <script nonce=…>, or its hash to {directive}."},
	{"csp-blocks-style", "csp", Warning, "A policy forbids the style that hides slots until they are filled.", "Add the page's nonce to it: <style nonce=…>, or move its rules to a file of the page's styles."},
	{"csp-sandbox", "csp", Error, "The policy's sandbox takes away the page's origin, and the node refuses a page without one.", "Add allow-same-origin and allow-scripts to sandbox."},
	{"csp-trusted-types", "csp", OK, "The page requires Trusted Types. The tag works under them.", ""},
	{"csp-report-only", "csp", Note, "A policy that only reports stands against the tag. Nothing is blocked as long as it only reports.", "Add {src} to script-src and {base} to connect-src before the policy is enforced."},
	{"csp-violations", "csp", Note, "The browser blocked things on the page. Those of the tag are findings of their own.", "Look at the browser's console."},
}

var originKinds = []Kind{
	{"node-own-origin", "origin", OK, "The node is behind a path of the page's own origin.", ""},
	{"node-other-origin", "origin", Note, "The node is on another origin: no cookie is used, and under storage the state is in localStorage, which some browsers empty after a week.", "Better put the node behind a path of {origin}: docs/SITE.md, “Where the node stands”."},
	{"origin-null", "origin", Error, "The page has no origin of its own, and the node refuses it.", "Serve the page without sandbox, or with allow-same-origin."},
	{"mixed-content", "origin", Error, "A page with TLS may not load a script without it.", "Write https into the tag's src."},
	{"page-insecure", "origin", Warning, "Without TLS browsers do not keep the node's cookie, and whoever is on the way reads and changes everything.", "Serve the page by https."},
	{"node-answers", "origin", OK, "A node answers below the prefix.", ""},
	{"node-unreachable", "origin", Error, "Nothing answers at the node's address.", "Start the node (nearside serve), and pass {base} on to it: docs/SITE.md, “Where the node stands”."},
	{"node-not-there", "origin", Error, "Something else than a node answers at its address.", "Pass {base} on to the node with its whole path, which must be its http.prefix: docs/SITE.md, “Where the node stands”."},
	{"node-health-hidden", "origin", Note, "A node takes beacons, and its health is not passed on.", "Nothing, if it is meant; a check of health from outside needs {base}healthz."},
	{"node-takes-beacons", "origin", OK, "The node knows the site and allows the page's origin.", ""},
	{"site-unknown", "origin", Error, "The node has no site of that name.", "Correct data-site, or add the site: nearside site add {site} --origin {origin}"},
	{"origin-not-allowed", "origin", Error, "The site does not allow pages of this origin.", "Add {origin} to settings.origins: nearside export --site {site} DIR, edit DIR/site.yaml, nearside apply DIR"},
	{"origin-rewritten", "origin", Error, "The node compares the page's address with the Origin header, and they differ.", "Leave the Origin header as it comes in the proxy in front of the node."},
	{"beacon-refused", "origin", Error, "The node refused a beacon as this page would send it. The code is the node's.", "The message says what is wrong; too_many_requests goes away by itself (docs/OPERATING.md, “Limits”)."},
	{"beacon-not-passed", "origin", Error, "Something in front of the node refuses POST.", "Let POST through to {base}v1/ in the proxy, CDN or firewall."},
	{"beacon-failed", "origin", Error, "A beacon got no answer that a node gives.", "Look at the node's log, and at what stands in front of it."},
}

var consentKinds = []Kind{
	{"consent-sources", "consent", OK, "These speak of consent on the page.", ""},
	{"consent-granted", "consent", OK, "Consent was answered, and these purposes are granted.", ""},
	{"consent-nobody", "consent", Warning, "Nobody has answered for consent, so the tag sends nothing. So it should be for a new visitor before a prompt is answered, and the doctor is always new and answers no prompt.", "If the visitor's answer is not passed on yet, do it where your prompt has it: near('consent', {context: true, measure: true}). docs/SITE.md, “The page”."},
	{"consent-unresolved", "consent", Warning, "A consent platform has the word and has not granted anything. It may wait for the visitor, whom the doctor does not play.", "Answer the platform's dialogue in a browser of your own and look at near('get', console.log); docs/SITE.md, “The page”, says what is read of {authority}."},
	{"consent-no-context", "consent", Note, "Consent was answered and context is refused, so no slot is asked for.", "Nothing, if that is the answer; else grant it: near('consent', {context: true})."},
	{"consent-narrowed", "consent", Note, "The node granted less than the tag claimed: it knows the region and the site's settings.", "Nothing, if that is the law there; settings.consent of the site says what it opens."},
	{"consent-ask", "consent", Note, "data-ask is set: slots are asked for before consent is answered, without identifiers.", "Take data-ask away if the site's owner has not decided so."},
	{"consent-signs", "consent", Note, "The page's HTML speaks of consent. Whether it answers can only be seen in a browser.", "Install Chromium, or name one with --browser PATH."},
	{"consent-unseen", "consent", Note, "Nothing in the page's HTML speaks of consent.", "Where no script in a file does it, add it where your prompt has the answer: near('consent', {context: true, measure: true}). docs/SITE.md, “The page”."},
}

var slotKinds = []Kind{
	{"slots-none", "slots", Warning, "There is no slot in the page. Those in shadow trees are not found, by the tag neither.", `Put one where content is to adapt: <near-slot name="hero">The page's own content</near-slot>`},
	{"style-missing", "slots", Note, "The snippet's style is not there: a slot in view keeps the page's own content unless the visitor's own act asked for the change.", "Put the snippet's <style> into the <head>, if slots in view are to be filled: docs/SITE.md, “The page”."},
	{"slot-name", "slots", Error, "The name has something else than a-z, 0-9 and -, or it is empty or longer than 64. The page's own content stays there.", `Name it like <near-slot name="hero">.`},
	{"slot-known", "slots", OK, "The live release has the slot.", ""},
	{"slot-unknown", "slots", Error, "The live release of the site has no slot of that name.", "Correct the name, or add the slot: nearside export --site {site} DIR, add {slot} under slots, nearside apply DIR"},
	{"slot-repeated", "slots", Note, "Several elements have the name. They share one answer, and it counts once.", "Nothing, if they are meant to show the same; else give each a name."},
	{"slot-repeated-differs", "slots", Warning, "Several elements of one name ask for different things. One answer is shown in all.", "Give each its own name, or the same data-limit and data-item."},
	{"slot-in-frame", "slots", Warning, "A slot is in a frame. The tag fills slots of its own document only.", "Put the snippet into the frame's page too, or the slot into the page."},
	{"slot-hidden", "slots", Warning, "The slot or what it is in is hidden, so it is never seen and never counted as seen. The page may show it later.", "Nothing, if the page shows it later; else take the display, visibility or hidden away."},
	{"slot-empty", "slots", Warning, "The slot has no area, so it never counts as seen.", "Give it content of the page's own, or a height: {selector} {min-height: 200px}"},
	{"slot-height", "slots", Note, "No height is reserved, so a variant of another height moves what is below it.", "Reserve that of the highest variant: {selector} {min-height: {height}px}"},
	{"slot-moved", "slots", Warning, "The slot's height changed as it was filled, which moved what is below it.", "Reserve its height: {selector} {min-height: {height}px}"},
	{"slot-not-asked", "slots", Note, "The page did not ask for the slot. The findings about consent say why.", "See the findings about consent and the tag."},
	{"slot-filled", "slots", OK, "The slot was asked for and shows a variant.", ""},
	{"slot-default", "slots", Note, "The slot was asked for and shows the page's own content, for the reason that is named.", "Ask why: add data-why to the script element and look at near('get', console.log), or replay it: nearside replay DECISION"},
	{"slot-bot", "slots", Note, "The slot was asked for, and a bot, which a headless browser is, gets the page's own content.", "See what visitors get with --as-visitor, which counts as a visit, or in a browser of your own."},
	{"slot-late", "slots", Warning, "The answer came when the slot was in view already, and a change would have moved the page.", "Put the snippet's <style> before the slot, and look at the time of the answer."},
}

var requestKinds = []Kind{
	{"requests-answered", "requests", OK, "The node answered the page.", ""},
	{"requests-none", "requests", Note, "The page sent the node nothing but the request for the tag.", "See the findings about consent and the tag: without a grant nothing is sent."},
	{"request-failed", "requests", Error, "A request to the node had no answer.", "See the findings about the policy and the origin; a request that hangs is in the node's or the proxy's log."},
	{"request-refused", "requests", Error, "The node, or something in front of it, refused a request of the page.", "The code says why; near('page', …) and near('event', …) of the page may send what is refused: docs/SITE.md, “The page”."},
	{"parts-refused", "requests", Warning, "The node passed over a slot or a fact of the page that cannot be: too long, or of another type.", "Correct what is named: a slot's name, data-limit or data-item, or what near('page', …) and the near: metas say."},
	{"events-rejected", "requests", Warning, "The node took a request and refused events in it.", "Correct the calls of near('event', …): docs/SERVER.md, “Events”, says what each code asks for."},
	{"events-put-off", "requests", Note, "The node answered the slots before the events were on disk; the tag sends them again.", "Nothing, if it is seldom; else look at the node's disk and at nearside_stream_late_total (docs/OPERATING.md)."},
	{"near-not-defined", "requests", Error, "A script called near(…) when there was neither the tag nor the queue.", "Put this before it: <script>window.near=window.near||function(){(near.q=near.q||[]).push(arguments)}</script>"},
	{"tag-error", "requests", Error, "The tag said an error on the console.", "Report it with the page's address and the tag's version, unless content of a variant causes it."},
	{"tag-says", "requests", Note, "The tag explains itself on the console, as it does on localhost.", "Do what it says."},
}
