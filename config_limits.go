// SPDX-License-Identifier: Apache-2.0

package main

import (
	"flag"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/nearside/nearside/collector"
)

// Limits are what clients and sites may have.
type Limits struct {
	// Address is the pace of one IPv4 address or IPv6 /64, Network that of an
	// IPv4 /24 or IPv6 /48. A PerSecond of 0 is no limit.
	Address, Network collector.Rate
	// Quota is what each site may have in a second, Quotas what single ones may.
	Quota  collector.Quota
	Quotas map[string]collector.Quota
}

// settings binds the limits to flags.
func (l *Limits) settings(fs *flag.FlagSet) {
	fs.IntVar(&l.Address.PerSecond, "limit.address-rate", l.Address.PerSecond, "`requests` a second from one IPv4 address or IPv6 /64; 0 is no limit")
	fs.IntVar(&l.Address.Burst, "limit.address-burst", l.Address.Burst, "`requests` that one address may send at once before its rate counts")
	fs.IntVar(&l.Network.PerSecond, "limit.network-rate", l.Network.PerSecond, "`requests` a second from one IPv4 /24 or IPv6 /48; 0 is no limit")
	fs.IntVar(&l.Network.Burst, "limit.network-burst", l.Network.Burst, "`requests` that one network may send at once before its rate counts")
	fs.IntVar(&l.Quota.Decisions, "quota.decisions", l.Quota.Decisions, "`slots` a second that rules answer for each site, more show their defaults; 0 is no bound")
	fs.IntVar(&l.Quota.Events, "quota.events", l.Quota.Events, "`events` a second that are kept of each site, more are rejected; 0 is no bound")
	fs.Func("quota.sites", "`quotas` of single sites as site=slots/events a second, comma-separated, like shop=500/1000,blog=0/50 (default none)", func(s string) (err error) {
		l.Quotas, err = parseQuotas(s)
		return err
	})
}

// parseQuotas reads site=decisions/events pairs.
func parseQuotas(list string) (map[string]collector.Quota, error) {
	quotas := map[string]collector.Quota{}
	for _, text := range split(list) {
		site, both, named := strings.Cut(text, "=")
		decisions, events, two := strings.Cut(both, "/")
		d, errD := strconv.Atoi(decisions)
		e, errE := strconv.Atoi(events)
		if _, twice := quotas[site]; site == "" || !named || !two || errD != nil || errE != nil || twice {
			return nil, fmt.Errorf("%q is not one site's quota, like shop=500/1000", text)
		}
		quotas[site] = collector.Quota{Decisions: d, Events: e}
	}
	return quotas, nil
}

// maxPerSecond bounds what a limit can say.
const maxPerSecond = 1_000_000

// validate calls bad with each thing that is wrong with the limits.
func (l *Limits) validate(bad func(format string, args ...any)) {
	for _, n := range []struct {
		name  string
		value int
		least int
	}{
		{"limit.address-rate", l.Address.PerSecond, 0},
		{"limit.address-burst", l.Address.Burst, 1},
		{"limit.network-rate", l.Network.PerSecond, 0},
		{"limit.network-burst", l.Network.Burst, 1},
		{"quota.decisions", l.Quota.Decisions, 0},
		{"quota.events", l.Quota.Events, 0},
	} {
		if n.value < n.least || n.value > maxPerSecond {
			bad("--%s %d, want %d to %d", n.name, n.value, n.least, maxPerSecond)
		}
	}
	for _, site := range slices.Sorted(maps.Keys(l.Quotas)) {
		if q := l.Quotas[site]; min(q.Decisions, q.Events) < 0 || max(q.Decisions, q.Events) > maxPerSecond {
			bad("--quota.sites %s=%d/%d, want 0 to %d", site, q.Decisions, q.Events, maxPerSecond)
		}
	}
}

// tuning is what the collector may be told while it runs.
func (c *Config) tuning() collector.Tuning {
	t := collector.Tuning{
		TrustedProxies: c.Proxies, AddressRate: c.Limits.Address, NetworkRate: c.Limits.Network,
		Quota: c.Limits.Quota, Quotas: c.Limits.Quotas,
	}
	for _, r := range []*collector.Rate{&t.AddressRate, &t.NetworkRate} {
		if r.PerSecond == 0 {
			*r = collector.Rate{PerSecond: -1} // the collector's 0 is its default
		}
	}
	return t
}
