// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/nearside/nearside/demo"
	"github.com/nearside/nearside/wasm-rules/sdk"
)

// TestANewAuthorsWayToTheShop follows each SDK's README: from the template to an
// answer in the demo shop.
func TestANewAuthorsWayToTheShop(t *testing.T) {
	n := startDemo(t)
	b := newTab(t, 1280, 900)
	where := []string{"--site", demo.Site, "--data", n.data}
	for _, language := range sdk.Languages() {
		t.Run(language, func(t *testing.T) {
			skipWithoutCompiler(t, language)
			dir := filepath.Join(t.TempDir(), "my-rule")
			cli(t, "module", "new", "--language", language, dir)
			buildGuest(t, dir)
			wasm, name := filepath.Join(dir, "rule.wasm"), "evening-hero-"+language+"@1.0.0"
			if out := cli(t, "module", "check", wasm); !strings.Contains(out, name) {
				t.Errorf("check says\n%s", out)
			}
			if out := cli(t, "module", "test", wasm, filepath.Join(dir, "cases.jsonl")); !strings.Contains(out, "8 passed, 0 failed") {
				t.Errorf("test says\n%s", out)
			}
			cli(t, append([]string{"module", "upload", wasm}, where...)...)
			cli(t, append([]string{"module", "publish", "--slot", "hero", "--rung", "context", name}, where...)...)
			if got := n.parisianHero(t); got.Rule != name || got.Reason != "rule" || !strings.HasSuffix(got.Variant, "-phone") ||
				!strings.Contains(got.Because, " o'clock in FR") {
				t.Errorf("shown: %+v, want a phone's by %s", got, name)
			}
			b.t = t
			b.open(n.at("/en/", "place", "paris", "device", "phone", "grant", "context"))
			b.until("the answer", `window.near && new Promise(r => near('get', s => r(s.decisions.length > 0)))`)
			b.do(chromedp.Click(`[data-explain=hero]`))
			b.until("the panel", `document.querySelector('#panel[open] .panel-saw')`)
			panel := eval[string](b, `document.querySelector('#panel').textContent`)
			for _, want := range []string{name, " o'clock in FR", "time.hour", "geo.country", "device.type"} {
				if !strings.Contains(panel, want) {
					t.Errorf("the shop's panel does not say %q: %s", want, panel)
				}
			}
			b.screenshot("evening-hero-" + language)
			// Somebody from the sunny country sees summer at any hour.
			cli(t, append([]string{"module", "publish", "--slot", "hero", "--rung", "context", "--settings", `{"sunny":"FR"}`, name}, where...)...)
			if got := n.parisianHero(t); got.Rule != name || got.Variant != "summer-phone" {
				t.Errorf("shown with settings: %+v, want summer-phone by %s", got, name)
			}
			cli(t, append([]string{"module", "remove", "--slot", "hero", name}, where...)...)
			if got := n.parisianHero(t); got.Rule == name {
				t.Errorf("shown after it was removed: %+v", got)
			}
		})
	}
}

func skipWithoutCompiler(t *testing.T, language string) {
	t.Helper()
	for _, command := range map[string][]string{
		"assemblyscript": {"node", "npm"}, "c": {"clang-14", "wasm-ld-14"}, "go": {"go"}, "rust": {"/usr/bin/rustc"},
	}[language] {
		if _, err := exec.LookPath(command); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%v: under CI nothing is left out", err)
			}
			t.Skipf("%v: scripts/deps.sh installs it", err)
		}
	}
}

// buildGuest runs a template's one command with this program as nearside.
func buildGuest(t *testing.T, dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "sh", filepath.Join(dir, "build.sh"))
	build.Env = append(os.Environ(), "NEARSIDE="+self, runMain+"=1")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build.sh: %v\n%s", err, said)
	}
}

// A heroShown is the answer for the demo's hero and why.
type heroShown struct{ Variant, Reason, Rule, Because string }

// parisianHero asks for the hero as somebody with a phone in Paris who granted
// context.
func (n *testNode) parisianHero(t *testing.T) heroShown {
	t.Helper()
	page := n.base + "/en/?place=paris&device=phone&grant=context"
	beacon := fmt.Sprintf(`{"v":1,"site":%q,"page":{"url":%q},"sent":1,"consent":{"purposes":4,"owner":{"granted":4}},"slots":["hero"]}`, demo.Site, page)
	_, body := n.post(t, "/_near/v1/beacon", beacon, map[string]string{"Origin": n.base, "Referer": page})
	var answer struct{ Decisions []heroShown }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Decisions) != 1 {
		t.Fatalf("%v in %s", err, body)
	}
	return answer.Decisions[0]
}

func TestANewModuleOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	if out := refused(t, "module", "new", "--language", "rust", dir); !strings.Contains(out, "exists") {
		t.Errorf("it says %q", out)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
	other := filepath.Join(dir, "other")
	for _, args := range [][]string{{"module", "new", other}, {"module", "new", "--language", "cobol", other}} {
		var said bytes.Buffer
		if code := command(t.Context(), args, stdio{out: io.Discard, err: &said}); code != exitUsage || !strings.Contains(said.String(), "rust") {
			t.Errorf("%v: exit %d, it says %q", args, code, &said)
		}
	}
	if _, err := os.Stat(other); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a project was made: %v", err)
	}
}
