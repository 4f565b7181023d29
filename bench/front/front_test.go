// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/bench/load"
	"github.com/nearside/nearside/bench/traffic"
)

// TestMain is also the peers that this program is.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 {
		if serve, ok := peers[os.Args[1]]; ok {
			fmt.Fprintln(os.Stderr, serve(os.Args[2]))
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// everyAnswer reads each answer whole and counts the visitors it was right for.
type everyAnswer struct {
	*stream
	seen map[int]bool
}

func (e *everyAnswer) Answer(conn, status int, body []byte) error {
	if status != e.status {
		return fmt.Errorf("status %d, not %d: %s", status, e.status, body)
	}
	e.seen[e.at[conn]] = true
	return e.check(e.at[conn], body)
}

// TestPeersAgree holds every server to the variants that the plain reading of the
// rules gives, for every visitor. A peer that is not installed is skipped.
func TestPeersAgree(t *testing.T) {
	corpus, err := traffic.New(2048, 3)
	if err != nil {
		t.Fatal(err)
	}
	var missing strings.Builder
	h, err := openHouse(t.Context(), t.TempDir(), "", "", corpus, 16, firstNumber(), &missing)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	for _, name := range []string{"decide", "recorded", "pageview", "by-key", "lua", "growthbook", "growthbook-context", "opa", "opa-context", "opa-server"} {
		t.Run(name, func(t *testing.T) {
			s := h.subjects[name]
			if s.server == nil {
				t.Skip(missing.String())
			}
			script := &everyAnswer{s.stream(), map[int]bool{}}
			script.states = nil // a visitor a request, or not all of them come
			for end := time.Now().Add(time.Minute); len(script.seen) < len(corpus.Visitors); {
				if time.Now().After(end) {
					t.Fatalf("only %d visitors of %d were answered", len(script.seen), len(corpus.Visitors))
				}
				if _, err := load.Run(load.Plan{Addr: s.server.addr, Conns: 16, For: 200 * time.Millisecond, Script: script}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestCorpusDiffers says that the corpus asks different things: every slot shows
// every variant to somebody, and some visitors get the page's own.
func TestCorpusDiffers(t *testing.T) {
	corpus, err := traffic.New(8192, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, slot := range traffic.Slots {
		shown := map[string]int{}
		for _, wants := range corpus.Wants {
			shown[wants[i]]++
		}
		if len(shown) != 9 || shown[""] == 0 {
			t.Errorf("%s shows %v", slot, shown)
		}
	}
	agents, addrs := map[string]bool{}, map[string]bool{}
	for i := range corpus.Visitors {
		agents[corpus.Visitors[i].Agent.Text] = true
		addrs[corpus.Visitors[i].Addr.String()] = true
	}
	if len(agents) < 200 || len(addrs) < 8000 {
		t.Errorf("%d User-Agents and %d addresses", len(agents), len(addrs))
	}
}
