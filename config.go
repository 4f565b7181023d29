// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nearside/nearside/collector"
	"github.com/nearside/nearside/edge"
)

// A Config is every setting of a node.
type Config struct {
	// Addr is the public listener's host:port; port 0 takes any free one.
	Addr string
	// Data is the directory of everything the node keeps; 0700.
	Data string
	// Node names the process in stored events.
	Node string
	// Prefix is the path below which public routes also answer, so that a node
	// can sit on a site's own origin; it is the state cookie's path.
	Prefix string
	// Proxies may say who the client is; anybody else's headers are ignored.
	Proxies []netip.Prefix
	// Door is how clients connect.
	Door Door
	// Limits are what clients and sites may have.
	Limits Limits
	// GeoDatabase is a database file, or two parted by a comma, or a directory
	// of them (package geo says which); empty is the embedded country database.
	GeoDatabase string
	// GeoReload is how often the file is looked at for a change.
	GeoReload time.Duration
	// StreamWindow is how long events wait for others before one fsync.
	StreamWindow time.Duration
	// StreamMaxBytes bounds the event log on disk; 0 is the stream's default,
	// 32 GiB.
	StreamMaxBytes int64
	// StreamFull is what a full event log does, fullRefuse or fullDropOldest.
	StreamFull string
	// StreamRetain is how long events are kept at most, whatever their site says.
	StreamRetain time.Duration
	// StreamMaxRecordBytes bounds the decision records on disk; 0 is the stream's
	// default, 8 GiB. Past it the oldest go before their time.
	StreamMaxRecordBytes int64
	// Modules is a directory of rule modules beside the built-in ones; empty
	// means DATA/modules.
	Modules string
	// RulesKeys are the trusted public keys of module publishers: files, or keys
	// as minisign prints them. Without any, no signature is needed.
	RulesKeys []string
	// Sinks is the file of the sinks that events flow on to; empty for none.
	Sinks string
	// AdminAddr is the host:port of the listener of the admin API and the
	// console, for who has a token; empty for none. Port 0 takes any free one.
	AdminAddr string
	// Demo serves the demo shop beside the collector, at the listener's own
	// address and at DemoOrigins.
	Demo        bool
	DemoOrigins []string

	// LogFormat is text or json.
	LogFormat string
	// File is where settings come from that neither the command line nor the
	// environment speaks of; empty for none.
	File string

	// URL is the admin listener of the node that a command speaks to; empty is
	// the one on Data. Token proves who asks.
	URL, Token string
	// Key is the secret of a site's server, or @ and a file that holds it.
	Key string

	env   []error                // what the environment said that no setting takes
	said  map[string]said        // what was said of settings, by name
	level *slog.LevelVar         // of the log; it can be changed
	again func() (Config, error) // reads all that was said anew; nil for what was not said
}

// defaults are the settings of a node that nobody configured.
func defaults() Config {
	node, err := os.Hostname()
	if err != nil || !nodePattern.MatchString(node) {
		node = "node"
	}
	return Config{
		Addr: "127.0.0.1:8080", Data: "nearside-data", Node: node, Prefix: "/_near",
		Limits:    Limits{Address: collector.DefaultAddressRate, Network: collector.DefaultNetworkRate},
		GeoReload: 30 * time.Second, StreamWindow: 2 * time.Millisecond,
		Door: doorDefaults(), LogFormat: logText, level: new(slog.LevelVar),
		StreamFull: fullRefuse, StreamRetain: edge.MaxRetainDays * day,
	}
}

var (
	nodePattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	prefixPattern = regexp.MustCompile(`^(/[A-Za-z0-9_.-]+)+$`)
)

