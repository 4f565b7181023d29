// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/stream"
)

// adoptAgain is the pause before a release that could not be loaded is tried
// again: the machine may have been too busy to compile its modules.
const adoptAgain = 15 * time.Second

// An adoption makes stored releases live in an engine. One that does not compile
// here is logged and tried again, and the one before goes on serving. Where there
// is none before it, after a start, it serves without the modules that cannot be
// loaded: a bad module harms only itself.
type adoption struct {
	engine *edge.Engine
	log    *slog.Logger

	mu     sync.Mutex // one release at a time
	failed map[string]failedRelease
}

// A failedRelease is a site's newest release that is not served, and why not.
type failedRelease struct {
	stream.ReleaseUpdate
	why string
}

func newAdoption(engine *edge.Engine, log *slog.Logger) *adoption {
	return &adoption{engine: engine, log: log, failed: map[string]failedRelease{}}
}

// adopt makes one release live.
func (a *adoption) adopt(u stream.ReleaseUpdate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.take(u)
}

// take is adopt with a.mu held.
func (a *adoption) take(u stream.ReleaseUpdate) {
	before, failed := a.failed[u.Site]
	live, ok := a.engine.Release(u.Site)
	if ok && live.Number() == u.Number && !failed {
		return
	}
	err := u.Err
	if err == nil {
		_, err = a.engine.Publish(u.Doc)
	}
	delete(a.failed, u.Site)
	if err == nil {
		a.log.Info("release live", "site", u.Site, "number", u.Number)
		return
	}
	a.failed[u.Site] = failedRelease{u, err.Error()}
	if before.Number != u.Number || before.why != err.Error() {
		a.log.Error("release not served whole; it is tried again", "site", u.Site, "number", u.Number, "error", err)
	}
	if ok || u.Err != nil {
		return
	}
	if _, missing, err := a.engine.PublishPartly(u.Doc); err == nil {
		a.log.Warn("release live in part", "site", u.Site, "number", u.Number, "missing", missing)
	}
}

// retry tries releases that failed until ctx ends. One whose document is damaged
// comes again by itself.
func (a *adoption) retry(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(adoptAgain):
		}
		for _, site := range a.waiting() {
			a.again(site)
		}
	}
}

// waiting returns the sites whose release failed.
func (a *adoption) waiting() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var sites []string
	for site, f := range a.failed {
		if f.Err == nil {
			sites = append(sites, site)
		}
	}
	return sites
}

// again tries a site's failed release, unless a newer one has come.
func (a *adoption) again(site string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f, ok := a.failed[site]; ok {
		a.take(f.ReleaseUpdate)
	}
}

// refused is how many sites' newest releases are not served.
func (a *adoption) refused() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return uint64(len(a.failed))
}
