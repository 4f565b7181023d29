// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"slices"
	"testing"
)

func TestReadDocument(t *testing.T) {
	d := readDocument(`<!doctype html><base href="/shop/"><base href="/other/">
		<meta http-equiv="Content-Security-Policy" content="script-src 'self'">
		<style nonce="n1">@keyframes near{}</style><style>p{}</style>
		<script nonce=n2>if (a < b) near("consent", {})</script>
		<SCRIPT ASYNC SRC=tag.js data-site="shop" data-site="again"></SCRIPT>
		<template><near-slot name="in-template"></near-slot><template></template><near-slot name="in-template-2"></near-slot></template>
		<noscript><near-slot name="in-noscript"></near-slot></noscript><!-- <near-slot name="in-comment"> -->
		<near-slot name="hero"></near-slot><div data-slot="offer" data-limit=6></div><p name="none"></p>
		<textarea><near-slot name="in-text"></near-slot></textarea><script>"<near-slot name=in-script>"`)
	var slots []string
	for _, s := range d.Slots {
		slots = append(slots, s.Name)
	}
	if want := []string{"hero", "offer"}; !slices.Equal(slots, want) {
		t.Errorf("slots %q, want %q", slots, want)
	}
	if d.Base != "/shop/" || len(d.Metas) != 1 || len(d.Styles) != 1 || d.Styles[0].Nonce != "n1" || !d.Styled {
		t.Errorf("base %q, policies %q, styles %+v", d.Base, d.Metas, d.Styles)
	}
	if len(d.Scripts) != 3 {
		t.Fatalf("scripts %+v, want 3", d.Scripts)
	}
	if s := d.Scripts[0]; s.Nonce != "n2" || s.Text != `if (a < b) near("consent", {})` || s.Async {
		t.Errorf("the inline script is %+v", s)
	}
	if s := d.Scripts[1]; s.Attrs["src"] != "tag.js" || s.Attrs["data-site"] != "shop" || !s.Async {
		t.Errorf("the tag is %+v", s)
	}
}

func FuzzReadDocument(f *testing.F) {
	f.Add(`<script src=/_near/tag.js data-site=shop></script><near-slot name=hero>`)
	f.Add(`<template><noscript></template><script>`)
	f.Add("<a b='\x00")
	f.Fuzz(func(t *testing.T, text string) {
		d := readDocument(text)
		if len(d.Scripts) > maxElements || len(d.Slots) > maxElements || len(d.Styles) > maxElements || len(d.Metas) > maxElements {
			t.Errorf("more elements than are looked at: %d scripts, %d slots", len(d.Scripts), len(d.Slots))
		}
		for _, s := range d.Slots {
			if len(s.Name) > 100 {
				t.Errorf("a name of %d bytes", len(s.Name))
			}
		}
	})
}

func TestWhichScriptIsTheTag(t *testing.T) {
	tests := []struct {
		name string
		html string
		want bool
	}{
		{"the snippet", `<script async src="/_near/tag.js" data-site="shop">`, true},
		{"another file name", `<script src="/s.js" data-site="shop">`, true},
		{"without a site", `<script src="/_near/tag.js">`, true},
		{"of another node", `<script src="https://node.example/_near/tag.js?v=2">`, true},
		{"a site without data-", `<script src="/x/tag.js" site="shop">`, true},
		{"a misspelt site", `<script src="/x/tag.js" data-sit="shop">`, true},
		{"somebody else's tag", `<script src="https://ads.example/lib/tag.js" data-zone="7">`, false},
		{"any script", `<script src="/app.js" data-cfasync="false">`, false},
		{"inline", `<script>near()</script>`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &page{doc: readDocument(tt.html + "</script>")}
			if got := p.tag() != nil; got != tt.want {
				t.Errorf("%s is the tag: %v, want %v", tt.html, got, tt.want)
			}
		})
	}
}

func TestMisspeltAttributes(t *testing.T) {
	for name, want := range map[string]string{
		"data-site": "", "data-sites": "data-site", "data-polcy": "data-policy", "data-aks": "data-ask", "site": "data-site",
		"policy": "data-policy", "data_site": "data-site", "data-wiat": "data-wait", "data-cfasync": "", "data-id": "", "data-zone": "",
		"async": "", "src": "", "nonce": "", "id": "", "data-type": "", "defer": "",
	} {
		if got := new(script).isMisspelt(name); got != want {
			t.Errorf("%s is a misspelt %q, want %q", name, got, want)
		}
	}
}