// settings binds every setting to a flag.
func (c *Config) settings() *flag.FlagSet {
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	fs.StringVar(&c.Addr, "addr", c.Addr, "`host:port` of the public listener")
	fs.StringVar(&c.Data, "data", c.Data, "`directory` of everything the node keeps")
	fs.StringVar(&c.Node, "node", c.Node, "`name` of this process in stored events")
	fs.StringVar(&c.Prefix, "http.prefix", c.Prefix, "`path` below which public routes also answer, on the site's own origin")
	fs.Func("http.proxies", "`prefixes` or addresses of proxies that may say who the client is, comma-separated, like 10.0.0.0/8,::1 (default none)", func(s string) (err error) {
		c.Proxies, err = parseProxies(s)
		return err
	})
	c.Door.settings(fs)
	c.Limits.settings(fs)
	fs.StringVar(&c.GeoDatabase, "geo.database", c.GeoDatabase, "database `file` of places, two of IPv4 and IPv6 parted by a comma, or their directory (default the embedded country database)")
	fs.Var((*span)(&c.GeoReload), "geo.reload", "`duration` between two looks at the file for a change, 1s to 24h")
	fs.Var((*span)(&c.StreamWindow), "stream.window", "`duration` for which events wait for others before one fsync, 0s to 1s")
	fs.Int64Var(&c.StreamMaxBytes, "stream.max-bytes", c.StreamMaxBytes, "bound of the event log on disk in `bytes`; 0 is 32 GiB")
	fs.StringVar(&c.StreamFull, "stream.full", c.StreamFull, "what a full event log does, `"+fullRefuse+"` or "+fullDropOldest+": events are refused, and kept by the browsers for a while, or the oldest are lost")
	fs.Var((*span)(&c.StreamRetain), "stream.retain", "how long events are kept at most, a `duration` like 90d, 1h to 400d; a site may have a shorter one")
	fs.Int64Var(&c.StreamMaxRecordBytes, "stream.max-record-bytes", c.StreamMaxRecordBytes, "bound of the decision records on disk in `bytes`, past which the oldest go; 0 is 8 GiB")
	fs.StringVar(&c.Modules, "rules.modules", c.Modules, "`directory` of rule modules beside the built-in ones (default DATA/modules)")
	fs.Func("rules.keys", "trusted minisign public `keys` or files of them, comma-separated; with any, every module that is not built in must be signed (default none)", func(s string) error {
		c.RulesKeys = split(s)
		return nil
	})
	fs.StringVar(&c.Sinks, "sinks", c.Sinks, "`file` of the sinks that events flow on to (docs/SINKS.md; default none)")
	none := ""
	if c.AdminAddr == "" {
		none = " (default none)"
	}
	fs.StringVar(&c.AdminAddr, "admin.addr", c.AdminAddr, "`host:port` of the console and the admin API, for who has a token"+none)
	fs.StringVar(&c.LogFormat, "log.format", c.LogFormat, "how the log is written, `text or json`")
	level := c.level
	if level == nil {
		level = new(slog.LevelVar)
	}
	fs.TextVar(level, "log.level", level, "the least `level` that the log shows: debug, info, warn or error")
	fs.StringVar(&c.File, "config", c.File, "YAML `file` of settings by their names, for those that neither the command line nor the environment speaks of (default none)")
	return fs
}

// noSettings is what a command uses that has nothing to do with a node.
const noSettings = ""

// clientSettings are what a command uses that speaks to a node.
var clientSettings = []string{"data", "url", "token", "rules.modules", "rules.keys"}

// client binds the settings of commands that speak to a node.
func (c *Config) client() *flag.FlagSet {
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	fs.Func("key", "a server's `key`, or @FILE; better in the environment", func(s string) error {
		c.Key = s // as token
		return nil
	})
	fs.StringVar(&c.URL, "url", c.URL, "`address` of a node's admin listener, like http://127.0.0.1:8090 (default the node on --data)")
	fs.Func("token", "the `secret` that proves who asks, for --url; better in the environment, where others do not see it", func(s string) error {
		c.Token = s // by Func, so that help does not print it
		return nil
	})
	return fs
}

// flags are a command's flags for the settings that it uses, for all of a node's
// if it names none. Their defaults may come from the environment. line is the
// command line as help writes it to out.
func (c *Config) flags(line string, out io.Writer, uses ...string) *flag.FlagSet {
	fs := flag.NewFlagSet(line, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // parse returns what is wrong
	fs.Usage = func() { help(out, fs) }
	bind := func(f *flag.Flag) {
		if value, ok := os.LookupEnv(variable(f.Name)); ok {
			if err := f.Value.Set(value); err != nil {
				c.env = append(c.env, usagef("%s=%q: %v", variable(f.Name), value, wanted(f.Value, err)))
			}
			c.note(f.Name, value, fromEnvironment)
		}
		fs.Var(&heard{f.Value, f.Name, c}, f.Name, f.Usage)
	}
	c.settings().VisitAll(func(f *flag.Flag) {
		if len(uses) == 0 || slices.Contains(uses, f.Name) {
			bind(f)
		}
	})
	c.client().VisitAll(func(f *flag.Flag) {
		if slices.Contains(uses, f.Name) {
			bind(f)
		}
	})
	return fs
}

const variablePrefix = "NEARSIDE_"

// variable names a setting in the environment.
func variable(setting string) string {
	return variablePrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(setting))
}

// lookupEnv looks up what a file of settings takes from the environment.
func lookupEnv(name string) (string, bool) { return os.LookupEnv(name) }

// environment is the process's variables as NAME=value.
func environment() []string { return os.Environ() }

