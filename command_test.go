// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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
		{"a command explains its settings", []string{"serve", "--help"}, "", exitOK, "--geo.database file, or NEARSIDE_GEO_DATABASE"},
		{"a setting has a unit and a default", []string{"demo", "--help"}, "", exitOK, "0s to 1s (default 2ms)"},
		{"a default may come from the environment", []string{"health", "--help"}, "NEARSIDE_ADDR=0.0.0.0:80", exitOK, "(default 0.0.0.0:80)"},
		{"a command shows its arguments", []string{"site", "add", "-h"}, "", exitOK, "Usage: nearside site add ID --origin URL [settings]\n"},
		{"a command of two words explains itself by its first", []string{"site", "--help"}, "", exitOK, "Usage: nearside site add ID"},
		{"a site can only be added", []string{"site", "remove", "shop"}, "", exitUsage, "want nearside site add ID"},
		{"an unknown command is named", []string{"srve"}, "", exitUsage, `"srve"`},
		{"an unknown setting is named", []string{"serve", "--prot", "1"}, "", exitUsage, "defined: --prot\nSee nearside serve --help\n"},
		{"a setting of another command is refused", []string{"events", "--addr", "127.0.0.1:0"}, "", exitUsage, "--addr"},
		{"a stray word is refused", []string{"serve", "now"}, "", exitUsage, `"now" is one too many`},
		{"an address without a port", []string{"serve", "--addr", "localhost"}, "", exitUsage, "not host:port"},
		{"a prefix without a slash", []string{"serve", "--http.prefix", "near"}, "", exitUsage, "--http.prefix"},
		{"a proxy that is no prefix", []string{"serve", "--http.proxies", "10.0.0.300"}, "", exitUsage, `--http.proxies: "10.0.0.300" is neither an address nor a prefix`},
		{"a duration without a unit", []string{"serve", "--stream.window", "5"}, "", exitUsage, "--stream.window: a duration is a number with a unit, like 1.5ms"},
		{"a setting from the environment that is no duration", []string{"serve"}, "NEARSIDE_GEO_RELOAD=soon", exitUsage, `NEARSIDE_GEO_RELOAD="soon": a duration`},
		{"the demo stays on this machine", []string{"demo", "--addr", "0.0.0.0:0", "--data", data}, "", exitUsage, "--public"},
		{"the demo stays on this machine by name too", []string{"demo", "--addr", ":0", "--data", data}, "", exitUsage, "--public"},
		{"a site needs an origin", []string{"site", "add", "shop", "--data", data}, "", exitUsage, "--origin"},
		{"a site needs an id", []string{"site", "add", "--origin", shopOrigin, "--data", data}, "", exitUsage, "ID is missing"},
		{"a site's origin is checked", []string{"site", "add", "shop", "--origin", "shop.example", "--data", data}, "", exitError, "nearside site: release: settings.origins: \"shop.example\" is not scheme://host[:port]\n"},
		{"a site's id is checked", []string{"site", "add", "Shop!", "--origin", shopOrigin, "--data", data}, "", exitError, "site"},
		{"nothing to follow without a node", []string{"events", "--follow", "--data", data}, "", exitError, "no node is running"},
		{"no events without a data directory", []string{"events", "--data", filepath.Join(data, "typo")}, "", exitError, "no data directory at " + data},
		{"no events from a directory of other files", []string{"events", "--data", data}, "", exitError, "no data directory at " + data},
		{"a variable that is no setting is named", []string{"serve", "--addr", "127.0.0.1:0", "--data", data, "--geo.database", "README.md"}, "NEARSIDE_GEO_DATABSE=x", exitError, "no setting is called NEARSIDE_GEO_DATABSE"},
		{"a file of settings that is not there", []string{"serve", "--config", filepath.Join(data, "typo")}, "", exitError, "--config: open "},
		{"config lists its words", []string{"config"}, "", exitOK, "nearside config print"},
		{"config knows two words", []string{"config", "show"}, "", exitUsage, "no config show"},
		{"good settings", []string{"config", "check"}, "NEARSIDE_LIMIT_ADDRESS_RATE=7", exitOK, "the settings are good\n"},
		{"bad settings", []string{"config", "check", "--quota.sites", "shop=1"}, "", exitUsage, "\"shop=1\" is not one site's quota"},
		{"a certificate without a key", []string{"config", "check", "--tls.cert", "a.pem"}, "", exitUsage, "want a key for each certificate"},
		{"a certificate that is not there", []string{"config", "check", "--tls.cert", "a.pem", "--tls.key", "a.key"}, "", exitError, "--tls.cert: certificate: open a.pem"},
		{"a limit beyond all", []string{"config", "check", "--limit.network-rate", "2000000"}, "", exitUsage, "want 0 to 1000000"},
		{"a level that is none", []string{"config", "check", "--log.level", "loud"}, "", exitUsage, "--log.level"},
		{"settings are printed with where they come from", []string{"config", "print", "--limit.network-rate", "9"}, "NEARSIDE_HTTP_PROXIES=10.0.0.0/8", exitOK, "limit.network-rate: \"9\"                        # command line\n"},
		{"no node to be healthy", []string{"health", "--addr", "127.0.0.1:1"}, "", exitError, "readyz"},
		{"an admin address without a port", []string{"serve", "--admin.addr", "localhost"}, "", exitUsage, "--admin.addr"},
		{"a key that is none", []string{"serve", "--addr", "127.0.0.1:0", "--data", data, "--rules.keys", "RWQ"}, "", exitError, "--rules.keys: \"RWQ\" is neither"},
		{"module lists its words", []string{"module"}, "", exitOK, "nearside module rollback"},
		{"a module's word that is none", []string{"module", "upgrade"}, "", exitUsage, "rollback"},
		{"a module's command explains itself", []string{"module", "publish", "--help"}, "", exitOK, "Usage: nearside module publish NAME[@VERSION] --slot SLOT --site ID [settings]\n"},
		{"the token is not printed", []string{"module", "status", "--help"}, "NEARSIDE_TOKEN=near_secret", exitOK, "or NEARSIDE_TOKEN\n      the secret that proves who asks, for --url; better in the environment, where others do not see it\n"},
		{"a module's site must be given", []string{"module", "status", "--data", data}, "", exitUsage, "--site is missing"},
		{"a module's slot must be given", []string{"module", "publish", "weather", "--site", "shop", "--data", data}, "", exitUsage, "--slot is missing"},
		{"settings are JSON", []string{"module", "publish", "weather", "--site", "shop", "--slot", "hero", "--settings", "{north", "--data", data}, "", exitUsage, "--settings is not JSON"},
		{"a share is a part", []string{"module", "rollout", "weather", "--site", "shop", "--slot", "hero", "--share", "101%", "--data", data}, "", exitUsage, "--share: a share is like 12.5%"},
		{"nobody is no share", []string{"module", "publish", "weather", "--site", "shop", "--slot", "hero", "--share", "0", "--data", data}, "", exitUsage, "nearside module shadow"},
		{"no site without a data directory", []string{"module", "status", "--site", "shop", "--data", filepath.Join(data, "typo")}, "", exitError, "no node is running on"},
		{"a node's address is one", []string{"module", "status", "--site", "shop", "--url", "node.example"}, "", exitUsage, "--url"},
		{"site files need a directory", []string{"check", "--data", data}, "", exitUsage, "DIR is missing"},
		{"a directory that is not there", []string{"check", filepath.Join(data, "typo")}, "", exitError, "no such file"},
		{"a file is no directory", []string{"check", "README.md"}, "", exitError, "README.md is not a directory"},
		{"a directory without site files", []string{"check", data}, "", exitError, "missing: there is no file *.yaml or *.yml in the directory\n"},
		{"check speaks to no node", []string{"check", data, "--url", "http://127.0.0.1:1"}, "", exitUsage, "defined: --url"},
		{"an export is of a site", []string{"export", data}, "", exitUsage, "--site is missing"},
		{"no export without a data directory", []string{"export", "--site", "shop", data, "--data", filepath.Join(data, "typo")}, "", exitError, "no node is running on"},
		{"apply explains itself", []string{"apply", "--help"}, "", exitOK, "Usage: nearside apply DIR [settings]\n"},
		{"a release to replace has a number", []string{"apply", data, "--over", "latest"}, "", exitUsage, "--over"},
		{"eval needs both", []string{"eval", "--rules", data}, "", exitUsage, "--rules and --visits must be given"},
		{"eval knows its slots", []string{"eval", "--rules", "testdata/eval/site", "--visits", "testdata/eval/visits.jsonl", "--slots", "hero,heros"}, "", exitUsage, `--slots: site shop has no slot "heros"`},
		{"new files need an origin", []string{"site", "files", "shop", data}, "", exitUsage, "--origin is missing"},
		{"new files are of a site", []string{"site", "files", "Shop", data, "--origin", shopOrigin}, "", exitUsage, `site "Shop"`},
		{"a token needs a role", []string{"token", "create", "ada", "--site", "shop", "--data", data}, "", exitUsage, "--role"},
		{"a token needs a site", []string{"token", "create", "ada", "--role", "viewer", "--data", data}, "", exitUsage, "--site is missing"},
		{"token knows three words", []string{"token", "steal"}, "", exitUsage, "token create NAME"},
		{"a replay needs a decision", []string{"replay", "--data", data}, "", exitUsage, "DECISION is missing"},
		{"the doctor needs a page", []string{"doctor"}, "", exitUsage, "URL is missing"},
		{"the doctor opens pages", []string{"doctor", "file:///etc/hosts"}, "", exitUsage, `the scheme is "file", want http or https`},
		{"the doctor has a bound", []string{"doctor", "shop.example", "--timeout", "1h"}, "", exitUsage, "--timeout: want 1s to 5m0s"},
		{"the doctor's browser is there", []string{"doctor", "shop.example", "--browser", filepath.Join(data, "typo")}, "", exitUsage, "--browser: there is no file"},
		{"the doctor says what it sends", []string{"doctor", "--help"}, "", exitOK, "like a visit of a bot"},
		{"a page that is not there", []string{"doctor", "127.0.0.1:1", "--browser", "none"}, "", exitError, "1 error to correct\n"},
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
			if lines := strings.Count(out.String(), "\n"); code == exitUsage && lines > 2 {
				t.Errorf("%d lines for a wrong command line:\n%s", lines, out.String())
			}
		})
	}
}

