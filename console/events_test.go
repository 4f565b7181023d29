// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/publishing"
)

func TestAStreamThatBreaksSaysSo(t *testing.T) {
	b := openBench(t, nil)
	res := b.do("GET", "/v1/events?site=broken", "")
	if want := "{\"id\":\"e2\"}\n{\"error\":{\"code\":\"internal\",\"message\":\"the server failed\"}}\n"; !strings.HasSuffix(res.body, want) {
		t.Errorf("body %q", res.body)
	}
	if !strings.Contains(b.log.String(), "disk on fire") {
		t.Error("the cause is not logged")
	}
}

func TestEventsAreFollowed(t *testing.T) {
	lines := make(chan string)
	gone := make(chan error, 1)
	b := openBench(t, func(o *Options) {
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
	req, err := http.NewRequestWithContext(ctx, "GET", "http://node/v1/events?follow=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := b.socket.Do(req) // the headers come before the first event
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
	b := openBench(t, nil)
	res, err := b.socket.Get("http://node/v1/events?follow=1&since=1h")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = b.Shutdown(ctx)
	}()
	if out, err := io.ReadAll(res.Body); err != nil || strings.Count(string(out), "\n") != 3 {
		t.Errorf("read %q, %v", out, err)
	}
}

func TestParseEventQuery(t *testing.T) {
	tests := []struct {
		query string
		want  EventQuery
		ok    bool
	}{
		{"", EventQuery{}, true},
		{"site=demo&since=90m", EventQuery{Site: "demo", Since: testNow.Add(-90 * time.Minute)}, true},
		{"since=2026-11-22T11:00:00Z&follow=false", EventQuery{Since: testNow.Add(-time.Hour)}, true},
		{"follow=1", EventQuery{Follow: true}, true},
		{"site=demo&visitor=v", EventQuery{Site: "demo", Visitor: "v"}, true},
		{"site=demo&profile=crm+1", EventQuery{Site: "demo", Profile: "crm 1"}, true},
		{"profile=c", EventQuery{}, false},
		{"visitor=v", EventQuery{}, false},
		{"site=demo&visitor=v&profile=c", EventQuery{}, false},
		{"site=demo&profile=" + strings.Repeat("c", maxPersonBytes+1), EventQuery{}, false},
		{"since=yesterday", EventQuery{}, false},
		{"since=-1h", EventQuery{}, false},
		{"follow=perhaps", EventQuery{}, false},
	}
	for _, tt := range tests {
		args, err := url.ParseQuery(tt.query)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseEventQuery(args, testNow)
		if (err == nil) != tt.ok || err == nil && got != tt.want {
			t.Errorf("%q: got %+v, %v", tt.query, got, err)
		}
	}
}

func TestEvents(t *testing.T) {
	b := openBench(t, nil)
	if res := b.do("GET", "/v1/events?site=shop", ""); res.StatusCode != 200 || res.body != "{\"id\":\"e0\"}\n{\"id\":\"e1\"}\n{\"id\":\"e2\"}\n" {
		t.Errorf("answer %d %q", res.StatusCode, res.body)
	}
	if res := b.do("GET", "/v1/events?since=yesterday", ""); res.StatusCode != 400 || res.refused(t) != "bad_query" {
		t.Errorf("answer %d %q", res.StatusCode, res.body)
	}
	none := openBench(t, func(o *Options) { o.Events = nil })
	if res := none.do("GET", "/v1/events", ""); res.StatusCode != 404 {
		t.Errorf("without a log: answer %d", res.StatusCode)
	}
}

// Whoever's token is revoked reads no further.
func TestARevokedTokenEndsItsStream(t *testing.T) {
	b := openBench(t, nil)
	secret := b.token("ada", publishing.Viewer, "shop")
	ended := make(chan string, 1)
	b.client.Timeout = 0
	go func() { ended <- b.as(secret, "GET", "/v1/events?site=shop&follow=1", "").body }()
	tokens, err := b.options.Desk.Tokens(t.Context(), publishing.Operator())
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // the stream is open by then, or refused, which ends it too
	if err := b.options.Desk.RevokeToken(t.Context(), publishing.Operator(), tokens[0].ID); err != nil {
		t.Fatal(err)
	}
	select {
	case body := <-ended:
		if !strings.HasPrefix(body, "{\"id\":\"e0\"}") {
			t.Errorf("the stream was not open: %q", body)
		}
	case <-time.After(2 * beatEvery):
		t.Fatal("the stream goes on")
	}
}
