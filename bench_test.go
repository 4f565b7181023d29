// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/nearside/nearside/publishing"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// rawServer is what NEARSIDE_TEST_RUN_MAIN says for the baseline: a fasthttp
// server whose handler answers 204 and does nothing else.
const rawServer = "raw204"

func serveRaw() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("raw on http://%s, no data\n", ln.Addr())
	server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) { ctx.SetStatusCode(fasthttp.StatusNoContent) }}
	if err := server.Serve(ln); err != nil {
		panic(err)
	}
}

// Bounds of the load: connections, and how long each turn lasts.
const (
	benchConns = 32
	benchTurn  = 700 * time.Millisecond
)

// A loadResult is one turn: requests answered, and the server's own CPU time
// for each.
type loadResult struct {
	perSecond float64
	cpuMicros float64
}

// BenchmarkWholeRequest measures whole requests on one core over loopback,
// each beside a bare fasthttp 204 in the same run, turn by turn. It reports
// the median of the paired ratios: x204 by requests per second, x204cpu by the
// server's CPU time a request (1 is as good as doing nothing).
//
//	decide    3 slots under context: parse, consent, place, device, language, rules, answer
//	recorded  the same under measure as well: a decision record goes to the log
//	collect   1 event, fsynced before the answer
//	pageview  2 events, 3 slots and the sealed state, fsynced before the answer
func BenchmarkWholeRequest(b *testing.B) {
	data := b.TempDir()
	publishBench(b, data)
	raw, rawBase := startChild(b, rawServer, nil)
	node, nodeBase := startChild(b, "1", []string{"serve", "--addr", "127.0.0.1:0", "--data", data})
	for _, bb := range []struct{ name, body string }{
		{"decide", benchBeacon(4, "", `,"slots":["hero","offer","announce"]`)},
		{"recorded", benchBeacon(6, "", `,"slots":["hero","offer","announce"]`)},
		{"collect", benchBeacon(2, `{"id":"%s.1","name":"page_view","at":1000}`, "")},
		{"pageview", benchBeacon(255, `{"id":"%s.1","name":"page_view","at":1000},{"id":"%s.2","name":"view_item","at":1000,"props":{"items":[{"item_id":"hat-1","item_category":"hats","price":49.9}]}}`, `,"slots":["hero","offer","announce"]`)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var rps, cpu, micros []float64
			for b.Loop() {
				base := load(b, raw.Process.Pid, rawBase, "/v1/beacon", bb.body)
				ours := load(b, node.Process.Pid, nodeBase, "/_near/v1/beacon", bb.body)
				rps = append(rps, ours.perSecond/base.perSecond)
				cpu = append(cpu, base.cpuMicros/ours.cpuMicros)
				micros = append(micros, ours.cpuMicros)
			}
			b.ReportMetric(median(rps), "x204")
			b.ReportMetric(median(cpu), "x204cpu")
			b.ReportMetric(median(micros), "cpu-µs/req")
			b.ReportMetric(0, "ns/op") // a turn's length is chosen, not measured
		})
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// benchBeacon is a beacon of the demo site as a phone in France sends it. %s
// stands where each request puts an id of its own.
func benchBeacon(granted int, events, slots string) string {
	return fmt.Sprintf(`{"v":1,"site":"demo","page":{"id":"%%s","url":"https://shop.example/en/hats?utm_source=news&utm_medium=mail","ref":"https://www.google.com/","title":"Hats for every weather","type":"category","category":"hats","tags":["felt","wool"],"lang":"en"},"sent":1000,"consent":{"purposes":%d,"policy":"strict","owner":{"granted":%d,"refused":%d},"gpc":false},"client":{"langs":["fr-FR","fr","en"],"viewport":[390,800]},"events":[%s]%s}`,
		granted, granted, 255&^granted, events, slots)
}

// publishBench stores the demo's release with the bench's own origin.
func publishBench(b *testing.B, data string) {
	b.Helper()
	document, err := demoDocument([]string{shopOrigin}, wasmrules.Embedded())
	if err != nil {
		b.Fatal(err)
	}
	cfg := defaults()
	cfg.Data = data
	w, err := openWorkshop(cfg, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := w.desk.Put(context.Background(), publishing.Operator(), "demo", document, 0); err != nil {
		b.Fatal(err)
	}
	if err := w.close(); err != nil {
		b.Fatal(err)
	}
}

// startChild starts this binary as another process, on the first core when
// taskset is there, and returns its base URL.
func startChild(b *testing.B, mode string, args []string) (*exec.Cmd, string) {
	b.Helper()
	cmd := exec.Command(os.Args[0], args...)
	if taskset, err := exec.LookPath("taskset"); err == nil {
		cmd = exec.Command(taskset, append([]string{"-c", "0", os.Args[0]}, args...)...)
	}
	cmd.Env = append(os.Environ(), runMain+"="+mode, "GOMAXPROCS=2")
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
	addr, _, _ := strings.Cut(rest, ",")
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return cmd, "http://" + addr
}

var benchIDs atomic.Uint64

// load sends one beacon after another on each connection for a turn.
func load(b *testing.B, pid int, base, path, body string) loadResult {
	b.Helper()
	addr := strings.TrimPrefix(base, "http://")
	var answered atomic.Uint64
	var wg sync.WaitGroup
	cpu, start := cpuTime(b, pid), time.Now()
	end := start.Add(benchTurn)
	for range benchConns {
		wg.Go(func() {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			in := bufio.NewReaderSize(conn, 16<<10)
			var out bytes.Buffer
			for time.Now().Before(end) {
				id := "b" + strconv.FormatUint(benchIDs.Add(1), 36)
				text := strings.ReplaceAll(body, "%s", id)
				out.Reset()
				fmt.Fprintf(&out, "POST %s HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nContent-Type: text/plain;charset=UTF-8\r\n"+
					"User-Agent: Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/154.0.0.0 Mobile Safari/537.36\r\n"+
					"Accept: */*\r\nAccept-Language: fr-FR,fr;q=0.9,en;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: %s/en/hats\r\n"+
					"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nSec-CH-UA-Mobile: ?1\r\nSec-CH-UA-Platform: \"Android\"\r\n"+
					"Content-Length: %d\r\n\r\n%s", path, addr, shopOrigin, shopOrigin, len(text), text)
				if _, err := conn.Write(out.Bytes()); err != nil {
					b.Error(err)
					return
				}
				res, err := http.ReadResponse(in, nil)
				if err != nil {
					b.Error(err)
					return
				}
				if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNoContent {
					b.Errorf("status %s", res.Status)
					return
				}
				if _, err := io.Copy(io.Discard, res.Body); err != nil {
					b.Error(err)
					return
				}
				answered.Add(1)
			}
		})
	}
	wg.Wait()
	if b.Failed() {
		b.FailNow()
	}
	n := float64(answered.Load())
	return loadResult{
		perSecond: n / time.Since(start).Seconds(),
		cpuMicros: float64((cpuTime(b, pid) - cpu).Microseconds()) / n,
	}
}

// cpuTime is what a process has used so far, user and system.
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skipf("the server's CPU time is read from /proc: %v", err)
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	return time.Duration(user+system) * 10 * time.Millisecond // clock ticks of 100 Hz
}
