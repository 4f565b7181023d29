// SPDX-License-Identifier: Apache-2.0

package markup

// attrRules are rules by attribute name.
type attrRules map[string]rule

// allowed holds every element that markup may use, with the attributes that it
// may have beside the global ones. Absent on purpose:
//   - script, style, link, meta, base, template, slot and custom elements: they
//     run, load or change what is outside the slot;
//   - iframe, object, embed, svg, math: documents and languages of their own;
//   - form and its controls: what a visitor types must not go where the page's
//     owner did not decide; a button is allowed and can only be a button;
//   - audio, track, dialog, map: no marketer's slot has needed them.
var allowed = map[string]attrRules{
	// Sections and blocks.
	"address": nil, "article": nil, "aside": nil, "blockquote": nil, "div": nil,
	"footer": nil, "header": nil, "hgroup": nil, "hr": nil, "nav": nil, "p": nil,
	"pre": nil, "section": nil, "figure": nil, "figcaption": nil,
	"h1": nil, "h2": nil, "h3": nil, "h4": nil, "h5": nil, "h6": nil,

	// Lists.
	"ul": nil, "dl": nil, "dt": nil, "dd": nil,
	"ol": {"start": integer, "reversed": present("reversed"), "type": oneOf("1", "a", "A", "i", "I")},
	"li": {"value": integer},

	// Text.
	"a": {"href": linkURL, "hreflang": language, "target": oneOf("_blank", "_self"), "rel": linkRel},
	"b": nil, "i": nil, "u": nil, "s": nil, "em": nil, "strong": nil, "small": nil,
	"mark": nil, "abbr": nil, "cite": nil, "q": nil, "dfn": nil, "code": nil,
	"kbd": nil, "samp": nil, "var": nil, "sub": nil, "sup": nil, "span": nil,
	"bdi": nil, "bdo": nil, "br": nil, "wbr": nil,
	"ruby": nil, "rt": nil, "rp": nil,
	"time": {"datetime": anyText}, "data": {"value": anyText},
	"ins": {"datetime": anyText}, "del": {"datetime": anyText},

	// Tables.
	"table": nil, "caption": nil, "thead": nil, "tbody": nil, "tfoot": nil, "tr": nil,
	"colgroup": {"span": integer}, "col": {"span": integer},
	"th": {"colspan": integer, "rowspan": integer, "abbr": anyText, "scope": oneOf("row", "col", "rowgroup", "colgroup")},
	"td": {"colspan": integer, "rowspan": integer},

	// Pictures and films. A film starts when the visitor wants: browsers let
	// one start alone only if it is muted, and a muted attribute does nothing
	// on an element that a script creates.
	"img": {
		"src": mediaURL, "srcset": mediaSet, "sizes": mediaQuery, "alt": anyText,
		"width": integer, "height": integer, "loading": oneOf("lazy", "eager"),
		"decoding": oneOf("async", "sync", "auto"), "fetchpriority": oneOf("high", "low", "auto"),
	},
	"picture": nil,
	"source": {
		"src": mediaURL, "srcset": mediaSet, "sizes": mediaQuery, "media": mediaQuery,
		"type": mediaType, "width": integer, "height": integer,
	},
	"video": {
		"src": mediaURL, "poster": mediaURL, "controls": present("controls"), "loop": present("loop"), "playsinline": present("playsinline"),
		"preload": oneOf("none", "metadata", "auto"), "width": integer, "height": integer,
	},

	// Things to operate.
	"button":  {"type": oneOf("button"), "disabled": present("disabled")},
	"details": {"open": present("open")},
	"summary": nil,
}

// globalAttrs are allowed on every element, beside aria-* and data-*. There is
// no id and no name: either would let markup take the place of a variable or an
// anchor of the page.
var globalAttrs = attrRules{
	"class":    words,
	"dir":      oneOf("ltr", "rtl", "auto"),
	"hidden":   present("hidden"),
	"lang":     language,
	"role":     role,
	"style":    style,
	"tabindex": oneOf("0", "-1"),
	"title":    anyText,
}

// voidTags are the allowed elements that have neither content nor an end tag.
var voidTags = map[string]bool{"br": true, "col": true, "hr": true, "img": true, "source": true, "wbr": true}

// reservedData are beginnings of data attributes that would make something else
// than data of them: the tag's own, and those whose value a widespread library
// runs as code as soon as the element is in the page (htmx, AngularJS, Knockout,
// Datastar), which would undo everything else that this package refuses.
var reservedData = []struct{ prefix, reason string }{
	{"data-slot", "a slot inside a slot would ask for content again"},
	{"data-near", "the name is kept for the tag"},
	{"data-hx-", "a script library would run its value"},
	{"data-ng-", "a script library would run its value"},
	{"data-bind", "a script library would run its value"},
	{"data-on", "a script library would run its value"},
}

// refusalHints explain attributes that marketers are most likely to try.
var refusalHints = map[string]string{
	"id":       "it could take the place of something of the page; use class",
	"name":     "it could take the place of something of the page; use class",
	"srcdoc":   "it holds a page of its own",
	"is":       "it makes a custom element",
	"slot":     "it moves the element into another one",
	"autoplay": "a film starts when the visitor wants",
	"muted":    "it has no effect on an element that a script creates",
}
