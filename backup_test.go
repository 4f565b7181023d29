// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nearside/nearside/edge/consent"
)

// A node is backed up under load, and another one made of the backup serves the
// same releases to the same visitors and has the events that were acknowledged
// before.
func TestANodeMadeOfABackupIsTheSame(t *testing.T) {
	n := newShop(t)
	_, body := n.post(t, "/_near/v1/beacon", beaconOf(consent.All, "before"), nil)
	var first struct{ State string }
	if err := json.Unmarshal([]byte(body), &first); err != nil || first.State == "" {
		t.Fatalf("full consent got no state: %s", body)
	}
	before := n.storedEvents(t, "shop")
	ended := make(chan struct{})
	var load sync.WaitGroup
	for client := range 4 {
		load.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-ended:
					return
				default:
					n.post(t, "/_near/v1/beacon", beaconOf(consent.Measure, fmt.Sprintf("load%d-%d", client, i)), nil)
				}
			}
		})
	}
	file := filepath.Join(t.TempDir(), "node.backup")
	cli(t, "backup", "--data", n.data, "--to", file)
	close(ended)
	load.Wait()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the backup is %v, %v: it holds the key", info, err)
	}
	if said := refused(t, "backup", "--data", n.data, "--to", file); !strings.Contains(said, "is there already") {
		t.Errorf("a second backup to the same file: %s", said)
	}
	if said := refused(t, "restore", "--data", n.data, "--from", file); !strings.Contains(said, "not empty") {
		t.Errorf("a restore over data: %s", said)
	}

	cfg := testConfig()
	cfg.Data = filepath.Join(t.TempDir(), "data")
	if said := cli(t, "restore", "--data", cfg.Data, "--from", file); !strings.Contains(said, "found the same") || !strings.Contains(said, "files: key") {
		t.Errorf("restore says %s", said)
	}
	cli(t, "backup", "--data", cfg.Data, "--to", filepath.Join(t.TempDir(), "again")) // of a directory without a node
	second := startNode(t, cfg)
	if was, is := liveDocument(t, n.data), liveDocument(t, cfg.Data); was != is || was == "" {
		t.Errorf("the live release was %s\nand is %s", was, is)
	}
	after := second.storedEvents(t, "shop")
	for _, ev := range before {
		if !slices.ContainsFunc(after, func(e map[string]any) bool { return e["id"] == ev["id"] }) {
			t.Errorf("event %v was acknowledged before the backup and is gone", ev["id"])
		}
	}
	// The other node opens the state that the first one sealed.
	sealed := strings.Replace(beaconOf(consent.All, "after"), `"slots"`, `"state":"`+first.State+`","slots"`, 1)
	var visits [2]string
	for i, node := range []*testNode{n, second} {
		res, text := node.post(t, "/_near/v1/beacon", sealed, nil)
		if res.StatusCode != http.StatusOK {
			t.Errorf("answer %d %s", res.StatusCode, text)
		}
		visits[i] = node.visitorOf(t, "after.1")
	}
	if visits[0] != visits[1] || visits[0] == "" || visits[0] != n.visitorOf(t, "before.1") {
		t.Errorf("the visitor is %q and %q, and was %q", visits[0], visits[1], n.visitorOf(t, "before.1"))
	}
}

// visitorOf is the visitor of a stored event.
func (n *testNode) visitorOf(t *testing.T, id string) string {
	t.Helper()
	for _, ev := range n.storedEvents(t, "shop") {
		if ev["id"] == id {
			visitor, _ := ev["visitor"].(map[string]any)
			return fmt.Sprint(visitor["id"])
		}
	}
	return ""
}

// liveDocument is the shop's live release.
func liveDocument(t *testing.T, data string) string {
	t.Helper()
	cfg := defaults()
	cfg.Data = data
	client, err := openClient(&cfg, stdio{io.Discard, io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	var doc json.RawMessage
	if err := errors.Join(client.call(t.Context(), apiRequest{method: http.MethodGet, path: "/v1/releases/shop"}, &doc), client.Close()); err != nil {
		t.Fatal(err)
	}
	return string(doc)
}

// No token is good for a backup: it holds the node's key.
func TestOnlyTheSocketGivesABackup(t *testing.T) {
	cfg := testConfig()
	cfg.AdminAddr = "127.0.0.1:0"
	n := startNode(t, cfg)
	secret := strings.TrimSpace(cli(t, "token", "create", "ann", "--role", "admin", "--site", "*", "--data", n.data))
	req, err := http.NewRequest(http.MethodGet, n.admin+"/v1/backup", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("with an admin's token: %s, want 404", res.Status)
	}
}
