// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
)

// A Tuning is what may be changed while a Server runs, with Tune.
type Tuning struct {
	// TrustedProxies are the peers whose forwarding headers are believed.
	TrustedProxies []netip.Prefix
	// AddressRate limits the requests of one IPv4 address or IPv6 /64,
	// NetworkRate those of an IPv4 /24 or IPv6 /48; DefaultAddressRate and
	// DefaultNetworkRate if zero.
	AddressRate, NetworkRate Rate
	// Quota is what each site may have, and Quotas what single ones may.
	Quota  Quota
	Quotas map[string]Quota
}

// tuning is a Tuning that has been checked. It never changes.
type tuning struct {
	Tuning
	trusted  proxies
	rationed bool // a site has a quota
}

// complete fills in the defaults and checks the rest.
func (t Tuning) complete() (*tuning, error) {
	out := &tuning{Tuning: t, rationed: t.Quota.limits()}
	for _, p := range t.TrustedProxies {
		if !p.IsValid() {
			return nil, errors.New("a trusted proxy is no address prefix")
		}
		out.trusted = append(out.trusted, p.Masked())
	}
	for _, r := range []struct {
		name  string
		rate  *Rate
		usual Rate
	}{
		{"address rate", &out.AddressRate, DefaultAddressRate},
		{"network rate", &out.NetworkRate, DefaultNetworkRate},
	} {
		if *r.rate == (Rate{}) {
			*r.rate = r.usual
		}
		if r.rate.PerSecond > maxRate || r.rate.Burst > maxRate || r.rate.limits() && r.rate.Burst < 1 {
			return nil, fmt.Errorf("%s: a rate and its burst are from 1 to %d", r.name, maxRate)
		}
	}
	out.Quotas = maps.Clone(t.Quotas)
	for site, quota := range t.Quotas {
		out.rationed = out.rationed || quota.limits()
		if err := quota.check(); err != nil {
			return nil, fmt.Errorf("quota of %s: %w", site, err)
		}
	}
	if err := t.Quota.check(); err != nil {
		return nil, fmt.Errorf("quota: %w", err)
	}
	return out, nil
}

// Tune changes what may change while the server runs, all of it or, with an
// error, nothing. Requests under way go on with what was. It may be called at
// any time.
func (s *Server) Tune(t Tuning) error {
	next, err := t.complete()
	if err != nil {
		return fmt.Errorf("collector: %w", err)
	}
	s.tuning.Store(next)
	return nil
}
