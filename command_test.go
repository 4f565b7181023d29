// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge/consent"
)

func TestCommandLine(t *testing.T) {
	data := t.TempDir()
	tests := []struct {
		name string
		args []string
		env  string // NAME=value
		code int
		want string // in what it writes
	}{
		{"no words list the commands", nil, "", exitOK, "nearside serve"},
		{"help lists the commands", []string{"--help"}, "", exitOK, "nearside events"},
		{"version says the version", []string{"version"}, "", exitOK, "nearside " + version},
		{"a command explains its settings", []string{"serve", "--help"}, "", exitOK, "geo.database"},
		{"an unknown command is named", []string{"srve"}, "", exitUsage, `"srve"`},
		{"an unknown setting is named", []string{"serve", "--prot", "1"}, "", exitUsage, "prot"},
		{"a stray word is refused", []string{"serve", "now"}, "", exitUsage, "1 arguments, want 0"},
		{"an address without a port", []string{"serve", "--addr", "localhost"}, "", exitUsage, "not host:port"},
		{"a prefix without a slash", []string{"serve", "--http.prefix", "near"}, "", exitUsage, "--http.prefix"},
		{"a proxy that is no prefix", []string{"serve", "--http.proxies", "10.0.0.1"}, "", exitUsage, "http.proxies"},
		{"a setting from the environment that is no duration", []string{"serve"}, "NEARSIDE_GEO_RELOAD=soon", exitUsage, "NEARSIDE_GEO_RELOAD"},
		{"the demo stays on this machine", []string{"demo", "--addr", "0.0.0.0:0", "--data", data}, "", exitUsage, "--public"},
		{"the demo stays on this machine by name too", []string{"demo", "--addr", ":0", "--data", data}, "", exitUsage, "--public"},
		{"a site needs an origin", []string{"site", "add", "shop", "--data", data}, "", exitUsage, "--origin"},
		{"a site needs an id", []string{"site", "add", "--origin", shopOrigin, "--data", data}, "", exitUsage, "0 arguments"},
		{"a site's origin is checked", []string{"site", "add", "shop", "--origin", "shop.example", "--data", data}, "", exitError, "settings.origins"},
		{"a site's id is checked", []string{"site", "add", "Shop!", "--origin", shopOrigin, "--data", data}, "", exitError, "site"},
		{"nothing to follow without a node", []string{"events", "--follow", "--data", data}, "", exitError, "no node is running"},
		{"no node to be healthy", []string{"health", "--addr", "127.0.0.1:1"}, "", exitError, "readyz"},
		{"a database that is none", []string{"serve", "--addr", "127.0.0.1:0", "--data", data, "--geo.database", "README.md"}, "", exitError, "open places"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if name, value, ok := strings.Cut(tt.env, "="); ok {
				t.Setenv(name, value)
			}
			var out bytes.Buffer
			code := command(context.Background(), tt.args, stdio{out: &out, err: &out})
			if code != tt.code || !strings.Contains(out.String(), tt.want) {
				t.Errorf("exit %d, want %d and %q in\n%s", code, tt.code, tt.want, out.String())
			}
		})
	}
}

// Adding the same site again says the same; another site under its id is
// refused.
func TestSiteAddPrintsASnippetAndRefusesASecondSite(t *testing.T) {
	data := t.TempDir()
	out := cli(t, "site", "add", "shop", "--origin", shopOrigin, "--data", data)
	for _, want := range []string{`data-site="shop"`, `src="/_near/tag.js"`, `<near-slot name="hero">`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if again := cli(t, "site", "add", "shop", "--origin", shopOrigin, "--data", data); again != out {
		t.Errorf("the second time it says\n%s", again)
	}
	var errs bytes.Buffer
	if code := command(context.Background(), []string{"site", "add", "shop", "--origin", "https://other.example", "--data", data}, stdio{out: io.Discard, err: &errs}); code != exitError || !strings.Contains(errs.String(), "there already") {
		t.Errorf("a second site: exit %d, %s", code, errs.String())
	}
}

func TestAKeyThatOthersCanReadIsRefused(t *testing.T) {
	data := t.TempDir()
	if _, err := openSealer(data); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(data, "key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key file: %v, %v; want mode 0600", info.Mode(), err)
	}
	if err := os.Chmod(filepath.Join(data, "key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openSealer(data); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("error %v, want one about the mode", err)
	}
}

// events --follow shows an event as it is stored, from the running node.
func TestEventsFollowARunningNode(t *testing.T) {
	n := newShop(t)
	ctx, cancel := context.WithCancel(context.Background())
	read, write := io.Pipe()
	done := make(chan int, 1)
	go func() {
		done <- command(ctx, []string{"events", "--follow", "--data", n.data}, stdio{out: write, err: io.Discard})
		write.Close()
	}()
	lines := make(chan string, 16)
	go func() {
		for s := bufio.NewScanner(read); s.Scan(); {
			lines <- s.Text()
		}
	}()
	for _, id := range []string{"first", "second"} {
		n.post(t, "/_near/v1/beacon", beaconOf(consent.Measure, id), nil)
		for _, ev := range []string{id + ".1", id + ".2"} {
			select {
			case line := <-lines:
				if !strings.Contains(line, `"id":"`+ev+`"`) {
					t.Errorf("got %s, want event %s", line, ev)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("event %s is not shown after 10 s", ev)
			}
		}
	}
	cancel()
	if code := <-done; code != exitOK {
		t.Errorf("following ended with exit %d", code)
	}
}

// A second node on the same data is refused and the first goes on.
func TestOneNodeForOneDataDirectory(t *testing.T) {
	n := newShop(t)
	var errs bytes.Buffer
	code := command(context.Background(), []string{"serve", "--addr", "127.0.0.1:0", "--data", n.data}, stdio{out: io.Discard, err: &errs})
	if code != exitError || !strings.Contains(errs.String(), "in use") {
		t.Errorf("a second node: exit %d, %s", code, errs.String())
	}
	if res, text := n.post(t, "/_near/v1/beacon", beaconOf(consent.Context, "a"), nil); res.StatusCode != 200 {
		t.Errorf("the first node afterwards: %s %s", res.Status, text)
	}
}
