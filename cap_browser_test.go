// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/tag"
)

// A visitor who lets nothing be kept sees what is capped as often as the cap says
// within one document, which the tag's word for what was viewed holds.
func TestACapHoldsInADocumentWhereNothingIsKept(t *testing.T) {
	t.Parallel()
	node, listener, _ := startNodeOf(t, func(d *edge.ReleaseDocument) {
		for i := range d.Variants {
			d.Variants[i].Cap = &edge.Cap{Times: 2, Hours: 1}
		}
	})
	page := `<!doctype html><html lang=en><meta charset=utf-8><title>Shop</title><script>near=function(){(near.q=near.q||[]).push(arguments)};
		near("consent",{context:true})</script>` + tag.Snippet(tag.SnippetOptions{Src: node.base + "/_near/tag.js", Site: "shop"}) +
		`<style>near-slot{display:block;min-height:200px}</style><body><near-slot name=hero>ours</near-slot>
		<button id=go onclick="history.pushState(0, '', location.pathname + 'x')">on</button>`
	servePages(t, listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, page)
	}))

	b := newTab(t, 1100, 800)
	b.notARobot()
	b.open("http://" + listener.Addr().String() + "/")
	const reason = `new Promise(done => near("get", now => done(now.decisions[0]?.reason)))`
	for view, want := range []string{"rule", "rule", "capped"} {
		if view > 0 {
			b.do(chromedp.Click("#go"))
		}
		b.until("an answer: "+want, `location.pathname.length == `+strconv.Itoa(view+1)+` && `+reason+`.then(r => r == "`+want+`")`)
		time.Sleep(1300 * time.Millisecond) // which is viewed
	}
	b.nothingStored()
}
