// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/stream"
)

// openKeyStream returns a stream for keyrings.
func openKeyStream(t *testing.T, data string) *stream.Stream {
	t.Helper()
	s, err := stream.Open(stream.Options{Dir: data})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// unnoted is for a change of keys of which no audit log is told.
func unnoted(_ string, do func() error) error { return do() }

// house returns keyrings of nodes that share a store and DATA/key, watching.
func house(t *testing.T, nodes int) []*keyring {
	t.Helper()
	data := t.TempDir()
	s := openKeyStream(t, data)
	rings := make([]*keyring, nodes)
	for i := range rings {
		k, err := openKeys(data, s, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		rings[i] = k
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- k.watch(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	return rings
}

func keyNumbers(t *testing.T, k *keyring) (list []int) {
	t.Helper()
	keys, err := k.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		list = append(list, key.Number)
	}
	return list
}

// Every node of a house has a new key within a second, and does without a retired
// one.
func TestEachNodeOfAHouseHasANewKeyWithinASecond(t *testing.T) {
	nodes := house(t, 3)
	state := &edge.State{First: time.Now(), Last: time.Now(), Started: time.Now()}
	for turn := 1; turn <= 3; turn++ {
		if _, err := nodes[turn%3].Rotate(t.Context(), 0, unnoted); err != nil {
			t.Fatal(err)
		}
		sealed, made := nodes[turn%3].sealer.SealState("shop", state), time.Now()
		for i, k := range nodes {
			waitFor(t, "the key to be there", func() bool { _, err := k.sealer.OpenState("shop", sealed); return err == nil })
			if took := time.Since(made); took > time.Second {
				t.Errorf("node %d has key %d after %v", i, turn, took)
			}
		}
	}
	if _, err := nodes[0].Retire(t.Context(), 1, true, unnoted); err != nil {
		t.Fatal(err)
	}
	for _, k := range nodes {
		waitFor(t, "the key to be gone", func() bool { return fmt.Sprint(keyNumbers(t, k)) == "[0 2 3]" })
	}
}

// Two who rotate at once make one key: the other is told.
func TestOfTwoWhoRotateAtOnceOneIsTold(t *testing.T) {
	nodes := house(t, 2)
	_, err := nodes[0].Rotate(t.Context(), time.Minute, func(_ string, do func() error) error {
		if _, err := nodes[1].Rotate(t.Context(), time.Minute, unnoted); err != nil {
			t.Error(err)
		}
		return do()
	})
	if err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("error %v, want a conflict", err)
	}
	if got := fmt.Sprint(keyNumbers(t, nodes[1])); got != "[0 1]" {
		t.Errorf("the keys are %s", got)
	}
}

// What the store says while its keys cannot be read changes nothing, and what a
// key sealed that is not known is left alone until they can.
func TestANodeGoesOnWhileTheStoresKeysCannotBeRead(t *testing.T) {
	k := house(t, 1)[0]
	if _, err := k.Rotate(t.Context(), 0, unnoted); err != nil {
		t.Fatal(err)
	}
	metric := func(want string) bool {
		var out strings.Builder
		k.writeMetrics(&out, time.Now())
		return strings.Contains(out.String(), "\n"+want+"\n")
	}
	for name, u := range map[string]stream.KeyRingUpdate{
		"the watch broke off": {Err: io.EOF}, "the ring is gone": {}, "the ring is damaged": {Document: []byte("{"), Revision: 1 << 40},
	} {
		k.take(u)
		if got := fmt.Sprint(keyNumbers(t, k)); got != "[0 1]" || !metric("nearside_keys_known 0") {
			t.Errorf("%s: the keys are %s, and are said to be known: %v", name, got, metric("nearside_keys_known 1"))
		}
		document, revision, err := k.events.KeyRing(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		k.take(stream.KeyRingUpdate{Document: document, Revision: revision})
		if !metric("nearside_keys_known 1") || !metric("nearside_keys 2") || !metric("nearside_key_age_seconds 0") {
			t.Errorf("%s: it is not known again", name)
		}
	}
}

// Never is there another key in place of one that cannot be read.
func TestKeysThatCannotBeReadStopTheStart(t *testing.T) {
	data := t.TempDir()
	cli(t, "site", "add", "shop", "--origin", shopOrigin, "--data", data)
	cli(t, "keys", "rotate", "--data", data)
	path := filepath.Join(data, keyFile)
	key, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	serve := []string{"serve", "--addr", "127.0.0.1:0", "--data", data}
	for _, args := range [][]string{serve, {"keys", "list", "--data", data}} {
		if said := refused(t, args...); !strings.Contains(said, "is gone") || exists(path) {
			t.Errorf("%s without DATA/key: %s", args[0], said)
		}
	}
	if err := os.WriteFile(path, []byte(hex.EncodeToString(make([]byte, edge.KeyBytes))), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := refused(t, serve...); !strings.Contains(said, "key 1 was not kept under the key that is here") {
		t.Errorf("with another DATA/key: %s", said)
	}
	if err := os.WriteFile(path, key, 0o600); err != nil {
		t.Fatal(err)
	}
	if said := cli(t, "keys", "list", "--data", data); !strings.Contains(said, "1    announced") {
		t.Errorf("with its own again: %s", said)
	}
	if err := os.Remove(path); err != nil { // and nobody has it any more
		t.Fatal(err)
	}
	if code := command(t.Context(), []string{"keys", "reset", "--data", data}, stdio{out: io.Discard, err: io.Discard}); code != exitUsage {
		t.Errorf("reset without --everybody: exit %d", code)
	}
	cli(t, "keys", "reset", "--everybody", "--data", data)
	if said := cli(t, "keys", "list", "--data", data); !strings.Contains(said, "0    sealing") || strings.Contains(said, "announced") || !exists(path) {
		t.Errorf("given up: %s", said)
	}
}

func TestKeysAreRotatedAndRetiredFromTheCommandLine(t *testing.T) {
	n := newShop(t)
	if said := cli(t, "keys", "rotate", "--data", n.data); !strings.Contains(said, "Key 1 opens from now on and seals from") {
		t.Errorf("rotate says %s", said)
	}
	if said := refused(t, "keys", "rotate", "--data", n.data); !strings.Contains(said, "key_pending") {
		t.Errorf("a second rotation at once: %s", said)
	}
	list := func() (keys []edge.KeyStatus) {
		if err := json.Unmarshal([]byte(cli(t, "keys", "list", "--json", "--data", n.data)), &keys); err != nil {
			t.Fatal(err)
		}
		return keys
	}
	keys := list()
	if len(keys) != 2 || keys[0].State != edge.KeySealing || keys[1].State != edge.KeyAnnounced || keys[1].From.Sub(keys[1].Made) != edge.KeyNotice || time.Since(keys[0].Made) > time.Minute {
		t.Errorf("the keys are %+v", keys)
	}
	for number, why := range map[string]string{"0": "seals until", "1": "is the newest", "7": "not_found", "x": "bad_request"} {
		if said := refused(t, "keys", "retire", number, "--now", "--data", n.data); !strings.Contains(said, why) {
			t.Errorf("retire %s: %s", number, said)
		}
	}
	if code := command(t.Context(), []string{"keys", "rotate", "--after", "25h", "--data", n.data}, stdio{out: io.Discard, err: io.Discard}); code != exitUsage {
		t.Errorf("--after 25h: exit %d", code)
	}
	var audit strings.Builder
	client := dialAdmin(n.data)
	for _, r := range []apiRequest{{method: http.MethodPost, path: "/v1/keys?seconds=86401"}, {method: http.MethodDelete, path: "/v1/keys/0?now=perhaps"}} {
		if err := client.call(t.Context(), r, nil); err == nil || !strings.Contains(err.Error(), "bad_request") {
			t.Errorf("%s %s: %v", r.method, r.path, err)
		}
	}
	res, err := client.do(t.Context(), apiRequest{method: http.MethodGet, path: "/v1/audit"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(&audit, res.Body)
	res.Body.Close()
	if err != nil || strings.Count(audit.String(), "rotate-key") != 1 || !strings.Contains(audit.String(), `"detail":"key 1, seals from 20`) || strings.Contains(audit.String(), "retire-key") {
		t.Errorf("the audit log is %s, %v", audit.String(), err)
	}
}

// A backup holds the ring, and what its newest key sealed opens at the node that is
// made of it; without a node the commands work on the files.
func TestABackupHoldsTheKeys(t *testing.T) {
	n := newShop(t)
	cli(t, "keys", "rotate", "--after", "0s", "--json", "--data", n.data)
	body := n.told(t, beaconOf(consent.All, "a"))
	var answer struct{ State string }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || sealedBy(t, answer.State) != 1 {
		t.Fatalf("%v: %s", err, body)
	}
	was := cli(t, "keys", "list", "--json", "--data", n.data)
	file := filepath.Join(t.TempDir(), "backup")
	cli(t, "backup", "--data", n.data, "--to", file)
	cfg := testConfig()
	cfg.Data = filepath.Join(t.TempDir(), "data")
	cli(t, "restore", "--data", cfg.Data, "--from", file)
	if is := cli(t, "keys", "list", "--json", "--data", cfg.Data); is != was {
		t.Errorf("the keys are %s\nand were %s", is, was)
	}
	second := startNode(t, cfg)
	second.told(t, strings.Replace(beaconOf(consent.All, "b"), `"slots"`, `"state":"`+answer.State+`","slots"`, 1))
	if was, is := n.visitorOf(t, "a.1"), second.visitorOf(t, "b.1"); was != is || is == "" {
		t.Errorf("the visitor is %q, and was %q", is, was)
	}
}
