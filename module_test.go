// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// agencyModule writes a module that somebody else made: the rule of by-device
// under a name and a version of its own. Its n-th answer is the n-th variant.
func agencyModule(t testing.TB, version string, variants ...string) string {
	t.Helper()
	listed, err := wasmrules.Embedded().List()
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(listed, func(l wasmrules.Listed) bool { return l.Manifest.Name == "by-device" })
	wasm, err := wasmrules.Embedded().Open(listed[at].Hash)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "rule.wasm")
	manifest := edge.Manifest{
		ABI: 1, Name: "agency-hero", Version: version, Needs: consent.Set(consent.Context), Reads: []string{"device.type"},
		Slots: []edge.ManifestSlot{{Name: "hero", Variants: variants}},
	}
	text, err := json.Marshal(manifest)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{file: wasm, filepath.Join(dir, "manifest.json"): text} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cli(t, "module", "pack", file, "--manifest", filepath.Join(dir, "manifest.json"))
	return file
}

// A shown is the answer for the slot hero.
type shown struct{ ID, Variant, Reason, Rule string }

// hero asks for the slot hero as a phone does.
func (n *testNode) hero(t testing.TB, granted consent.Purposes, id string) shown {
	t.Helper()
	_, body := n.post(t, "/_near/v1/beacon", beaconOf(granted, id), nil)
	var answer struct{ Decisions []shown }
	if err := json.Unmarshal([]byte(body), &answer); err != nil || len(answer.Decisions) != 1 {
		t.Fatalf("%v in %s", err, body)
	}
	return answer.Decisions[0]
}

// One module's way: checked, uploaded, live, the next in shadow, shown to some,
// to all, and back; and each decision can be answered again.
func TestAModulesWayThroughANode(t *testing.T) {
	n := newShop(t)
	first := agencyModule(t, "1.0.0", "phone", "tablet", "desktop")
	second := agencyModule(t, "1.1.0", "desktop", "tablet", "phone")
	site := []string{"--site", "shop", "--data", n.data}
	module := func(words ...string) string { return cli(t, append(append([]string{"module"}, words...), site...)...) }
	views := 0
	see := func(variant, rule string) shown {
		t.Helper()
		views++
		got := n.hero(t, consent.All, fmt.Sprint("x", views))
		if got.Variant != variant || got.Rule != rule || got.Reason != "rule" {
			t.Errorf("shown: %+v, want %s by %s", got, variant, rule)
		}
		return got
	}

	if out := cli(t, "module", "check", first); !strings.Contains(out, "agency-hero@1.0.0") || !strings.Contains(out, "It may be uploaded.") {
		t.Errorf("check says\n%s", out)
	}
	see("phone", "by-device@1.0.0")
	module("upload", first)
	module("publish", "agency-hero@1.0.0", "--slot", "hero", "--rung", "session")
	then := see("phone", "agency-hero@1.0.0")

	module("upload", second)
	if out := module("list"); !strings.Contains(out, "agency-hero@1.1.0") || !strings.Contains(out, "comes with the node") {
		t.Errorf("list says\n%s", out)
	}
	module("shadow", "agency-hero@1.1.0", "--slot", "hero", "--rung", "session")
	for range 3 {
		see("phone", "agency-hero@1.0.0")
	}
	out := module("status")
	for _, want := range []string{"agency-hero@1.1.0", "shadow", "phone → desktop"} {
		if !strings.Contains(out, want) {
			t.Errorf("status does not say %q:\n%s", want, out)
		}
	}
	module("rollout", "agency-hero@1.1.0", "--slot", "hero", "--share", "30%")
	n.checkShares(t, 0.3)
	module("rollout", "agency-hero", "--slot", "hero", "--share", "100%")
	see("desktop", "agency-hero@1.1.0")
	module("rollback")
	module("rollback", "--to", "2")
	see("phone", "agency-hero@1.0.0")

	replayed := n.replay(t, then.ID)
	for _, want := range []string{"release 2", "← asked for", "the same again", "saw device.type", `"phone"`} {
		if !strings.Contains(replayed, want) {
			t.Errorf("replay does not say %q:\n%s", want, replayed)
		}
	}
	audit := module("audit")
	for _, want := range []string{"upload", "shadow", "for 3000 of 10000 visitors", "back to 2"} {
		if !strings.Contains(audit, want) {
			t.Errorf("the audit log does not say %q:\n%s", want, audit)
		}
	}
	if metrics := n.adminGet(t, "/metrics"); !strings.Contains(metrics, `nearside_module_calls_total{module="agency-hero@1.0.0"}`) {
		t.Error("the metrics say nothing of the module")
	}

	// The same commands on the files, when no node runs.
	n.stop()
	if again := cli(t, append([]string{"module", "history"}, site...)...); strings.Count(again, "\n") != 8 || !strings.Contains(again, "live\n") {
		t.Errorf("history says\n%s", again)
	}
	if again := n.replay(t, then.ID); again != replayed {
		t.Errorf("replayed on the files:\n%s", again)
	}
}

