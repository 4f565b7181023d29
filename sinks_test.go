// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// A hookReceiver takes webhooks over TLS and answers what it is told to.
type hookReceiver struct {
	file string // of sinks, one that sends here, and one of lines

	lines string // the directory of lines

	mu     sync.Mutex
	status int
	taken  []string // bodies
}

func receiveHooks(t testing.TB) *hookReceiver {
	t.Helper()
	dir := t.TempDir()
	r := &hookReceiver{file: filepath.Join(dir, "sinks.yaml"), lines: filepath.Join(dir, "lines"), status: http.StatusServiceUnavailable}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // the node was stopped
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.status == http.StatusOK {
			r.taken = append(r.taken, string(body))
		}
		w.WriteHeader(r.status)
	}))
	t.Cleanup(srv.Close)
	ca := filepath.Join(dir, "ca.pem")
	t.Setenv("HOOK_SECRET", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	sinks := fmt.Sprintf("- {name: lines, kind: jsonl, dir: '%s', rotateAfter: 1s}\n"+
		"- {name: crm, kind: webhook, url: '%s/in', secretEnv: HOOK_SECRET, caFile: '%s', allow: [127.0.0.0/8]}\n", r.lines, srv.URL, ca)
	for name, content := range map[string][]byte{
		ca: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), r.file: []byte(sinks),
	} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func (r *hookReceiver) answer(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status = status
}

// said returns everything the receiver took.
func (r *hookReceiver) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.taken, "\n")
}

// sinkLines returns what lies in a directory of lines.
func sinkLines(t testing.TB, dir string) (lines []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "day=*", "site=*", "*.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it is being rewritten
		}
		for line := range strings.Lines(string(text)) {
			lines = append(lines, line)
		}
	}
	return lines
}

// Events of a node flow on while a receiver is dead, come back, and forget a
// person, as its operator sees it.
func TestEventsFlowOnFromANode(t *testing.T) {
	r := receiveHooks(t)
	cfg := testConfig()
	cfg.Sinks = r.file
	n := startNode(t, cfg)
	addModuleShop(t, n.data, "shop")
	waitFor(t, "the release to be live", func() bool {
		res, _ := n.post(t, "/_near/v1/beacon", `{"v":1,"site":"shop","page":{"url":"https://shop.example/"},"sent":1,"consent":{"purposes":0},"slots":["hero"]}`, nil)
		return res.StatusCode == http.StatusOK
	})
	n.post(t, "/_near/v1/beacon", beaconOf(consent.All, "full"), nil)
	n.post(t, "/_near/v1/beacon", beaconOf(consent.All&^consent.Share, "unshared"), nil)
	n.post(t, "/_near/v1/beacon", beaconOf(consent.All&^consent.Measure, "unmeasured"), nil)
	waitFor(t, "the lines", func() bool { return len(sinkLines(t, r.lines)) == 4 })
	waitFor(t, "the dead receiver to be seen", func() bool {
		return strings.Contains(cli(t, "sinks", "status", "--data", n.data), "the receiver answers 503")
	})
	var metrics string
	waitFor(t, "the mark behind the lines", func() bool {
		metrics = n.adminGet(t, "/metrics")
		return strings.Contains(metrics, `nearside_sink_backlog_messages{sink="lines"} 0`+"\n")
	})
	for _, want := range []string{`nearside_sink_up{sink="crm"} 0`, `nearside_sink_up{sink="lines"} 1`, `nearside_sink_written_events_total{sink="lines"} 4`} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if !regexp.MustCompile(`nearside_sink_backlog_messages\{sink="crm"\} [1-9]`).MatchString(metrics) {
		t.Error("the metrics do not tell of the dead sink's backlog")
	}

	r.answer(http.StatusOK)
	waitFor(t, "the receiver's events", func() bool { return strings.Count(r.said(), `"log":{`) == 2 })
	if said := r.said(); strings.Contains(said, "unshared") || !strings.Contains(said, `"id":"full.1"`) || !strings.Contains(said, "marker-click") {
		t.Errorf("the receiver got %s", said)
	}
	checkDeadLetters(t, n, r)
	checkForgetting(t, n, r)
}

