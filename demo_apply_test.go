// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// rewrite replaces a text in a directory of site files, where it stands once.
func rewrite(t testing.TB, dir, before, after string) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(raw), before) {
			return err
		}
		found += strings.Count(string(raw), before)
		return os.WriteFile(path, []byte(strings.Replace(string(raw), before, after, 1)), 0o600)
	})
	if err != nil || found != 1 {
		t.Fatalf("%q stands %d times in the files, %v", before, found, err)
	}
}

// Somebody has the shop open, a colleague changes two of the site's files and
// applies them: the next view shows it. It is still so when the demo starts again.
func TestAChangedFileIsSeenAtTheNextView(t *testing.T) {
	data := t.TempDir()
	n := startNode(t, demoConfig(data))
	b := newTab(t, 390, 844)
	page := func() string { return n.at("/en/", "place", "paris", "device", "phone", "grant", "context") }
	shows := func(hero, offer string) {
		t.Helper()
		b.until(hero+" and "+offer, heroTitle+` === `+strconv.Quote(hero)+` && `+offerTitle+` === `+strconv.Quote(offer))
	}
	winter, summer := "Cold out? Scroll warm.", "Shade that fits your bag."
	if heroVariant("winter-phone") != "winter-phone" {
		winter, summer = summer, winter
	}
	b.open(page())
	shows(winter, "Tap, swipe, stay warm")

	dir := filepath.Join(t.TempDir(), "site")
	cli(t, "export", "--site", "demo", "--data", data, dir)
	if out := cli(t, "apply", "--data", data, dir); n.demoRelease(t).Number != 1 {
		t.Errorf("what was exported changes something: %s", out)
	}
	rewrite(t, dir, "now.getMonth() in [9, 10, 11, 0, 1, 2]", "now.getMonth() in [3, 4, 5, 6, 7, 8]")
	rewrite(t, dir, "Tap, swipe, stay warm", "Warm thumbs travel far")
	cli(t, "apply", "--data", data, dir)
	shows(winter, "Tap, swipe, stay warm") // nothing moves under the reader's eyes
	b.do(chromedp.Reload())
	shows(summer, "Warm thumbs travel far")

	n.stop()
	n = startNode(t, demoConfig(data))
	b.open(page())
	shows(summer, "Warm thumbs travel far")
	if faults := b.faults; len(faults) > 0 {
		t.Errorf("the page reports %q", faults)
	}
}
