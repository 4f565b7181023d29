// SPDX-License-Identifier: Apache-2.0

package sitefile

import (
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// The patterns of what people choose. The engine checks the same once more.
var (
	namePattern     = patternOf(`^[a-z0-9]+(-[a-z0-9]+)*$`, "lower-case words joined by dashes")
	hourPattern     = patternOf(`^([01][0-9]|2[0-3]):[0-5][0-9]$`, "a time of day like 22:00")
	ownFieldPattern = patternOf(`^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$`, "like shop.season")
	languagePattern = patternOf(`^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$`, "a language like en, pt-BR or zh-Hans")
	originPattern   = patternOf(`^https?://[^/?#\s]+$`, "like https://shop.example, without a path")
	currencyPattern = patternOf(`^[A-Za-z]{3}$`, "a currency like EUR")
	momentPattern   = patternOf(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}$`, "a date and time like 2026-12-01T00:00")
	sharePattern    = patternOf(`^(100|[1-9][0-9]?(\.[0-9]{1,2})?|0\.(0[1-9]|[1-9][0-9]?))%$`, "a share of the visitors like 20% or 0.5%, up to 100%")
	versionPattern  = patternOf(`^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`, "a version like 1.2.0")
	hashPattern     = patternOf(`^[0-9a-f]{64}$`, "a SHA-256 in lower-case hex")
	modulePattern   = patternOf(`^[a-z0-9]+(-[a-z0-9]+)*(@[0-9]+\.[0-9]+\.[0-9]+)?$`, "a module's name, or its name@version")
)

// The words that a release's document knows.
var (
	stateWords   = []string{"draft", "review", "approved", "live", "archived"}
	kindNames    = []string{"html", "text", "json", "image", "link", "items"}
	typeWords    = []string{"i64", "f64", "bool", "string", "list"}
	originWords  = []string{"first", "second", "third", "zero"}
	sourceWords  = []string{"settings", "event", "profile", "answer"}
	purposeWords = consent.All.Names()
)

// A few shapes that stand in many places.
func words(says string) *shape { return &shape{kind: text, says: says} }
func some(says string) *shape  { return &shape{kind: text, least: 1, says: says} }
func named(p *pattern, says string) *shape {
	s := &shape{kind: text, pattern: p, says: says}
	if p == namePattern {
		s.most = edge.MaxNameBytes
	}
	return s
}
func oneOf(list []string, says string) *shape {
	return &shape{kind: text, words: list, says: says}
}
func yes(says string) *shape                 { return &shape{kind: boolean, says: says} }
func listOf(each *shape, says string) *shape { return &shape{kind: list, each: each, says: says} }

// values is a mapping of anything.
func values(says string) *shape { return &shape{kind: mapping, any: true, says: says} }

// siteShape is a file: every key may stand in any file.
var siteShape = &shape{kind: mapping, says: "A part of a site's release. All files of the directory together are one release.", keys: []key{
	{"site", named(namePattern, "The site's id. It stands in one of the files."), false},
	{"settings", settingsShape, false},
	{"fields", listOf(fieldShape, "Fields that the site declares beside the built-in ones."), false},
	{"audiences", listOf(audienceShape, "Conditions with a name, for rules: inAudience(\"name\")."), false},
	{"campaigns", listOf(campaignShape, "What is tried, for whom, until when, and by which number one will know. A campaign owns rules across slots."), false},
	{"slots", listOf(slotShape, "Named places on pages, each with its ladder of rules."), false},
	{"variants", &shape{kind: mapping, names: namePattern, each: listOf(variantShape, "The slot's variants."), says: "What slots may show, by slot."}, false},
	{"modules", listOf(moduleShape, "The WASM modules that rules name."), false},
}}

var settingsShape = &shape{name: "settings", kind: mapping, says: "The site's own settings. They stand in one of the files.", keys: []key{
	{"origins", &shape{kind: list, least: 1, each: named(originPattern, "scheme://host[:port], without a path."), says: "The origins whose pages may send beacons."}, true},
	{"languages", &shape{kind: list, least: 1, each: named(languagePattern, "A language (BCP 47)."), says: "The site's languages; the first is the fallback, and the one of texts that name none."}, true},
	{"currency", named(currencyPattern, "ISO 4217, like EUR."), false},
	{"timezone", some("An IANA time zone like Europe/Berlin, in which dates are meant; UTC without one."), false},
	{"consent", consentShape, false},
	{"prompts", listOf(named(namePattern, "A version, like 2026-11."), "The versions of the site's consent prompt whose answers are counted, without a trace of who gave them."), false},
	{"retainDays", &shape{kind: whole, least: 1, most: edge.MaxRetainDays, says: "How many days an event may be read."}, false},
	{"cap", capShape, false},
	{"caps", &shape{kind: mapping, says: "How often promotions may be shown to a visitor on each surface.", keys: capKeys()}, false},
	{"boughtDays", &shape{kind: whole, least: 1, most: edge.MaxWindowDays, says: "For how many days what was bought is not promoted; without it thirty."}, false},
	{"profileDays", &shape{kind: whole, least: 1, most: edge.MaxProfileDays, says: "How many days a known person's profile is kept that nothing touches."}, false},
	{"stateEpoch", &shape{kind: whole, least: 1, most: 1_000_000, says: "What browsers carry that began under a smaller epoch is dropped: raise it by one to start everybody fresh."}, false},
	{"why", yes("Lets a page ask for an explanation of each decision."), false},
	{"secondPerson", yes("Lets nobody publish alone: another person must approve."), false},
}}

var capShape = &shape{name: "cap", kind: mapping, says: "How often something may be shown to one visitor: at most so many times within any so many hours.", keys: []key{
	{"times", &shape{kind: whole, least: 1, most: edge.MaxCapTimes, says: "How many times."}, true},
	{"hours", &shape{kind: whole, least: 1, most: edge.MaxCapHours, says: "Within how many hours."}, true},
}}

func capKeys() (keys []key) {
	for _, surface := range edge.Surfaces {
		keys = append(keys, key{surface, capShape, false})
	}
	return keys
}

var consentShape = &shape{kind: mapping, says: "The consent policy; without it the strict one.", keys: []key{
	{"strictGpc", yes("Lets Global Privacy Control, and the opt-out of a US section of the GPP, take away profile and personalise beside share."), false},
	{"tcf", &shape{kind: text, words: []string{"purpose", "publisher"}, says: "Whose choices count in TC strings: those for the purposes (purpose, the default), those for the publisher (publisher), or those for a vendor of the Global Vendor List by its id.", or: []*shape{{kind: whole, least: 1, most: consent.MaxTCFVendor, says: "The id of a vendor in the Global Vendor List."}}}, false},
	{"purposeOneTreatment", yes("Lets a TC string that did not ask for purpose 1, because the law of its publisher's country has no need of it, grant storage."), false},
	{"contextBeforeAnswer", yes("Opens context for a visitor who has said nothing, wherever nothing would be allowed otherwise."), false},
	{"open", &shape{kind: mapping, says: "What is allowed to a visitor who has said nothing, by where they are.", keys: []key{
		{"uk", listOf(oneOf([]string{"measure"}, "A purpose."), "measure, in the United Kingdom."), false},
		{"us-optout", listOf(oneOf([]string{"device"}, "A purpose."), "device, in US states with an opt-out law."), false},
		{"elsewhere", listOf(oneOf(purposeWords, "A purpose."), "Any purpose, where no law of the others holds."), false},
	}}, false},
}}

var fieldShape = &shape{name: "field", kind: mapping, says: "A field of the site's own.", keys: []key{
	{"name", named(ownFieldPattern, "Two words joined by a dot, like shop.season."), true},
	{"type", oneOf(typeWords, "What its values are."), true},
	{"purpose", oneOf(purposeWords, "The purpose that unlocks it."), true},
	{"origin", oneOf(originWords, "Whose data it is: the site's own (first), a partner's (second), somebody else's (third), or what the visitor said (zero)."), true},
	{"from", oneOf(sourceWords, "Where its value comes from: settings (value), event (the latest event of that name in the beacon, its property prop), profile (of a known person, the property prop of the latest event of that name that the site's servers told), or answer (the property prop of the visitor's latest answer)."), true},
	{"value", &shape{any: true, says: "The value, from settings."}, false},
	{"event", some("The event's name, from event or profile."), false},
	{"prop", some("The event's property, from event, profile or answer."), false},
	{"expireDays", &shape{kind: whole, least: 1, most: edge.MaxProfileDays, says: "For how many days after its event a value from profile or answer is known."}, false},
}}

var audienceShape = &shape{name: "audience", kind: mapping, says: "A condition with a name.", keys: []key{
	{"name", named(namePattern, "The name in inAudience(\"name\")."), true},
	{"description", words("Who that is, in words."), false},
	{"when", whenShape, true},
}}

var whenShape = &shape{name: "condition", kind: text, least: 1, says: "A condition in CEL (docs/RULES.md), like geo.country in [\"FR\", \"DE\"] && device.type == \"phone\". It holds only where it is known to be true."}

var campaignShape = &shape{name: "campaign", kind: mapping, says: "A plan that owns rules across slots.", keys: []key{
	{"name", named(namePattern, "The name that rules give."), true},
	{"owner", words("Who answers for it."), false},
	{"hypothesis", words("What one believes."), false},
	{"goal", words("What it is to bring about, and the number that tells."), false},
	{"segment", words("For whom."), false},
	{"moment", words("At which moment."), false},
	{"tactic", words("By what means."), false},
	{"state", oneOf(stateWords, "The rules of a campaign that is not live do not take part."), true},
	{"from", named(momentPattern, "When its rules begin to take part, in the site's time zone."), false},
	{"until", named(momentPattern, "When they end."), false},
	{"cap", capShape, false},
	{"quiet", &shape{kind: mapping, says: "The time of day in which its rules do not take part, in the visitor's own time. It may pass midnight.", keys: []key{
		{"from", named(hourPattern, "When it begins, like 22:00."), true},
		{"until", named(hourPattern, "When it ends, like 07:00."), true},
	}}, false},
	{"transactional", yes("Says that it serves what the visitor asked for and promotes nothing: the site's caps and an open complaint do not stop it."), false},
}}

var slotShape = &shape{name: "slot", kind: mapping, says: "A named place on pages.", keys: []key{
	{"name", named(namePattern, "The name in <near-slot name=\"…\">."), true},
	{"kind", oneOf(kindNames, "What it holds."), true},
	{"ladder", &shape{kind: mapping, says: "The rules by rung. The first rung with an answer wins; below the last is the page's own content, always.", keys: []key{
		{edge.Rungs[0], rulesShape, false},
		{edge.Rungs[1], rulesShape, false},
		{edge.Rungs[2], rulesShape, false},
	}}, true},
}}

var rulesShape = &shape{name: "rules", kind: list, each: ruleShape, says: "The rung's rules. They compete by score, then priority, then order."}

var ruleShape = &shape{name: "rule", kind: mapping, says: "A rule without code (name), or one that is a module (module).", keys: []key{
	{"name", named(namePattern, "The rule's name, for a rule without code."), false},
	{"when", whenShape, false},
	{"show", &shape{kind: text, pattern: namePattern, says: "What it shows: a variant, or a list of variants with weights.", or: []*shape{
		{kind: list, least: 1, says: "Variants that share the visitors by weight.", each: showShape},
	}}, false},
	{"score", &shape{kind: text, least: 1, says: "The rule's score, a number or an expression of type int; what is unknown is 0.", or: []*shape{{kind: whole, says: "The rule's score."}}}, false},
	{"campaign", named(namePattern, "The campaign that it belongs to."), false},
	{"module", named(modulePattern, "The module, by name or name@version."), false},
	{"role", named(namePattern, "The slot of the module's manifest that it plays here; without it the slot's own name."), false},
	{"priority", &shape{kind: whole, least: -1 << 53, most: 1 << 53, says: "Where scores are equal the higher one wins."}, false},
	{"rollout", &shape{kind: text, pattern: sharePattern, example: "20%", says: "The share of the visitors who see it, like 20% or 0.5%; without it all. A visitor without an id is in none."}, false},
	{"before", &shape{kind: mapping, says: "The module that serves those whom the roll-out does not reach.", keys: moduleRuleKeys}, false},
	{"shadow", yes("Runs the module beside the live ones and shows nobody its answer."), false},
	{"settings", values("Settings of the module for this slot."), false},
	{"because", becauseShape, false},
}, ways: []way{
	{"a rule without code", []string{"name", "show"}, []string{"module", "role", "before", "shadow", "settings"}},
	{"a rule that is a module", []string{"module"}, []string{"name", "when", "show", "score", "campaign"}},
}}

// moduleRuleKeys are what a rule has that serves before another.
var moduleRuleKeys = []key{
	{"module", named(modulePattern, "The module, by name or name@version."), true},
	{"role", named(namePattern, "The slot of its manifest that it plays here."), false},
	{"priority", &shape{kind: whole, least: -1 << 53, most: 1 << 53, says: "Where scores are equal the higher one wins."}, false},
	{"settings", values("Its settings for this slot."), false},
	{"because", becauseShape, false},
}

var showShape = &shape{kind: mapping, says: "A variant and its weight.", keys: []key{
	{"variant", named(namePattern, "The variant's name."), true},
	{"weight", &shape{kind: whole, least: 1, most: edge.Buckets, says: "Its share among the weights of the rule's variants."}, false},
}}

var becauseShape = &shape{name: "because", kind: text, says: "Why, in words for the visitor: in the site's first language, or by language.", or: []*shape{
	{kind: mapping, least: 1, names: languagePattern, each: words("The words in this language."), says: "Why, by language."},
}}

var variantShape = &shape{name: "variant", kind: mapping, says: "One content choice for the slot.", keys: []key{
	{"name", named(namePattern, "The name that rules show."), true},
	{"state", oneOf(stateWords, "Only what is live is served."), true},
	{"owner", words("Who answers for it."), false},
	{"tags", listOf(words("A tag."), "Words to find it by."), false},
	{"from", named(momentPattern, "When it begins to be served, in the site's time zone."), false},
	{"until", named(momentPattern, "When that ends."), false},
	{"promotes", listOf(some("An item's id."), "The items that it promotes: who has one in the cart or bought it lately does not see it."), false},
	{"cap", capShape, false},
	{"content", &shape{kind: mapping, least: 1, names: languagePattern, says: "The content by language. A page in another language gets the nearest.", each: contentShape}, true},
}}

var contentShape = &shape{name: "content", kind: text, says: "The content: for text and html the text itself.", or: []*shape{{kind: mapping, says: "The content in full, by the slot's kind.", keys: []key{
	{"text", words("For text, and the words of a link."), false},
	{"html", words("For html: markup, compiled to a sanitised tree."), false},
	{"nodes", &shape{any: true, says: "For html: a tree that was compiled before."}, false},
	{"json", &shape{any: true, says: "For json: any value."}, false},
	{"src", some("For image: its address."), false},
	{"alt", words("For image: what it shows, in words."), false},
	{"width", &shape{kind: whole, least: 1, most: 1<<31 - 1, says: "For image: its width in CSS pixels."}, false},
	{"height", &shape{kind: whole, least: 1, most: 1<<31 - 1, says: "For image: its height in CSS pixels."}, false},
	{"href", some("For link: where it leads."), false},
	{"items", listOf(itemShape, "For items: what is shown, in order."), false},
}}}}

// contentKeys are the keys of content in full by the slot's kind, which stands
// elsewhere: the schema allows them all.
var contentKeys = map[string][]string{
	"text": {"text"}, "html": {"html", "nodes"}, "json": {"json"}, "image": {"src", "alt", "width", "height"}, "link": {"href", "text"}, "items": {"items"},
}

var itemShape = &shape{kind: mapping, says: "An item of a list.", keys: []key{
	{"id", words("The item's id."), true},
	{"reason", words("A code that says why it is there."), false},
	{"text", words("The same in words."), false},
}}

var moduleShape = &shape{name: "module", kind: mapping, says: "A WASM module, by content.", keys: []key{
	{"name", named(namePattern, "The name in its manifest."), true},
	{"version", named(versionPattern, "The version in its manifest. Without version and hash it is the one at hand, built in or uploaded."), false},
	{"hash", named(hashPattern, "The SHA-256 of its bytes."), false},
	{"settings", values("Settings handed to it; a rule's own take their place."), false},
	{"signature", some("The publisher's signature in minisign's format."), false},
}}
