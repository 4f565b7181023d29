// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
)

func demoConfig(data string) Config {
	cfg := testConfig()
	cfg.Data, cfg.Demo, cfg.AdminAddr = data, true, "127.0.0.1:0"
	return cfg
}

// demoRelease returns the demo site's live release.
func (n *testNode) demoRelease(t testing.TB) edge.ReleaseDocument {
	t.Helper()
	var doc edge.ReleaseDocument
	if err := json.Unmarshal([]byte(n.adminGet(t, "/v1/releases/demo")), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// A demo that is started again, on another port, keeps its site as somebody left
// it, and asks pages of the other port.
func TestTheDemoKeepsWhatWasPublishedIntoIt(t *testing.T) {
	data := t.TempDir()
	n := startNode(t, demoConfig(data))
	as := func(words ...string) []string {
		return append(words, "--site", "demo", "--url", n.admin, "--token", n.token)
	}
	own := n.demoRelease(t)
	cli(t, as("module", "upload", agencyModule(t, "1.0.0", "phone", "tablet", "desktop"))...)
	cli(t, as("module", "publish", "agency-hero", "--slot", "announce", "--role", "hero", "--rung", "session")...)

	// Somebody's own variant, and a text of the demo's that reads otherwise now.
	doc := n.demoRelease(t)
	for i := range doc.Variants {
		if doc.Variants[i].Slot == "announce" {
			foreign := doc.Variants[i]
			foreign.Name, foreign.Owner = "autumn", "ada"
			doc.Variants = append(doc.Variants, foreign)
			doc.Variants[i].Content = map[string]json.RawMessage{"en": json.RawMessage(`{"text":"changed"}`)}
			break
		}
	}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := dialAdmin(data).putRelease(context.Background(), "demo", doc.Number, text); err != nil {
		t.Fatal(err)
	}
	secret := n.token
	n.stop()

	n = startNode(t, demoConfig(data))
	again := n.demoRelease(t)
	spelt, _ := json.Marshal(again)
	for _, want := range []string{"agency-hero@1.0.0", `"autumn"`, `"changed"`, n.base} {
		if !strings.Contains(string(spelt), want) {
			t.Errorf("the release does not hold %q", want)
		}
	}
	if len(again.Variants) != len(own.Variants)+1 || len(again.Modules) != len(own.Modules)+1 {
		t.Errorf("%d variants and %d modules, want one more than %d and %d", len(again.Variants), len(again.Modules), len(own.Variants), len(own.Modules))
	}
	if says := refused(t, "module", "status", "--site", "demo", "--url", n.admin, "--token", secret); !strings.Contains(says, "unauthenticated") {
		t.Errorf("the earlier start's token: %s", says)
	}
	n.stop()

	// Started once more at the same address, it has nothing to publish.
	cfg := demoConfig(data)
	n = startNode(t, cfg)
	number := n.demoRelease(t).Number
	if number != again.Number+1 { // the port is another one
		t.Errorf("release %d is live, want %d", number, again.Number+1)
	}
}

// The demo says where its console is and how to sign in; the token publishes at
// the demo site and nowhere else.
func TestTheDemoPrintsItsConsole(t *testing.T) {
	data := t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	read, write := io.Pipe()
	ended := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		ended <- command(ctx, []string{"demo", "--addr", "127.0.0.1:0", "--data", data}, stdio{out: write, err: &errs})
		write.Close()
	}()
	var said bytes.Buffer
	found := regexp.MustCompile(`Its console: (http://127\.0\.0\.1:\d+)/console\n  sign in with (near_\S+)\n`)
	buffer := make([]byte, 4096)
	for !found.Match(said.Bytes()) {
		n, err := read.Read(buffer)
		if err != nil {
			t.Fatalf("%v: it said %s%s", err, said.String(), errs.String())
		}
		said.Write(buffer[:n])
	}
	go func() { _, _ = io.Copy(io.Discard, read) }()
	match := found.FindStringSubmatch(said.String())
	out := cli(t, "module", "status", "--site", "demo", "--url", match[1], "--token", match[2])
	if !strings.Contains(out, "slot hero") {
		t.Errorf("status says\n%s", out)
	}
	if says := refused(t, "token", "list", "--url", match[1], "--token", match[2]); !strings.Contains(says, publishing.CodeForbidden) {
		t.Errorf("the token lists tokens: %s", says)
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}

// The shop goes on with the identity key of its first start, and with another where
// that was revoked.
func TestTheDemoKeepsItsIdentityKey(t *testing.T) {
	data := t.TempDir()
	keys := func() (ids []string) {
		t.Helper()
		n := startNode(t, demoConfig(data))
		defer n.stop()
		var list []publishing.IdentityKey
		if err := json.Unmarshal([]byte(cli(t, "identity", "list", "--json", "--site", "demo", "--data", data)), &list); err != nil {
			t.Fatal(err)
		}
		for _, k := range list {
			ids = append(ids, k.ID)
		}
		return ids
	}
	first, second := keys(), keys()
	if len(first) != 1 || !slices.Equal(first, second) {
		t.Fatalf("the keys are %v and then %v, want one", first, second)
	}
	cli(t, "identity", "revoke", first[0], "--site", "demo", "--data", data)
	if third := keys(); len(third) != 1 || third[0] == first[0] {
		t.Errorf("after the first was revoked the keys are %v", third)
	}
}
