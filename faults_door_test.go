// SPDX-License-Identifier: Apache-2.0

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// sufferSlowClients has hundreds of connections that send a byte now and then,
// half a body, or never read, while others are served.
func sufferSlowClients(r *faultRig) {
	r.start()
	stop := r.load()
	time.Sleep(faultTurn / 3)
	addr := strings.TrimPrefix(r.node.base, "http://")
	head := "POST /_near/v1/beacon HTTP/1.1\r\nHost: near.example\r\nOrigin: " + shopOrigin + "\r\nContent-Length: 5000\r\n\r\n"
	ended := make(chan struct{})
	var clients sync.WaitGroup
	for i := range 300 {
		clients.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				r.Error(err)
				return
			}
			defer c.Close()
			send := []byte(head)
			switch i % 3 {
			case 1:
				send = append(send, `{"v":1,`...)
				_, _ = c.Write(send)
				send = nil
			case 2:
				send = []byte(strings.Repeat("GET /tag.js HTTP/1.1\r\nHost: near.example\r\n\r\n", 2000))
				_ = c.(*net.TCPConn).SetReadBuffer(1 << 10)
			}
			for {
				select {
				case <-ended:
					return
				case <-time.After(50 * time.Millisecond):
				}
				n := min(len(send), 1+(i%3)*2000)
				_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
				n, _ = c.Write(send[:n])
				send = send[n:]
			}
		})
	}
	time.Sleep(3 * faultTurn)
	before := r.acknowledged()
	time.Sleep(faultTurn)
	if r.acknowledged() == before {
		r.Error("nobody is served while slow clients are there")
	}
	close(ended)
	clients.Wait()
	stop()
	r.resend(r.unanswered())
	r.stop()
}

// acknowledged is how many beacons were.
func (r *faultRig) acknowledged() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, ok := range r.sent {
		if ok {
			n++
		}
	}
	return n
}

const (
	millionAddresses = 1_000_000
	millionClients   = 8
	millionBatch     = 250
)

// meetAMillionAddresses sends a request from each of a million addresses, as a
// proxy tells them, among them one address that sends far too much and one that
// sends little.
func meetAMillionAddresses(r *faultRig) {
	r.Setenv("NEARSIDE_HTTP_PROXIES", "127.0.0.1")
	r.Setenv("GOGC", "100") // so that what the process holds is little more than what is in use
	r.start()
	stop := r.load()
	before := r.resident()
	var clients sync.WaitGroup
	var served, limited atomic.Int64
	for client := range millionClients {
		clients.Go(func() {
			p := dialPipe(r)
			defer p.Close()
			addrs := make([]netip.Addr, 0, millionBatch)
			for i := client; i < millionAddresses; i += millionClients {
				var ip [4]byte
				binary.BigEndian.PutUint32(ip[:], 0x0b000000+uint32(i)*37)
				if addrs = append(addrs, netip.AddrFrom4(ip)); len(addrs) == cap(addrs) || i+millionClients >= millionAddresses {
					ok, over := p.view(addrs...)
					served.Add(int64(ok))
					limited.Add(int64(over))
					addrs = addrs[:0]
				}
			}
		})
	}
	heavyServed, heavyLimited, lightLimited := 0, 0, 0
	clients.Go(func() {
		p := dialPipe(r)
		defer p.Close()
		heavy, light := make([]netip.Addr, millionBatch), netip.MustParseAddr("198.51.100.9")
		for i := range heavy {
			heavy[i] = netip.MustParseAddr("203.0.113.7")
		}
		for range 40 {
			ok, over := p.view(heavy...)
			heavyServed, heavyLimited = heavyServed+ok, heavyLimited+over
			_, over = p.view(light)
			lightLimited += over
		}
	})
	clients.Wait()
	after := r.resident()
	stop()
	if served.Load() != millionAddresses || limited.Load() != 0 {
		r.Errorf("of a million addresses %d were served and %d limited", served.Load(), limited.Load())
	}
	if heavyLimited == 0 || lightLimited != 0 {
		r.Errorf("the heavy one was served %d times and limited %d times, the light one limited %d times", heavyServed, heavyLimited, lightLimited)
	}
	if after-before > 64<<20 {
		r.Errorf("the process holds %d MB more", (after-before)>>20)
	}
	r.Logf("a million addresses: the heavy one served %d of %d, the light one always; the process held %d MB before and %d MB after", heavyServed, heavyServed+heavyLimited, before>>20, after>>20)
	r.resend(r.unanswered())
	r.stop()
}

// resident is how many bytes of memory the node's process holds.
func (r *faultRig) resident() int64 {
	r.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.process.Process.Pid))
	if err != nil {
		r.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		r.Fatal(err)
	}
	return n << 10
}

