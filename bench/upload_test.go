// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	extism "github.com/extism/go-sdk"

	"github.com/nearside/nearside/edge"
)

// A node is `nearside serve` as a process of its own.
type node struct {
	pid      int
	base     string // of the public listener
	admin    *http.Client
	released uint64 // the latest release that was put
}

// startNode builds the program and starts it on a new data directory with a
// release of one slot.
func startNode(b *testing.B) *node {
	b.Helper()
	program := filepath.Join(b.TempDir(), "nearside")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = ".."
	if said, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, said)
	}
	data := b.TempDir()
	cmd := exec.Command(program, "serve", "--addr", "127.0.0.1:0", "--data", data)
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(line, "http://")
	address, _, _ := strings.Cut(rest, ",")
	go func() { _, _ = io.Copy(io.Discard, out) }()
	socket := filepath.Join(data, "admin.sock")
	n := &node{pid: cmd.Process.Pid, base: "http://" + address, admin: &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}},
	}}
	if err := n.put(releaseOf(b, nil)); err != nil {
		b.Fatal(err)
	}
	return n
}

// put makes a document the site's release.
func (n *node) put(document []byte) error {
	err := n.call(http.MethodPut, "/v1/releases/shop", document, nil)
	if err == nil {
		n.released++
	}
	return err
}

// call calls the admin API and reads its answer.
func (n *node) call(method, path string, body []byte, answer any) error {
	req, err := http.NewRequest(method, "http://node"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if strings.HasPrefix(path, "/v1/releases/") {
		req.Header.Set("If-Match", fmt.Sprintf("%q", strconv.FormatUint(n.released, 10)))
	}
	return do(n.admin, req, answer)
}

func do(client *http.Client, req *http.Request, answer any) error {
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return err
	case res.StatusCode != http.StatusOK:
		return fmt.Errorf("%s %s: %s: %s", req.Method, req.URL, res.Status, said)
	case answer == nil:
		return nil
	}
	return json.Unmarshal(said, answer)
}

// live brings a module to the site, puts it to work and asks for a decision,
// which must be the module's: from the first byte of the upload to the first
// visitor who is answered.
func (n *node) live(m module) error {
	if err := n.call(http.MethodPut, "/v1/sites/shop/modules", m.wasm, nil); err != nil {
		return err
	}
	placement, err := json.Marshal(edge.Placement{Module: edge.ModuleRef{Name: m.ref.Name, Version: m.ref.Version}, Slot: "slot-0", Rung: "profile", Role: "offer"})
	if err != nil {
		return err
	}
	if err := n.call(http.MethodPost, "/v1/sites/shop/publish", placement, nil); err != nil {
		return err
	}
	rule, err := n.decide()
	if err == nil && rule != m.ref.ID() {
		err = fmt.Errorf("%q answered, want %s", rule, m.ref.ID())
	}
	return err
}

// decide sends a beacon whose tags alone are enough for an answer, and returns
// the rule that gave it.
func (n *node) decide() (rule string, err error) {
	const beacon = `{"v":1,"site":"shop","page":{"id":"p1","url":"https://shop.example/hats","type":"category","tags":["vip"],"lang":"fr"},"sent":1000,
		"consent":{"purposes":29,"policy":"strict","owner":{"granted":29,"refused":226}},"client":{"langs":["fr"],"viewport":[390,800]},"events":[],"slots":["slot-0"]}`
	req, err := http.NewRequest(http.MethodPost, n.base+"/v1/beacon", strings.NewReader(beacon))
	if err != nil {
		return "", err
	}
	req.Header.Set("Origin", shopOrigin)
	req.Header.Set("Content-Type", "text/plain;charset=UTF-8")
	req.Header.Set("User-Agent", "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/154.0.0.0 Mobile Safari/537.36")
	var answer struct {
		Decisions []struct{ Rule, Reason string }
	}
	if err := do(&http.Client{Timeout: time.Minute}, req, &answer); err != nil {
		return "", err
	}
	if len(answer.Decisions) != 1 || answer.Decisions[0].Reason != "rule" {
		return "", fmt.Errorf("the decisions are %+v", answer.Decisions)
	}
	return answer.Decisions[0].Rule, nil
}

// used is what the node and the processes it waited for have used of their
// processors so far; 0 where that cannot be read.
func (n *node) used() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	var ticks int64
	for _, field := range strings.Fields(rest)[11:15] { // user and system, its own and its children's
		n, _ := strconv.ParseInt(field, 10, 64)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // clock ticks of 100 Hz
}

// BenchmarkUpload is the way of a module that the node never saw: upload, check,
// store, publish, compile, canaries, swap, first answer, over HTTP and with
// every step on disk. Beside it are a host that loads the module alone, and
// Extism, which compiles what it is given in its own process, unread.
func BenchmarkUpload(b *testing.B) {
	targets := map[string]string{"c": "≤ 150 ms", "rust": "≤ 150 ms", "assemblyscript": "≤ 150 ms", "go": "≤ 2 s"}
	n := startNode(b)
	number := 0
	for _, language := range languages {
		b.Run(language, func(b *testing.B) {
			modules := &shelf{}
			host := newHost(b, modules)
			var next, plugin module
			rest := func() (err error) { // a module that nobody has seen
				number++
				if next, err = numbered(guest(b, language), number); err != nil {
					return err
				}
				modules.put(next)
				plugin, err = numbered(guest(b, "extism"), number)
				return err
			}
			var uploads, used time.Duration
			all := []contender{
				{name: "over-http", rest: rest, call: func() error {
					before := n.used()
					err := n.live(next)
					uploads, used = uploads+1, used+n.used()-before
					return err
				}},
				{name: "load-alone", rest: rest, call: func() error {
					_, err := host.Load("shop", next.ref, nil)
					return err
				}},
			}
			if language == "c" {
				all = append(all, contender{name: "extism-compile", rest: rest, call: func() error { return firstCall(plugin.wasm) }})
			}
			compare(b, "upload to live, "+language, targets[language], all...)
			results.add(row{
				what: "processors' time of an upload, " + language,
				note: fmt.Sprintf("%v, the node and the compiling process together", (used / uploads).Round(time.Millisecond)),
			})
		})
	}
}

// firstCall makes a plugin and instantiates it.
func firstCall(wasm []byte) error {
	ctx := context.Background()
	plugin, err := extism.NewPlugin(ctx, extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: wasm}}}, extism.PluginConfig{}, nil)
	if err != nil {
		return err
	}
	if !plugin.FunctionExists("decide") {
		return errors.New("the plugin has no function decide")
	}
	return plugin.Close(ctx)
}
