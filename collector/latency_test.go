// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestLatencyIsAHistogram(t *testing.T) {
	var l latency
	for _, d := range []time.Duration{-time.Second, 0, 10 * time.Microsecond, 11 * time.Microsecond, 4 * time.Millisecond, time.Hour} {
		l.observe(d)
	}
	text := string(l.appendText(nil, "n", "asks", "slots"))
	for _, want := range []string{
		`n_bucket{asks="slots",le="1e-05"} 3`, `n_bucket{asks="slots",le="2e-05"} 4`, `n_bucket{asks="slots",le="0.003"} 4`,
		`n_bucket{asks="slots",le="0.005"} 5`, `n_bucket{asks="slots",le="1"} 5`, `n_bucket{asks="slots",le="+Inf"} 6`,
		`n_sum{asks="slots"} 3600.004021`, `n_count{asks="slots"} 6`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if lines := strings.Count(text, "\n"); lines != len(latencyBounds)+3 {
		t.Errorf("%d lines", lines)
	}
	if n := testing.AllocsPerRun(100, func() { l.observe(time.Millisecond) }); n != 0 {
		t.Errorf("observing allocates %.0f times", n)
	}
}

// A beacon is timed once, by what it asks for, and one that is refused is not.
func TestBeaconsAreTimed(t *testing.T) {
	h, _ := openForServers(t)
	h.post(beaconOf(usual, say{"events": eventsOf("e1"), "slots": []string{"hero"}}))
	h.post(beaconOf(usual, say{"events": eventsOf("e2")}))
	h.post(beaconOf(usual, say{"events": eventsOf("e3")}))
	h.post("{")
	if res := h.ask(askOf(usual, say{"slots": []string{"hero"}})); res.StatusCode != 200 {
		t.Fatalf("a server's question is answered with %d: %s", res.StatusCode, res.body)
	}
	var out bytes.Buffer
	if err := h.WritePrometheus(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`nearside_decide_seconds_count{asks="slots"} 1`, `nearside_decide_seconds_count{asks="events"} 2`,
		`nearside_answer_seconds_count{asks="slots"} 1`, `nearside_answer_seconds_count{asks="events"} 2`,
		`nearside_decide_seconds_count{asks="server"} 1`, `nearside_answer_seconds_count{asks="server"} 1`,
		`nearside_decide_seconds_bucket{asks="slots",le="+Inf"} 1`, "# TYPE nearside_decide_seconds histogram",
	} {
		if !strings.Contains(out.String(), want+"\n") {
			t.Errorf("%s is missing in\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), `nearside_decide_seconds_sum{asks="slots"} 0`+"\n") {
		t.Error("the time was not taken")
	}
}
