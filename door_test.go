// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
)

// A pair is a certificate and its key as files.
type pair struct{ cert, key string }

// write makes a certificate for names, with a serial number, and its key.
func (p pair) write(t testing.TB, serial int64, names ...string) {
	t.Helper()
	cert, key := newPair(t, serial, names...)
	writeText(t, p.key, key)
	writeText(t, p.cert, cert)
}

func newPair(t testing.TB, serial int64, names ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", secret)
}

// certificateOf is the serial number of the certificate that a server shows for a name.
func certificateOf(t testing.TB, base, name string) (int64, tls.ConnectionState) {
	t.Helper()
	c, err := tls.Dial("tcp", strings.TrimPrefix(base, "https://"), &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	state := c.ConnectionState()
	return state.PeerCertificates[0].SerialNumber.Int64(), state
}

// hangUp has every node of this process read its settings again, as kill -HUP
// does.
func hangUp(t testing.TB) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// A signal to read the settings again, to a process that is still opening its
// data, waits until they can be read and does not end the process.
func TestASignalMayComeWhileANodeOpens(t *testing.T) {
	data := t.TempDir()
	key := filepath.Join(data, "key")
	if err := syscall.Mkfifo(key, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "serve", "--addr", "127.0.0.1:0", "--data", data)
	cmd.Env = append(os.Environ(), runMain+"=1")
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	said := func() string {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	pipe, err := os.OpenFile(key, os.O_WRONLY, 0) // waits until the process opens it
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(100 * time.Millisecond) // for a process that the signal ends
	fmt.Fprintln(pipe, strings.Repeat("07", edge.KeyBytes))
	if err := pipe.Close(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); !strings.Contains(said(), "the settings have been read again"); {
		select {
		case <-ended:
			t.Fatalf("the process ended: %v\n%s", cmd.ProcessState, said())
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatalf("the process does not read its settings again:\n%s", said())
		}
	}
}

// Certificates are replaced, also by bad ones, while clients make a connection
// for each request: none of them fails.
func TestCertificatesAreReplacedUnderLoad(t *testing.T) {
	dir := t.TempDir()
	first := pair{filepath.Join(dir, "a.pem"), filepath.Join(dir, "a.key")}
	second := pair{filepath.Join(dir, "b.pem"), filepath.Join(dir, "b.key")}
	first.write(t, 1, "near.example")
	second.write(t, 100, "other.example", "*.other.example")
	cfg := testConfig()
	cfg.Door.TLSCerts, cfg.Door.TLSKeys = []string{first.cert, second.cert}, []string{first.key, second.key}
	cfg.AdminAddr = "127.0.0.1:0"
	n := startNode(t, cfg)
	if !strings.HasPrefix(n.base, "https://") || !strings.HasPrefix(n.admin, "https://") {
		t.Fatalf("the node is at %s and %s", n.base, n.admin)
	}
	for name, want := range map[string]int64{"near.example": 1, "other.example": 100, "www.other.example": 100, "unknown.example": 1} {
		if got, _ := certificateOf(t, n.base, name); got != want {
			t.Errorf("%s is shown certificate %d, want %d", name, got, want)
		}
	}
	if serial, state := certificateOf(t, n.admin, "near.example"); serial != 1 || state.Version != tls.VersionTLS13 || state.CurveID != tls.X25519MLKEM768 {
		t.Errorf("the admin listener: certificate %d, %s, %v", serial, tls.VersionName(state.Version), state.CurveID)
	}
	if c, err := tls.Dial("tcp", strings.TrimPrefix(n.base, "https://"), &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11}); err == nil {
		c.Close()
		t.Error("TLS 1.1 is spoken")
	}

	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var served atomic.Int64
	for range 4 {
		wg.Go(func() {
			client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "near.example"}}}
			for ctx.Err() == nil {
				res, err := client.Get(n.base + "/healthz")
				if err != nil {
					t.Errorf("a request fails: %v", err)
					return
				}
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK {
					t.Errorf("answer %s, %v", res.Status, err)
					return
				}
				served.Add(1)
			}
		})
	}
	for serial := int64(2); serial <= 6; serial++ {
		first.write(t, serial, "near.example")
		hangUp(t)
		waitFor(t, fmt.Sprintf("certificate %d", serial), func() bool { got, _ := certificateOf(t, n.base, "near.example"); return got == serial })
		// A key of another certificate, and no certificate at all: the good one stays.
		_, key := newPair(t, 66, "near.example")
		writeText(t, first.key, key)
		hangUp(t)
		writeText(t, second.cert, "-----BEGIN CERTIFICATE-----\n")
		hangUp(t)
		if got, _ := certificateOf(t, n.base, "near.example"); got != serial {
			t.Errorf("after bad files certificate %d is shown, want %d", got, serial)
		}
		second.write(t, 100+serial, "other.example")
	}
	stop()
	wg.Wait()
	if served.Load() < 5 {
		t.Errorf("only %d requests: hardly a load", served.Load())
	}
	if got, _ := certificateOf(t, n.base, "near.example"); got != 6 {
		t.Errorf("certificate %d is shown at the end", got)
	}
	t.Logf("%d requests with a handshake each over 5 good and 10 bad replacements", served.Load())
}

