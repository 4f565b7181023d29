// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// publishAllocs is how many allocations a call of Publish may make in the steady
// state: none, but that the group's message and the index grow now and then, and
// that the server does what it does.
const publishAllocs = 0.25

// TestRecordAndPublishAllocs counts what calls of Publish allocate themselves: the group
// stays open meanwhile, so that the server has nothing to do.
func TestRecordAndPublishAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := open(t, Options{Dir: t.TempDir(), Window: time.Hour, RecordWindow: time.Hour})
	const calls = 5000
	events := make([][]edge.Event, 2*calls)
	for i := range events {
		events[i] = []edge.Event{event("shop", fmt.Sprintf("a%d", i)), event("shop", fmt.Sprintf("b%d", i))}
	}
	record := edge.StoredRecord{Site: "shop", At: time.Now(), Visitor: [16]byte{1}, Bytes: make([]byte, 100)}.Record()
	publish(t, s, event("shop", "first")) // the window has begun
	var before, after runtime.MemStats
	for half := range 2 { // the first one warms up
		runtime.ReadMemStats(&before)
		for _, e := range events[half*calls : (half+1)*calls] {
			s.Record(&record)
			if err := s.Publish(e, 0); !errors.Is(err, edge.ErrUnavailable) {
				t.Fatalf("the group was committed: %v", err)
			}
		}
		runtime.ReadMemStats(&after)
	}
	per := float64(after.Mallocs-before.Mallocs) / calls
	t.Logf("%.3f allocations a call of Record and Publish", per)
	if per > publishAllocs {
		t.Errorf("%.3f allocations a call, at most %v are budgeted", per, publishAllocs)
	}
}
