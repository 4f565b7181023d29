// SPDX-License-Identifier: Apache-2.0

package accuracy

import (
	"os"
	"strings"
	"testing"

	"github.com/nearside/nearside/collector"
)

// TestCrawlers measures how many crawlers are told, and how many browsers are
// told to be some.
func TestCrawlers(t *testing.T) {
	reader := collector.NewReader()
	told := func(agent string) (string, bool) {
		_, bot := reader.Device(&collector.Agent{UserAgent: agent})
		if bot {
			return "crawler", true
		}
		return "browser", false
	}
	spiders, people := &tally{name: "uap-core's spiders"}, &tally{name: "uap-core's devices that are none"}
	for _, c := range corpus(t, "test_device.yaml") {
		count, crawls := people, false
		if c.Family == "Spider" {
			count, crawls = spiders, true
		}
		got, bot := told(c.Agent)
		count.add(got, bot == crawls, c.Brand+" "+c.Model, c.Agent)
	}
	systems := &tally{name: "uap-core's systems"}
	for _, c := range corpus(t, "test_os.yaml") {
		got, bot := told(c.Agent)
		systems.add(got, !bot, c.Family, c.Agent)
	}
	listed := &tally{name: "crawler-user-agents' instances"}
	data, err := os.ReadFile("../../collector/testdata/crawler_instances.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "# ") {
			got, bot := told(line)
			listed.add(got, bot, "", line)
		}
	}
	report(t, "Crawlers", spiders, listed, people, systems)
}