// settingsNode starts a node whose settings come from a file, and returns a look
// at its log.
func settingsNode(t testing.TB, file string) (*testNode, *syncLog) {
	t.Helper()
	args := []string{"--config", file, "--data", t.TempDir(), "--addr", "127.0.0.1:0"}
	cfg, err := serveConfig(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	cfg.again = func() (Config, error) { return serveConfig(args, io.Discard) }
	log := &syncLog{}
	ctx, cancel := context.WithCancel(context.Background())
	n := &testNode{data: cfg.Data}
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- run(ctx, cfg, cfg.logger(log), func(on listeners, _ string) { n.base = on.base(); close(ready) })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the node ended with %v", err)
		}
	})
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	case <-time.After(20 * time.Second):
		t.Fatal("the node is not ready after 20 s")
	}
	return n, log
}

// A syncLog is a log that may be read while it is written.
type syncLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *syncLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *syncLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A quota of a site that is not there bounds nothing, which its operator is told.
func TestAQuotaOfNoSiteIsTold(t *testing.T) {
	file := writeText(t, filepath.Join(t.TempDir(), "nearside.yaml"), "quota.sites: shop=1/1,shoop=1/1\n")
	_, log := settingsNode(t, file)
	said := func(words string) func() bool { return func() bool { return strings.Contains(log.String(), words) } }
	waitFor(t, "the start to tell of both", said("sites=\"[shoop shop]\""))
	writeText(t, file, "quota.sites: other=1/1\n")
	hangUp(t)
	waitFor(t, "the change to be told of", said("sites=[other]"))
}

