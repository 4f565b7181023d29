// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/geo"
	"github.com/nearside/nearside/stream"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// TestMetricsSayHowFullEachStoreIs looks at a stream's real counts: what refuses
// when it is full must be seen before it is.
func TestMetricsSayHowFullEachStoreIs(t *testing.T) {
	s, err := stream.Open(stream.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	var out strings.Builder
	writeStreamMetrics(&out, s.Stats())
	for _, store := range []string{"audit", "events", "ledger", "modules", "pointers", "records", "releases"} {
		for _, name := range []string{"nearside_stream_store_bytes", "nearside_stream_store_max_bytes"} {
			if series := name + `{store="` + store + `"} `; !strings.Contains(out.String(), "\n"+series) {
				t.Errorf("no %s", series)
			}
		}
	}
	if strings.Contains(out.String(), "_max_bytes{store=\"ledger\"} 0\n") {
		t.Error("the ledger has no bound")
	}
	if n := strings.Count(out.String(), "# TYPE nearside_stream_store_bytes gauge\n"); n != 1 {
		t.Errorf("the family is described %d times", n)
	}
}

func TestMetricsCountEachModule(t *testing.T) {
	status := wasmrules.ModuleStatus{Module: "echo@1.0.0", Calls: 11}
	status.Faults[wasmrules.FaultTrap], status.Faults[wasmrules.FaultNonsense], status.Faults[wasmrules.FaultGrown] = 1, 2, 3
	out := wasmrules.ModuleStatus{Module: "out@1.0.0", QuarantinedUntil: time.Unix(1, 0)}
	var text strings.Builder
	writeModuleMetrics(&text, []wasmrules.ModuleStatus{status, out})
	for _, line := range []string{
		"# TYPE nearside_module_calls_total counter\n",
		`nearside_module_calls_total{module="echo@1.0.0"} 11` + "\n",
		`nearside_module_faults_total{module="echo@1.0.0",kind="trap"} 1` + "\n",
		`nearside_module_faults_total{module="echo@1.0.0",kind="nonsense"} 2` + "\n",
		`nearside_module_quarantined{module="echo@1.0.0"} 0` + "\n",
		`nearside_module_quarantined{module="out@1.0.0"} 1` + "\n",
		`nearside_module_faults_total{module="echo@1.0.0",kind="grown"} 3` + "\n",
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("the metrics lack %s in\n%s", line, text.String())
		}
	}
}

func TestMetricsHaveABoundedNumberOfSeries(t *testing.T) {
	var list []wasmrules.ModuleStatus
	for i := range 3 * maxSeries {
		name := string(rune('a'+i/26/26)) + string(rune('a'+i/26%26)) + string(rune('a'+i%26))
		list = append(list, wasmrules.ModuleStatus{Module: name, Calls: 1}, wasmrules.ModuleStatus{Module: name, Calls: 1})
	}
	series := bySeries(list)
	var calls uint64
	for _, s := range series {
		calls += s.Calls
	}
	if len(series) != maxSeries || calls != uint64(len(list)) || series[0].Calls != 2 || series[maxSeries-1].Module != "other" {
		t.Errorf("%d series, %d calls, the last is %q", len(series), calls, series[len(series)-1].Module)
	}
}

func TestMetricsSayWhatTheProcessHolds(t *testing.T) {
	var text strings.Builder
	writeProcessMetrics(&text)
	for _, name := range []string{"nearside_heap_bytes", "nearside_memory_bytes", "nearside_goroutines"} {
		_, rest, ok := strings.Cut(text.String(), "\n"+name+" ")
		if n, err := strconv.ParseUint(rest[:max(0, strings.IndexByte(rest, '\n'))], 10, 64); !ok || err != nil || n == 0 {
			t.Errorf("%s is not counted in\n%s", name, text.String())
		}
	}
}

func TestMetricsTellWhichPlaceDatabaseServes(t *testing.T) {
	built := time.Unix(1795305600, 0)
	var out strings.Builder
	writeGeoMetrics(&out, geo.Status{Places: 7, Bytes: 8, Reloads: 2, ReloadErrors: 1, Files: []geo.FileStatus{
		{Type: "city", Shape: geo.ShapeFlat, Built: built, NetworksIPv4: 5}, {Type: "city", Shape: geo.ShapeFlat, Built: built, NetworksIPv6: 6},
	}})
	for _, line := range []string{
		`nearside_geo_built_timestamp_seconds{file="1",type="city",shape="flat"} 1795305600`,
		`nearside_geo_built_timestamp_seconds{file="2",type="city",shape="flat"} 1795305600`,
		`nearside_geo_networks{file="1",family="ipv4"} 5`, `nearside_geo_networks{file="2",family="ipv6"} 6`,
		"nearside_geo_places 7", "nearside_geo_table_bytes 8", "nearside_geo_reloads_total 2", "nearside_geo_reload_errors_total 1",
	} {
		if n := strings.Count(out.String(), "\n"+line+"\n"); n != 1 {
			t.Errorf("%q is there %d times", line, n)
		}
	}
}
