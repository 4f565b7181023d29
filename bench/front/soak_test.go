// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/bench/traffic"
)

// TestSoak soaks a node for a moment: every answer is the right one, bad requests'
// too, and the log has all that was acknowledged.
func TestSoak(t *testing.T) {
	var out bytes.Buffer
	if err := runSoak(t.Context(), t.TempDir(), soakOptions{conns: 16, visitors: 512, length: 2 * time.Second}, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if !strings.Contains(out.String(), "| acknowledged and not there, there twice | 0, 0 |\n") || strings.Contains(out.String(), "| events acknowledged, stored | 0,") {
		t.Error(out.String())
	}
}

func TestMixHasOneBadRequestInAHundred(t *testing.T) {
	count := map[int]int{}
	for _, kind := range mixed {
		count[kind]++
	}
	if count[kindBad] != 1 || count[kindDecide] != 9 || count[kindCollect] != 40 || count[kindPage] != 50 {
		t.Error(count)
	}
}

// TestVerdict says that a soak notices what a log lost and what it has twice.
func TestVerdict(t *testing.T) {
	if (&kept{acked: 5, stored: 5}).verdict() != nil {
		t.Error("a whole log is faulted")
	}
	if (&kept{lost: 1}).verdict() == nil || (&kept{twice: 1}).verdict() == nil {
		t.Error("a fault passes")
	}
	if n, ok := idOf([]byte(`{"v":1,"id":"e00000000000002a","site":"shop"}`)); !ok || n != 42 {
		t.Errorf("number %d %v", n, ok)
	}
	if _, ok := idOf([]byte(`{"v":1,"id":"another","site":"shop"}`)); ok {
		t.Error("another's id is counted")
	}
	var b bitset
	if b.set(700) || !b.set(700) || b.has(699) || b.has(70_000) {
		t.Error("the set does not hold what it was given")
	}
}

func TestQuantileOfBuckets(t *testing.T) {
	m, err := readMetrics(strings.NewReader(`# HELP h x
h_bucket{asks="slots",le="1e-05"} 10
h_bucket{asks="slots",le="0.001"} 110
h_bucket{asks="slots",le="+Inf"} 110
h_bucket{asks="events",le="1e-05"} 7
`))
	if err != nil {
		t.Fatal(err)
	}
	before := metrics{`h_bucket{asks="slots",le="1e-05"}`: 10, `h_bucket{asks="slots",le="0.001"}`: 10, `h_bucket{asks="slots",le="+Inf"}`: 10}
	if got, want := m.quantile(before, "h", "slots", 0.5), 1e-5+(1e-3-1e-5)/2; math.Abs(got-want) > 1e-9 {
		t.Errorf("the median is %g, not %g", got, want)
	}
}

// TestTemplates says that a request says its own length, has an id of its own
// wherever one stands, and carries a state.
func TestTemplates(t *testing.T) {
	corpus, err := traffic.New(4, 1)
	if err != nil {
		t.Fatal(err)
	}
	template := corpus.Template(0, pageShape)
	text := string(template.Append(nil, 0xabc, []byte("S-1")))
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	if !strings.HasSuffix(head, "Content-Length: "+strconv.Itoa(len(body))) || !strings.HasSuffix(body, `,"state":"S-1"}`) || strings.Contains(text, "#") {
		t.Error(text)
	}
	if strings.Count(body, "000000000000abc") != 2 {
		t.Errorf("the page and its event are not numbered in %s", body)
	}
}
