// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

// Each bad request gets its own clear error, and a good one is still answered
// and kept after all of them.
func TestBadRequestsGetTheirOwnError(t *testing.T) {
	n := newShop(t)
	good := beaconOf(consent.Measure|consent.Context, "good")
	tests := []struct {
		name   string
		path   string
		body   string
		header map[string]string
		status int
		code   string
		field  string
	}{
		{"a body that is not JSON", "/v1/beacon", "hello", nil, 400, "bad_json", ""},
		{"an empty body", "/v1/beacon", "", nil, 400, "bad_json", ""},
		{"a body cut short", "/v1/beacon", good[:len(good)-40], nil, 400, "bad_json", ""},
		{"a number where a text belongs", "/v1/beacon", strings.Replace(good, `"title":"Hats"`, `"ref":7`, 1), nil, 400, "wrong_type", "page.ref"},
		{"another version", "/v1/beacon", strings.Replace(good, `"v":1`, `"v":2`, 1), nil, 400, "unsupported_version", "v"},
		{"a text over its limit", "/v1/beacon", strings.Replace(good, `"title":"Hats"`, `"id":"`+strings.Repeat("x", 600)+`"`, 1), nil, 400, "too_long", "page.id"},
		{"deeply nested JSON", "/v1/beacon", strings.Replace(good, `"title":"Hats"`, `"deep":`+strings.Repeat("[", 5000)+strings.Repeat("]", 5000), 1), nil, 400, "too_deep", "page"},
		{"an unknown site", "/v1/beacon", strings.Replace(good, `"site":"shop"`, `"site":"nobody"`, 1), nil, 404, "unknown_site", "site"},
		{"a foreign origin", "/v1/beacon", good, map[string]string{"Origin": "https://evil.example"}, 403, "origin_not_allowed", "Origin"},
		{"a null origin", "/v1/beacon", good, map[string]string{"Origin": "null"}, 403, "origin_not_allowed", "Origin"},
		{"no origin", "/v1/beacon", good, map[string]string{"Origin": ""}, 403, "origin_not_allowed", "Origin"},
		{"a body over 64 KiB", "/v1/beacon", good[:len(good)-1] + strings.Repeat(" ", 65<<10) + "}", nil, 413, "body_too_large", ""},
		{"a withdrawal of another version", "/v1/withdraw", `{"v":2}`, nil, 400, "unsupported_version", "v"},
		{"an unknown path", "/v1/nothing", good, nil, 404, "not_found", ""},
		{"the admin's path", "/v1/releases", good, nil, 404, "not_found", ""},
		{"the servers' path", "/v1/events", good, nil, 403, "browser_refused", "Origin"},
		{"the metrics", "/metrics", good, nil, 404, "not_found", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			res, text := n.post(t, "/_near"+tt.path, tt.body, tt.header)
			var answer struct {
				Error struct{ Code, Field, Message string }
			}
			if err := json.Unmarshal([]byte(text), &answer); err != nil {
				t.Fatalf("%s: the answer is not JSON: %v: %q", res.Status, err, text)
			}
			if res.StatusCode != tt.status || answer.Error.Code != tt.code || answer.Error.Field != tt.field || answer.Error.Message == "" {
				t.Errorf("got %d %+v, want %d %s %q", res.StatusCode, answer.Error, tt.status, tt.code, tt.field)
			}
			if strings.Contains(text, "xxxx") || strings.Contains(text, "nobody") || strings.Contains(text, "evil") {
				t.Errorf("the error repeats what was sent: %s", text)
			}
		})
	}
	if res, text := n.post(t, "/_near/v1/beacon", good, nil); res.StatusCode != http.StatusOK || !strings.Contains(text, `"accepted":2`) {
		t.Errorf("a good beacon afterwards: %s %s", res.Status, text)
	}
	if got := n.storedEvents(t, "shop"); len(got) != 2 {
		t.Errorf("%d events are stored, want the good beacon's 2", len(got))
	}
}

// A client that announces ten megabytes is refused before they are read, and
// many of them at once do not fill the memory.
func TestHugeBodiesDoNotFillTheMemory(t *testing.T) {
	n := newShop(t)
	addr := strings.TrimPrefix(n.base, "http://")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 20 {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /_near/v1/beacon HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", addr, shopOrigin, 10<<20)
		go func() { // the server may close while we still write: that is its right
			junk := make([]byte, 64<<10)
			for range 160 {
				if _, err := conn.Write(junk); err != nil {
					return
				}
			}
		}()
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("status %s, want 413", res.Status)
		}
		res.Body.Close()
		conn.Close()
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 20<<20 {
		t.Errorf("twenty bodies of 10 MB left %d MB on the heap", grown>>20)
	}
}

// A client that sends a byte now and then is cut off, and others are served
// meanwhile.
func TestASlowClientIsCutOff(t *testing.T) {
	n := newShop(t)
	conn, err := net.Dial("tcp", strings.TrimPrefix(n.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST /_near/v1/beacon HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
	start := time.Now()
	if res, text := n.post(t, "/_near/v1/beacon", beaconOf(consent.Context, "a"), nil); res.StatusCode != http.StatusOK {
		t.Errorf("another client meanwhile: %s %s", res.Status, text)
	}
	_ = conn.SetReadDeadline(start.Add(25 * time.Second))
	go func() {
		for range 200 {
			time.Sleep(100 * time.Millisecond)
			if _, err := conn.Write([]byte(" ")); err != nil {
				return
			}
		}
	}()
	answer, err := io.ReadAll(conn)
	if err != nil && os.IsTimeout(err) {
		t.Fatal("a client that sends ten bytes a second is served for 25 s")
	}
	t.Logf("cut off after %v: %.60q", time.Since(start).Round(time.Second), answer)
}

// What the demo obeys means nothing to a plain node: the same requests get the
// same answers with the demo's words and without.
func TestServeHasNoneOfTheDemosPowers(t *testing.T) {
	n := newShop(t)
	why := strings.Replace(beaconOf(consent.All, "a"), `"slots"`, `"why":true,"slots"`, 1)
	strip := func(text string) string { // ids and state are random
		var answer struct {
			Granted   int
			Decisions []struct {
				Variant, Reason string
				Why             json.RawMessage
			}
		}
		if err := json.Unmarshal([]byte(text), &answer); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return fmt.Sprintf("%d %s", answer.Granted, answer.Decisions)
	}
	_, plain := n.post(t, "/_near/v1/beacon", why, nil)
	_, played := n.post(t, "/_near/v1/beacon?place=tokyo&device=desktop&gpc=1", why, map[string]string{
		"Referer":         shopOrigin + "/en/?place=tokyo&device=desktop&lang=ru&gpc=1&grant=all",
		"X-Forwarded-For": "133.242.0.1", "Forwarded": "for=133.242.0.1", "X-Real-IP": "133.242.0.1", "True-Client-IP": "133.242.0.1",
	})
	if strip(plain) != strip(played) {
		t.Errorf("the demo's words change an answer:\n%s\n%s", strip(plain), strip(played))
	}
	if !strings.Contains(plain, `"device.type"`) || strings.Contains(played, `"JP"`) {
		t.Errorf("the explanation shows what was seen: %s", played)
	}
}
