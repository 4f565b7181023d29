// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func writeText(t testing.TB, name, text string) string {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestConfigFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "nearside.yaml")
	tests := []struct{ name, text, want string }{
		{"a setting", "geo.reload: 1m", ""},
		{"numbers, switches and lists", "limit.address-rate: 50\nhttp.proxy-protocol: true\nhttp.proxies: [10.0.0.0/8, ::1]\n", ""},
		{"comments alone", "# nothing yet\n", ""},
		{"nothing", "", ""},
		{"a name that is none", "geo.reloads: 1m", `line 1: there is no setting "geo.reloads"; did you mean geo.reload?`},
		{"the file's own name", "config: other.yaml", `there is no setting "config"`},
		{"a client's setting", "token: near_x", `there is no setting "token"`},
		{"a name twice", "addr: :1\nnode: a\naddr: :2", "addr"},
		{"a value of the wrong kind", "# a\ngeo.reload: soon", "line 2: geo.reload: a duration"},
		{"a switch in YAML's other words", "http.proxy-protocol: yes", "line 1: http.proxy-protocol: want true or false"},
		{"a switch without a value", "http.proxy-protocol:", "line 1: http.proxy-protocol: want true or false"},
		{"a number in words", "limit.connections: many", "line 1: limit.connections: want a whole number"},
		{"a number without a value", "stream.max-bytes:", "line 1: stream.max-bytes: want a whole number"},
		{"a number with a fraction", "quota.events: 1.5", "line 1: quota.events: want a whole number"},
		{"a value out of its range", "geo.reload: 1ms", "--geo.reload 1ms, want 1s to 24h"},
		{"a mapping", "http: {prefix: /x}", `there is no setting "http"`},
		{"a mapping as a value", "addr: {host: x}", "line 1: addr: want a value or a list"},
		{"a list", "- addr", "name: value"},
		{"a text", "addr", "name: value"},
		{"two documents", "node: a\n---\nnode: b", "more than one document"},
		{"no YAML", "addr: [", "nearside.yaml"},
		{"an anchor", "node: &x a\naddr: *x", "addr"},
		{"too much", "# " + strings.Repeat("x", maxConfigBytes), "larger than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			writeText(t, file, tt.text)
			_, err := serveConfig([]string{"--config", file}, io.Discard)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// The command line goes before the environment, that before the file, and that
// before the default; and what is printed is a file that says the same.
func TestSettingsHaveAPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := writeText(t, filepath.Join(dir, "a.yaml"), "node: from-file\nhttp.prefix: /file\ngeo.reload: 1m\nhttp.proxies:\n  - 10.0.0.0/8\n  - ::1\n")
	t.Setenv("NEARSIDE_HTTP_PREFIX", "/environment")
	t.Setenv("NEARSIDE_NODE", "from-environment")
	t.Setenv("NEARSIDE_CONFIG", file)
	cfg, err := serveConfig([]string{"--node", "from-line"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Node != "from-line" || cfg.Prefix != "/environment" || cfg.GeoReload != time.Minute || len(cfg.Proxies) != 2 || cfg.StreamWindow != defaults().StreamWindow {
		t.Errorf("got %s %s %v %v %v", cfg.Node, cfg.Prefix, cfg.GeoReload, cfg.Proxies, cfg.StreamWindow)
	}
	printed := cli(t, "config", "print", "--node", "from-line")
	for _, want := range []string{
		`node: "from-line"`, "# command line; read at the start\n", `http.prefix: "/environment"`, "# environment; read at the start\n",
		`geo.reload: "1m"`, "# file; read at the start\n", `http.proxies: "10.0.0.0/8,::1"`, "# file\n", `stream.window: "2ms"`, "# default; read at the start\n",
	} {
		if !strings.Contains(printed, want) {
			t.Errorf("%q is missing in\n%s", want, printed)
		}
	}
	again := writeText(t, filepath.Join(dir, "b.yaml"), printed)
	for _, name := range []string{"NEARSIDE_HTTP_PREFIX", "NEARSIDE_NODE", "NEARSIDE_CONFIG"} {
		if err := os.Unsetenv(name); err != nil { // Setenv puts it back
			t.Fatal(err)
		}
	}
	same, err := serveConfig([]string{"--config", again}, io.Discard)
	if err != nil {
		t.Fatalf("what is printed is no file: %v\n%s", err, printed)
	}
	if same.Node != cfg.Node || same.Prefix != cfg.Prefix || same.GeoReload != cfg.GeoReload || len(same.Proxies) != 2 || same.Limits.Address != cfg.Limits.Address {
		t.Errorf("got %+v, want %+v", same, cfg)
	}
}

func FuzzConfigFile(f *testing.F) {
	for _, seed := range []string{"geo.reload: 1m", "http.proxies: [10.0.0.0/8, ::1]", "a: &x [*x]", "node: !!binary aGFsbG8=", "? [a]\n: b", "addr: \"\\u0000\""} {
		f.Add([]byte(seed))
	}
	known := settingNames()
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseConfig(b)
		if err != nil && entries != nil {
			t.Fatalf("%q gives entries and %v", b, err)
		}
		if len(entries) > len(known) {
			t.Fatalf("%q gives %d entries of %d settings", b, len(entries), len(known))
		}
	})
}

func TestALogIsCalm(t *testing.T) {
	var out bytes.Buffer
	h := newCalmHandler(slog.NewTextHandler(&out, nil))
	log := slog.New(h).With("part", "x")
	for i := range 1000 {
		log.Warn("it fails", "i", i)
		if i%100 == 0 {
			log.Info("it goes on")
		}
	}
	if fails, others := strings.Count(out.String(), "it fails"), strings.Count(out.String(), "it goes on"); fails != calmBurst || others != 10 {
		t.Errorf("%d and %d lines, want %d and 10", fails, others, calmBurst)
	}
	for _, c := range h.counts.messages {
		c.since = c.since.Add(-calmTime)
	}
	log.Warn("it fails")
	if want := "left_out=" + strconv.Itoa(1000-calmBurst); !strings.Contains(out.String(), want) {
		t.Errorf("%s is missing", want)
	}
}
