// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bufio"
	"fmt"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

// feedOf is a feed of items by their ids, with its end.
func feedOf(ids ...string) string {
	var b strings.Builder
	for _, id := range ids {
		fmt.Fprintf(&b, `{"id":%q,"title":"Hat","url":"https://shop.test/hat","price":"1.50","currency":"EUR"}`+"\n", id)
	}
	return b.String() + fmt.Sprintf(`{"end":%d}`, len(ids))
}

func TestItemsOverTheAPI(t *testing.T) {
	b := openBench(t, nil)
	const path = "/v1/sites/shop/items"
	publisher, viewer := b.token("ada", publishing.Publisher, "shop"), b.token("bob", publishing.Viewer, "shop")
	tests := []struct {
		name, secret, method, path, body string
		status                           int
		want                             string // part of the answer, or code and field
	}{
		{"no items yet", viewer, "GET", path, "", 200, `{"site":"shop","items":0,"goneItems":0,"list":[]}`},
		{"a viewer imports", viewer, "PUT", path, feedOf("a"), 403, "forbidden site"},
		{"at another site", publisher, "PUT", "/v1/sites/blog/items", feedOf("a"), 403, "forbidden site"},
		{"a site that is not there", "", "PUT", "/v1/sites/none/items", feedOf("a"), 404, "not_found site"},
		{"a full feed", publisher, "PUT", path + "?full=true", feedOf("a", "b/c", "d"), 200, `"added":3,"changed":0,"unchanged":0,"gone":0,"items":3,"goneItems":0,"refused":0}`},
		{"without its end", publisher, "PUT", path + "?full=true", strings.TrimSuffix(feedOf("a"), `{"end":1}`), 400, "bad_request end"},
		{"cut off within a line", publisher, "PUT", path + "?full=true", feedOf("a", "d")[:120], 400, "bad_request end"},
		{"with the end of another", publisher, "PUT", path, strings.Replace(feedOf("a"), `"end":1`, `"end":2`, 1), 400, "bad_request end"},
		{"with something behind its end", publisher, "PUT", path, feedOf("a") + "\n" + feedOf("b"), 400, "bad_request end"},
		{"nothing", publisher, "PUT", path, "", 400, "bad_request end"},
		{"a flag that is none", publisher, "PUT", path + "?full=yes", feedOf("a"), 400, "bad_request full"},
		{"a feed that lacks two of three", publisher, "PUT", path + "?full=true", feedOf("a"), 409, "feed_shrinks items"},
		{"bad lines", publisher, "PUT", path, `{"id":"x","title":"X"}` + "\n{\n" + `{"id":"y","color":"red"}` + "\n" + `{"id":"z","price":1}` + "\n" +
			strings.Repeat("x", maxFeedLineBytes+1) + "\n" + `{"end":5}`, 200,
			`"refused":5,"refusedLines":[{"line":1,"code":"missing","field":"url"},{"line":2,"code":"malformed"},{"line":3,"code":"unknown"},{"line":4,"code":"malformed","field":"price"},{"line":5,"code":"too_long"}]`},
		{"the same item twice", publisher, "PUT", path, feedOf("a", "a"), 200, `"unchanged":1,"gone":0,"items":3,"goneItems":0,"refused":1,"refusedLines":[{"line":2,"code":"repeated","field":"id"}]`},
		{"one is kept that cannot be read", publisher, "PUT", path + "?full=true", strings.Replace(feedOf("a", "d"), `{"id":"a"`, `{"keep":"b/c"}`+"\n"+`{"id":"a"`, 1), 400, "bad_request end"},
		{"and with the right end", publisher, "PUT", path + "?full=true", `{"keep":"b/c"}` + "\n" + strings.Replace(feedOf("a", "d"), `"end":2`, `"end":3`, 1), 200, `"unchanged":2,"gone":0`},
		{"an item", viewer, "GET", path + "/b%2Fc", "", 200, `"id":"b/c","title":"Hat"`},
		{"an item nobody has", viewer, "GET", path + "/zzz", "", 404, "not_found id"},
		{"a part of the list", viewer, "GET", path + "?limit=2", "", 200, `"next":"`},
		{"a viewer deletes", viewer, "DELETE", path + "/a", "", 403, "forbidden site"},
		{"an item is deleted", publisher, "DELETE", path + "/a", "", 204, ""},
		{"it is not there again", publisher, "DELETE", path + "/a", "", 404, "not_found id"},
		{"it is in the audit log", viewer, "GET", "/v1/sites/shop/audit?limit=1", "", 200, `"act":"delete-item"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res := b.as(tt.secret, tt.method, tt.path, tt.body)
			if tt.secret == "" {
				res = b.do(tt.method, tt.path, tt.body)
			}
			got := res.body
			if res.StatusCode >= 400 {
				got = res.refused(t)
			}
			if res.StatusCode != tt.status || !strings.Contains(got, tt.want) {
				t.Errorf("answer %d %s, want %d %s", res.StatusCode, res.body, tt.status, tt.want)
			}
		})
	}
}

// FuzzFeedLine gives lines to who reads a feed: what is taken passes Check.
func FuzzFeedLine(f *testing.F) {
	f.Add([]byte(feedOf("a", "b")))
	f.Add([]byte(`{"keep":"a"}` + "\n" + `{"end":-1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := feedReader{seen: make(map[string]bool)}
		from := bufio.NewReaderSize(strings.NewReader(string(text)), 16)
		for number := 1; ; number++ {
			line, err := readLine(from)
			if err != nil {
				break
			}
			if len(line) > maxFeedLineBytes {
				t.Fatalf("a line of %d bytes", len(line))
			}
			if _, err := r.take(number, line); err != nil {
				t.Fatal(err)
			}
		}
		for i := range r.feed.Items {
			if err := r.feed.Items[i].Check(); err != nil {
				t.Errorf("%v is taken", err)
			}
		}
		for _, id := range r.feed.Keep {
			if !edge.ValidItemID(id) {
				t.Errorf("%q is kept", id)
			}
		}
	})
}
