// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// What a server was told is kept is kept, whole batches of it, also when the node
// is killed in the midst; a batch whose answer was lost is sent again, and nothing
// is there twice.
func TestKillUnderBatchesLosesNothing(t *testing.T) {
	data := t.TempDir()
	cli(t, "site", "add", "shop", "--origin", shopOrigin, "--data", data)
	key := strings.TrimSpace(cli(t, "token", "create", "till", "--role", "server", "--site", "shop", "--data", data))
	const clients, events = 4, 50
	tell := func(base, batch string) bool {
		var list []string
		for i := range events {
			list = append(list, fmt.Sprintf(`{"id":"%s.%d","name":"purchase","at":%d,"props":{"transaction_id":"%s.%d"}}`, batch, i, time.Now().UnixMilli(), batch, i))
		}
		body := `{"v":1,"site":"shop","profile":"crm-` + batch + `","consent":{"granted":["measure","storage","profile"]},"events":[` + strings.Join(list, ",") + `]}`
		req, err := http.NewRequest(http.MethodPost, base+"/v1/events", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return false
		}
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		return err == nil && string(text) == fmt.Sprintf(`{"v":1,"accepted":%d,"rejected":[]}`, events)
	}

	var acked, lost []string
	process, base := startProcess(t, data)
	waitFor(t, "the release to be live", func() bool { return tell(base, "first") })
	acked = append(acked, "first")
	var mu sync.Mutex
	var wg sync.WaitGroup
	for client := range clients {
		wg.Go(func() {
			for i := range 2000 {
				batch := fmt.Sprintf("b%d-%d", client, i)
				ok := tell(base, batch)
				mu.Lock()
				if ok {
					acked = append(acked, batch)
				} else {
					lost = append(lost, batch)
				}
				enough := len(acked) == 60
				mu.Unlock()
				if enough {
					_ = process.Process.Kill() // while the others' batches are on their way
				}
				if !ok {
					return
				}
			}
		})
	}
	wg.Wait()
	_ = process.Wait() // killed
	if len(lost) == 0 {
		t.Fatal("the kill lost no answer: it proves nothing")
	}
	process, base = startProcess(t, data)
	for _, batch := range append(lost, acked[len(acked)-1]) { // the last is one that was kept
		if !tell(base, batch) {
			t.Errorf("batch %s is not taken again", batch)
		}
	}
	_ = process.Process.Kill()
	_ = process.Wait() // killed

	seen := map[string]int{}
	for line := range strings.Lines(cli(t, "events", "--data", data)) {
		var ev struct{ ID string }
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		seen[ev.ID]++
	}
	for _, batch := range append(acked, lost...) {
		for i := range events {
			if n := seen[fmt.Sprintf("%s.%d", batch, i)]; n != 1 {
				t.Fatalf("event %d of batch %s is stored %d times", i, batch, n)
			}
		}
	}
	if want := (len(acked) + len(lost)) * events; len(seen) != want {
		t.Errorf("%d events stored, want %d", len(seen), want)
	}
	t.Logf("%d batches acknowledged, %d answers lost in the kill and sent again: %d events, each once", len(acked), len(lost), len(seen))
}
