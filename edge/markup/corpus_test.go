// SPDX-License-Identifier: Apache-2.0

package markup

import (
	"errors"
	"strings"
	"testing"
)

// attacks are markups that would run code, load or move something, or hide what
// they do. Every one is refused; none is defused.
var attacks = []struct {
	name   string
	source string
	want   Code
}{
	// Elements that run or load.
	{"a script", `<script>alert(1)</script>`, Tag},
	{"a script in capitals", `<SCRIPT SRC=//evil.example/x.js></SCRIPT>`, Tag},
	{"a script behind a slash", `<script/x>alert(1)</script/x>`, Tag},
	{"a script without an end", `<p>a</p><script>alert(1)`, Tag},
	{"a tag name ended by a line feed", "<script\n>alert(1)</script>", Tag},
	{"a style sheet", `<style>@import url(//evil.example/x.css)</style>`, Tag},
	{"a link to a style sheet", `<link rel=stylesheet href=//evil.example/x.css>`, Tag},
	{"a base", `<base href="//evil.example/">`, Tag},
	{"a refresh", `<meta http-equiv=refresh content="0;url=javascript:alert(1)">`, Tag},
	{"a frame", `<iframe src="javascript:alert(1)"></iframe>`, Tag},
	{"a frame with a page in it", `<iframe srcdoc="<script>alert(1)</script>"></iframe>`, Tag},
	{"an object", `<object data="data:text/html,<script>alert(1)</script>"></object>`, Tag},
	{"an embed", `<embed src="javascript:alert(1)">`, Tag},
	{"an svg with a handler", `<svg onload=alert(1)>`, Tag},
	{"an svg with a script", `<svg><script>alert(1)</script></svg>`, Tag},
	{"an svg that animates an address", `<svg><a><animate attributeName=href values=javascript:alert(1) /></a></svg>`, Tag},
	{"math that hides an image", `<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">`, Tag},
	{"a template", `<template><img src=x onerror=alert(1)></template>`, Tag},
	{"a shadow root", `<div><template shadowrootmode=open><slot></slot></template></div>`, Tag},
	{"a form", `<form action=//evil.example><button>Log in</button></form>`, Tag},
	{"an input", `<input autofocus onfocus=alert(1)>`, Tag},
	{"a text area that hides an image", `<textarea></textarea><img src=x onerror=alert(1)>`, Tag},
	{"a noscript that hides an image", `<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>`, Tag},
	{"a title that hides an image", `<title><img src=x onerror=alert(1)></title>`, Tag},
	{"an xmp", `<xmp><script>alert(1)</script></xmp>`, Tag},
	{"a plaintext", `<plaintext><script>alert(1)</script>`, Tag},
	{"a custom element", `<near-slot name="hero"></near-slot>`, Tag},
	{"a marquee", `<marquee onstart=alert(1)>x</marquee>`, Tag},
	{"an isindex", `<isindex action=javascript:alert(1) type=image>`, Tag},
	{"a frame set", `<frameset onload=alert(1)>`, Tag},
	{"a body", `<body onload=alert(1)>`, Tag},
	{"an element with a letter that looks like another", `<ſcript>alert(1)</ſcript>`, Syntax},

	// Attributes that run or reach outside the slot.
	{"a handler", `<img src=x onerror=alert(1)>`, Attribute},
	{"a handler in capitals", `<IMG SRC=x ONERROR=alert(1)>`, Attribute},
	{"a handler behind a slash", `<img/src="x"/onerror=alert(1)>`, Attribute},
	{"a handler behind a form feed", "<img\fsrc=x\fonerror=alert(1)>", Encoding},
	{"a handler behind a quote without a space", `<p title="x"onclick="alert(1)">x</p>`, Attribute},
	{"a handler behind a quote too many", `<p title=""onmouseover=alert(1)//">x</p>`, Attribute},
	{"a handler nobody knows", `<p onnothing=alert(1)>x</p>`, Attribute},
	{"a pointer handler", `<details open ontoggle=alert(1)><summary>x</summary></details>`, Attribute},
	{"an attribute that begins with an equals sign", `<p =onclick=alert(1)>x</p>`, Attribute},
	{"an id", `<a id=near href="/">x</a>`, Attribute},
	{"a name", `<img name=currentScript src=x>`, Attribute},
	{"a form action on a button", `<button formaction=javascript:alert(1)>x</button>`, Attribute},
	{"a popover target", `<button popovertarget=menu>x</button>`, Attribute},
	{"a command", `<button commandfor=menu command=show-modal>x</button>`, Attribute},
	{"a ping", `<a href="/" ping="//evil.example">x</a>`, Attribute},
	{"a download", `<a href="/x" download="x.exe">x</a>`, Attribute},
	{"a name of a custom element", `<p is=x-y>x</p>`, Attribute},
	{"a background", `<table background="javascript:alert(1)"><tr><td>x</td></tr></table>`, Attribute},
	{"a cross-origin setting", `<img src="/x" crossorigin=use-credentials>`, Attribute},
	{"a namespaced address", `<a xlink:href="javascript:alert(1)">x</a>`, Attribute},
	{"a slot in the slot", `<div data-slot="hero">x</div>`, Attribute},
	{"an htmx handler", `<p data-hx-on-click="alert(1)">x</p>`, Attribute},
	{"a datastar handler", `<p data-on-load="alert(1)">x</p>`, Attribute},
	{"a knockout binding", `<p data-bind="text: alert(1)">x</p>`, Attribute},
	{"an attribute twice", `<a href="/" href="javascript:alert(1)">x</a>`, Attribute},
	{"an attribute on an end tag", `<p>x</p onclick=alert(1)>`, Attribute},
	{"a window that knows its opener", `<a href="https://evil.example" target=_blank rel=opener>x</a>`, Value},
	{"a named window", `<a href="https://evil.example" target=checkout>x</a>`, Value},
	{"a button that submits", `<button type=submit>x</button>`, Value},

	// Addresses.
	{"a script address", `<a href="javascript:alert(1)">x</a>`, URL},
	{"a script address in mixed case", `<a href="JaVaScRiPt:alert(1)">x</a>`, URL},
	{"a script address behind spaces", `<a href="  javascript:alert(1)">x</a>`, URL},
	{"a script address with a tab", "<a href=\"java\tscript:alert(1)\">x</a>", URL},
	{"a script address with a line break", "<a href=\"java\nscript:alert(1)\">x</a>", URL},
	{"a script address with a tab as an entity", `<a href="jav&#x09;ascript:alert(1)">x</a>`, URL},
	{"a script address with a line break as an entity", `<a href="jav&NewLine;ascript:alert(1)">x</a>`, URL},
	{"a script address with its colon as an entity", `<a href="javascript&colon;alert(1)">x</a>`, URL},
	{"a script address of entities without semicolons", `<a href="&#106&#97&#118&#97&#115&#99&#114&#105&#112&#116&#58alert(1)">x</a>`, URL},
	{"a script address of long hexadecimal entities", `<a href="&#x000006A;avascript:alert(1)">x</a>`, URL},
	{"a script address behind a control character", `<a href="&#1;javascript:alert(1)">x</a>`, Encoding},
	{"a script address behind a null", "<a href=\"\x00javascript:alert(1)\">x</a>", Encoding},
	{"a script address with a carriage return", "<a href=\"java&#13;script:alert(1)\">x</a>", Encoding},
	{"a view-source address", `<a href="view-source:javascript:alert(1)">x</a>`, URL},
	{"a vbscript address", `<a href="vbscript:msgbox(1)">x</a>`, URL},
	{"a data address", `<a href="data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==">x</a>`, URL},
	{"a data picture", `<img src="data:image/svg+xml,<svg onload=alert(1)>">`, URL},
	{"a blob address", `<a href="blob:https://shop.example/1">x</a>`, URL},
	{"a file address", `<img src="file:///etc/passwd">`, URL},
	{"a mail address as a picture", `<img src="mailto:a@b.example">`, URL},
	{"a script address in srcset", `<img src="/x" srcset="/a 1x, javascript:alert(1) 2x">`, URL},
	{"a data address in srcset", `<img srcset="data:image/svg+xml,x 1x">`, URL},
	{"a poster", `<video poster="javascript:alert(1)"></video>`, URL},
	{"a film", `<video src="data:video/mp4,x"></video>`, URL},
	{"a source of a film", `<video><source src="javascript:alert(1)"></video>`, URL},

	// Styles.
	{"a style that loads", `<p style="background:url(//evil.example/x)">x</p>`, Style},
	{"a style that loads in capitals", `<p style="background:URL(//evil.example/x)">x</p>`, Style},
	{"a style that loads behind an escape", `<p style="background:\75rl(//evil.example/x)">x</p>`, Style},
	{"a style that loads behind a comment", `<p style="background:u/**/rl(//evil.example/x)">x</p>`, Style},
	{"a style that loads a set", `<p style="background-image:image-set(1x)">x</p>`, Style},
	{"an expression", `<p style="width:expression(alert(1))">x</p>`, Style},
	{"a binding", `<p style="-moz-binding:none">x</p>`, Style},
	{"a behaviour", `<p style="behavior:none">x</p>`, Style},
	{"a cover over the page", `<p style="position:fixed;inset:0">x</p>`, Style},
	{"a style that leaves its attribute", `<p style="color:red}body{display:none">x</p>`, Style},
	{"an important style", `<p style="color:red!important">x</p>`, Style},
	{"a property of the page", `<p style="--brand:red">x</p>`, Style},
	{"a style behind a string", `<p style="font-family:'a;position:fixed'">x</p>`, Style},

	{"a comment in a style", `<p style="color:red/**/">x</p>`, Style},
	{"a value without a function", `<p style="color:(1)">x</p>`, Style},
	{"a function that is not closed", `<p style="width:calc(1px">x</p>`, Style},
	{"a function that was not opened", `<p style="width:1px)">x</p>`, Style},
	{"parentheses in the wrong order", `<p style="width:1px)calc(">x</p>`, Style},
	{"a declaration in a declaration", `<p style="color:red margin:0">x</p>`, Style},
	{"a property without a value", `<p style="color">x</p>`, Style},

	// What a browser would read otherwise.
	{"a processing instruction", `<?php echo 1 ?>`, Syntax},
	{"a doctype", `<!doctype html><p>x</p>`, Syntax},
	{"a character data section", `<![CDATA[<script>alert(1)</script>]]>`, Syntax},
	{"a comment without an end", `<p>x</p><!-- <script>alert(1)</script>`, Syntax},
	{"a comment that ends with a bang", `<!--x--!><p>x</p>`, Syntax},
	{"an end tag that is a comment", `</ script><p>x</p>`, Syntax},
	{"a tag without an end", `<p>x</p><img src=x `, Syntax},
	{"a tag with an open quote", `<p title="x>y</p>`, Syntax},
	{"a table that moves its content", `<table><p>x</p></table>`, Misplaced},
	{"a table that moves its text", `<table>x<tr><td>y</td></tr></table>`, Misplaced},
	{"a link in a link", `<a href="/"><b><a href="/x">x</a></b></a>`, Misplaced},
	{"a block in a paragraph", `<p><div>x</div></p>`, Misplaced},
	{"a row outside its table", `<tr><td>x</td></tr>`, Misplaced},
	{"a button in a button", `<button><button>x</button></button>`, Misplaced},
	{"elements that overlap", `<b><i>x</b></i>`, Unclosed},
	{"an end that closes nothing", `</div><p>x</p>`, StrayEnd},
	{"a null", "a\x00b", Encoding},
	{"a control character of the second range", "a\u0085b", Encoding},
	{"a null as an entity in a name", "<p ti\x00tle=x>", Encoding},
	{"bytes that are not UTF-8", "\xc0\xbcscript\xc0\xbe", Encoding},
}