// checkShares shows the page to many visitors: about a part of them get the
// version that is rolled out, and who has no id the one before.
func (n *testNode) checkShares(t testing.TB, part float64) {
	t.Helper()
	const visitors = 400
	count := map[string]int{}
	for i := range visitors {
		id := fmt.Sprint("v", i)
		_, body := n.post(t, "/_near/v1/beacon", beaconOf(consent.All, id), nil)
		var answer struct{ State string }
		if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.State == "" {
			t.Fatalf("no state in %s", body)
		}
		body = strings.Replace(beaconOf(consent.All, id+"b"), `"sent":1000`, fmt.Sprintf(`"sent":1000,"state":%q`, answer.State), 1)
		_, body = n.post(t, "/_near/v1/beacon", body, nil)
		var decisions struct{ Decisions []shown }
		if err := json.Unmarshal([]byte(body), &decisions); err != nil {
			t.Fatal(err)
		}
		count[decisions.Decisions[0].Rule]++
	}
	got := float64(count["agency-hero@1.1.0"]) / visitors
	if got < part-0.08 || got > part+0.08 || count["agency-hero@1.0.0"]+count["agency-hero@1.1.0"] != visitors {
		t.Errorf("shares %v of %d visitors, want about %v", count, visitors, part)
	}
	if got := n.hero(t, consent.Context, "nobody"); got.Rule != "agency-hero@1.0.0" {
		t.Errorf("who has no id sees %+v", got)
	}
}

