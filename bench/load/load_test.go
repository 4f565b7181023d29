// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseAnswer(t *testing.T) {
	tests := []struct {
		name, in   string
		status     int
		body       string
		more, fail bool
	}{
		{name: "no content", in: "HTTP/1.1 204 No Content\r\nDate: x\r\n\r\n", status: 204},
		{name: "a body", in: "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nVary: Origin\r\n\r\nabc", status: 200, body: "abc"},
		{name: "half a body", in: "HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nabc", more: true},
		{name: "half a head", in: "HTTP/1.1 200 OK\r\nContent-", more: true},
		{name: "no length", in: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", fail: true},
		{name: "not HTTP", in: "SSH-2.0-OpenSSH\r\n\r\n", fail: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, whole, err := parseAnswer([]byte(tt.in))
			if (err != nil) != tt.fail || !tt.fail && whole == tt.more {
				t.Fatalf("whole %v, error %v", whole, err)
			}
			if whole && (a.status != tt.status || string(a.body) != tt.body || a.size != len(tt.in)) {
				t.Errorf("%+v", a)
			}
		})
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	var all []time.Duration
	for i := range 10_000 {
		d := time.Duration(i*i) * 7
		all = append(all, d)
		h.Add(d)
	}
	slices.Sort(all)
	for _, share := range []float64{0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[max(0, int(share*float64(len(all)))-1)]
		if got := h.Quantile(share); float64(got-want) > 0.02*float64(want)+1 || float64(want-got) > 0.02*float64(want)+1 {
			t.Errorf("quantile %g is %v, not about %v", share, got, want)
		}
	}
	if h.Count() != 10_000 || h.Max() != all[len(all)-1] {
		t.Errorf("%d counted, the longest %v", h.Count(), h.Max())
	}
}

// asks is a script of requests that a server of this test answers.
type asks struct {
	sent, answered int
	quits          int
}

func (a *asks) Request(_ int, out []byte) []byte {
	a.sent++
	return fmt.Appendf(out, "GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", a.sent)
}

func (a *asks) Answer(_, status int, body []byte) error {
	a.answered++
	if status != 200 || string(body) != "ok" {
		return errors.New("not what the server says")
	}
	return nil
}

func (a *asks) Quit(int) error {
	a.quits++
	return nil
}

// serve answers every request after a pause; one of rude is answered by closing.
func serve(t *testing.T, pause time.Duration, rude int) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for n := 1; ; n++ {
					line, err := in.ReadString('\n')
					for err == nil && strings.TrimSpace(line) != "" {
						line, err = in.ReadString('\n')
					}
					if err != nil || rude > 0 && n%rude == 0 {
						return
					}
					time.Sleep(pause)
					if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
						return
					}
				}
			}()
		}
	}()
	return netip.MustParseAddrPort(l.Addr().String())
}

func TestClosed(t *testing.T) {
	script := &asks{}
	r, err := Run(Plan{Addr: serve(t, 0, 0), Conns: 4, For: 100 * time.Millisecond, Script: script})
	if err != nil {
		t.Fatal(err)
	}
	if script.sent < 4 || script.sent != script.answered || uint64(script.sent) != r.Answered || r.Unanswered != 0 || r.Latency.Count() != r.Answered {
		t.Errorf("%d sent, %d answered, result %+v", script.sent, script.answered, r.Answered)
	}
}

// TestOpen says that a server which is slower than the plan is charged for the
// requests that had to wait: two connections of 20 ms answer 100 a second.
func TestOpen(t *testing.T) {
	script := &asks{}
	r, err := Run(Plan{Addr: serve(t, 20*time.Millisecond, 0), Conns: 2, For: 500 * time.Millisecond, Rate: 200, Seed: 1, Script: script})
	if err != nil {
		t.Fatal(err)
	}
	if r.Latency.Quantile(0.9) < 100*time.Millisecond {
		t.Errorf("at twice what it can do, nine of ten wait %v", r.Latency.Quantile(0.9))
	}
	if r.Unanswered != 0 || r.Answered != uint64(script.sent) {
		t.Errorf("%d of %d answered", r.Answered, script.sent)
	}
}

func TestQuit(t *testing.T) {
	script := &asks{}
	r, err := Run(Plan{Addr: serve(t, 0, 5), Conns: 3, For: 100 * time.Millisecond, Script: script})
	if err != nil {
		t.Fatal(err)
	}
	if script.quits == 0 || r.Unanswered != uint64(script.quits) || r.Answered+r.Unanswered != uint64(script.sent) {
		t.Errorf("%d sent, %d answered, %d unanswered, %d quits", script.sent, r.Answered, r.Unanswered, script.quits)
	}
}

func TestOnlyLoopback(t *testing.T) {
	if _, err := Run(Plan{Addr: netip.MustParseAddrPort("192.0.2.1:80"), Conns: 1, For: time.Millisecond, Script: &asks{}}); err == nil {
		t.Error("it would send to another machine")
	}
}