// strayVariables returns the names in an environment that look like settings
// and are none: a misspelt one would otherwise do nothing, unseen.
func strayVariables(environ []string) []string {
	known := make(map[string]bool)
	for _, settings := range []*flag.FlagSet{new(Config).settings(), new(Config).client()} {
		settings.VisitAll(func(f *flag.Flag) { known[variable(f.Name)] = true })
	}
	var stray []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, variablePrefix) && !strings.HasPrefix(name, variablePrefix+"TEST_") && !known[name] {
			stray = append(stray, name)
		}
	}
	return stray
}

// parseProxies reads prefixes; an address alone is a prefix of all its bits.
func parseProxies(list string) ([]netip.Prefix, error) {
	var proxies []netip.Prefix
	for _, text := range split(list) {
		prefix, err := netip.ParsePrefix(text)
		if addr, alone := netip.ParseAddr(text); alone == nil && addr.Zone() == "" {
			addr = addr.Unmap()
			prefix, err = netip.PrefixFrom(addr, addr.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("%q is neither an address nor a prefix like 10.0.0.0/8", text)
		}
		proxies = append(proxies, prefix.Masked())
	}
	return proxies, nil
}

// What a full event log does.
const (
	fullRefuse     = "refuse"
	fullDropOldest = "drop-oldest"
)

const day = 24 * time.Hour

// A span is a duration as a flag whose error says what one looks like. Beside
// Go's units it knows whole days, like 90d.
type span time.Duration

func (s *span) String() string {
	if d := time.Duration(*s); d > 0 && d%day == 0 {
		return strconv.Itoa(int(d/day)) + "d"
	}
	return time.Duration(*s).String()
}

func (s *span) Set(text string) error {
	d, err := time.ParseDuration(text)
	if number, ok := strings.CutSuffix(text, "d"); ok {
		var days uint64 // 16 bits are 179 years, which a duration holds
		days, err = strconv.ParseUint(number, 10, 16)
		d = time.Duration(days) * day
	}
	if err != nil {
		return errors.New("a duration is a number with a unit, like 1.5ms, 30s, 1h or 90d")
	}
	*s = span(d)
	return nil
}

// Validate reports everything wrong with the settings at once.
func (c *Config) Validate() error {
	errs := c.env
	bad := func(format string, args ...any) {
		errs = append(errs, usagef(format, args...))
	}
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		bad("--addr %q is not host:port", c.Addr)
	}
	if c.Data == "" {
		bad("--data is empty")
	}
	if !nodePattern.MatchString(c.Node) {
		bad("--node %q is not letters, digits, dots and dashes, at most 64", c.Node)
	}
	if len(c.Prefix) > 64 || !prefixPattern.MatchString(c.Prefix) {
		bad("--http.prefix %q is not a path like /_near", c.Prefix)
	}
	c.Door.validate(bad)
	c.Limits.validate(bad)
	if c.LogFormat != logText && c.LogFormat != logJSON {
		bad("--log.format %q, want text or json", c.LogFormat)
	}
	if c.GeoReload < time.Second || c.GeoReload > 24*time.Hour {
		bad("--geo.reload %v, want 1s to 24h", c.GeoReload)
	}
	if c.StreamWindow < 0 || c.StreamWindow > time.Second {
		bad("--stream.window %v, want 0 to 1s", c.StreamWindow)
	}
	if c.StreamMaxBytes < 0 {
		bad("--stream.max-bytes is negative")
	}
	if c.StreamFull != fullRefuse && c.StreamFull != fullDropOldest {
		bad("--stream.full %q, want %s or %s", c.StreamFull, fullRefuse, fullDropOldest)
	}
	if c.StreamRetain < time.Hour || c.StreamRetain > edge.MaxRetainDays*day {
		bad("--stream.retain %v, want 1h to %dd", c.StreamRetain, edge.MaxRetainDays)
	}
	if c.StreamMaxRecordBytes < 0 {
		bad("--stream.max-record-bytes is negative")
	}
	if c.AdminAddr != "" {
		if _, _, err := net.SplitHostPort(c.AdminAddr); err != nil {
			bad("--admin.addr %q is not host:port", c.AdminAddr)
		}
	}
	if c.URL != "" {
		if u, err := url.Parse(c.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" {
			bad("--url %q is not like http://127.0.0.1:8090", c.URL)
		}
	}
	return errors.Join(errs...)
}

// loopback reports whether only this machine can reach a listener on addr.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.IsLoopback()
	}
	return host == "localhost"
}

// geoFiles are the paths that GeoDatabase names.
func (c Config) geoFiles() []string {
	if c.GeoDatabase == "" {
		return nil
	}
	paths := strings.Split(c.GeoDatabase, ",")
	for i, path := range paths {
		paths[i] = strings.TrimSpace(path)
	}
	return paths
}
