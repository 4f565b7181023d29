// SPDX-License-Identifier: Apache-2.0

package tag

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	brrr "github.com/molecule-man/go-brrr"
)

// A contestant is a tag that is loaded and started.
type contestant struct {
	name   string
	script []byte
	start  string // what its own snippet or documentation calls to start it
	times  []float64
}

// readPeers installs the peers that peers/package.json names, through npm, and
// returns them.
func readPeers(t *testing.T) []*contestant {
	t.Helper()
	install := exec.Command("npm", "install", "--silent", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")
	install.Dir = "peers"
	if said, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm: %v: %s", err, said)
	}
	read := func(path string) []byte {
		script, err := os.ReadFile(filepath.Join("peers", "node_modules", path))
		if err != nil {
			t.Fatal(err)
		}
		return script
	}
	// A module's exports would be a fault in a classic script.
	plausible := regexp.MustCompile(`export *\{[^}]*\}`).ReplaceAll(read("@plausible-analytics/tracker/plausible.js"), nil)
	return []*contestant{
		{name: "@plausible-analytics/tracker", script: plausible, start: `init({domain: "shop.example", endpoint: "/event", captureOnLocalhost: true})`},
		{name: "posthog-js array.js", script: read("posthog-js/dist/array.js"), start: `posthog.init("k", {api_host: location.origin, advanced_disable_flags: true})`},
	}
}

// TestTheTagBesideItsPeers loads and starts each build and each peer in turn, on
// a processor slowed down four times, and logs medians and sizes. It needs npm,
// and runs where NEARSIDE_TEST_PEERS is set.
func TestTheTagBesideItsPeers(t *testing.T) {
	if os.Getenv("NEARSIDE_TEST_PEERS") == "" {
		t.Skip("NEARSIDE_TEST_PEERS=1 measures beside peers")
	}
	onlyInChromium(t, "a way to slow the processor down")
	const rounds, slowDown = 11, 4
	contestants := append([]*contestant{
		{name: "tag.js", script: Script}, {name: "tag.full.js", script: FullScript}, {name: "tag.measure.js", script: MeasureScript},
	}, readPeers(t)...)
	s := newShop(t)
	s.noTag = true // the test runs the scripts itself
	page := s.page("/", SnippetOptions{}, grant(allPurposes...), hero+`<div data-slot=offer></div>`)
	b := openTab(t)
	for round := range rounds {
		for i, c := range contestants {
			b.open(fmt.Sprintf("%s?run=%d-%d", page, round, i))
			b.slowDown(slowDown)
			c.times = append(c.times, eval[float64](b, fmt.Sprintf(`(async () => {
				Object.defineProperty(document, "currentScript", {value: document.querySelector("script[data-site]")});
				await new Promise(rested => setTimeout(rested, 100));
				const start = performance.now(); (0, eval)(%q); return performance.now() - start })()`, string(c.script)+";"+c.start)))
			b.slowDown(1)
		}
	}
	for _, c := range contestants {
		slices.Sort(c.times)
		var br, gz bytes.Buffer
		compress(t, c.script, func() (io.WriteCloser, error) { return brrr.NewWriter(&br, 11) })
		compress(t, c.script, func() (io.WriteCloser, error) { return gzip.NewWriterLevel(&gz, gzip.BestCompression) })
		t.Logf("| %s | %d | %d | %d | %.1f | %.1f–%.1f |", c.name, len(c.script), gz.Len(), br.Len(), c.times[rounds/2], c.times[0], c.times[rounds-1])
	}
}

func compress(t *testing.T, data []byte, open func() (io.WriteCloser, error)) {
	t.Helper()
	w, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
