// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

func TestChangedLimitsKeepWhatIsStored(t *testing.T) {
	dir := t.TempDir()
	for i, tt := range []struct {
		name  string
		limit int64
		full  bool
	}{
		{"the default", 0, false},
		{"far below what is stored", 10_000, true},
		{"a larger one", 64 << 30, false},
		{"a small one with room", 1_000_000, false},
	} {
		s := open(t, Options{Dir: dir, MaxLogBytes: tt.limit, MaxAge: time.Duration(i+1) * 24 * time.Hour})
		if i == 0 {
			publish(t, s, large("first", 50_000))
			put(t, s, "shop", 0, 1, "one")
		}
		if got := read(t, s, Query{}); len(got) == 0 || got[0].ID != "first" {
			t.Fatalf("%s: what was stored is gone: %v", tt.name, ids(got))
		}
		if _, doc, err := s.Release(t.Context(), "shop"); string(doc) != "one" || err != nil {
			t.Errorf("%s: the release is %q, %v", tt.name, doc, err)
		}
		err := s.Publish([]edge.Event{event("shop", tt.name)}, wait)
		if errors.Is(err, edge.ErrUnavailable) != tt.full {
			t.Errorf("%s: error %v, full is %v", tt.name, err, tt.full)
		}
		closeStream(t, s)
	}
}
