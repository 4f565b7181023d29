// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/nearside/nearside/edge"
)

// deadSinkUnderLoad runs a node whose webhook receiver does not answer, beside a
// sink of files, and kills it once. The load must be served as ever, the dead
// sink's backlog seen, and each event that is stored lie in one file.
func deadSinkUnderLoad(r *faultRig) {
	hole, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		r.Fatal(err)
	}
	defer hole.Close()
	dir := r.TempDir()
	file, lines := filepath.Join(dir, "sinks.yaml"), filepath.Join(dir, "lines")
	sinks := fmt.Sprintf("- {name: dead, kind: webhook, url: 'https://%s/', secretEnv: HOOK_SECRET, allow: [127.0.0.0/8], needs: [measure], from: start, timeout: 2s}\n"+
		"- {name: lines, kind: jsonl, dir: '%s', from: start, rotateAfter: 1s}\n", hole.Addr(), lines)
	if err := os.WriteFile(file, []byte(sinks), 0o600); err != nil {
		r.Fatal(err)
	}
	r.Setenv("HOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	r.Setenv(variable("sinks"), file)
	r.start()
	stop := r.load()
	time.Sleep(2500 * time.Millisecond)
	r.kill()
	r.start()
	time.Sleep(1500 * time.Millisecond)
	stop()
	r.resend(r.unanswered())
	waitFor(r, "the files to have everything, and the dead sink nothing", func() bool {
		all := map[string]edge.SinkStatus{}
		var told []edge.SinkStatus
		if err := json.Unmarshal([]byte(cli(r, "sinks", "status", "--json", "--data", r.data)), &told); err != nil {
			r.Fatal(err)
		}
		for _, s := range told {
			all[s.Name] = s
		}
		return all["lines"].Backlog == 0 && all["dead"].State == edge.SinkWaiting && all["dead"].Backlog > 0 && all["dead"].Position == 0
	})
	r.stop()
	inFiles := map[string]int{}
	for _, line := range sinkLines(r, lines) {
		var e struct{ ID string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			r.Fatal(err)
		}
		inFiles[e.ID]++
	}
	stored := map[string]bool{}
	for _, e := range r.node.storedEvents(r, "shop") {
		id := e["id"].(string)
		stored[id] = true
		if inFiles[id] != 1 {
			r.Errorf("%s is stored, and %d times in files", id, inFiles[id])
		}
	}
	if len(stored) != len(inFiles) {
		r.Errorf("%d events are stored, %d in files", len(stored), len(inFiles))
	}
}
