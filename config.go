// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"time"
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
	// GeoDatabase is a GeoIP2-schema file; empty is the embedded country
	// database.
	GeoDatabase string
	// GeoReload is how often the file is looked at for a change.
	GeoReload time.Duration
	// StreamWindow is how long events wait for others before one fsync.
	StreamWindow time.Duration
	// StreamMaxBytes bounds the event log on disk; 0 is the stream's default,
	// 32 GiB. A full log refuses events and keeps those it has.
	StreamMaxBytes int64
	// Modules is a directory of rule modules beside the built-in ones; empty
	// means DATA/modules.
	Modules string
	// Demo serves the demo shop beside the collector, at the listener's own
	// address and at DemoOrigins.
	Demo        bool
	DemoOrigins []string

	env []error // what the environment said that no setting takes
}

// defaults are the settings of a node that nobody configured.
func defaults() Config {
	node, err := os.Hostname()
	if err != nil || !nodePattern.MatchString(node) {
		node = "node"
	}
	return Config{
		Addr: "127.0.0.1:8080", Data: "nearside-data", Node: node, Prefix: "/_near",
		GeoReload: 30 * time.Second, StreamWindow: 1500 * time.Microsecond,
	}
}

var (
	nodePattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	prefixPattern = regexp.MustCompile(`^(/[A-Za-z0-9_.-]+)+$`)
)

// flags binds every setting to a flag whose default may come from the
// environment.
func (c *Config) flags(name string, out io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(out)
	fs.StringVar(&c.Addr, "addr", c.Addr, "`host:port` of the public listener")
	fs.StringVar(&c.Data, "data", c.Data, "`directory` of everything the node keeps")
	fs.StringVar(&c.Node, "node", c.Node, "`name` of this process in stored events")
	fs.StringVar(&c.Prefix, "http.prefix", c.Prefix, "`path` below which public routes also answer")
	fs.Func("http.proxies", "`prefixes` of proxies that may say who the client is, comma-separated (default none)", func(s string) error {
		c.Proxies = nil
		for _, p := range split(s) {
			prefix, err := netip.ParsePrefix(p)
			if err != nil {
				return err
			}
			c.Proxies = append(c.Proxies, prefix.Masked())
		}
		return nil
	})
	fs.StringVar(&c.GeoDatabase, "geo.database", c.GeoDatabase, "GeoIP2-schema `file` (default the embedded country database)")
	fs.DurationVar(&c.GeoReload, "geo.reload", c.GeoReload, "how often the file is looked at for a change")
	fs.DurationVar(&c.StreamWindow, "stream.window", c.StreamWindow, "how long events wait for others before one fsync")
	fs.Int64Var(&c.StreamMaxBytes, "stream.max-bytes", c.StreamMaxBytes, "bound of the event log on disk in `bytes`; 0 is 32 GiB")
	fs.StringVar(&c.Modules, "rules.modules", c.Modules, "`directory` of rule modules beside the built-in ones (default DATA/modules)")
	fs.VisitAll(func(f *flag.Flag) {
		env := "NEARSIDE_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(f.Name))
		if value, ok := os.LookupEnv(env); ok {
			if err := f.Value.Set(value); err != nil {
				c.env = append(c.env, fmt.Errorf("%w: %s=%q: %v", errUsage, env, value, err))
			}
			f.DefValue = value
		}
	})
	return fs
}

// Validate reports everything wrong with the settings at once.
func (c *Config) Validate() error {
	errs := c.env
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{errUsage}, args...)...))
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
	if c.GeoReload < time.Second || c.GeoReload > 24*time.Hour {
		bad("--geo.reload %v, want 1s to 24h", c.GeoReload)
	}
	if c.StreamWindow < 0 || c.StreamWindow > time.Second {
		bad("--stream.window %v, want 0 to 1s", c.StreamWindow)
	}
	if c.StreamMaxBytes < 0 {
		bad("--stream.max-bytes is negative")
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
