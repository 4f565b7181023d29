// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// sealedBy is the number of the key in a sealed text's envelope.
func sealedBy(t testing.TB, sealed string) int {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(raw) < 2 {
		t.Fatalf("%q is not sealed", sealed)
	}
	return int(raw[1])
}

// A loadVisitor is a browser that keeps what it is given.
type loadVisitor struct {
	name  string
	id    string   // that its first state has
	first string   // the state before the first rotation
	state string   // the newest
	ids   []string // of the decisions that it was given
	seals map[int]int
}

const (
	loadVisitors = 100
	loadViews    = 14 // a state remembers 16
	loadVisits   = 4  // with the one that the test begins
)

// beacon is the visitor's n-th page view: one event that its state remembers.
func (v *loadVisitor) beacon(n int) string {
	return fmt.Sprintf(`{"v":1,"site":"shop","page":{"id":"p%s%d","url":"https://shop.example/hats"},"sent":1000,"consent":{"purposes":255,"owner":{"granted":255}},"state":%q,
	"events":[{"id":"%[1]s.%[2]d","name":"view_item","at":1000,"props":{"items":[{"item_id":"hat-%[2]d"}]}}],"slots":["hero"]}`, v.name, n, v.state)
}

// tell sends a beacon until it is answered, as the tag does, and keeps what comes
// back.
func (v *loadVisitor) tell(t *testing.T, base *atomic.Value, n int) bool {
	var answer struct {
		State     string
		Accepted  int
		Rejected  []any
		Decisions []struct{ ID string }
	}
	body := v.beacon(n)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("visitor %s is not answered", v.name)
			return false
		}
		req, err := http.NewRequest(http.MethodPost, base.Load().(string)+"/_near/v1/beacon", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return false
		}
		req.Header.Set("Origin", shopOrigin)
		req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err == nil && res.StatusCode == http.StatusOK && json.Unmarshal(text, &answer) == nil && len(answer.Rejected) == 0 {
			break
		}
	}
	if answer.State != "" {
		v.state = answer.State
		v.seals[sealedBy(t, answer.State)]++
		if v.first == "" {
			v.first = answer.State
		}
	}
	for _, d := range answer.Decisions {
		v.ids = append(v.ids, d.ID)
	}
	return true
}

// Many visitors come and go while the keys are rotated twice and the node is
// started anew in between: nobody loses their state, nothing is counted twice, and
// each decision's id that was given out opens. Then old keys are retired.
func TestRotationUnderLoadLosesNobody(t *testing.T) {
	n := newShop(t)
	visitors := beginVisitors(t, n.data)
	var base atomic.Value
	base.Store(n.base)
	var load sync.WaitGroup
	for i, v := range visitors {
		load.Go(func() {
			time.Sleep(time.Duration(i) * 5 * time.Millisecond)
			for view := range loadViews {
				if !v.tell(t, &base, view) {
					return
				}
				time.Sleep(250 * time.Millisecond)
			}
		})
	}
	time.Sleep(500 * time.Millisecond)
	cli(t, "keys", "rotate", "--after", "1s", "--data", n.data)
	time.Sleep(1500 * time.Millisecond)
	n.stop()
	cfg := testConfig()
	cfg.Data = n.data
	n = startNode(t, cfg)
	base.Store(n.base)
	time.Sleep(300 * time.Millisecond)
	cli(t, "keys", "rotate", "--after", "0s", "--data", n.data)
	load.Wait()

	for _, v := range visitors { // with the ids of each key
		for i, id := range v.ids {
			if i%5 == 0 {
				v.seen(t, n, i, id)
			}
		}
	}
	checkVisitors(t, n, visitors)
	checkRetiredKeys(t, n, visitors)
}

// beginVisitors makes visitors whose last visit is a while ago.
func beginVisitors(t *testing.T, data string) []*loadVisitor {
	t.Helper()
	sealer, _, err := openSealer(data)
	if err != nil {
		t.Fatal(err)
	}
	visitors := make([]*loadVisitor, loadVisitors)
	for i := range visitors {
		before := time.Now().Add(-time.Hour)
		state := &edge.State{Visitor: [16]byte{1, byte(i)}, First: before.Add(-24 * time.Hour), Last: before, Started: before, Visits: loadVisits - 1}
		visitors[i] = &loadVisitor{name: fmt.Sprint("v", i), id: state.VisitorID(), state: sealer.SealState("shop", state), seals: map[int]int{}}
	}
	return visitors
}