func (n *testNode) adminGet(t testing.TB, path string) string {
	t.Helper()
	client := dialAdmin(n.data)
	if client == nil {
		t.Fatal("nobody answers on the admin socket")
	}
	res, err := client.do(context.Background(), apiRequest{method: http.MethodGet, path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out bytes.Buffer
	if _, err := out.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// refused runs a command line that must fail and returns what it says.
func refused(t testing.TB, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := command(context.Background(), args, stdio{out: &out, err: &errs}); code != exitError {
		t.Errorf("nearside %s: exit %d, want it refused: %s%s", strings.Join(args, " "), code, out.String(), errs.String())
	}
	return errs.String()
}

// Over TCP, with a token each: one person proposes, another approves.
func TestASecondPersonOverTCP(t *testing.T) {
	cfg := testConfig()
	cfg.AdminAddr = "127.0.0.1:0"
	n := startNode(t, cfg)
	addModuleShop(t, n.data, "shop")
	first := agencyModule(t, "1.0.0", "phone", "tablet", "desktop")
	cli(t, "module", "upload", first, "--site", "shop", "--data", n.data)

	var doc edge.ReleaseDocument
	if err := json.Unmarshal([]byte(n.adminGet(t, "/v1/releases/shop")), &doc); err != nil {
		t.Fatal(err)
	}
	doc.Settings.SecondPerson = true
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := dialAdmin(n.data).putRelease(context.Background(), "shop", 1, text); err != nil {
		t.Fatal(err)
	}

	token := func(name, role string) string {
		return strings.TrimSpace(cli(t, "token", "create", name, "--role", role, "--site", "shop", "--data", n.data))
	}
	ada, bob := token("ada", "publisher"), token("bob", "approver")
	as := func(secret string, words ...string) []string {
		return append(words, "--site", "shop", "--url", n.admin, "--token", secret)
	}
	publish := []string{"module", "publish", "agency-hero", "--slot", "hero", "--rung", "session"}
	if says := refused(t, as(bob, publish...)...); !strings.Contains(says, "forbidden") || !strings.Contains(says, "publisher") {
		t.Errorf("an approver publishes: %s", says)
	}
	if says := refused(t, as("near_"+strings.Repeat("A", 43), publish...)...); !strings.Contains(says, "unauthenticated") {
		t.Errorf("a stranger publishes: %s", says)
	}
	out := cli(t, as(ada, publish...)...)
	id := regexp.MustCompile(`approve ([a-z0-9]{16}) --site shop`).FindStringSubmatch(out)
	if id == nil {
		t.Fatalf("no proposal in\n%s", out)
	}
	if got := n.hero(t, consent.All, "a"); got.Rule != "by-device@1.0.0" {
		t.Errorf("before it is approved: %+v", got)
	}
	if says := refused(t, as(ada, "module", "approve", id[1])...); !strings.Contains(says, "same_person") {
		t.Errorf("ada approves her own: %s", says)
	}
	cli(t, as(bob, "module", "approve", id[1])...)
	if got := n.hero(t, consent.All, "b"); got.Rule != "agency-hero@1.0.0" {
		t.Errorf("after it is approved: %+v", got)
	}
	if log := cli(t, as(ada, "module", "audit")...); !strings.Contains(log, "bob") || !strings.Contains(log, "ada proposed it") {
		t.Errorf("audit log:\n%s", log)
	}
	if got := cli(t, as(ada, "module", "proposals")...); !strings.Contains(got, "approved") {
		t.Errorf("proposals:\n%s", got)
	}
	// A token that is revoked is no good any more, at once.
	list := cli(t, "token", "list", "--data", n.data)
	adas := regexp.MustCompile(`(?m)^([0-9a-f]{16})  ada `).FindStringSubmatch(list)
	if adas == nil {
		t.Fatalf("no token of ada in\n%s", list)
	}
	cli(t, "token", "revoke", adas[1], "--data", n.data)
	if says := refused(t, as(ada, "module", "status")...); !strings.Contains(says, "unauthenticated") {
		t.Errorf("after her token was revoked: %s", says)
	}
}

// What the tag says was shown and clicked is counted, by slot and variant, and
// still is after a restart.
func TestShownAndClickedAreCounted(t *testing.T) {
	n := newShop(t)
	decided := n.hero(t, consent.All, "a")
	n.post(t, "/_near/v1/beacon", fmt.Sprintf(`{"v":1,"site":"shop","page":{"url":"https://shop.example/"},"sent":1000,"consent":{"purposes":255,"owner":{"granted":255}},
		"events":[{"id":"i1","name":"slot_impression","at":1000,"props":{"decision":%q,"shown":"variant"}},{"id":"c1","name":"slot_click","at":1000,"props":{"decision":%[1]q,"shown":"variant"}}]}`, decided.ID), nil)
	counts := func(n *testNode) string {
		return cli(t, "module", "counts", "--site", "shop", "--data", n.data)
	}
	row := regexp.MustCompile(`hero +phone +1 +1`)
	waitFor(t, "the counts", func() bool { return row.MatchString(counts(n)) })
	n.stop()
	cfg := testConfig()
	cfg.Data = n.data
	n = startNode(t, cfg)
	waitFor(t, "the counts after a restart", func() bool { return row.MatchString(counts(n)) })
}

// A preview's link shows the page as it would be to who has it, and to nobody
// else, and counts nothing.
func TestAPreviewsLink(t *testing.T) {
	n := newShop(t)
	cli(t, "module", "upload", agencyModule(t, "1.0.0", "desktop", "tablet", "phone"), "--site", "shop", "--data", n.data)
	out := cli(t, "module", "preview", "agency-hero", "--slot", "hero", "--rung", "session", "--page", shopOrigin+"/hats", "--site", "shop", "--data", n.data)
	link, _, _ := strings.Cut(out, "\n")
	beacon := strings.Replace(beaconOf(consent.All, "p"), "https://shop.example/hats?utm_source=marker-utm&gclid=marker-click#x", link, 1)
	_, body := n.post(t, "/_near/v1/beacon", beacon, nil)
	if !strings.Contains(body, `"variant":"desktop"`) || !strings.Contains(body, `"reason":"preview"`) {
		t.Errorf("with the link: %s", body)
	}
	if got := n.hero(t, consent.All, "q"); got.Rule != "by-device@1.0.0" {
		t.Errorf("without it: %+v", got)
	}
}

// A check needs no node, says why in a stable code, and takes anything.
func TestAModulesCheck(t *testing.T) {
	dir := t.TempDir()
	good := agencyModule(t, "1.0.0", "phone", "tablet", "desktop")
	files := map[string][]byte{
		"empty.wasm": nil, "text.wasm": []byte("hello"),
		"huge.wasm":    make([]byte, edge.MaxModuleBytes+1),
		"claims.wasm":  []byte("\x00asm\x01\x00\x00\x00\x0a\x05\xff\xff\xff\xff\x0f"),
		"nothing.wasm": []byte("\x00asm\x01\x00\x00\x00"),
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	check := func(file string) (report edge.ModuleReport, code int) {
		var out bytes.Buffer
		code = command(context.Background(), []string{"module", "check", file, "--json"}, stdio{out: &out, err: &bytes.Buffer{}})
		if err := json.Unmarshal(out.Bytes(), &report); err != nil {
			t.Fatalf("%s: %v in %s", file, err, out.String())
		}
		return report, code
	}
	if report, code := check(good); code != exitOK || !report.OK || report.Manifest.Name != "agency-hero" || report.MaxFuel <= 0 || len(report.Limits) == 0 || len(report.Canaries) == 0 {
		t.Errorf("a good module: exit %d, %+v", code, report)
	}
	for name := range files {
		if report, code := check(filepath.Join(dir, name)); code != exitError || report.OK || report.Code == "" || report.Message == "" {
			t.Errorf("%s: exit %d, %+v", name, code, report)
		}
	}
	for _, file := range []string{filepath.Join(dir, "none.wasm"), dir, os.DevNull} {
		if report, code := check(file); code != exitError || report.Code != codeUnreadable {
			t.Errorf("%s: exit %d, %+v", file, code, report)
		}
	}
}

func TestAModulesOwnCases(t *testing.T) {
	module := agencyModule(t, "1.0.0", "phone", "tablet", "desktop")
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	list := write("list.json", `[{"name":"a phone","granted":["context"],"fields":{"device.type":"phone"},"want":{"variant":"phone"}},
		{"name":"without consent","granted":[],"fields":{"device.type":"phone"},"want":{"variant":""}}]`)
	if out := cli(t, "module", "test", module, list); !strings.Contains(out, "ok    a phone") || !strings.Contains(out, "2 passed, 0 failed") {
		t.Errorf("test says\n%s", out)
	}
	write("wrong.json", `{"granted":["context"],"fields":{"device.type":"phone"},"want":{"variant":"desktop"}}`)
	if says := refused(t, "module", "test", module, dir); !strings.Contains(says, "1 of 3 cases failed") {
		t.Errorf("a wrong case: %s", says)
	}
	lines := write("lines.txt", `{"granted":["context"],"fields":{"device.type":"phone"},"want":{"variant":"phone"}}
		{"granted":["context"],"fields":{"device.type":"tablet"},"want":{"variant":"tablet"}}
		[{"granted":["context"],"fields":{"device.type":"desktop"},"want":{"variant":"desktop"}}]`)
	if out := cli(t, "module", "test", module, lines); !strings.Contains(out, "3 passed, 0 failed") {
		t.Errorf("test says\n%s", out)
	}
	for text, want := range map[string]string{"": "case 1: there is none", "[]": "case 1: there is none", `{"want":{"variant":""}} }`: "case 2: invalid character"} {
		if says := refused(t, "module", "test", module, write("bad.txt", text)); !strings.Contains(says, want) {
			t.Errorf("%q: %s", text, says)
		}
	}
	typo := write("typo/../typo.txt", `{"granted":["context"],"wants":{"variant":"desktop"}}`)
	if says := refused(t, "module", "test", module, typo); !strings.Contains(says, "wants") {
		t.Errorf("a misspelt case: %s", says)
	}
}

// A node with trusted keys takes signed modules only, and at their site only.
func TestANodeWithTrustedKeys(t *testing.T) {
	key := filepath.Join(t.TempDir(), "agency.key")
	cli(t, "module", "key", key)
	cfg := testConfig()
	cfg.RulesKeys = []string{key + ".pub"}
	n := startNode(t, cfg)
	for _, site := range []string{"shop", "blog"} {
		cli(t, "site", "add", site, "--origin", shopOrigin, "--data", n.data)
	}
	module := agencyModule(t, "1.0.0", "phone", "tablet", "desktop")
	upload := []string{"module", "upload", module, "--data", n.data, "--site"}
	if says := refused(t, append(upload, "shop")...); !strings.Contains(says, "signature") {
		t.Errorf("unsigned: %s", says)
	}
	cli(t, "module", "sign", module, "--site", "shop", "--key", key)
	if says := refused(t, append(upload, "blog")...); !strings.Contains(says, "signature") {
		t.Errorf("signed for another site: %s", says)
	}
	cli(t, append(upload, "shop")...)
	cli(t, "module", "publish", "agency-hero", "--slot", "hero", "--rung", "session", "--site", "shop", "--data", n.data)
	if got := n.hero(t, consent.All, "a"); got.Rule != "agency-hero@1.0.0" {
		t.Errorf("shown: %+v", got)
	}
	other := filepath.Join(t.TempDir(), "other.key")
	cli(t, "module", "key", other)
	cli(t, "module", "sign", module, "--site", "blog", "--key", other)
	if says := refused(t, append(upload, "blog")...); !strings.Contains(says, "not trusted") {
		t.Errorf("signed by a stranger: %s", says)
	}
}
