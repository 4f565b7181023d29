// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

// watch follows what other nodes change until ctx ends.
func (p *Profiles) watch(ctx context.Context) {
	for {
		err := p.s.withBroker(ctx, p.follow)
		if ctx.Err() != nil || errors.Is(err, ErrClosed) {
			return
		}
		if err != nil {
			p.s.o.Logger.Warn("watching profiles broke off", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchRetry):
		}
	}
}

// follow takes what one broker's watcher says until it ends.
func (p *Profiles) follow(ctx context.Context, b *broker) error {
	watcher, err := b.profiles.WatchAll(ctx, jetstream.UpdatesOnly())
	if err != nil {
		return fmt.Errorf("watch profiles: %w", err)
	}
	// It fails only when the watcher has ended by itself.
	defer func() { _ = watcher.Stop() }()
	p.doubt()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-watcher.Updates():
			if !ok {
				return nil
			}
			if e != nil {
				p.take(e)
			}
		}
	}
}

// doubt has everything read again: nobody watched for a while.
func (p *Profiles) doubt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.of {
		switch {
		case e.isDirty || e.writing:
			e.newer = math.MaxUint64
		case e.reading != nil:
			e.again = true
		default:
			p.drop(e)
		}
	}
}

// take notes what a key has on disk by now.
func (p *Profiles) take(e jetstream.KeyValueEntry) {
	k, ok := parseProfileKey(e.Key())
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known := p.of[k]
	switch {
	case known == nil:
	case known.reading != nil:
		known.again = true
	case known.writing:
		known.newer = max(known.newer, e.Revision())
	case !known.isRead || e.Revision() <= known.revision:
	case e.Operation() != jetstream.KeyValuePut:
		p.become(known, storedProfile{})
	default:
		p.become(known, p.parse(e))
	}
}

func parseProfileKey(text string) (k profileKey, ok bool) {
	site, id, found := strings.Cut(text, ".")
	if !found {
		return k, false
	}
	var err error
	k.site = site
	k.id, err = edge.ParseProfileID(id)
	return k, err == nil
}

// Stored returns a profile as it is with what waits to be written. The error is
// ErrNoProfile where nothing is held of the person.
func (p *Profiles) Stored(ctx context.Context, site string, id edge.ProfileID) (*edge.Profile, error) {
	for {
		profile, known := p.Profile(site, id, profileTime)
		switch {
		case known && profile != nil:
			return profile, nil
		case known:
			return nil, ErrNoProfile
		case ctx.Err() != nil:
			return nil, ctx.Err()
		}
		if err := p.s.Ready(); err != nil {
			return nil, fmt.Errorf("read profile: %w", err)
		}
	}
}

// Erase deletes what is held of a person, with the changes that wait. A browser that is
// still theirs begins anew. The error is ErrNoProfile where nothing is held.
func (p *Profiles) Erase(ctx context.Context, site string, id edge.ProfileID) error {
	_, err := p.Stored(ctx, site, id)
	if err == nil {
		err = p.delete(ctx, profileKey{site, id}, 0)
	}
	if err != nil {
		return fmt.Errorf("erase profile: %w", err)
	}
	return nil
}

// eraseAttempts is how often a profile is deleted anew because somebody changed it
// meanwhile.
const eraseAttempts = 10

// delete deletes a profile's value, overwritten, and what is known of it; only, if it
// is not 0, if it has that revision.
func (p *Profiles) delete(ctx context.Context, k profileKey, only uint64) error {
	for range eraseAttempts {
		if err := p.forget(ctx, k); err != nil {
			return err
		}
		err := p.s.write(ctx, func(ctx context.Context, b *broker) error {
			e, err := b.profiles.Get(ctx, k.String())
			if errors.Is(err, jetstream.ErrKeyNotFound) {
				return nil
			}
			if err != nil || only != 0 && e.Revision() != only {
				return err
			}
			if err := b.people.SecureDeleteMsg(ctx, e.Revision()); err != nil {
				return err
			}
			return b.profiles.Purge(ctx, k.String(), jetstream.PurgeTTL(deletedAge))
		})
		if !errors.Is(err, jetstream.ErrMsgNotFound) { // another value has taken its place
			return err
		}
	}
	return fmt.Errorf("it was changed %d times meanwhile", eraseAttempts)
}

// forget drops what waits to be written of a profile, once nobody is writing it: from
// then on nobody is known.
func (p *Profiles) forget(ctx context.Context, k profileKey) error {
	for {
		p.mu.Lock()
		e := p.of[k]
		if e == nil || !e.writing {
			if e != nil {
				p.settle(e, len(e.pending))
				e.tried, e.triedAs, e.now, e.disk, e.newer = nil, nil, nil, nil, math.MaxUint64
				e.isRead, e.again = true, e.reading != nil
				p.resize(e)
				p.soil(e) // reads what is there by then
			}
			p.mu.Unlock()
			return nil
		}
		p.mu.Unlock()
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Expire deletes the profiles that nothing touched for as long as keep says of their
// site, or MaxAge where that says nothing. Call it every hour or so, one call at a
// time. What is left after an error goes with the next call.
func (p *Profiles) Expire(ctx context.Context, keep func(site string) time.Duration) error {
	sites, err := p.s.Sites(ctx)
	if err != nil {
		return fmt.Errorf("delete old profiles: %w", err)
	}
	now, least := p.s.clock.now(), p.s.o.MaxAge
	ages := make(map[string]time.Duration)
	age := func(site string) time.Duration {
		if ages[site] == 0 {
			if ages[site] = keep(site); ages[site] <= 0 {
				ages[site] = p.s.o.MaxAge
			}
		}
		return ages[site]
	}
	for _, site := range sites {
		least = min(least, age(site))
	}
	type due struct {
		key      profileKey
		revision uint64
	}
	var over []due
	err = p.s.scanWith(ctx, func(ctx context.Context, b *broker) error {
		over = over[:0]
		sc, err := b.scan(ctx, b.people, position{seq: 1, heads: true})
		if err != nil {
			return err
		}
		defer sc.close()
		return sc.rest(ctx, func(m message) error {
			k, ok := parseProfileKey(strings.TrimPrefix(m.subject, profileSubject))
			if !ok || m.header.Get(jetstream.MsgRollup) != "" || m.header.Get(kvOperation) != "" {
				return nil // a mark of what is gone
			}
			switch {
			case m.stored.After(now.Add(-least)):
				return errEnd // those behind it are younger still
			case !m.stored.After(now.Add(-age(k.site))):
				over = append(over, due{k, m.seq})
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("delete old profiles: %w", err)
	}
	for _, d := range over {
		if err := p.delete(ctx, d.key, d.revision); err != nil {
			return fmt.Errorf("delete old profiles: %w", err)
		}
	}
	return nil
}

// kvOperation is the header by which a bucket marks what was deleted.
const kvOperation = "KV-Operation"
