// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// importArgs are the words of a command line that imports path.
func (n *testNode) importArgs(base, key, path string, more ...string) []string {
	return append([]string{"events", "import", path, "--site", "shop", "--url", base, "--key", key, "--granted", "storage,measure,profile"}, more...)
}

// loginLines writes a file of logins, each with a property of its own, some days
// ago, and one line in a hundred that is none.
func loginLines(t testing.TB, path string, lines int) (good int) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(file)
	begin := time.Now().Add(-72 * time.Hour).UnixMilli()
	for i := range lines {
		if i%100 == 99 {
			fmt.Fprintf(out, `{"name":"login","props":{"secret":"%d"}}`+"\n", i)
			continue
		}
		fmt.Fprintf(out, `{"name":"login","at":%d,"props":{"n":%d}}`+"\n", begin+int64(i), i)
		good++
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return good
}

// checkLogins fails unless the log has each good line just once.
func (n *testNode) checkLogins(t testing.TB, lines, good int) {
	t.Helper()
	seen := make(map[float64]int)
	for _, ev := range n.storedEvents(t, "shop") {
		props, _ := ev["props"].(map[string]any)
		number, ok := props["n"].(float64)
		if ev["name"] != "login" || !ok {
			t.Fatalf("a stored event is %v", ev)
		}
		seen[number]++
	}
	for i := range lines {
		want := 1
		if i%100 == 99 {
			want = 0
		}
		if got := seen[float64(i)]; got != want {
			t.Fatalf("line %d is stored %d times, want %d", i+1, got, want)
		}
	}
	if len(seen) != good {
		t.Errorf("%d events are stored, want %d", len(seen), good)
	}
}

