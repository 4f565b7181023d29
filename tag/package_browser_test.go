// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"os"
	"path/filepath"
	"testing"
)

// The package's functions are called before the tag is there, and put it on the
// page themselves.
func TestTheModuleOfThePackage(t *testing.T) {
	t.Parallel()
	module, err := os.ReadFile(filepath.Join("package", "index.js"))
	if err != nil {
		t.Fatal(err)
	}
	s := newShop(t)
	s.script, s.module = FullScript, module
	s.contents["hero"] = text("bonjour")
	s.mu.Lock()
	s.pages["/module"] = `<!doctype html><html lang=en><title>Hats</title><near-slot name=hero style="display:block;visibility:hidden">own</near-slot>
		<script type=module>import * as near from "/module.js"; window.tag = near;
		near.consent({measure: true, context: true, storage: true, profile: true}); near.page({type: "category"}); near.identify(null);
		near.event("add_to_cart", {value: 1}); near.answer("style", "modern"); near.on("answer", answer => window.got = answer);
		near.get().then(now => window.now = now); near.load({src: "/_near/tag.js", site: "shop", why: true, policy: "uk"})</script>`
	s.mu.Unlock()
	b := openTab(t).open(s.server.URL + "/module")
	b.waitFor(`document.querySelector("near-slot").dataset.near == "variant" && window.got?.decisions && window.now`)
	b.wantText("near-slot", "bonjour")
	if e := s.waitForEvent("answer"); e.Props["style"] != "modern" {
		t.Errorf("told %v", e.Props)
	}
	s.waitForEvent("add_to_cart")
	sent := s.sent()[0]
	if sent.Page.Type != "category" || !sent.Why || sent.Consent.Policy != "uk" || sent.Consent.Purposes != measure|context_|storage|profile || string(sent.Identify) != "null" {
		t.Errorf("sent %s", sent.raw)
	}
	b.run(`tag.withdraw()`)
	s.waitFor("withdrawal", func() bool { _, n := s.counts(); return n == 1 })
}
