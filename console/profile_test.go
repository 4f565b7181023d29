// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"compress/gzip"
	"io"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/nearside/nearside/publishing"
)

// A CPU profile is the operator's alone, and one is taken at a time.
func TestProfile(t *testing.T) {
	b := openBench(t, nil)
	res := b.do("GET", "/debug/pprof/profile?seconds=1", "")
	if res.StatusCode != 200 {
		t.Fatalf("answer %d %s", res.StatusCode, res.body)
	}
	packed, err := gzip.NewReader(strings.NewReader(res.body))
	if err != nil {
		t.Fatal(err)
	}
	if raw, err := io.ReadAll(packed); err != nil || !bytes.Contains(raw, []byte("nanoseconds")) {
		t.Errorf("that is no CPU profile: %v", err)
	}
	for _, seconds := range []string{"0", "601", "x"} {
		if res := b.do("GET", "/debug/pprof/profile?seconds="+seconds, ""); res.StatusCode != 400 {
			t.Errorf("%s seconds: answer %d", seconds, res.StatusCode)
		}
	}
	if res := b.as(b.token("Ada", publishing.Admin, publishing.AnySite), "GET", "/debug/pprof/profile?seconds=1", ""); res.StatusCode != 404 {
		t.Errorf("with a token: answer %d", res.StatusCode)
	}
}

func TestOneProfileAtATime(t *testing.T) {
	b := openBench(t, nil)
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		t.Fatal(err)
	}
	defer pprof.StopCPUProfile()
	if res := b.do("GET", "/debug/pprof/profile?seconds=1", ""); res.StatusCode != 409 || res.refused(t) != "profile_running" {
		t.Errorf("answer %d %s", res.StatusCode, res.body)
	}
}
