// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"time"

	"github.com/nearside/nearside/collector"
)

// A Door is how clients connect.
type Door struct {
	// ProxyProtocol says that connections of the trusted proxies begin with a
	// PROXY protocol header, and that nobody else may connect.
	ProxyProtocol bool
	// MaxConns bounds open connections, MaxConnsPerIP those of one IPv4 address
	// or IPv6 /64.
	MaxConns, MaxConnsPerIP int
	// ReadTimeout is how long a request may take to arrive, WriteTimeout an answer
	// to be taken, IdleTimeout how long a connection waits for the next request.
	ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	// Drain is how long a node that is to stop says that it is not ready, and
	// still serves, before it closes its listener.
	Drain time.Duration

	// TLSCerts and TLSKeys are files of certificates and their keys in the same
	// order; none for plain HTTP. AdminCerts and AdminKeys are those of the admin
	// listener, by default the same.
	TLSCerts, TLSKeys, AdminCerts, AdminKeys []string
	// TLSMin is the oldest version of TLS that is spoken: 1.2 or 1.3.
	TLSMin string
}

func doorDefaults() Door {
	return Door{
		MaxConns: collector.DefaultMaxConns, MaxConnsPerIP: collector.DefaultMaxConnsPerIP,
		ReadTimeout: collector.DefaultReadTimeout, WriteTimeout: collector.DefaultWriteTimeout, IdleTimeout: collector.DefaultIdleTimeout,
		TLSMin: "1.2",
	}
}

// settings binds the door to flags.
func (d *Door) settings(fs *flag.FlagSet) {
	list := func(to *[]string) func(string) error {
		return func(s string) error { *to = split(s); return nil }
	}
	fs.BoolVar(&d.ProxyProtocol, "http.proxy-protocol", d.ProxyProtocol, "whether each connection of http.proxies begins with a PROXY protocol header, version 1 or 2; nobody else may connect then, but this machine")
	fs.Var((*span)(&d.Drain), "http.drain", "`duration` for which a node that is to stop answers /readyz with 503 and still serves, 0s to 5m")
	fs.Var((*span)(&d.ReadTimeout), "http.read-timeout", "`duration` in which a whole request must arrive, 1s to 5m")
	fs.Var((*span)(&d.WriteTimeout), "http.write-timeout", "`duration` in which a client must take its answer, 1s to 5m")
	fs.Var((*span)(&d.IdleTimeout), "http.idle-timeout", "`duration` for which a connection may wait for its next request, 1s to 1h; longer than a proxy's in front")
	fs.IntVar(&d.MaxConns, "limit.connections", d.MaxConns, "open `connections` at most")
	fs.IntVar(&d.MaxConnsPerIP, "limit.address-connections", d.MaxConnsPerIP, "open `connections` at most from one IPv4 address or IPv6 /64 that is no trusted proxy")
	fs.Func("tls.cert", "`files` of certificates with their chains, comma-separated; with any, the listeners speak TLS and not plain HTTP (default none)", list(&d.TLSCerts))
	fs.Func("tls.key", "`files` of the certificates' keys, in their order (default none)", list(&d.TLSKeys))
	fs.StringVar(&d.TLSMin, "tls.min", d.TLSMin, "the oldest `version` of TLS that is spoken, 1.2 or 1.3")
	fs.Func("admin.tls-cert", "`files` of certificates of the admin listener (default those of tls.cert)", list(&d.AdminCerts))
	fs.Func("admin.tls-key", "`files` of their keys (default those of tls.key)", list(&d.AdminKeys))
}

// validate calls bad with each thing that is wrong with the door.
func (d *Door) validate(bad func(format string, args ...any)) {
	for _, t := range []struct {
		name        string
		value       time.Duration
		least, most time.Duration
	}{
		{"http.drain", d.Drain, 0, 5 * time.Minute},
		{"http.read-timeout", d.ReadTimeout, time.Second, 5 * time.Minute},
		{"http.write-timeout", d.WriteTimeout, time.Second, 5 * time.Minute},
		{"http.idle-timeout", d.IdleTimeout, time.Second, time.Hour},
	} {
		if t.value < t.least || t.value > t.most {
			bad("--%s %v, want %v to %v", t.name, t.value, t.least, t.most)
		}
	}
	for _, n := range []struct {
		name  string
		value int
	}{
		{"limit.connections", d.MaxConns},
		{"limit.address-connections", d.MaxConnsPerIP},
	} {
		if n.value < 1 || n.value > maxPerSecond {
			bad("--%s %d, want 1 to %d", n.name, n.value, maxPerSecond)
		}
	}
	if len(d.TLSCerts) != len(d.TLSKeys) {
		bad("--tls.cert names %d files and --tls.key %d: want a key for each certificate", len(d.TLSCerts), len(d.TLSKeys))
	}
	if len(d.AdminCerts) != len(d.AdminKeys) {
		bad("--admin.tls-cert names %d files and --admin.tls-key %d: want a key for each certificate", len(d.AdminCerts), len(d.AdminKeys))
	}
	if tlsVersions[d.TLSMin] == 0 {
		bad("--tls.min %q, want 1.2 or 1.3", d.TLSMin)
	}
}

// admin are the admin listener's certificates and keys.
func (d *Door) admin() (certs, keys []string) {
	if len(d.AdminCerts) > 0 {
		return d.AdminCerts, d.AdminKeys
	}
	return d.TLSCerts, d.TLSKeys
}
