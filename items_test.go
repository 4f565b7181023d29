// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
)

const googleFeed = "\ufeffid\ttitle\tdescription\tlink\timage_link\tavailability\tprice\tsale_price\tproduct_type\tbrand\tgtin\tcustom_label_0\n" +
	"sku-1\tA \"felt\" hat\twarm\thttps://shop.example/1\thttps://shop.example/1.jpg\tin stock\t19.90 EUR\t\tHats > Felt\tFelty\t4006381333931\tnew\n" +
	"sku-2\tA cap\t\thttps://shop.example/2\t\tOut of Stock\t9.90 EUR\t7.50 EUR\t\t\t\t\n" +
	"sku-3\tA beret\t\tnot an address\t\tin stock\t9.90 EUR\t\t\t\t\t\n" +
	"sku-2\tAgain\t\thttps://shop.example/2\t\tin stock\t9.90 EUR\t\t\t\t\t\n" +
	"sku-4\ttoo few columns\n"

func TestFeedsAreRead(t *testing.T) {
	want := []edge.CatalogueItem{
		{ID: "sku-1", Title: `A "felt" hat`, URL: "https://shop.example/1", Image: "https://shop.example/1.jpg", Price: "19.90", Currency: "EUR",
			Availability: "in_stock", Categories: []string{"Hats > Felt"}, Brand: "Felty",
			Attributes: map[string]string{"gtin": "4006381333931", "custom_label_0": "new"}},
		{ID: "sku-2", Title: "A cap", URL: "https://shop.example/2", Price: "7.50", Currency: "EUR", Availability: "out_of_stock"},
	}
	tests := []struct {
		name, format, text string
		items              []edge.CatalogueItem
		keep, bad          string
	}{
		{"Google's columns, by tabs", formatCSV, googleFeed, want, "sku-3 sku-2", "line 4: url: malformed; line 5: id: repeated; line 6: columns"},
		{"our columns", formatCSV, "id,title,url,price,currency,categories,tags,attributes.colour,updated\n" +
			"a,\"Two\nlines\",https://shop.example/a,1,EUR,Hats|Felt,x | y,red,2026-11-27T12:00:00Z\nb,B,https://shop.example/b,1,EUR,,,,\nc,C,https://shop.example/c,1,,,,,\nd,D,https://shop.example/d,,,,,,yesterday\n",
			[]edge.CatalogueItem{{ID: "b", Title: "B", URL: "https://shop.example/b", Price: "1", Currency: "EUR"}}, "a c d",
			"line 2: title: malformed; line 5: currency: missing; line 6: updated: malformed"},
		{"semicolons", formatCSV, "id;title;url\na;A, of all;https://shop.example/a\n", []edge.CatalogueItem{{ID: "a", Title: "A, of all", URL: "https://shop.example/a"}}, "", ""},
		{"JSON lines", formatJSONL, `{"id":"a","title":"A","url":"https://shop.example/a","attributes":{"x":"y"}}` + "\n\n" +
			`{"id":"b","title":1}` + "\n" + `{"id":"c","colour":"red"}` + "\n" + `{"id":"d"` + "\n[]\n" + `{"id":"e","title":"E","url":"https://shop.example/e"} {}`,
			[]edge.CatalogueItem{{ID: "a", Title: "A", URL: "https://shop.example/a", Attributes: map[string]string{"x": "y"}}}, "b c e",
			"line 3: title: malformed; line 4: unknown; line 5: malformed; line 6: malformed; line 7: malformed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			feed, err := readFeed(strings.NewReader(tt.text), tt.format, func(int) {})
			if err != nil {
				t.Fatal(err)
			}
			items, keep := sent(t, feed)
			if got, want := fmt.Sprintf("%+v", items), fmt.Sprintf("%+v", tt.items); got != want {
				t.Errorf("items\n%s, want\n%s", got, want)
			}
			if got := strings.Join(keep, " "); got != tt.keep {
				t.Errorf("kept %q, want %q", got, tt.keep)
			}
			var bad []string
			for _, line := range feed.bad {
				bad = append(bad, line.String())
			}
			if got := strings.Join(bad, "; "); got != tt.bad {
				t.Errorf("refused %q, want %q", got, tt.bad)
			}
		})
	}
	for name, text := range map[string]string{
		"empty": "", "no id": "title,url\n", "no title": "id,url\n", "no url": "id,title\n", "a column twice": "id,id,title,url\n",
		"an open quote": "id,title,url\na,\"" + strings.Repeat("x", 2*maxRecordBytes),
	} {
		if _, err := readFeed(strings.NewReader(text), formatCSV, func(int) {}); err == nil {
			t.Errorf("a file with %s is read", name)
		}
	}
}

