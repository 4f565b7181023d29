// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const operatingPage = "docs/OPERATING.md"

// TestOperatingPage holds the page's tables of settings and metrics to the
// program's; -update writes them.
func TestOperatingPage(t *testing.T) {
	first := pair{filepath.Join(t.TempDir(), "a.pem"), filepath.Join(t.TempDir(), "a.key")}
	first.write(t, 1, "near.example")
	cfg := testConfig()
	cfg.Door.TLSCerts, cfg.Door.TLSKeys = []string{first.cert}, []string{first.key}
	n := startNode(t, cfg)
	b, err := os.ReadFile(operatingPage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	for name, table := range map[string]string{"settings": settingsTable(), "metrics": metricsTable(t, n.metrics(t))} {
		begin := "<!-- " + name + ": go test . -run TestOperatingPage -update -->\n"
		end := "<!-- end of " + name + " -->"
		before, rest, ok := strings.Cut(page, begin)
		old, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no place for %s", operatingPage, name)
		}
		if old != table {
			if !*update {
				t.Errorf("the table of %s in %s is not the program's; go test . -run TestOperatingPage -update writes it:\n%s", name, operatingPage, table)
			}
			page = before + begin + table + end + after
		}
	}
	if *update && page != string(b) {
		if err := os.WriteFile(operatingPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// settingsTable has a row for each setting of nearside serve.
func settingsTable() string {
	var out strings.Builder
	fmt.Fprint(&out, "| setting | default | live | is |\n| --- | --- | --- | --- |\n")
	cfg := defaults()
	cfg.settings().VisitAll(func(f *flag.Flag) {
		_, text := flag.UnquoteUsage(f)
		value := f.DefValue
		switch {
		case f.Name == "node":
			value = "the host's name"
		case value != "":
			value = "`" + value + "`"
		}
		live := ""
		if liveSettings[f.Name] {
			live = "yes"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", f.Name, value, live, strings.ReplaceAll(text, "|", `\|`))
	})
	return out.String()
}

var (
	helpLine  = regexp.MustCompile(`(?m)^# HELP (\S+) (.*)\n# TYPE \S+ (\S+)$`)
	labelName = regexp.MustCompile(`([a-z_]+)="`)
)

// metricsTable has a row for each metric of a node.
func metricsTable(t *testing.T, text string) string {
	t.Helper()
	var rows []string
	for _, m := range helpLine.FindAllStringSubmatch(text, -1) {
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", m[1], m[3], strings.ReplaceAll(strings.TrimSuffix(m[2], "."), "|", `\|`)))
	}
	if len(rows) < 40 {
		t.Fatalf("only %d metrics in\n%s", len(rows), text)
	}
	slices.Sort(rows)
	return "| metric | kind | counts |\n| --- | --- | --- |\n" + strings.Join(slices.Compact(rows), "")
}

// knownLabels are the labels of metrics. Each has a closed list of values, or
// values that operators choose.
var knownLabels = []string{
	"route", "status", "code", "reason", "limit", "result", "store", "site", "module", "version", "hash", "kind", "le", "file", "family", "go", "asks", "type", "shape", "authority", "outcome",
}

// Every label is one that was thought about: a new one could hold what a client
// sent, and grow without end.
func TestMetricsHaveKnownLabels(t *testing.T) {
	n := newShop(t)
	for _, junk := range []string{"/x", "/y?z=1"} {
		n.post(t, junk, "junk", map[string]string{"User-Agent": "junk-agent", "Origin": "https://junk.example"})
	}
	n.post(t, "/_near/v1/beacon", `{"v":1,"site":"junk-site"}`, nil)
	text := n.metrics(t)
	for _, label := range labelName.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(knownLabels, label[1]) {
			t.Errorf("label %s is not known", label[1])
		}
	}
	if strings.Contains(text, "junk") {
		t.Errorf("what a client sent is in the metrics:\n%s", text)
	}
}
