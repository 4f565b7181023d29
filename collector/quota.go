// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"errors"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nearside/nearside/edge"
)

// A Quota is what one site may have in a second: slots answered by its rules,
// and events kept; 0 is no bound. For quotaSeconds a site may have more, as
// long as it had less before.
//
// A site over its quota is never refused: its slots show the page's own
// content, and its events are rejected one by one.
type Quota struct{ Decisions, Events int }

const quotaSeconds = 10

func (q Quota) limits() bool { return q.Decisions > 0 || q.Events > 0 }

func (q Quota) check() error {
	for _, n := range []int{q.Decisions, q.Events} {
		if n < 0 || n > maxRate {
			return errors.New("want 0 to 1000000 a second")
		}
	}
	return nil
}

// rations are what the sites have had of their quotas. There is one for each
// site that has a release, and they are never removed: a site is a few words.
type rations struct {
	sites atomic.Pointer[map[string]*ration]
	mu    sync.Mutex // for adding one
	begin time.Time
}

// A ration is what one site has had, as the times at which that is forgotten.
type ration struct{ decisions, events atomic.Int64 }

func newRations() *rations {
	r := &rations{begin: time.Now()}
	r.sites.Store(&map[string]*ration{})
	return r
}

// of returns a site's ration. The name may be borrowed.
func (r *rations) of(site string) *ration {
	if one, ok := (*r.sites.Load())[site]; ok {
		return one
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := *r.sites.Load()
	if one, ok := now[site]; ok {
		return one
	}
	next, one := maps.Clone(now), new(ration)
	next[strings.Clone(site)] = one
	r.sites.Store(&next)
	return one
}

// spend takes n of what a second gives, or nothing.
func spend(done *atomic.Int64, perSecond, n int, now int64) bool {
	if perSecond <= 0 || n == 0 {
		return true
	}
	// A beacon whose own number is above the burst is served when nothing was had.
	rate := Rate{perSecond, max(perSecond*quotaSeconds, n)}
	for {
		old := done.Load()
		next, ok := rate.after(old, now, n)
		if !ok {
			return false
		}
		if done.CompareAndSwap(old, next) {
			return true
		}
	}
}

// ration holds a beacon to its site's quota: over it the events are rejected
// and the slots will show their defaults. The site must have a release.
func (s *Server) ration(x *exchange) {
	b := &x.beacon
	quota := s.quotaOf(b.Site)
	if !quota.limits() {
		return
	}
	had, now := s.rations.of(b.Site), int64(time.Since(s.rations.begin))
	if !spend(&had.events, quota.Events, len(b.Events), now) {
		s.metrics.limited.add(limitSiteEvents)
		x.decoder.rejectAll(b, edge.RejectedQuota)
	}
	if !spend(&had.decisions, quota.Decisions, len(b.Slots), now) {
		s.metrics.limited.add(limitSiteDecisions)
		x.request.OverQuota = true
	}
}

// quotaOf returns a site's quota as it is tuned now.
func (s *Server) quotaOf(site string) Quota {
	t := s.tuning.Load()
	if !t.rationed {
		return Quota{}
	}
	if quota, own := t.Quotas[site]; own {
		return quota
	}
	return t.Quota
}

// rationEvents takes a server's events from its site's quota, all or none. Unlike
// a page a server can wait: over the quota its batch is refused and nothing lost.
func (s *Server) rationEvents(site string, events int) bool {
	quota := s.quotaOf(site)
	if quota.Events == 0 || events == 0 {
		return true
	}
	if spend(&s.rations.of(site).events, quota.Events, events, int64(time.Since(s.rations.begin))) {
		return true
	}
	s.metrics.limited.add(limitSiteEvents)
	return false
}

// rejectAll moves a beacon's events to the rejected ones.
func (d *Decoder) rejectAll(b *edge.Beacon, code string) {
	for i := range b.Events {
		d.rejected = append(d.rejected, edge.Rejection{ID: b.Events[i].ID, Code: code})
	}
	b.Events = b.Events[:0]
}
