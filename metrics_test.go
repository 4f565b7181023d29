// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"strings"
	"testing"

	"github.com/nearside/nearside/stream"
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
