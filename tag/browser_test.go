// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// browserName is the browser that the tests run in: chromium, if nothing is
// said, firefox or webkit.
var browserName = os.Getenv("NEARSIDE_TEST_BROWSER")

// A browser opens tabs, each with cookies and storage of its own.
type browser interface {
	// openTab opens a tab. Each script in before runs before anything else in each
	// document; events hears what pages say and how they fail.
	openTab(before []string, events listener) (driver, error)
	close()
}

// A driver does in a tab what a visitor or a developer does.
type driver interface {
	open(url string) error
	// run runs statements; eval returns the JSON of an expression's value, or of
	// what it settles with if that is a promise.
	run(script string) error
	eval(expression string) ([]byte, error)
	clickAt(x, y float64) error
	// typeText types where the focus is.
	typeText(text string) error
	close()
}

// A listener is called from any goroutine.
type listener interface {
	said(line string)
	failed(what string)
}

// The one browser of the package's tests, started by the first that needs it.
var shared struct {
	sync.Once
	browser browser
	err     error
}

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests mostly wait, so more of them run at once than there are processors.
	if err := flag.Set("test.parallel", "4"); err != nil {
		panic(err)
	}
	code := m.Run()
	if shared.browser != nil {
		shared.browser.close()
	}
	os.Exit(code)
}

func startBrowser() {
	switch browserName {
	case "", "chromium":
		shared.browser, shared.err = startChromium()
	case "firefox":
		shared.browser, shared.err = startFirefox()
	case "webkit":
		shared.browser, shared.err = startWebKit()
	default:
		shared.err = fmt.Errorf("NEARSIDE_TEST_BROWSER is chromium, firefox or webkit, not %q", browserName)
	}
}

// onlyInChromium skips a test of what no other browser has.
func onlyInChromium(t *testing.T, what string) {
	t.Helper()
	if browserName != "" && browserName != "chromium" {
		t.Skip("only Chromium has " + what)
	}
}

// A tab is a page in a browser context of its own, with its own cookies.
type tab struct {
	t      *testing.T
	driver driver
	voice  *voice
}

// A voice keeps what a tab's pages say.
type voice struct {
	mu       sync.Mutex
	console  []string // what the page's scripts said
	failures []string // uncaught errors
	expected []string // parts of those that a test brings about
}

func (v *voice) said(line string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.console = append(v.console, line)
}

func (v *voice) failed(what string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !slices.ContainsFunc(v.expected, func(part string) bool { return strings.Contains(what, part) }) {
		v.failures = append(v.failures, what)
	}
}

// watchPage runs before anything else in each document.
const watchPage = `
window.__shift = 0; window.__csp = []; window.__shows = 0;
window.__now = () => { let now; window.near("get", it => now = it); return now };
new PerformanceObserver(list => list.getEntries().forEach(e => { if (!e.hadRecentInput) window.__shift += e.value }))
	.observe({type: "layout-shift", buffered: true});
document.addEventListener("securitypolicyviolation", e => window.__csp.push(e.violatedDirective + " " + e.blockedURI + " " + e.sample));
addEventListener("pageshow", e => { if (e.persisted) window.__shows++ });
`

// openTab opens a tab that is closed with the test, after a look at whether the
// page failed. Each script in before runs before anything else in each document.
func openTab(t *testing.T, before ...string) *tab {
	t.Helper()
	shared.Do(startBrowser)
	if shared.err != nil {
		t.Fatalf("start the browser: %v", shared.err)
	}
	b := &tab{t: t, voice: &voice{}}
	var err error
	if b.driver, err = shared.browser.openTab(append([]string{watchPage}, before...), b.voice); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			if blocked := eval[[]string](b, `window.__csp || []`); len(blocked) > 0 {
				t.Errorf("blocked by the content security policy: %q", blocked)
			}
		}
		b.driver.close()
		b.voice.mu.Lock()
		defer b.voice.mu.Unlock()
		for _, failure := range b.voice.failures {
			t.Errorf("the page failed: %s", failure)
		}
	})
	return b
}

// must fails the test at an error of the browser's.
func (b *tab) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// expect passes over uncaught errors with one of the parts, from now on.
func (b *tab) expect(parts ...string) {
	b.voice.mu.Lock()
	defer b.voice.mu.Unlock()
	b.voice.expected = parts
}

// open loads a page and waits for it.
func (b *tab) open(url string) *tab {
	b.t.Helper()
	b.must(b.driver.open(url))
	return b
}

// click clicks in the middle of the first element that matches.
func (b *tab) click(selector string) {
	b.t.Helper()
	b.waitFor(fmt.Sprintf("document.querySelector(%q)?.offsetWidth", selector))
	at := eval[[2]float64](b, fmt.Sprintf(`(() => { const el = document.querySelector(%q); el.scrollIntoView({block: "nearest"});
		const r = el.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] })()`, selector))
	b.clickAt(at[0], at[1])
}

// clickAt clicks at a place of the window.
func (b *tab) clickAt(x, y float64) {
	b.t.Helper()
	b.must(b.driver.clickAt(x, y))
}

// typeInto types a text into the first element that matches.
func (b *tab) typeInto(selector, text string) {
	b.t.Helper()
	b.click(selector)
	b.must(b.driver.typeText(text))
}

// run runs a script in the page.
func (b *tab) run(script string) {
	b.t.Helper()
	b.must(b.driver.run(script))
}

// eval returns the value of an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	var value T
	text, err := b.driver.eval(expression)
	if err == nil {
		err = json.Unmarshal(text, &value)
	}
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// waitFor waits until an expression is true in the page, and fails the test if
// it is not within 20 s.
func (b *tab) waitFor(expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !eval[bool](b, "!!("+expression+")"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("never true: %s\n%s", expression, eval[string](b, "document.body.innerHTML"))
		}
	}
}

// said returns what the page's scripts have said on the console.
func (b *tab) said() []string {
	b.voice.mu.Lock()
	defer b.voice.mu.Unlock()
	return append([]string(nil), b.voice.console...)
}

// shift returns the layout shift so far that no input explains.
func (b *tab) shift() float64 { return eval[float64](b, "__shift") }

// wantText fails the test unless an element's text is the one wanted.
func (b *tab) wantText(selector, want string) {
	b.t.Helper()
	if got := eval[string](b, fmt.Sprintf("document.querySelector(%q).textContent", selector)); got != want {
		b.t.Errorf("%s shows %q, want %q", selector, got, want)
	}
}

// inTime repeats what only works if a loaded machine answers within the half
// second after a visitor's act, until it does, four times at most.
func inTime(t *testing.T, try func() bool) {
	t.Helper()
	for range 4 {
		if try() {
			return
		}
	}
	t.Error("the answer was late four times")
}

// settle gives the tag the time in which it would do what it must not.
func settle() { time.Sleep(400 * time.Millisecond) }