// checkDeadLetters lets the receiver refuse an event, and take it again.
func checkDeadLetters(t *testing.T, n *testNode, r *hookReceiver) {
	t.Helper()
	r.answer(http.StatusUnprocessableEntity)
	n.post(t, "/_near/v1/beacon", beaconOf(consent.All, "odd"), nil)
	var letters []edge.DeadLetter
	waitFor(t, "the dead letters", func() bool {
		if err := json.Unmarshal([]byte(cli(t, "dead", "list", "--site", "shop", "--json", "--data", n.data)), &letters); err != nil {
			t.Fatal(err)
		}
		return len(letters) == 2
	})
	if d := letters[0]; d.Reason != edge.DeadRefused || d.Sink != "crm" || d.Tries != 3 || d.Event != "odd.1" || len(d.Body) != 0 {
		t.Errorf("the first one is %+v", d)
	}
	if shown := cli(t, "dead", "show", "shop", letters[0].ID, "--data", n.data); !strings.Contains(shown, "marker-click") {
		t.Errorf("it is shown as %s", shown)
	}
	r.answer(http.StatusOK)
	cli(t, "dead", "replay", "shop", letters[0].ID, "--data", n.data)
	if !strings.Contains(r.said(), `"id":"odd.1"`) {
		t.Error("the receiver did not get the replayed event")
	}
	cli(t, "dead", "drop", "shop", letters[1].ID, "--data", n.data)
	if left := cli(t, "dead", "list", "--data", n.data); strings.Count(left, "\n") != 1 {
		t.Errorf("left are %s", left)
	}
}

// checkForgetting lets the sinks forget whose events "full" were.
func checkForgetting(t *testing.T, n *testNode, r *hookReceiver) {
	t.Helper()
	var of struct {
		Visitor struct{ ID string }
		Log     struct{ Person string }
	}
	for _, line := range sinkLines(t, r.lines) {
		if strings.Contains(line, `"id":"full.1"`) {
			if err := json.Unmarshal([]byte(line), &of); err != nil {
				t.Fatal(err)
			}
		}
	}
	if key := edge.PersonKeyOf("shop", of.Visitor.ID).String(); of.Visitor.ID == "" || of.Log.Person != key {
		t.Fatalf("a line tells of the person %+v, whose key is %s", of, key)
	}
	said := cli(t, "erasure", "request", "--site", "shop", "--visitor", of.Visitor.ID, "--wait", "20s", "--data", n.data)
	if strings.Count(said, "sink ") != 2 || strings.Contains(said, edge.ErasurePending) {
		t.Errorf("forgotten: %s", said)
	}
	if lines := strings.Join(sinkLines(t, r.lines), ""); strings.Contains(lines, of.Log.Person) || strings.Contains(lines, of.Visitor.ID) || !strings.Contains(lines, "unshared.1") {
		t.Errorf("the lines are %s", lines)
	}
	if !strings.Contains(r.said(), `"type":"person.deleted"`) || !strings.Contains(r.said(), of.Log.Person) {
		t.Error("the receiver did not hear of it")
	}
	// Who it was is not in the audit log.
	if audit := n.adminGet(t, "/v1/sites/shop/audit"); !strings.Contains(audit, `"act":"forget"`) || strings.Contains(audit, of.Log.Person) || strings.Contains(audit, of.Visitor.ID) || !strings.Contains(audit, `"act":"replay-dead"`) {
		t.Errorf("the audit log tells %s", audit)
	}
	n.stop()
	// Without a node the request is kept for later.
	said = cli(t, "erasure", "request", "--site", "shop", "--person", of.Log.Person, "--data", n.data)
	if strings.Count(said, edge.ErasurePending) != 6 {
		t.Errorf("without a node: %s", said)
	}
	if status := cli(t, "sinks", "status", "--data", n.data); strings.Count(status, edge.SinkIdle) != 2 {
		t.Errorf("without a node: %s", status)
	}
	cli(t, "sinks", "drop", "crm", "--data", n.data)
	if status := cli(t, "sinks", "status", "--data", n.data); strings.Contains(status, "crm") {
		t.Errorf("a sink that was dropped: %s", status)
	}
}

func TestANodeDoesNotStartWithAWrongFileOfSinks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sinks.yaml")
	if err := os.WriteFile(file, []byte("- name: a\n  kind: jsonl\n  dirr: /x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	code := command(t.Context(), []string{"serve", "--addr", "127.0.0.1:0", "--data", t.TempDir(), "--sinks", file}, stdio{out: io.Discard, err: &errs})
	if code == exitOK || !strings.Contains(errs.String(), file+":3: a jsonl sink has no member") {
		t.Errorf("exit %d: %s", code, errs.String())
	}
}