func TestSettingsAreReadAgain(t *testing.T) {
	file := writeText(t, filepath.Join(t.TempDir(), "nearside.yaml"), "node: one\n")
	n, log := settingsNode(t, file)
	addModuleShop(t, n.data, "shop")
	ask := func() string {
		_, text := n.post(t, "/_near/v1/beacon", `{"v":1,"site":"shop","page":{"url":"https://shop.example/"},"sent":1,"consent":{"purposes":0},"slots":["hero","hero2"]}`, nil)
		return text
	}
	waitFor(t, "the release to be live", func() bool { return strings.Contains(ask(), `"decisions"`) })
	said := func(words string) func() bool { return func() bool { return strings.Contains(log.String(), words) } }

	// A quota, at once; the node's name, at the next start.
	writeText(t, file, "node: two\nquota.sites: shop=1/0\nlog.level: debug\n")
	hangUp(t)
	waitFor(t, "the change to be taken", said("settings=[node]"))
	waitFor(t, "the quota to be spent", func() bool { return strings.Contains(ask(), `"reason":"budget"`) })

	// A bad file changes nothing, though its first lines are good.
	writeText(t, file, "node: one\nquota.sites: shop=0/0\nhttp.proxies: nobody\n")
	hangUp(t)
	waitFor(t, "the file to be refused", said("the settings are refused"))
	if !strings.Contains(log.String(), "nobody") || !strings.Contains(ask(), `"reason":"budget"`) {
		t.Errorf("after a bad file: %s\n%s", ask(), log.String())
	}
	metrics := n.metrics(t)
	for _, want := range []string{`nearside_reloads_total{result="taken"} 1`, `nearside_reloads_total{result="refused"} 1`, "nearside_settings_pending 1"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	// No signal: the file's change is seen.
	writeText(t, file, "node: one\n")
	waitFor(t, "the quota to be gone", func() bool { return !strings.Contains(ask(), `"reason":"budget"`) })
}

// metrics are what the node counts.
func (n *testNode) metrics(t testing.TB) string {
	t.Helper()
	client := dialAdmin(n.data)
	if client == nil {
		t.Fatal("no node is running")
	}
	defer client.Close()
	res, err := client.http.Get(client.base + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %s %v", res.Status, err)
	}
	return string(text)
}

// A node that is told to stop under load answers every request, stores what it
// acknowledged, and is not ready from the beginning on.
func TestDrainUnderLoad(t *testing.T) {
	cfg := testConfig()
	cfg.Data = t.TempDir()
	cfg.Door.Drain = time.Second
	cli(t, "site", "add", "shop", "--origin", shopOrigin, "--data", cfg.Data)
	n := startNode(t, cfg)
	var gone atomic.Bool // as a balancer sees it
	var mu sync.Mutex
	var acked []string
	var wg sync.WaitGroup
	closes := 0
	for client := range 8 {
		wg.Go(func() {
			web := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{}}
			defer web.CloseIdleConnections()
			for i := 0; !gone.Load(); i++ {
				id := fmt.Sprintf("drain-%d-%d", client, i)
				res, err := web.Do(n.request(id))
				if err != nil {
					t.Errorf("request %s has no answer: %v", id, err)
					return
				}
				text, err := io.ReadAll(res.Body)
				res.Body.Close()
				mu.Lock()
				if err != nil || res.StatusCode != http.StatusNoContent {
					t.Errorf("request %s: %s %s %v", id, res.Status, text, err)
				} else {
					acked = append(acked, id)
				}
				if res.Close {
					closes++
				}
				mu.Unlock()
			}
		})
	}
	time.Sleep(300 * time.Millisecond)
	stopped := make(chan struct{})
	go func() { n.stop(); close(stopped) }()
	waitFor(t, "the node not to be ready", func() bool {
		res, err := http.Get(n.base + "/readyz")
		if err != nil {
			t.Errorf("the node is gone at once: %v", err)
			return true
		}
		res.Body.Close()
		return res.StatusCode == http.StatusServiceUnavailable
	})
	time.Sleep(300 * time.Millisecond) // until the balancer has seen it
	gone.Store(true)
	wg.Wait()
	select {
	case <-stopped:
		t.Error("the node did not wait for its drain")
	default:
	}
	<-stopped
	if _, err := net.DialTimeout("tcp", strings.TrimPrefix(n.base, "http://"), time.Second); err == nil {
		t.Error("somebody still listens")
	}
	stored := map[string]int{}
	for _, ev := range n.storedEvents(t, "shop") {
		stored[ev["id"].(string)]++
	}
	for _, id := range acked {
		if stored[id+".1"] != 1 || stored[id+".2"] != 1 {
			t.Errorf("beacon %s was acknowledged and is stored %d and %d times", id, stored[id+".1"], stored[id+".2"])
		}
	}
	if len(acked) < 20 || closes == 0 {
		t.Errorf("%d beacons, %d connections closed: hardly a load", len(acked), closes)
	}
	t.Logf("%d beacons answered and stored, %d of them with the connection's end", len(acked), closes)
}

// The second signal ends a node that waits.
func TestASecondSignalStopsAtOnce(t *testing.T) {
	t.Setenv("NEARSIDE_HTTP_DRAIN", "1m")
	process, base := startProcess(t, t.TempDir())
	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the drain to begin", func() bool { return checkReady(context.Background(), base) != nil })
	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it ended as if it had finished")
		}
	case <-time.After(10 * time.Second):
		t.Error("it goes on after a second signal")
	}
}

// A balancer that speaks TLS through, with the PROXY protocol in front of it.
func TestProxyProtocolBeforeTLS(t *testing.T) {
	first := pair{filepath.Join(t.TempDir(), "a.pem"), filepath.Join(t.TempDir(), "a.key")}
	first.write(t, 7, "near.example")
	cfg := testConfig()
	cfg.Door.TLSCerts, cfg.Door.TLSKeys = []string{first.cert}, []string{first.key}
	cfg.Door.ProxyProtocol = true
	cfg.Proxies, _ = parseProxies("127.0.0.2")
	n := startNode(t, cfg)
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	c, err := from.Dial("tcp", strings.TrimPrefix(n.base, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n")
	secure := tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: "near.example"})
	fmt.Fprint(secure, "GET /healthz HTTP/1.1\r\nHost: near.example\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(secure)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
		t.Errorf("answer %q, %v", answer, err)
	}
}