func TestAttacksAreRefused(t *testing.T) {
	if len(attacks) < 40 {
		t.Fatalf("only %d attacks", len(attacks))
	}
	for _, tt := range attacks {
		t.Run(tt.name, func(t *testing.T) {
			nodes, err := Compile(tt.source)
			var refused *Error
			if !errors.As(err, &refused) {
				t.Fatalf("%q became %+v, %v", tt.source, nodes, err)
			}
			if refused.Code != tt.want {
				t.Errorf("%q: %v has code %s, want %s", tt.source, err, refused.Code, tt.want)
			}
			if refused.Line < 1 || refused.Column < 1 || nodes != nil {
				t.Errorf("%q: %v, %+v", tt.source, err, nodes)
			}
		})
	}
}

// What looks like an attack but is a text or a relative address stays what it is.
func TestHarmlessLookalikesAreKept(t *testing.T) {
	tests := []struct {
		name   string
		source string
		want   string
	}{
		{"escaped markup is text", `&lt;script&gt;alert(1)&lt;/script&gt;`, `["\u003cscript\u003ealert(1)\u003c/script\u003e"]`},
		{"a bare angle bracket is text", `a < b <3`, `["a \u003c b \u003c3"]`},
		{"an unknown entity is text", `&foo; & &#x110000;`, `["\u0026foo; \u0026 ` + "\ufffd" + `"]`},
		{"a script word in a path is a path", `<a href="/javascript:alert(1)">x</a>`, `[["a",{"href":"/javascript:alert(1)"},"x"]]`},
		{"a scheme behind a question mark is a query", `<a href="?u=javascript:x">x</a>`, `[["a",{"href":"?u=javascript:x"},"x"]]`},
		{"a scheme cannot begin with a digit", `<a href="1javascript:x">x</a>`, `[["a",{"href":"1javascript:x"},"x"]]`},
		{"an address without a scheme", `<a href="//shop.example/x">x</a>`, `[["a",{"href":"//shop.example/x"},"x"]]`},
		{"a title may say anything", `<b title="javascript:alert(1)<script>">x</b>`, `[["b",{"title":"javascript:alert(1)\u003cscript\u003e"},"x"]]`},
		{"a slash does not end an unquoted value", `<img/src=x/onerror=alert(1)>`, `[["img",{"src":"x/onerror=alert(1)"}]]`},
		{"a slash in an unquoted value does not close", `<a href=/>x</a>`, `[["a",{"href":"/"},"x"]]`},
		{"a comment is dropped", `a<!-- <script>alert(1)</script> -->b`, `["ab"]`},
		{"an empty comment is dropped", `a<!-->b`, `["ab"]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := compiled(t, tt.source); got != tt.want {
				t.Errorf("%q became\n%s, want\n%s", tt.source, got, tt.want)
			}
		})
	}
}

// trees are compiled trees that someone else made up.
var trees = []struct {
	name string
	tree string
	want Code
}{
	{"a script", `[["script",{},"alert(1)"]]`, Tag},
	{"a script in capitals", `[["SCRIPT",{},"alert(1)"]]`, Tag},
	{"a script in depth", `["a",["div",{},["p",{},["script",{}]]]]`, Tag},
	{"an empty tag", `[["",{}]]`, Tag},
	{"a custom element", `[["near-slot",{"name":"hero"}]]`, Tag},
	{"a handler", `[["img",{"onerror":"alert(1)","src":"x"}]]`, Attribute},
	{"a handler in capitals", `[["img",{"ONERROR":"alert(1)"}]]`, Attribute},
	{"a handler behind an escape", `[["img",{"\u006fnerror":"alert(1)"}]]`, Attribute},
	{"an id", `[["p",{"id":"x"}]]`, Attribute},
	{"an attribute twice", `[["a",{"href":"/","href":"javascript:alert(1)"},"x"]]`, Attribute},
	{"an attribute in capitals", `[["a",{"HREF":"javascript:alert(1)"},"x"]]`, Attribute},
	{"a script address", `[["a",{"href":"javascript:alert(1)"},"x"]]`, URL},
	{"a script address behind a space", `[["a",{"href":" javascript:alert(1)"},"x"]]`, URL},
	{"a script address with a tab", `[["a",{"href":"java\tscript:alert(1)"},"x"]]`, URL},
	{"a script address behind a control character", `[["a",{"href":"\u0001javascript:alert(1)"},"x"]]`, Encoding},
	{"an address with a space around it", `[["a",{"href":" /x"},"x"]]`, URL},
	{"a style that loads", `[["p",{"style":"background:url(x)"}]]`, Style},
	{"a style spelt otherwise", `[["p",{"style":"color: red"}]]`, Style},
	{"a window that knows its opener", `[["a",{"href":"/","target":"_blank"},"x"]]`, Value},
	{"a button that submits", `[["button",{},"x"]]`, Value},
	{"a flag with a value", `[["details",{"open":"open"}]]`, Value},
	{"an attribute that is a number", `[["img",{"width":4}]]`, Syntax},
	{"an attribute that is null", `[["a",{"href":null}]]`, Syntax},
	{"no attributes", `[["p"]]`, Syntax},
	{"a text for attributes", `[["p","x"]]`, Syntax},
	{"an empty element", `[[]]`, Syntax},
	{"a number for a tag", `[[1,{}]]`, Syntax},
	{"a number for a node", `[1]`, Syntax},
	{"an object for a node", `[{"tag":"p"}]`, Syntax},
	{"null for a node", `[null]`, Syntax},
	{"an object for a tree", `{}`, Syntax},
	{"a text for a tree", `"x"`, Syntax},
	{"null for a tree", `null`, Syntax},
	{"an empty text", `[""]`, Syntax},
	{"two texts side by side", `["a","b"]`, Syntax},
	{"content in an image", `[["img",{},"x"]]`, Syntax},
	{"nothing", ``, Syntax},
	{"half a tree", `[["p",{},`, Syntax},
	{"two trees", `[][]`, Syntax},
	{"a comma too many", `["a",]`, Syntax},
	{"a block in a paragraph", `[["p",{},["div",{},"x"]]]`, Misplaced},
	{"a link in a link", `[["a",{},["a",{},"x"]]]`, Misplaced},
	{"a row without a body", `[["table",{},["tr",{},["td",{},"x"]]]]`, Misplaced},
	{"a control character", `["a\u0000b"]`, Encoding},
	{"a carriage return", `["a\rb"]`, Encoding},
	{"bytes that are not UTF-8", "[\"\xc0\xbc\"]", Encoding},
	{"more depth than JSON has", strings.Repeat("[", 20_000), Syntax},
}

func TestMadeUpTreesAreRefused(t *testing.T) {
	for _, tt := range trees {
		t.Run(tt.name, func(t *testing.T) {
			var refused *Error
			if err := Check([]byte(tt.tree)); !errors.As(err, &refused) || refused.Code != tt.want {
				t.Errorf("%.60s: %v, want %s", tt.tree, err, tt.want)
			} else if refused.Line < 1 || refused.Column < 1 {
				t.Errorf("%.60s: %v has no place", tt.tree, err)
			}
		})
	}
}
