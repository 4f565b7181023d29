// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A desk is an admin side on a unix socket, with a store of releases behind it.
type desk struct {
	*Admin
	t       *testing.T
	client  *http.Client
	log     *syncBuffer
	mu      sync.Mutex
	numbers map[string]uint64
	docs    map[string]string
	queries []EventQuery
}

func openDesk(t *testing.T, edit func(*desk, *AdminOptions)) *desk {
	t.Helper()
	d := &desk{t: t, log: &syncBuffer{}, numbers: map[string]uint64{"demo": 3}, docs: map[string]string{"demo": `{"site":"demo"}`}}
	o := AdminOptions{
		Logger:   slog.New(slog.NewTextHandler(d.log, nil)),
		Releases: func(context.Context) ([]byte, error) { return []byte(`[{"site":"demo","number":3}]`), nil },
		Release:  d.release, PutRelease: d.put, Events: d.events,
		Metrics: []func(io.Writer) error{
			func(w io.Writer) error { _, err := io.WriteString(w, "first 1\n"); return err },
			func(w io.Writer) error { _, err := io.WriteString(w, "second 2\n"); return err },
		},
	}
	if edit != nil {
		edit(d, &o)
	}
	d.Admin = NewAdmin(o)
	path := filepath.Join(t.TempDir(), "admin.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- d.Serve(ln) }()
	d.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		d.client.CloseIdleConnections()
		if err := d.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return d
}

func (d *desk) release(_ context.Context, site string) ([]byte, uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.numbers[site] == 0 {
		return nil, 0, fmt.Errorf("site %q: %w", site, ErrNoSite)
	}
	return []byte(d.docs[site]), d.numbers[site], nil
}

func (d *desk) put(_ context.Context, site string, document []byte, follows uint64) (uint64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !bytes.HasPrefix(document, []byte("{")) {
		return 0, fmt.Errorf("%w: slots: hero has no rule", ErrInvalid)
	}
	if d.numbers[site] != follows {
		return 0, fmt.Errorf("number is %d: %w", d.numbers[site], ErrConflict)
	}
	d.numbers[site]++
	d.docs[site] = string(document)
	return d.numbers[site], nil
}

func (d *desk) events(ctx context.Context, q EventQuery, emit func([]byte) error) error {
	d.mu.Lock()
	d.queries = append(d.queries, q)
	d.mu.Unlock()
	for i := range 3 {
		if err := emit(fmt.Appendf(nil, `{"id":"e%d"}`, i)); err != nil {
			return err
		}
	}
	if q.Site == "broken" {
		return errors.New("disk on fire")
	}
	if q.Follow {
		<-ctx.Done()
	}
	return nil
}

func (d *desk) do(method, path, body string, headers ...string) reply {
	d.t.Helper()
	req, err := http.NewRequest(method, "http://admin"+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	res, err := d.client.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return reply{res, string(text)}
}

func TestAdmin(t *testing.T) {
	d := openDesk(t, nil)
	tests := []struct {
		name, method, path, body, match string
		status                          int
		want                            string // body, or code of an error
	}{
		{"health", "GET", "/healthz", "", "", 200, "ok\n"},
		{"metrics are one after the other", "GET", "/metrics", "", "", 200, "first 1\nsecond 2\n"},
		{"releases", "GET", "/v1/releases", "", "", 200, `[{"site":"demo","number":3}]`},
		{"a release", "GET", "/v1/releases/demo", "", "", 200, `{"site":"demo"}`},
		{"a release nobody has", "GET", "/v1/releases/other", "", "", 404, "unknown_site site"},
		{"a release that follows another one", "PUT", "/v1/releases/demo", `{}`, `"2"`, 412, "conflict If-Match"},
		{"a release that does not say what it follows", "PUT", "/v1/releases/demo", `{}`, "", 428, "precondition_required If-Match"},
		{"a release that follows a word", "PUT", "/v1/releases/demo", `{}`, "*", 428, "precondition_required If-Match"},
		{"a release that does not compile", "PUT", "/v1/releases/demo", `nope`, `"3"`, 422, "invalid_release"},
		{"the next release", "PUT", "/v1/releases/demo", `{"n":4}`, `"3"`, 200, `{"number":4}`},
		{"is there", "GET", "/v1/releases/demo", "", "", 200, `{"n":4}`},
		{"the first release of a site", "PUT", "/v1/releases/new", `{}`, "0", 200, `{"number":1}`},
		{"a site that is there already", "PUT", "/v1/releases/new", `{}`, "0", 412, "conflict If-Match"},
		{"events", "GET", "/v1/events?site=demo", "", "", 200, "{\"id\":\"e0\"}\n{\"id\":\"e1\"}\n{\"id\":\"e2\"}\n"},
		{"events since nobody knows", "GET", "/v1/events?since=yesterday", "", "", 400, "bad_query"},
		{"events followed or not", "GET", "/v1/events?follow=perhaps", "", "", 400, "bad_query"},
		{"nothing", "GET", "/v1/beacon", "", "", 404, "not_found"},
		{"a method nobody knows", "DELETE", "/v1/releases/demo", "", "", 405, "method_not_allowed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var headers []string
			if tt.match != "" {
				headers = append(headers, "If-Match: "+tt.match)
			}
			res := d.do(tt.method, tt.path, tt.body, headers...)
			if res.StatusCode != tt.status {
				t.Fatalf("answer %d %s, want %d", res.StatusCode, res.body, tt.status)
			}
			if got := res.body; tt.status == 200 && got != tt.want {
				t.Errorf("body %q, want %q", got, tt.want)
			}
			if tt.status != 200 && res.code(t) != tt.want {
				t.Errorf("code %q, want %q", res.code(t), tt.want)
			}
		})
	}
	if res := d.do("GET", "/v1/releases/demo", ""); res.Header.Get("ETag") != `"4"` {
		t.Errorf("entity tag %q", res.Header.Get("ETag"))
	}
	if res := d.do("PUT", "/v1/releases/demo", `nope`, `If-Match: "4"`); !strings.Contains(res.body, "hero has no rule") {
		t.Errorf("the operator is not told what is wrong: %s", res.body)
	}
}

func TestAdminFailureIsLoggedOnceAndNotTold(t *testing.T) {
	d := openDesk(t, func(_ *desk, o *AdminOptions) {
		o.Releases = func(context.Context) ([]byte, error) { return nil, errors.New("disk on fire") }
		o.Release = func(context.Context, string) ([]byte, uint64, error) { panic("boom") }
		o.Events = nil
	})
	for _, path := range []string{"/v1/releases", "/v1/releases/demo"} {
		if res := d.do("GET", path, ""); res.StatusCode != 500 || res.code(t) != "internal" || strings.Contains(res.body, "fire") {
			t.Errorf("%s: answer %d %s", path, res.StatusCode, res.body)
		}
	}
	if logged := d.log.String(); strings.Count(logged, "disk on fire") != 1 || strings.Count(logged, "handler panicked") != 1 {
		t.Errorf("log: %s", logged)
	}
	if res := d.do("GET", "/v1/events", ""); res.StatusCode != 405 && res.StatusCode != 404 {
		t.Errorf("a missing function answers %d", res.StatusCode)
	}
}

func TestAStreamThatBreaksSaysSo(t *testing.T) {
	d := openDesk(t, nil)
	res := d.do("GET", "/v1/events?site=broken", "")
	if want := "{\"id\":\"e2\"}\n{\"error\":{\"code\":\"internal\",\"message\":\"the server failed\"}}\n"; !strings.HasSuffix(res.body, want) {
		t.Errorf("body %q", res.body)
	}
	if !strings.Contains(d.log.String(), "disk on fire") {
		t.Error("the cause is not logged")
	}
}

func TestEventsAreFollowed(t *testing.T) {
	lines := make(chan string)
	gone := make(chan error, 1)
	d := openDesk(t, func(_ *desk, o *AdminOptions) {
		o.Events = func(ctx context.Context, q EventQuery, emit func([]byte) error) error {
			for {
				select {
				case line := <-lines:
					if err := emit([]byte(line)); err != nil {
						gone <- err
						return err
					}
				case <-ctx.Done():
					gone <- ctx.Err()
					return ctx.Err()
				}
			}
		}
	})
	ctx, leave := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", "http://admin/v1/events?follow=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := d.client.Do(req) // the headers come before the first event
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	r := bufio.NewReader(res.Body)
	for i := range 3 {
		want := fmt.Sprintf(`{"id":"e%d"}`, i)
		lines <- want
		if got, err := r.ReadString('\n'); err != nil || got != want+"\n" {
			t.Fatalf("line %q, %v, want %q", got, err, want)
		}
	}
	leave()
	for end := time.After(5 * time.Second); ; {
		select {
		case lines <- `{"id":"late"}`: // the server finds out by writing
		case err := <-gone:
			if err == nil {
				t.Error("the stream ended without a cause")
			}
			return
		case <-end:
			t.Fatal("the stream goes on without a reader")
		}
	}
}

func TestShutdownEndsStreams(t *testing.T) {
	d := openDesk(t, nil)
	res, err := d.client.Get("http://admin/v1/events?follow=1&since=1h")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = d.Shutdown(ctx)
	}()
	if out, err := io.ReadAll(res.Body); err != nil || strings.Count(string(out), "\n") != 3 {
		t.Errorf("read %q, %v", out, err)
	}
}

func TestParseEventQuery(t *testing.T) {
	d := openDesk(t, nil)
	before := time.Now()
	d.do("GET", "/v1/events?site=demo&since=90m", "")
	d.do("GET", "/v1/events?since=2026-11-22T12:00:00Z&follow=false", "")
	d.mu.Lock()
	defer d.mu.Unlock()
	if q := d.queries[0]; q.Site != "demo" || q.Follow || q.Since.Before(before.Add(-91*time.Minute)) || q.Since.After(time.Now().Add(-90*time.Minute)) {
		t.Errorf("query %+v", q)
	}
	if q := d.queries[1]; q.Site != "" || !q.Since.Equal(testNow) {
		t.Errorf("query %+v", q)
	}
}
