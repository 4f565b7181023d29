// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// proof is what nearside erasure status says, by place.
func proof(t testing.TB, args ...string) (e edge.Erasure, places map[string]edge.ErasurePlace) {
	t.Helper()
	var out, errs strings.Builder
	command(t.Context(), append([]string{"erasure", "status", "--site", "shop", "--json"}, args...), stdio{out: &out, err: &errs})
	if err := json.Unmarshal([]byte(out.String()), &e); err != nil {
		t.Fatalf("%v: %s%s", err, out.String(), errs.String())
	}
	places = map[string]edge.ErasurePlace{}
	for _, p := range e.Places {
		places[p.Place] = p
	}
	return e, places
}

// sealedBeacon is beaconOf with a state.
func sealedBeacon(id, state string) string {
	return strings.Replace(beaconOf(consent.All, id), `"slots"`, `"state":"`+state+`","slots"`, 1)
}

// A visitor is erased from a running node: found before, absent after, by a
// search of every file; the state of another tab is refused, what waited in the
// browser too, and a backup that is restored later does not bring them back.
func TestAVisitorIsErasedEverywhere(t *testing.T) {
	r := receiveHooks(t)
	r.answer(200)
	cfg := testConfig()
	cfg.Sinks = r.file
	n := startNode(t, cfg)
	addModuleShop(t, n.data, "shop")
	waitFor(t, "the release to be live", func() bool {
		res, _ := n.post(t, "/_near/v1/beacon", beaconOf(0, "none"), nil)
		return res.StatusCode == 200
	})
	post := func(body string) (answer struct {
		State    string
		Rejected []struct{ ID, Code string }
	}) {
		t.Helper()
		if _, text := n.post(t, "/_near/v1/beacon", body, nil); json.Unmarshal([]byte(text), &answer) != nil {
			t.Fatalf("answer %s", text)
		}
		return answer
	}
	state := post(beaconOf(consent.All, "hers")).State
	post(beaconOf(consent.All, "another"))
	visitor, other := n.visitorOf(t, "hers.1"), n.visitorOf(t, "another.1")
	waitFor(t, "the lines", func() bool { return len(sinkLines(t, r.lines)) == 4 })
	who := []string{"--visitor", visitor, "--data", n.data}
	waitFor(t, "the record", func() bool { _, places := proof(t, who...); return places["records"].Found > 0 })
	if e, places := proof(t, who...); e.Done() || places["events"].State != edge.ErasureFound || places["sink lines"].Found == 0 || places["audit"].Found != 0 {
		t.Errorf("before: %+v", places)
	}
	backup := filepath.Join(t.TempDir(), "before.backup")
	cli(t, "backup", "--data", n.data, "--to", backup)

	said := cli(t, append([]string{"erasure", "request", "--site", "shop", "--wait", "60s"}, who...)...)
	if strings.Contains(said, edge.ErasurePending) || strings.Count(said, edge.ErasureAbsent) != 6 {
		t.Errorf("the receipt is %s", said)
	}
	e, places := proof(t, who...)
	if !e.Done() || places["events"].Removed != 2 || places["records"].Removed == 0 || places["erasures"].State != edge.ErasureKept {
		t.Errorf("after: %+v", places)
	}
	// By the key alone it is the same.
	cli(t, "erasure", "status", "--site", "shop", "--person", e.Key.String(), "--data", n.data)
	if got := n.visitorOf(t, "another.1"); got != other {
		t.Errorf("the other visitor was %q and is %q", other, got)
	}
	if audit := n.adminGet(t, "/v1/sites/shop/audit"); !strings.Contains(audit, `"act":"forget"`) || strings.Contains(audit, visitor) || strings.Contains(audit, e.Key.String()) {
		t.Errorf("the audit log tells %s", audit)
	}
	if metrics := n.adminGet(t, "/metrics"); !strings.Contains(metrics, "nearside_erasures_waiting 0\n") || !strings.Contains(metrics, "nearside_stream_erased_events_total 2\n") {
		t.Error("the metrics do not tell of it")
	}

	// Another tab still has the state, and events that waited an hour.
	answer := post(strings.Replace(sealedBeacon("late", state), `"sent":1000`, `"sent":3601000`, 1))
	if len(answer.Rejected) != 2 || answer.Rejected[0].Code != edge.RejectedErased {
		t.Errorf("what waited an hour: %+v", answer)
	}
	answer = post(sealedBeacon("now", state))
	if answer.State == "" || answer.State == state || len(answer.Rejected) != 0 {
		t.Errorf("with the erased state: %+v", answer)
	}
	if got := n.visitorOf(t, "now.1"); got == visitor || got == "" {
		t.Errorf("the visitor is %q, was %q", got, visitor)
	}
	if e, _ := proof(t, who...); !e.Done() {
		t.Errorf("what came afterwards brought the visitor back: %+v", e)
	}
	file := filepath.Join(t.TempDir(), "erasures.json")
	if err := os.WriteFile(file, []byte(cli(t, "erasure", "list", "--json", "--data", n.data)), 0o600); err != nil {
		t.Fatal(err)
	}
	n.stop()

	dir := filepath.Join(t.TempDir(), "data")
	if said := cli(t, "restore", "--data", dir, "--from", backup, "--erasures", file); !strings.Contains(said, "Erased again: 1 persons") {
		t.Errorf("restore says %s", said)
	}
	e, places = proof(t, "--visitor", visitor, "--data", dir)
	if places["events"].Found+places["records"].Found != 0 || e.At.IsZero() || places["events"].Removed != 2 {
		t.Errorf("after the restore: %+v", places)
	}
	bad := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(bad, []byte(`[{"site":"shop","at":"2026-11-28T00:00:00Z"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := refused(t, "restore", "--data", filepath.Join(t.TempDir(), "x"), "--from", backup, "--erasures", bad); !strings.Contains(said, "entry 1 lacks") {
		t.Errorf("a wrong file of erasures: %s", said)
	}
}

// A customer is erased with the browsers that are theirs alone.
func TestACustomerIsErasedWithTheirBrowsers(t *testing.T) {
	n := newShop(t)
	key := n.serverKey(t, "shop")
	states := map[string]string{}
	for _, browser := range []string{"own", "family"} {
		var answer struct{ State string }
		_, text := n.post(t, "/_near/v1/beacon", beaconOf(consent.All, browser), nil)
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatal(err)
		}
		states[browser] = answer.State
	}
	tell := func(id, state, customer string) {
		t.Helper()
		body, err := json.Marshal(map[string]any{"v": 1, "site": "shop", "consent": map[string]any{"granted": consent.All.Names()}, "events": []any{map[string]any{
			"id": id, "name": "login", "at": time.Now().UnixMilli(), "state": state, "profile": customer,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		if status, text := n.asServer(t, "/v1/events", key, string(body)); status != 200 || strings.Contains(text, `"code"`) {
			t.Fatalf("%d %s", status, text)
		}
	}
	tell("l1", states["own"], "crm-1")
	tell("l2", states["family"], "crm-1")
	tell("l3", states["family"], "crm-2")
	tell("l4", "", "crm-1")
	var receipt struct {
		edge.Erasure
		Linked []edge.PersonKey
		Shared int
	}
	said := cli(t, "erasure", "request", "--site", "shop", "--profile", "crm-1", "--wait", "60s", "--json", "--data", n.data)
	if err := json.Unmarshal([]byte(said), &receipt); err != nil || len(receipt.Linked) != 1 || receipt.Shared != 1 || !receipt.Done() {
		t.Fatalf("%v: %s", err, said)
	}
	left := map[string]bool{}
	for _, ev := range n.storedEvents(t, "shop") {
		left[ev["id"].(string)] = true
	}
	if left["own.1"] || left["l1"] || left["l4"] || !left["family.1"] || !left["l2"] || !left["l3"] {
		t.Errorf("left are %v", left)
	}
	for _, args := range [][]string{
		{"erasure", "request", "--site", "shop"}, {"erasure", "status", "--visitor", "x"},
		{"erasure", "request", "--site", "shop", "--person", "12"}, {"sinks", "forget"},
	} {
		if code := command(t.Context(), append(args, "--data", n.data), stdio{out: io.Discard, err: io.Discard}); code == exitOK {
			t.Errorf("nearside %v is taken", args)
		}
	}
}
