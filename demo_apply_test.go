// SPDX-License-Identifier: Apache-2.0

package main

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/chromedp/chromedp"
)

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
	rewrite(t, dir, "audiences.yaml", "now.getMonth() in [9, 10, 11, 0, 1, 2]", "now.getMonth() in [3, 4, 5, 6, 7, 8]")
	rewrite(t, dir, "slots/offer.yaml", "Tap, swipe, stay warm", "Warm thumbs travel far")
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
