// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// instances returns the User-Agents that the list of crawlers gives as examples.
func instances(t testing.TB) []string {
	t.Helper()
	data, err := os.ReadFile("testdata/crawler_instances.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "# ") {
			list = append(list, line)
		}
	}
	if len(list) < 2000 {
		t.Fatalf("%d instances", len(list))
	}
	return list
}

func TestCrawlersMatchTheListsInstances(t *testing.T) {
	known := newCrawlers()
	for _, agent := range instances(t) {
		if !known.match(agent) {
			t.Errorf("%q is not recognised", agent)
		}
	}
}

// slowCrawlers is the table as regular expressions, one by one: what it means,
// without anything that makes it fast.
func slowCrawlers() []*regexp.Regexp {
	var list []*regexp.Regexp
	for line := range strings.Lines(crawlerTable) {
		line = strings.TrimSuffix(line, "\n")
		switch line[0] {
		case '=':
			list = append(list, regexp.MustCompile(regexp.QuoteMeta(line[1:])))
		case '-':
			list = append(list, regexp.MustCompile("(^|[^0-9A-Za-z])"+regexp.QuoteMeta(line[1:])))
		case '^':
			list = append(list, regexp.MustCompile("^"+regexp.QuoteMeta(line[1:])))
		case '~':
			_, expr, _ := strings.Cut(line, "\t")
			list = append(list, regexp.MustCompile(expr))
		}
	}
	return list
}

// TestCrawlerTable checks that every line of the table is in use.
func TestCrawlerTable(t *testing.T) {
	known := newCrawlers()
	texts := 0
	for _, list := range known.texts {
		texts += len(list)
		for _, entry := range list {
			if entry.expr < 0 && (known.match("x"+entry.text) == entry.word || !known.match("x "+entry.text) || !known.match(entry.text)) {
				t.Errorf("%q is not found", entry.text)
			}
		}
	}
	if lines := strings.Count(crawlerTable, "\n") - 3; texts+len(known.firsts) != lines || len(known.exprs) > 64 {
		t.Errorf("%d texts and %d beginnings of %d lines, %d expressions", texts, len(known.firsts), lines, len(known.exprs))
	}
	for _, text := range known.firsts {
		if !known.match(text + "x") {
			t.Errorf("%q is not found", text)
		}
	}
}

// TestBrowsersAreNoCrawlers has the User-Agents of browsers inside apps beside
// those of browsers: their names are also those of link previews.
func TestBrowsersAreNoCrawlers(t *testing.T) {
	known := newCrawlers()
	for _, agent := range []string{
		"", "M", "Mo", desktopAgent, phoneAgent,
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [FBAN/FBIOS;FBAV/510.0.0.42.100;FBDV/iPhone15,2]",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 380.0.0.28.84 (iPhone15,2; iOS 18_5)",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [Pinterest/iOS]",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 [LinkedInApp]/9.30.1234",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) GSA/370.0.762084406 Mobile/15E148 Safari/604.1",
		"Mozilla/5.0 (Linux; Android 14; SM-S918B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.134 Mobile Safari/537.36 Line/14.9.1/IAB",
		"Mozilla/5.0 (Linux; Android 14; SM-S918B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.134 Mobile Safari/537.36 musical_ly_2023504030 BytedanceWebview/d8a21c6",
		"Mozilla/5.0 (Linux; Android 14; SM-S918B; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/126.0.6478.134 Mobile Safari/537.36 MicroMessenger/8.0.49",
		"Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
		"Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Mobile Safari/537.36 DuckDuckGo/5",
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36 Vivaldi/6.8",
		"Mozilla/5.0 (Linux; Android 16; Pixel 10 Build/CP1A.260305.018; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/146.0.7680.174 Mobile Safari/537.36 MetaIAB Facebook",
		"Mozilla/5.0 (Linux; Android 15; CPH2557 Build/AP3A.240617.008; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/142.0.7444.142 Mobile Safari/537.36",
		"Mozilla/5.0 (Linux; U; Android 9; zh-cn; V1816A) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/66.0.3359.126 Mobile Safari/537.36 SogouMSE,SogouMobileBrowser/5.22.8",
		"Opera/9.80 (MAUI Runtime; Opera Mini/4.4.39008/37.9178; U; en) Presto/2.12.423 Version/12.16",
		"Mozilla/5.0 (iPad; U; CPU iPhone OS 7_0 like Mac OS X; de-DE) WIRED/3.2.3.11.87970",
	} {
		if known.match(agent) {
			t.Errorf("%q is taken for a crawler", agent)
		}
	}
}

func TestCrawlerAllocs(t *testing.T) {
	known := newCrawlers()
	for _, agent := range []string{desktopAgent, strings.Repeat("Goog", maxUserAgentBytes/4), "Mozilla/5.0 (compatible; Googlebot/2.1)"} {
		if n := testing.AllocsPerRun(100, func() { known.match(agent) }); n > 0 {
			t.Errorf("%q costs %v allocations", agent, n)
		}
	}
}

func BenchmarkCrawlers(b *testing.B) {
	known := newCrawlers()
	for _, agent := range []struct{ name, text string }{{"browser", desktopAgent}, {"worst", strings.Repeat("Goog", maxUserAgentBytes/4)}, {"expressions", strings.Repeat("Spider SSL Labs.Current", maxUserAgentBytes/23)}} {
		b.Run(agent.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				known.match(agent.text)
			}
		})
	}
}

// FuzzCrawlers compares the matching with the table's expressions, one by one.
func FuzzCrawlers(f *testing.F) {
	for _, agent := range []string{desktopAgent, "curl/8", "x curl", "Spider http://spider.com", "SSL Labs", "SSL Labs.", "AdsBot-Google-Mobile", "\xff\xfe", "Silk/1 Silk"} {
		f.Add(agent)
	}
	known, slow := newCrawlers(), slowCrawlers()
	f.Fuzz(func(t *testing.T, agent string) {
		agent = cut(agent, maxUserAgentBytes)
		want := false
		for _, expr := range slow {
			want = want || expr.MatchString(agent)
		}
		if got := known.match(agent); got != want {
			t.Errorf("%q: %v, one by one %v", agent, got, want)
		}
	})
}