// A command that has no use for a setting does not speak of it.
func TestCommandLineHelpNamesOnlyWhatIsUsed(t *testing.T) {
	var all []string
	new(Config).settings().VisitAll(func(f *flag.Flag) { all = append(all, f.Name) })
	client := []string{"data", "rules.keys", "rules.modules", "token", "url"}
	tests := []struct {
		command string
		want    []string
	}{
		{"serve", all},
		{"config print", all},
		{"demo", append([]string{"origin", "public"}, all...)},
		{"site add", []string{"data", "http.prefix", "languages", "origin", "rules.modules"}},
		{"events", append([]string{"follow", "profile", "since", "site", "visitor"}, client...)},
		{"health", []string{"addr", "config", "tls.cert", "tls.key"}},
		{"doctor", []string{"as-visitor", "browser", "json", "timeout"}},
		{"module check", []string{"json"}},
		{"module pack", []string{"manifest", "out"}},
		{"module sign", []string{"key", "out", "password-file", "site"}},
		{"module publish", append([]string{"json", "priority", "role", "rung", "settings", "share", "site", "slot"}, client...)},
		{"module rollback", append([]string{"json", "site", "to"}, client...)},
		{"token create", append([]string{"role", "site", "valid"}, client...)},
		{"replay", append([]string{"json"}, client...)},
		{"consent decode", []string{"json"}},
		{"consent prompt", []string{"count", "http.prefix", "lang", "page-keeps", "purposes", "shown", "texts", "version"}},
		{"consent explain", []string{"country", "data", "date", "gpc", "json", "policy", "region", "rules", "rules.modules"}},
		{"site files", []string{"languages", "origin"}},
		{"check", []string{"data", "json", "rules.modules"}},
		{"diff", append([]string{"json", "u"}, client...)},
		{"apply", append([]string{"json", "over", "site"}, client...)},
		{"export", append([]string{"force", "site"}, client...)},
		{"eval", []string{"data", "rules", "rules.modules", "slots", "visits", "why"}},
	}
	for _, tt := range tests {
		t.Run(tt.command, func(t *testing.T) {
			var got []string
			for line := range strings.Lines(cli(t, append(strings.Fields(tt.command), "--help")...)) {
				if name, ok := strings.CutPrefix(line, "  --"); ok {
					got = append(got, strings.Trim(strings.Fields(name)[0], ","))
				}
			}
			slices.Sort(tt.want)
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCommandLineCommandsThatFailMakeNothing(t *testing.T) {
	for _, args := range [][]string{
		{"events"},
		{"events", "--follow"},
		{"site", "add", "shop", "--origin", "shop.example"},
	} {
		data := filepath.Join(t.TempDir(), "data")
		code := command(context.Background(), append(args, "--data", data), stdio{out: io.Discard, err: io.Discard})
		if _, err := os.Stat(data); code != exitError || !os.IsNotExist(err) {
			t.Errorf("%q: exit %d, %v; want no directory", args, code, err)
		}
	}
}

func TestAProxyMayBeAnAddress(t *testing.T) {
	tests := []struct{ name, give, want string }{
		{"an address of version 4", "10.0.0.1", "10.0.0.1/32"},
		{"an address of version 6", "2001:db8::1", "2001:db8::1/128"},
		{"version 4 in version 6 is version 4", "::ffff:10.0.0.1", "10.0.0.1/32"},
		{"a prefix loses what is beyond its bits", "10.1.2.3/8", "10.0.0.0/8"},
		{"several", "10.0.0.1, fd00::/8", "10.0.0.1/32 fd00::/8"},
		{"none", "", ""},
		{"a zone is of one machine", "fe80::1%eth0", "error"},
		{"too many bits", "10.0.0.0/33", "error"},
		{"a name", "proxy", "error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			proxies, err := parseProxies(tt.give)
			got := strings.Trim(fmt.Sprint(proxies), "[]")
			if err != nil {
				got = "error"
			}
			if got != tt.want {
				t.Errorf("got %s (%v), want %s", got, err, tt.want)
			}
		})
	}
}

func TestAStrayVariableIsFound(t *testing.T) {
	got := strayVariables([]string{"NEARSIDE_ADDR=:80", "NEARSIDE_STREAM_MAX_BYTES=1", "NEARSIDE_DATABASE=x", "NEARSIDE_TEST_RUN_MAIN=1", "PATH=/bin", "NEARSIDE_GEO.RELOAD=1s"})
	if want := []string{"NEARSIDE_DATABASE", "NEARSIDE_GEO.RELOAD"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAProgramOfGoRunIsCalledSo(t *testing.T) {
	tests := []struct{ path, want string }{
		{"/tmp/go-build442537754/b001/exe/nearside", "go run ."},
		{"/root/.cache/go-build/8c/" + strings.Repeat("8c", 32) + "-d/nearside", "go run ."},
		{"/var/cache/go/8c/" + strings.Repeat("8c", 32) + "-d/nearside", "go run ."},
		{"/usr/local/bin/nearside", "nearside"},
		{"/home/me/go-builder/nearside", "nearside"},
		{"/home/me/8c/nearside", "nearside"},
	}
	for _, tt := range tests {
		if got := programAt(tt.path); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.path, got, tt.want)
		}
	}
	cfg := Config{Data: "here"}
	if got := cfg.eventsLine(); !strings.HasSuffix(got, " events --data here") {
		t.Errorf("got %s", got)
	}
}

// Adding the same site again says the same; another site under its id is
// refused.
func TestSiteAddPrintsASnippetAndRefusesASecondSite(t *testing.T) {
	data := t.TempDir()
	out := cli(t, "site", "add", "shop", "--origin", shopOrigin, "--data", data)
	for _, want := range []string{`data-site="shop"`, `src="/_near/tag.js"`, `<near-slot name="hero">`,
		`<script async src="https://NODE/_near/tag.js" data-site="shop"></script>`, "docs/SITE.md"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
	if again := cli(t, "site", "add", "shop", "--origin", shopOrigin, "--data", data); again != out {
		t.Errorf("the second time it says\n%s", again)
	}
	if again := cli(t, "site", "add", "shop", "--origin", shopOrigin+"/", "--data", data); again != out {
		t.Errorf("with a slash it says\n%s", again)
	}
	var errs bytes.Buffer
	if code := command(context.Background(), []string{"site", "add", "shop2", "--origin", shopOrigin, "--data", data}, stdio{out: io.Discard, err: &errs}); code != exitOK || !strings.Contains(errs.String(), "no node is running on "+data) {
		t.Errorf("without a node: exit %d, %s", code, errs.String())
	}
	refuseSites(t, data)
}

// A running node refuses what its files would, in the same words.
func TestSiteAddThroughANode(t *testing.T) {
	n := startNode(t, testConfig())
	cli(t, "site", "add", "shop", "--origin", shopOrigin, "--data", n.data)
	var errs bytes.Buffer
	if code := command(context.Background(), []string{"site", "add", "shop", "--origin", shopOrigin + "/", "--data", n.data}, stdio{out: io.Discard, err: &errs}); code != exitOK || errs.Len() > 0 {
		t.Errorf("the same site with a slash: exit %d, %s", code, errs.String())
	}
	refuseSites(t, n.data)
}

func refuseSites(t *testing.T, data string) {
	t.Helper()
	for origin, want := range map[string]string{
		"https://other.example": "nearside site: site shop is there already\n",
		"other.example":         "nearside site: release: settings.origins: \"other.example\" is not scheme://host[:port]\n",
	} {
		var errs bytes.Buffer
		if code := command(context.Background(), []string{"site", "add", "shop", "--origin", origin, "--data", data}, stdio{out: io.Discard, err: &errs}); code != exitError || errs.String() != want {
			t.Errorf("%s: exit %d, %s; want %s", origin, code, errs.String(), want)
		}
	}
}

func TestAKeyThatOthersCanReadIsRefused(t *testing.T) {
	data := t.TempDir()
	if _, _, err := openSealer(data); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(data, "key"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("key file: %v, %v; want mode 0600", info.Mode(), err)
	}
	if err := os.Chmod(filepath.Join(data, "key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openSealer(data); err == nil || !strings.Contains(err.Error(), "0600") {
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
