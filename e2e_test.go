// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nearside/nearside/edge/consent"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// runMain names the environment variable that makes the test binary be the
// program: tests that kill a process need a real one.
const runMain = "NEARSIDE_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == wasmrules.CompileCommand {
		main() // a node of this process compiles a module
		return
	}
	if os.Getenv(runMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A testNode is a node that runs in this process, as run starts it.
type testNode struct {
	base  string // http://127.0.0.1:port
	data  string
	admin string // http://127.0.0.1:port of the admin listener, "" without
	token string // the demo's, "" without
	stop  func()
}

// startNode starts a node on a free port and waits until it is ready. It ends
// with the test, or before when the test calls stop.
func startNode(t testing.TB, cfg Config) *testNode {
	t.Helper()
	if cfg.Data == "" {
		cfg.Data = t.TempDir()
	}
	cfg.Addr = "127.0.0.1:0"
	ctx, cancel := context.WithCancel(context.Background())
	n := &testNode{data: cfg.Data}
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- run(ctx, cfg, slog.New(slog.DiscardHandler), func(on listeners, secret string) {
			n.base, n.admin, n.token = on.base(), strings.TrimSuffix(on.console(), "/console"), secret
			close(ready)
		})
	}()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the node ended with %v", err)
		}
	})
	t.Cleanup(n.stop)
	select {
	case <-ready:
	case err := <-done:
		done <- nil
		t.Fatalf("the node did not start: %v", err)
	case <-time.After(60 * time.Second):
		t.Fatal("the node is not ready after a minute")
	}
	return n
}

func testConfig() Config {
	cfg := defaults()
	cfg.Node, cfg.Data = "test", "" // startNode makes a directory
	return cfg
}

// cli runs a command line and returns what it wrote to standard output.
func cli(t testing.TB, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := command(context.Background(), args, stdio{out: &out, err: &errs}); code != exitOK {
		t.Fatalf("nearside %s: exit %d: %s\n%s", strings.Join(args, " "), code, errs.String(), out.String())
	}
	return out.String()
}

// replay returns what the command line says of a decision. Its record is kept a
// moment after the answer.
func (n *testNode) replay(t testing.TB, id string) string {
	t.Helper()
	var out, errs bytes.Buffer
	waitFor(t, "the record of "+id, func() bool {
		out.Reset()
		return command(context.Background(), []string{"replay", id, "--data", n.data}, stdio{out: &out, err: &errs}) == exitOK
	})
	return out.String()
}

// storedEvents returns the node's events as the command line prints them.
func (n *testNode) storedEvents(t testing.TB, site string) []map[string]any {
	t.Helper()
	var events []map[string]any
	for line := range strings.Lines(cli(t, "events", "--data", n.data, "--site", site)) {
		var ev map[string]any
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("event line %q: %v", line, err)
		}
		events = append(events, ev)
	}
	return events
}

const shopOrigin = "https://shop.example"

// newShop starts a node and adds the site "shop" to it, with a module's rule.
func newShop(t testing.TB) *testNode {
	t.Helper()
	n := startNode(t, testConfig())
	addModuleShop(t, n.data, "shop")
	waitFor(t, "the release to be live", func() bool {
		res, _ := n.post(t, "/_near/v1/beacon", `{"v":1,"site":"shop","page":{"url":"https://shop.example/"},"sent":1,"consent":{"purposes":0},"slots":["hero"]}`, nil)
		return res.StatusCode == http.StatusOK
	})
	return n
}

func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited 20 s for %s", what)
}