// sent decodes what would be sent, and fails unless it is whole.
func sent(t testing.TB, feed *feedFile) (items []edge.CatalogueItem, keep []string) {
	t.Helper()
	lines := 0
	for line := range bytes.Lines(feed.body.Bytes()) {
		var l struct {
			edge.CatalogueItem
			Keep string
			End  *int
		}
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		switch {
		case l.End != nil:
			if *l.End != lines || lines != feed.lines {
				t.Errorf("the end says %d lines, and there are %d", *l.End, lines)
			}
			return items, keep
		case l.Keep != "":
			keep = append(keep, l.Keep)
		default:
			items = append(items, l.CatalogueItem)
		}
		lines++
	}
	t.Error("what is sent has no end")
	return items, keep
}

// FuzzFeed gives bytes to who reads feeds of each format: what it takes passes
// Check, what it refuses has a line and a code, and every line is one of both.
func FuzzFeed(f *testing.F) {
	f.Add(googleFeed, true)
	f.Add("id,title,url\na,\"b\nc\",https://shop.example\n", true)
	f.Add(`{"id":"a","title":"A","url":"https://shop.example/a"}`+"\n", false)
	f.Add("\x00\n\"", true)
	f.Fuzz(func(t *testing.T, text string, table bool) {
		format := formatJSONL
		if table {
			format = formatCSV
		}
		feed, err := readFeed(strings.NewReader(text), format, func(int) {})
		if err != nil {
			return
		}
		items, _ := sent(t, feed)
		if len(items) != feed.items || feed.refused != len(feed.bad) {
			t.Errorf("%d items are sent, want %d", len(items), feed.items)
		}
		for i := range items {
			if err := items[i].Check(); err != nil {
				t.Errorf("item %d: %v", i, err)
			}
		}
		for _, bad := range feed.bad {
			if bad.Line < 1 || bad.Code == "" {
				t.Errorf("refused: %+v", bad)
			}
		}
	})
}

func TestItemsCommand(t *testing.T) {
	data := t.TempDir()
	ok(t, "site", "add", "shop", "--origin", "https://shop.example", "--data", data)
	path := filepath.Join(t.TempDir(), "feed.tsv")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(googleFeed)
	report := filepath.Join(t.TempDir(), "refused.jsonl")
	out := ok(t, "items", "import", path, "--site", "shop", "--data", data, "--report", report)
	if !strings.Contains(out, "Site shop has 2 items, and 0 that are gone: 2 new, 0 changed, 0 as before, 0 gone with this feed; 3 lines refused.") {
		t.Errorf("import says %q", out)
	}
	if text, err := os.ReadFile(report); err != nil || string(text) != `{"line":4,"code":"malformed","field":"url"}`+"\n"+
		`{"line":5,"code":"repeated","field":"id"}`+"\n"+`{"line":6,"code":"columns"}`+"\n" {
		t.Errorf("the report is %s, %v", text, err)
	}
	if out := ok(t, "items", "list", "--site", "shop", "--data", data); !strings.Contains(out, "sku-2\t7.50 EUR\tout_of_stock\tA cap\n") {
		t.Errorf("list says %q", out)
	}
	// A file that is cut off within its first item deletes nothing.
	write(googleFeed[:strings.Index(googleFeed, "sku-2")+5])
	if code, _, err := run1(t, "items", "import", path, "--site", "shop", "--data", data); code != exitOK {
		// One of two items is left: not more than half is gone.
		t.Errorf("half a feed: %d, %s", code, err)
	}
	write(strings.Replace(googleFeed, "sku-", "other-", -1))
	if code, _, err := run1(t, "items", "import", path, "--site", "shop", "--data", data); code != exitError || !strings.Contains(err, "feed_shrinks") {
		t.Errorf("a feed of other items: %d, %s", code, err)
	}
	if out := ok(t, "items", "import", path, "--site", "shop", "--data", data, "--partial"); !strings.Contains(out, "2 new") {
		t.Errorf("a partial import says %q", out)
	}
	if out := ok(t, "items", "get", "other-1", "--site", "shop", "--data", data); !strings.Contains(out, `"title": "A \"felt\" hat"`) {
		t.Errorf("get says %q", out)
	}
	ok(t, "items", "delete", "other-1", "--site", "shop", "--data", data)
	if code, _, err := run1(t, "items", "get", "other-1", "--site", "shop", "--data", data); code != exitError || !strings.Contains(err, "not_found") {
		t.Errorf("get of what was deleted: %d, %s", code, err)
	}
	if out := ok(t, "items", "import", path, "--site", "shop", "--data", data, "--dry-run"); !strings.Contains(out, "2 items could be imported, 3 lines would be refused") {
		t.Errorf("a dry run says %q", out)
	}
}

func run1(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	var o, e bytes.Buffer
	code = command(t.Context(), args, stdio{&o, &e})
	return code, o.String(), e.String()
}

func ok(t *testing.T, args ...string) string {
	t.Helper()
	code, out, err := run1(t, args...)
	if code != exitOK {
		t.Fatalf("nearside %s: exit %d: %s", strings.Join(args, " "), code, err)
	}
	return out
}