// A pipe is a proxy's connection, on which requests do not wait for answers.
type pipe struct {
	net.Conn
	r       *faultRig
	answers *bufio.Reader
}

func dialPipe(r *faultRig) *pipe {
	c, err := net.Dial("tcp", strings.TrimPrefix(r.node.base, "http://"))
	if err != nil {
		r.Fatal(err)
	}
	return &pipe{c, r, bufio.NewReaderSize(c, 64<<10)}
}

// view sends a page view without an event for each address, of which nothing is
// stored, and counts the answers.
func (p *pipe) view(addrs ...netip.Addr) (served, limited int) {
	const body = `{"v":1,"site":"shop","page":{"id":"p1","url":"https://shop.example/"},"sent":1000,"consent":{"purposes":255,"owner":{"granted":0,"refused":255}}}`
	var b []byte
	for _, addr := range addrs {
		b = fmt.Appendf(b, "POST /_near/v1/beacon HTTP/1.1\r\nHost: near.example\r\nOrigin: %s\r\nX-Forwarded-For: %s\r\nContent-Length: %d\r\n\r\n%s", shopOrigin, addr, len(body), body)
	}
	go func() { _, _ = p.Write(b) }()
	_ = p.SetReadDeadline(time.Now().Add(time.Minute))
	for range addrs {
		res, err := http.ReadResponse(p.answers, nil)
		if err != nil {
			p.r.Error(err)
			return served, limited
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		switch res.StatusCode {
		case http.StatusNoContent:
			served++
		case http.StatusTooManyRequests:
			limited++
		default:
			p.r.Errorf("answer %s", res.Status)
		}
	}
	return served, limited
}

// reloadEveryFile replaces each file that a node reads while it runs, by good
// ones and by bad ones.
func reloadEveryFile(r *faultRig) {
	dir := r.TempDir()
	settings := filepath.Join(dir, "nearside.yaml")
	certs := pair{filepath.Join(dir, "admin.pem"), filepath.Join(dir, "admin.key")}
	places := filepath.Join(dir, "places.mmdb")
	database := smallPlaces(r)
	writeText(r, places, string(database))
	certs.write(r, 1, "near.example")
	r.Setenv("NEARSIDE_CONFIG", settings)
	good := func(i int) string {
		return fmt.Sprintf("admin.addr: 127.0.0.1:0\nadmin.tls-cert: %s\nadmin.tls-key: %s\ngeo.database: %s\ngeo.reload: 1s\nlimit.address-rate: %d\n", certs.cert, certs.key, places, 100+i)
	}
	writeText(r, settings, good(0))
	r.start()
	stop := r.load()
	hangUp := func() {
		if err := r.process.Process.Signal(syscall.SIGHUP); err != nil {
			r.Fatal(err)
		}
		time.Sleep(faultTurn / 2)
	}
	for i := range 4 {
		writeText(r, settings, good(i))
		certs.write(r, int64(i+2), "near.example")
		replace(r, places, database)
		hangUp()
		writeText(r, settings, "limit.address-rate: none\n")
		hangUp()
		writeText(r, settings, good(i))
		_, key := newPair(r, 66, "near.example")
		writeText(r, certs.key, key)
		replace(r, places, database[:len(database)/2])
		hangUp()
	}
	metrics := r.node.metrics(r)
	for _, want := range []string{`nearside_reloads_total{result="taken"} `, `nearside_reloads_total{result="refused"} `} {
		if _, n, ok := strings.Cut(metrics, want); !ok || n[0] == '0' {
			r.Errorf("metrics say of %s: %.1s", want, n)
		}
	}
	stop()
	r.resend(r.unanswered())
	r.stop()
}

// smallPlaces is a database that knows one network.
func smallPlaces(r *faultRig) []byte {
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: "GeoLite2-Country", IncludeReservedNetworks: true})
	if err != nil {
		r.Fatal(err)
	}
	_, network, err := net.ParseCIDR("1.1.1.0/24")
	if err != nil {
		r.Fatal(err)
	}
	if err := tree.Insert(network, mmdbtype.Map{"country": mmdbtype.Map{"iso_code": mmdbtype.String("AU")}}); err != nil {
		r.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := tree.WriteTo(&out); err != nil {
		r.Fatal(err)
	}
	return out.Bytes()
}

// replace puts another file in the place of one, whole at once.
func replace(r *faultRig, name string, content []byte) {
	writeText(r, name+".new", string(content))
	if err := os.Rename(name+".new", name); err != nil {
		r.Fatal(err)
	}
}