// post sends a body as a page of the shop would, with other headers on top.
func (n *testNode) post(t testing.TB, path, body string, header map[string]string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, n.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	req.Header.Set("Origin", shopOrigin)
	req.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.2 Mobile/15E148 Safari/604.1")
	for k, v := range header {
		req.Header.Set(k, v)
		if v == "" {
			req.Header.Del(k)
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

// beaconOf is a page view of the shop with these purposes granted by its own
// prompt.
func beaconOf(granted consent.Purposes, id string) string {
	return fmt.Sprintf(`{"v":1,"site":"shop","page":{"id":"p%s","url":"https://shop.example/hats?utm_source=marker-utm&gclid=marker-click#x","ref":"https://www.google.com/","title":"Hats","type":"marker-type"},
	"sent":1000,"consent":{"purposes":255,"owner":{"granted":%d,"refused":%d}},"client":{"langs":["fr-FR"],"viewport":[1200,800],"screen":[390,844],"tz":"Europe/Paris"},
	"events":[{"id":"%s.1","name":"page_view","at":990},{"id":"%s.2","name":"view_item","at":1000,"props":{"items":[{"item_id":"hat-1","item_category":"hats"}]}}],"slots":["hero"]}`,
		id, granted, consent.All&^granted, id, id)
}

// A purpose is withdrawn, and what it unlocks is not in the log. The engine's
// own test proves it for View, Event and state; this one reads the disk.
func TestAWithdrawnPurposeLeavesNoTraceInTheLog(t *testing.T) {
	n := newShop(t)
	// What the event must show with full consent and not without the purpose.
	traces := map[consent.Purposes]string{
		consent.Storage: `"visitor"`, consent.Context: "marker-type", consent.Measure: "page_view",
		consent.Share: "marker-click", consent.Device: "Europe/Paris", consent.Profile: "", consent.Personalise: "", consent.Geo: "",
	}
	_, body := n.post(t, "/_near/v1/beacon", beaconOf(consent.All, "full"), nil)
	var full struct{ State string }
	if err := json.Unmarshal([]byte(body), &full); err != nil || full.State == "" {
		t.Fatalf("full consent got no state: %s", body)
	}
	for _, row := range consent.Rows() {
		id := "no-" + row.Name
		_, body := n.post(t, "/_near/v1/beacon", beaconOf(consent.All&^row.Bit, id), nil)
		if row.Bit&(consent.Storage|consent.Profile) != 0 && strings.Contains(body, `"state"`) {
			t.Errorf("without %s a state is written: %s", row.Name, body)
		}
	}
	log := map[string]string{}
	for line := range strings.Lines(cli(t, "events", "--data", n.data)) {
		var ev struct{ ID string }
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatal(err)
		}
		id, _, _ := strings.Cut(ev.ID, ".")
		log[id] += line
	}
	for _, row := range consent.Rows() {
		trace := traces[row.Bit]
		if trace == "" {
			continue
		}
		if !strings.Contains(log["full"], trace) {
			t.Errorf("%s: full consent leaves no %s in the log: the test proves nothing\n%s", row.Name, trace, log["full"])
		}
		if strings.Contains(log["no-"+row.Name], trace) {
			t.Errorf("%s: %s is in the log all the same\n%s", row.Name, trace, log["no-"+row.Name])
		}
	}
	checkNoAddress(t, n)
}

// checkNoAddress looks for the client's address in everything on disk.
func checkNoAddress(t testing.TB, n *testNode) {
	t.Helper()
	n.stop()
	err := filepath.WalkDir(n.data, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err == nil && bytes.Contains(raw, []byte("127.0.0.1")) {
			t.Errorf("%s holds the client's address", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A repeated beacon is stored once, also after a restart.
func TestEventsAreStoredOnceAcrossARestart(t *testing.T) {
	n := newShop(t)
	for range 3 {
		n.post(t, "/_near/v1/beacon", beaconOf(consent.Measure|consent.Context, "a"), nil)
	}
	n.stop()
	cfg := testConfig()
	cfg.Data = n.data
	n = startNode(t, cfg)
	n.post(t, "/_near/v1/beacon", beaconOf(consent.Measure|consent.Context, "a"), nil)
	if got := n.storedEvents(t, "shop"); len(got) != 2 {
		t.Errorf("%d events stored, want 2", len(got))
	}
}

// startProcess starts the program as a process of its own on a data directory
// and returns its base URL.
func startProcess(t testing.TB, data string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "serve", "--addr", "127.0.0.1:0", "--data", data)
	cmd.Env = append(os.Environ(), runMain+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line := make([]byte, 512)
	n, err := out.Read(line)
	if err != nil {
		t.Fatalf("the process said nothing: %v", err)
	}
	_, rest, _ := strings.Cut(string(line[:n]), "http://")
	addr, _, _ := strings.Cut(rest, ",")
	return cmd, "http://" + addr
}

// The process is killed under load; every event it acknowledged is there
// afterwards, and none twice although the last ones are sent again.
func TestKillUnderLoadLosesNothing(t *testing.T) {
	data := t.TempDir()
	cli(t, "site", "add", "shop", "--origin", shopOrigin, "--data", data)
	acked := map[string]bool{}
	var last []string
	for round := range 3 {
		process, base := startProcess(t, data)
		n := &testNode{base: base, data: data}
		for _, id := range last { // their answers were lost: a tag sends them again
			n.post(t, "/_near/v1/beacon", beaconOf(consent.Measure, id), nil)
			acked[id] = true
		}
		var sent []string
		sent, last = n.load(t, process, fmt.Sprintf("r%d", round))
		for _, id := range sent {
			acked[id] = true
		}
		if err := process.Wait(); err == nil {
			t.Fatal("the process ended by itself")
		}
	}
	if len(acked) < 100 {
		t.Errorf("only %d beacons were acknowledged: hardly a load", len(acked))
	}
	seen := map[string]int{}
	for line := range strings.Lines(cli(t, "events", "--data", data)) {
		var ev struct{ ID string }
		if err := json.Unmarshal([]byte(line), &ev); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		seen[ev.ID]++
	}
	for id := range acked {
		for _, ev := range []string{id + ".1", id + ".2"} {
			if seen[ev] != 1 {
				t.Errorf("acknowledged event %s is stored %d times", ev, seen[ev])
			}
		}
	}
	for id, count := range seen {
		if count != 1 {
			t.Errorf("event %s is stored %d times", id, count)
		}
	}
	t.Logf("%d beacons acknowledged over 3 kills, %d events stored", len(acked), len(seen))
}

// load posts beacons from several clients, kills the process in the middle,
// and returns the ids that were acknowledged and those whose answer was lost.
func (n *testNode) load(t testing.TB, process *exec.Cmd, prefix string) (acked, lost []string) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for client := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				id := fmt.Sprintf("%s-%d-%d", prefix, client, i)
				res, err := http.DefaultClient.Do(n.request(id))
				ok := false
				if err == nil {
					text, readErr := io.ReadAll(res.Body)
					res.Body.Close()
					ok = readErr == nil && (res.StatusCode == http.StatusNoContent || res.StatusCode == http.StatusOK && !strings.Contains(string(text), `"rejected":[{`))
				}
				mu.Lock()
				if ok {
					acked = append(acked, id)
				} else {
					lost = append(lost, id)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	time.Sleep(900 * time.Millisecond)
	if err := process.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	return acked, lost
}

// request is a beacon of two events without slots.
func (n *testNode) request(id string) *http.Request {
	body := strings.Replace(beaconOf(consent.Measure, id), `,"slots":["hero"]`, "", 1)
	req, err := http.NewRequest(http.MethodPost, n.base+"/_near/v1/beacon", strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Origin", shopOrigin)
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36")
	return req
}
