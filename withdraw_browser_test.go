// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/nearside/nearside/tag"
)

// A visitor withdraws and leaves the page while an event of it is under way. The
// node answers that after the withdrawal, and the browser keeps the cookie of the
// answer: the next pages say the withdrawal again, until none is left.
func TestACookieThatComesAfterTheWithdrawalGoes(t *testing.T) {
	t.Parallel()
	node, listener, address := startNodeOf(t, nil)
	target, err := url.Parse(node.base)
	if err != nil {
		t.Fatal(err)
	}
	var isSlow atomic.Bool
	var withdrawals, answered atomic.Int32
	handler := http.NewServeMux()
	handler.HandleFunc("/{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		choice := fmt.Sprint(!r.URL.Query().Has("refused"))
		fmt.Fprintf(w, `<!doctype html><meta charset=utf-8><title>Shop</title><script>near=function(){(near.q=near.q||[]).push(arguments)};
			near("consent",{storage:%[1]s,measure:%[1]s,profile:%[1]s,personalise:%[1]s})</script>%[2]s<body><h1>Hats</h1>`, choice,
			tag.Snippet(tag.SnippetOptions{Src: "/_near/tag.js", Site: "shop"}))
	})
	handler.Handle("/_near/", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // which makes the node the page's own origin
		},
		ModifyResponse: func(r *http.Response) error {
			switch {
			case strings.HasSuffix(r.Request.URL.Path, "/withdraw"):
				withdrawals.Add(1)
			case strings.HasSuffix(r.Request.URL.Path, "/beacon"):
				if isSlow.Load() {
					time.Sleep(700 * time.Millisecond)
				}
				answered.Add(1)
			}
			return nil
		},
	})
	servePages(t, listener, handler)
	waitUntil := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(15 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("waited 15 s for %s", what)
			}
		}
	}

	b := (&promptSite{testNode: node, address: address}).visit(t)
	waitUntil("the cookie", func() bool { return len(b.cookies()) > 0 })
	b.until("the entry that stands for it", `localStorage["near.shop"] === ""`)
	before := answered.Load()
	isSlow.Store(true)
	b.do(chromedp.Evaluate[chromedp.Void](`near("event", "add_to_cart", {value: 1, items: [{item_id: "sku-7", price: 1}]})`))
	b.until("the request", `localStorage["near.shop"] > 0`)
	b.do(chromedp.Evaluate[chromedp.Void](`near("consent", "withdraw"); location.href = "/?refused"`))
	waitUntil("the late answer", func() bool { return answered.Load() > before })
	waitUntil("two withdrawals", func() bool { return withdrawals.Load() == 2 })
	time.Sleep(200 * time.Millisecond)
	if len(b.cookies()) == 0 {
		t.Fatal("the late answer set no cookie: this shows nothing")
	}
	b.open(address + "/?refused")
	waitUntil("the third", func() bool { return withdrawals.Load() == 3 })
	waitUntil("no cookie", func() bool { return len(b.cookies()) == 0 })
}
