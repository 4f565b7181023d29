// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
	"github.com/nearside/nearside/publishing"
	wasmrules "github.com/nearside/nearside/wasm-rules"
	"github.com/nearside/nearside/wasm-rules/lang"
)

// liveShop is the live release document of shop.
func (n *testNode) liveShop(t testing.TB) edge.ReleaseDocument {
	t.Helper()
	var doc edge.ReleaseDocument
	client := dialAdmin(n.data)
	defer client.Close()
	if err := client.call(t.Context(), apiRequest{method: "GET", path: "/v1/releases/shop"}, &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// putShop publishes a document of shop, and returns what is live after it.
func (n *testNode) putShop(t testing.TB, doc edge.ReleaseDocument) (edge.ReleaseDocument, error) {
	t.Helper()
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	client := dialAdmin(n.data)
	defer client.Close()
	if err := client.putRelease(context.Background(), "shop", doc.Number, text); err != nil {
		return doc, err
	}
	return n.liveShop(t), nil
}

// a rule of hero that shows one variant when its condition holds.
func heroRule(name, when, variant string) edge.RuleSpec {
	return edge.RuleSpec{Name: name, When: when, Show: []edge.ShowSpec{{Variant: variant}}}
}

// withRules is a document whose slot hero has these rules before its module's.
func withRules(doc edge.ReleaseDocument, rules ...edge.RuleSpec) edge.ReleaseDocument {
	doc.Slots = []edge.SlotSpec{{Name: "hero", Kind: "html", Ladder: []edge.RungSpec{
		{Rung: "session", Rules: rules},
		{Rung: "context", Rules: []edge.RuleSpec{{Module: "by-device", Role: "slot"}}},
	}}}
	return doc
}

// checkSame replays a decision and expects the same, and these words.
func (n *testNode) checkSame(t *testing.T, id string, words ...string) {
	t.Helper()
	replayed := n.replay(t, id)
	for _, want := range append(words, "the same again") {
		if !strings.Contains(replayed, want) {
			t.Errorf("replay does not say %q:\n%s", want, replayed)
		}
	}
}

// Rules without code on their way: compiled when they are published, decided,
// explained, recorded, changed, and back; and each decision can be answered again
// by the rules that made it.
func TestRulesWithoutCodeThroughANode(t *testing.T) {
	n := newShop(t)
	see := func(granted consent.Purposes, id, variant, rule string) shown {
		t.Helper()
		got := n.hero(t, granted, id)
		if got.Variant != variant || got.Rule != rule {
			t.Errorf("shown: %+v, want %s by %s", got, variant, rule)
		}
		return got
	}
	see(consent.All, "a", "phone", "by-device@1.0.0")
	first, err := n.putShop(t, withRules(n.liveShop(t), heroRule("on-a-phone", `device.type == "phone" && page.type != "other"`, "desktop")))
	if err != nil {
		t.Fatal(err)
	}
	if first.Compiled == nil || len(first.Inputs["hero"].Reads) == 0 {
		t.Fatalf("compiled %+v, inputs %v", first.Compiled, first.Inputs)
	}
	then := see(consent.All, "b", "desktop", "on-a-phone")
	see(0, "c", "", "")

	_, body := n.post(t, "/_near/v1/beacon", strings.Replace(beaconOf(consent.All, "d"), `"sent"`, `"why":true,"sent"`, 1), nil)
	for _, want := range []string{`"condition":{`, `"verdict":"held"`, `device.type`} {
		if !strings.Contains(body, want) {
			t.Errorf("the explanation does not say %s: %s", want, body)
		}
	}
	n.checkSame(t, then.ID, "release 2", "on-a-phone", "held")
	if metrics := n.adminGet(t, "/metrics"); !strings.Contains(metrics, `nearside_module_calls_total{module="rules"} `) {
		t.Error("the metrics say nothing of compiled rules")
	}

	second, err := n.putShop(t, withRules(first, heroRule("on-a-phone", `device.type == "tablet"`, "desktop")))
	if err != nil || second.Compiled.Hash == first.Compiled.Hash {
		t.Fatalf("other rules are compiled to %+v: %v", second.Compiled, err)
	}
	see(consent.All, "e", "phone", "by-device@1.0.0")
	n.checkSame(t, then.ID, "release 2")
	cli(t, "module", "rollback", "--site", "shop", "--data", n.data)
	if back := n.liveShop(t); back.Number != 4 || back.Compiled.Hash != first.Compiled.Hash {
		t.Errorf("rolled back to release %d with %+v", back.Number, back.Compiled)
	}
	see(consent.All, "f", "desktop", "on-a-phone")

	// Another process finds them in the store, and the files tell without one.
	n.stop()
	n.checkSame(t, then.ID, "release 2")
	cfg := testConfig()
	cfg.Data = n.data
	n = startNode(t, cfg)
	see(consent.All, "g", "desktop", "on-a-phone")
}

func TestWhatAnAuthorSaysOfCompiledRulesIsOverwritten(t *testing.T) {
	n := newShop(t)
	doc, err := n.putShop(t, withRules(n.liveShop(t), heroRule("everybody", `page.path.startsWith("/hats")`, "desktop")))
	if err != nil {
		t.Fatal(err)
	}
	forged := withRules(doc, heroRule("nobody", `page.path == "/none"`, "desktop"))
	live, err := n.putShop(t, forged) // with the hash of the other rules still in it
	if err != nil {
		t.Fatal(err)
	}
	if live.Compiled == nil || live.Compiled.Hash == doc.Compiled.Hash {
		t.Errorf("compiled is what the author said: %+v", live.Compiled)
	}
	if got := n.hero(t, consent.All, "a"); got.Rule != "by-device@1.0.0" {
		t.Errorf("shown: %+v", got)
	}
}

func TestARuleThatIsWrongIsRefusedWithItsPlace(t *testing.T) {
	n := newShop(t)
	_, err := n.putShop(t, withRules(n.liveShop(t), heroRule("first", `device.typ == "phone"`, "phone"), heroRule("second", "page.path ==", "phone")))
	refused, ok := errors.AsType[*apiError](err)
	if !ok || refused.Code != "invalid" || refused.Field != "slots.hero.first.when" {
		t.Fatalf("got %#v", err)
	}
	for _, want := range []string{"rule first: when:1:", "device.type", "rule second: when:1:"} {
		if !strings.Contains(refused.Message, want) {
			t.Errorf("the message lacks %q: %s", want, refused.Message)
		}
	}
}

func TestAPreviewOfASiteWithRules(t *testing.T) {
	n := newShop(t)
	if _, err := n.putShop(t, withRules(n.liveShop(t), heroRule("hats", `page.path == "/hats"`, "desktop"))); err != nil {
		t.Fatal(err)
	}
	cli(t, "module", "upload", agencyModule(t, "1.0.0", "phone", "tablet", "desktop"), "--site", "shop", "--data", n.data)
	out := cli(t, "module", "preview", "agency-hero", "--slot", "hero", "--rung", "context", "--page", shopOrigin+"/socks", "--site", "shop", "--data", n.data)
	link, _, _ := strings.Cut(out, "\n")
	const page = "https://shop.example/hats?utm_source=marker-utm&gclid=marker-click#x"
	preview := func(link string) string {
		_, body := n.post(t, "/_near/v1/beacon", strings.Replace(beaconOf(consent.All, "p"), page, link, 1), nil)
		return body
	}
	if body := preview(strings.Replace(link, "/socks", "/hats", 1)); !strings.Contains(body, `"variant":"desktop"`) || !strings.Contains(body, `"reason":"preview"`) {
		t.Errorf("where the rule holds: %s", body)
	}
}

// A proposal's rules are compiled to be checked and again when somebody else
// approves it; they are stored only then.
func TestASecondPersonApprovesRules(t *testing.T) {
	cfg := testConfig()
	cfg.Data = t.TempDir()
	addModuleShop(t, cfg.Data, "shop")
	w, err := openWorkshop(cfg, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	live := func() (doc edge.ReleaseDocument) {
		t.Helper()
		_, text, err := w.desk.Release(t.Context(), publishing.Operator(), "shop", 0)
		if err := errors.Join(err, json.Unmarshal(text, &doc)); err != nil {
			t.Fatal(err)
		}
		return doc
	}
	put := func(by publishing.Actor, doc edge.ReleaseDocument) *publishing.Outcome {
		t.Helper()
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		out, err := w.desk.Put(t.Context(), by, "shop", text, doc.Number)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	doc := live()
	doc.Settings.SecondPerson = true
	put(publishing.Operator(), doc)
	doc = withRules(live(), heroRule("hats", `page.path == "/hats"`, "desktop"))
	doc.Compiled = &edge.Compiled{Hash: strings.Repeat("ab", 32)}
	wasm, err := lang.Compile(&doc)
	if err != nil {
		t.Fatal(err)
	}
	want := wasmrules.HashOf(wasm)
	ada := publishing.Actor{Name: "ada", Role: publishing.Publisher, Sites: []string{"shop"}}
	bob := publishing.Actor{Name: "bob", Role: publishing.Approver, Sites: []string{"shop"}}
	out := put(ada, doc)
	if out.Proposal == nil || live().Compiled != nil {
		t.Fatalf("before it is approved: %+v", out)
	}
	if _, err := w.events.Module(t.Context(), want); !errors.Is(err, edge.ErrNone) {
		t.Errorf("what is only proposed is stored: %v", err)
	}
	if _, err := w.desk.Approve(t.Context(), bob, "shop", out.Proposal.ID); err != nil {
		t.Fatal(err)
	}
	if now := live(); now.Compiled == nil || now.Compiled.Hash != want {
		t.Errorf("approved: %+v, want %s", now.Compiled, want)
	}
	if _, err := w.events.Module(t.Context(), want); err != nil {
		t.Error(err)
	}
}

// TestAReleaseWhoseRulesAreMissingServesWithoutThem: after a start there is none to
// go on with, so what is there serves.
func TestAReleaseWhoseRulesAreMissingServesWithoutThem(t *testing.T) {
	n := newShop(t)
	doc := withRules(n.liveShop(t), heroRule("hats", `page.path == "/hats"`, "desktop"))
	n.stop()
	cfg := testConfig()
	cfg.Data = n.data
	w, err := openWorkshop(cfg, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	doc.Number, doc.Compiled = 2, &edge.Compiled{Hash: strings.Repeat("ab", 32)}
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.events.PutRelease(t.Context(), "shop", 1, edge.Published{Number: 2}, text), w.close()); err != nil {
		t.Fatal(err)
	}
	n = startNode(t, cfg)
	if got := n.hero(t, consent.All, "a"); got.Variant != "phone" || got.Rule != "by-device@1.0.0" {
		t.Errorf("shown: %+v, want what the module answers", got)
	}
}

// manyRules are rules without code of 200 to a slot, about what marketers write,
// and different ones for each turn.
func manyRules(doc edge.ReleaseDocument, rules, turn int) edge.ReleaseDocument {
	const each = 200
	variants := doc.Variants
	doc.Slots, doc.Variants, doc.Modules = nil, nil, nil
	for s := 0; s*each < rules; s++ {
		slot := edge.SlotSpec{Name: fmt.Sprint("slot-", s), Kind: "html", Ladder: []edge.RungSpec{{Rung: "session"}}}
		if s == 0 {
			slot.Name = "hero"
		}
		for _, v := range variants {
			v.Slot = slot.Name
			doc.Variants = append(doc.Variants, v)
		}
		for i := range min(each, rules-s*each) {
			slot.Ladder[0].Rules = append(slot.Ladder[0].Rules, edge.RuleSpec{
				Name: fmt.Sprint("rule-", i), Score: fmt.Sprint(i % 7), Show: []edge.ShowSpec{{Variant: variants[i%len(variants)].Name}},
				When: fmt.Sprintf(`geo.country in ["FR", "DE", "c%d"] && (page.category == "cat-%d" || interests["cat-%d"] >= %d.0) && visitor.visits > %d && time.hour < 22`,
					s*each+i, i%40, i%25, i%5, turn),
			})
		}
		doc.Slots = append(doc.Slots, slot)
	}
	return doc
}

// BenchmarkPublishRules is from the request that puts a release to its being
// served: compiled, checked, stored, and loaded by the node.
func BenchmarkPublishRules(b *testing.B) {
	for _, rules := range []int{200, 1000} {
		b.Run(fmt.Sprint(rules), func(b *testing.B) {
			n := newShop(b)
			first, live, turn := n.liveShop(b), uint64(1), 0
			for b.Loop() {
				turn++
				doc := manyRules(first, rules, turn)
				doc.Number = live
				after, err := n.putShop(b, doc)
				if err != nil {
					b.Fatal(err)
				}
				live = after.Number
			}
			b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/publish")
		})
	}
}