func TestOrdersAreImported(t *testing.T) {
	n := newShop(t)
	key := n.serverKey(t, "shop")
	day := time.Now().Add(-48 * time.Hour).UTC().Format("2006-01-02")
	path := filepath.Join(t.TempDir(), "orders.csv")
	text := strings.NewReplacer("2026-11-01", day, "2026-11-02", day, "2026-11-03", day).Replace(orders) +
		"R-5,1995-01-01,crm-1,1,EUR,pin-1,Pin,5.00,1,\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args := n.importArgs(n.base, key, path, "--name", "purchase", "--system", "shop-7", "--origin", "second",
		"--map", "Order ID=transaction_id", "--map", "Date=at", "--map", "Customer=profile", "--map", "Total=value")
	if out := cli(t, append(args, "--dry-run")...); !strings.Contains(out, "7 lines: 3 events could be sent, 3 lines would be refused; nothing was sent.") {
		t.Errorf("a dry run says %q", out)
	}
	if _, err := os.Stat(path + ".checkpoint"); err == nil {
		t.Error("a dry run leaves a checkpoint")
	}
	if out := cli(t, args...); out != "7 lines: 2 events accepted, 4 refused, listed in "+path+".refused.jsonl.\n" {
		t.Errorf("the import says %q", out)
	}
	events := n.storedEvents(t, "shop")
	if len(events) != 2 {
		t.Fatalf("%d events are stored: %v", len(events), events)
	}
	first := events[0]
	items, _ := first["items"].([]any)
	if first["name"] != "purchase" || first["value"] != "30.00" || first["currency"] != "EUR" || len(items) != 2 || first["origin"] != "second" || first["profile"] == nil {
		t.Errorf("the first order is stored as %v", first)
	}
	report, err := os.ReadFile(path + ".refused.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	want := `{"line":5,"code":"malformed","field":"price"}` + "\n" + `{"line":7,"code":"scattered","field":"transaction_id"}` + "\n" +
		`{"line":8,"code":"malformed","field":"at"}` + "\n" + `{"line":9,"code":"event_too_old","field":"at"}` + "\n"
	if string(report) != want {
		t.Errorf("the report is\n%swant\n%s", report, want)
	}
	// Once more: nothing is left to do. And from the beginning: nothing is new.
	if out := cli(t, args...); !strings.Contains(out, "7 lines: 2 events accepted, 4 refused") {
		t.Errorf("a second run says %q", out)
	}
	cli(t, append(args, "--restart")...)
	if events := n.storedEvents(t, "shop"); len(events) != 2 {
		t.Errorf("%d events are stored after a third run, want 2", len(events))
	}
	// What was appended is imported by the next run.
	if err := os.WriteFile(path, []byte(text+"R-6,"+day+",crm-1,1,EUR,pin-1,Pin,5.00,1,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := cli(t, args...); !strings.Contains(out, "8 lines: 3 events accepted") {
		t.Errorf("a run after a line was appended says %q", out)
	}
	// Another file of the same name is not gone on with.
	if err := os.WriteFile(path, []byte(strings.Replace(text, "R-1", "R-8", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := command(t.Context(), args, stdio{&out, &errs}); code != exitError || !strings.Contains(errs.String(), "it is of another file") {
		t.Errorf("another file: %d, %s", code, errs.String())
	}
}

// A run that is killed at any moment is gone on with: nothing is lost, and nothing
// is stored twice.
func TestAnImportThatIsKilledGoesOn(t *testing.T) {
	n := newShop(t)
	key := n.serverKey(t, "shop")
	path := filepath.Join(t.TempDir(), "logins.jsonl")
	const lines = 30_000
	good := loginLines(t, path, lines)
	kills := 0
	for at := 3_000; at < lines; at += 9_000 {
		program := exec.Command(os.Args[0], n.importArgs(n.base, key, path)...)
		program.Env = append(os.Environ(), runMain+"=1")
		if err := program.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(60 * time.Second); linesDone(path) < at && time.Now().Before(end); {
			time.Sleep(time.Millisecond)
		}
		if err := program.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := program.Wait(); err != nil {
			kills++
		}
	}
	if kills == 0 {
		t.Error("no run was killed before its end")
	}
	if out := cli(t, n.importArgs(n.base, key, path)...); !strings.Contains(out, fmt.Sprintf("%d lines: ", lines)) || !strings.Contains(out, fmt.Sprintf(", %d refused", lines-good)) {
		t.Errorf("the last run says %q", out)
	}
	n.checkLogins(t, lines, good)
	report, err := os.ReadFile(path + ".refused.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(report, []byte("\n")); got != lines-good || bytes.Contains(report, []byte("secret")) {
		t.Errorf("the report has %d lines, want %d", got, lines-good)
	}
}

// linesDone is how many lines a file's checkpoint says are done.
func linesDone(path string) int {
	text, err := os.ReadFile(path + ".checkpoint")
	var c checkpoint
	if err != nil || json.Unmarshal(text, &c) != nil {
		return 0
	}
	return c.Lines
}

// A node that cannot take events now, or an answer that is lost on its way, only
// takes time.
func TestAnImportWaitsForTheNode(t *testing.T) {
	n := newShop(t)
	key := n.serverKey(t, "shop")
	target, err := url.Parse(n.base)
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int64
	to := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch requests.Add(1) % 5 {
		case 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, `{"error":{"code":"over_quota","message":"later"}}`)
		case 3: // stored, and the answer is lost
			to.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		default:
			to.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(front.Close)
	path := filepath.Join(t.TempDir(), "logins.jsonl")
	good := loginLines(t, path, 2_000)
	cli(t, n.importArgs(front.URL, key, path)...)
	n.checkLogins(t, 2_000, good)
}

func TestAnImportThatCannotBe(t *testing.T) {
	n := newShop(t)
	key := n.serverKey(t, "shop")
	path := filepath.Join(t.TempDir(), "logins.jsonl")
	loginLines(t, path, 10)
	tests := []struct {
		name string
		args []string
		code int
		says string
	}{
		{"without a site", []string{"events", "import", path, "--url", n.base, "--key", key}, exitUsage, "--site is missing"},
		{"without an address", []string{"events", "import", path, "--site", "shop", "--key", key}, exitUsage, "--url is missing"},
		{"without a key", []string{"events", "import", path, "--site", "shop", "--url", n.base}, exitUsage, "--key is missing"},
		{"a purpose nobody knows", n.importArgs(n.base, key, path, "--granted", "everything"), exitUsage, "--granted"},
		{"a time zone nobody knows", n.importArgs(n.base, key, path, "--timezone", "Mars/Olympus"), exitUsage, "--timezone"},
		{"a format nobody knows", n.importArgs(n.base, key, path, "--format", "xml"), exitUsage, "--format"},
		{"a mapping without a member", n.importArgs(n.base, key, path, "--map", "x"), exitUsage, "--map"},
		{"a key that is none", n.importArgs(n.base, "near_"+strings.Repeat("A", 43), path), exitError, "unauthenticated"},
		{"a site that is not its own", append(n.importArgs(n.base, key, path), "--site", "blog"), exitError, "forbidden"},
		{"a surface nobody knows", n.importArgs(n.base, key, path, "--surface", "moon"), exitError, "surface"},
		{"nobody there", n.importArgs("http://127.0.0.1:1", key, path, "--patience", "1ms"), exitError, "has taken nothing"},
		{"a file that is not there", n.importArgs(n.base, key, path+".x", "--format", "jsonl"), exitError, "no such file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := command(context.Background(), tt.args, stdio{&out, &errs}); code != tt.code || !strings.Contains(errs.String(), tt.says) {
				t.Errorf("exit %d, %q; want %d and %q", code, errs.String(), tt.code, tt.says)
			}
			if strings.Contains(errs.String(), key) {
				t.Error("the key is printed")
			}
		})
	}
	if events := n.storedEvents(t, "shop"); len(events) != 0 {
		t.Errorf("%d events are stored", len(events))
	}
}