// seen tells that a decision was shown.
func (v *loadVisitor) seen(t *testing.T, n *testNode, i int, id string) {
	t.Helper()
	body := fmt.Sprintf(`{"v":1,"site":"shop","page":{"url":"https://shop.example/"},"sent":1000,"consent":{"purposes":255,"owner":{"granted":255}},
	"events":[{"id":"%s.seen%d","name":"slot_impression","at":1000,"props":{"decision":%q}}]}`, v.name, i, id)
	if text := n.told(t, body); strings.Contains(text, `"rejected":[{`) {
		t.Errorf("%s's decision %d, of key %d: %s", v.name, i, sealedBy(t, id), text)
	}
}

// told sends a beacon until its events are kept or refused for good, and returns the
// answer: a busy disk lets a tag send again.
func (n *testNode) told(t *testing.T, body string) (answer string) {
	t.Helper()
	waitFor(t, "a beacon to be taken", func() bool {
		var res *http.Response
		res, answer = n.post(t, "/_near/v1/beacon", body, nil)
		return res.StatusCode < 300 && !strings.Contains(answer, `"unavailable"`)
	})
	return answer
}

// checkVisitors compares what the visitors have and what the log has with what
// they did.
func checkVisitors(t *testing.T, n *testNode, visitors []*loadVisitor) {
	t.Helper()
	n.stop()
	cfg := testConfig()
	cfg.Data = n.data
	work, err := openWorkshop(cfg, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := work.close(); err != nil {
			t.Error(err)
		}
	}()
	seals := map[int]int{}
	for _, v := range visitors {
		state, err := work.sealer.OpenState("shop", v.state)
		if err != nil {
			t.Errorf("%s's state: %v", v.name, err)
			continue
		}
		if state.VisitorID() != v.id || state.Visits != loadVisits || int(state.Journey.Views) != loadViews {
			t.Errorf("%s is %s with %d visits and %d views, want %s with %d and %d", v.name, state.VisitorID(), state.Visits, state.Journey.Views, v.id, loadVisits, loadViews)
		}
		if got := sealedBy(t, v.state); got != 2 {
			t.Errorf("%s's state is of key %d, want 2", v.name, got)
		}
		for key, n := range v.seals {
			seals[key] += n
		}
		for _, id := range v.ids {
			if _, err := work.sealer.OpenDecisionID("shop", id); err != nil {
				t.Errorf("%s's decision, of key %d: %v", v.name, sealedBy(t, id), err)
			}
		}
		if len(v.ids) < loadViews {
			t.Errorf("%s was given %d decisions in %d pages", v.name, len(v.ids), loadViews)
		}
	}
	for key := range 3 {
		if seals[key] < loadVisitors {
			t.Errorf("key %d sealed %d states of %v: hardly a load", key, seals[key], seals)
		}
	}
	t.Logf("states sealed by key: %v", seals)
}

// checkRetiredKeys retires the first key: whoever was not back since starts fresh,
// the others stay, and the log has each view once under its visitor.
func checkRetiredKeys(t *testing.T, n *testNode, visitors []*loadVisitor) {
	t.Helper()
	cfg := testConfig()
	cfg.Data = n.data
	n = startNode(t, cfg)
	views := map[string]int{}
	for _, ev := range n.storedEvents(t, "shop") {
		if visitor, _ := ev["visitor"].(map[string]any); ev["name"] == "view_item" {
			views[fmt.Sprint(visitor["id"])]++
		}
	}
	for _, v := range visitors {
		if views[v.id] != loadViews {
			t.Errorf("the log has %d views of %s, want %d", views[v.id], v.name, loadViews)
		}
	}
	if len(views) != len(visitors) {
		t.Errorf("the log has %d visitors, want %d", len(views), len(visitors))
	}
	if said := refused(t, "keys", "retire", "0", "--data", n.data); !strings.Contains(said, "key_needed") || !strings.Contains(said, "would start fresh") {
		t.Errorf("retire without --now: %s", said)
	}
	back, gone := visitors[0], visitors[1]
	if sealedBy(t, gone.first) != 0 {
		t.Fatalf("the first state is of key %d", sealedBy(t, gone.first))
	}
	stored := func(event, state string) string {
		n.told(t, strings.Replace(beaconOf(consent.All, event), `"slots"`, `"state":"`+state+`","slots"`, 1))
		return n.visitorOf(t, event+".1")
	}
	if got := stored("old", gone.first); got != gone.id {
		t.Errorf("before key 0 is retired its visitor is %q, want %q", got, gone.id)
	}
	if said := cli(t, "keys", "retire", "0", "--now", "--data", n.data); !strings.Contains(said, "Key 0 is retired.") {
		t.Errorf("retire --now says %s", said)
	}
	if got := stored("gone", gone.first); got == gone.id || got == "" {
		t.Errorf("a visitor of a retired key is %q, want a new one", got)
	}
	if got := stored("back", back.state); got != back.id {
		t.Errorf("a visitor of the newest key is %q, want %q", got, back.id)
	}
}
