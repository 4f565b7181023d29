// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/nearside/nearside/edge"
)

// ErrNoProfile reports a person of whom nothing is held: an edge.ErrNone.
var ErrNoProfile error = missing("there is no such profile")

// ProfileOptions say what Profiles may use. A zero member gets its default.
type ProfileOptions struct {
	// Window is for how long changes are gathered before they are written; default
	// 100 ms.
	Window time.Duration
	// MaxCached and MaxCachedBytes bound the profiles held in memory, those of people of
	// whom nothing is held included; default 65,536 and 64 MiB. Past either those go
	// that were asked for the longest ago.
	MaxCached, MaxCachedBytes int
	// MaxQueuedBytes bounds the changes that wait to be written; default 64 MiB. What
	// does not fit is dropped and counted.
	MaxQueuedBytes int
}

func (o ProfileOptions) withDefaults() ProfileOptions {
	setDefault(&o.Window, 100*time.Millisecond)
	setDefault(&o.MaxCached, 1<<16)
	setDefault(&o.MaxCachedBytes, 64<<20)
	setDefault(&o.MaxQueuedBytes, 64<<20)
	return o
}

// ProfileStats count what Profiles did.
type ProfileStats struct {
	// Cached are the profiles in memory and CachedBytes about what they take, Queued
	// the changes that wait and QueuedBytes about what those take.
	Cached, CachedBytes, Queued, QueuedBytes int
	// Misses were not in memory, and of these Late were not there in time.
	Misses, Late uint64
	// Writes were stored. Conflicts found another node's change and were applied to it,
	// Failed are tried again, and Dropped are changes there was no room for.
	Writes, Conflicts, Failed, Dropped uint64
}

// Profiles are the profiles of known people, as one node sees them: those asked for
// lately in memory, and all on disk. A change counts at this node at once, is on disk
// within 250 ms of a disk that keeps up, and then counts at every other node. Two
// nodes' changes of one profile both count, whichever comes first.
//
// It is safe for concurrent use. Two goroutines of its own write and watch, others
// read; Close waits for all. Open it with Stream.OpenProfiles.
type Profiles struct {
	s *Stream
	o ProfileOptions

	mu      sync.Mutex
	of      map[profileKey]*profileEntry
	recent  list.List // entries, the one asked for last in front
	dirty   []*profileEntry
	readers int
	stats   ProfileStats
	closed  bool

	wake    chan struct{} // something is dirty
	closing chan struct{}
	end     context.CancelFunc // of life
	unwatch context.CancelFunc
	life    context.Context
	working sync.WaitGroup // who writes and watches
	reading sync.WaitGroup
}

var _ edge.Profiles = (*Profiles)(nil)

type profileKey struct {
	site string
	id   edge.ProfileID
}

func (k profileKey) String() string { return k.site + "." + k.id.String() }

// A profileEntry is what is known of one profile. Profiles.mu guards it.
type profileEntry struct {
	key     profileKey
	place   *list.Element
	size    int
	isRead  bool          // disk, revision and now mean something
	reading chan struct{} // closed when it was read; nil while nobody reads
	again   bool          // it changed on disk while it was read

	disk     *edge.Profile // nil for none
	revision uint64        // of the key, 0 for none
	now      *edge.Profile // disk with pending

	pending []*edge.ProfileChange
	isDirty bool   // among Profiles.dirty, or being written
	writing bool   // the key is being written, or read for that
	newer   uint64 // a revision that others have written, or that all that is known is in doubt
	// tried is the value of a write whose outcome is not known, triedAs the profile and
	// triedOf how many of pending are in it.
	tried   []byte
	triedAs *edge.Profile
	triedOf int
}

// OpenProfiles returns the profiles of the Stream. Close them before it.
func (s *Stream) OpenProfiles(o ProfileOptions) *Profiles {
	p := &Profiles{
		s: s, o: o.withDefaults(), of: make(map[profileKey]*profileEntry),
		wake: make(chan struct{}, 1), closing: make(chan struct{}),
	}
	p.life, p.end = context.WithCancel(context.Background())
	p.working.Go(p.writeAll)
	var watching context.Context
	watching, p.unwatch = context.WithCancel(p.life)
	p.working.Go(func() { p.watch(watching) })
	return p
}

// Close writes what waits and ends. ctx bounds that; what was not written then is
// lost with an error.
func (p *Profiles) Close(ctx context.Context) error {
	p.mu.Lock()
	first := !p.closed
	p.closed = true
	p.mu.Unlock()
	if first {
		close(p.closing)
		p.unwatch()
	}
	stop := context.AfterFunc(ctx, p.end)
	defer stop()
	p.working.Wait()
	p.end()
	p.reading.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stats.Queued > 0 {
		return fmt.Errorf("write profiles: %d changes are lost: %w", p.stats.Queued, context.Cause(ctx))
	}
	return nil
}

// Profile implements edge.Profiles.
func (p *Profiles) Profile(site string, id edge.ProfileID, wait time.Duration) (profile *edge.Profile, known bool) {
	p.mu.Lock()
	e := p.entry(profileKey{site, id})
	if e.isRead {
		defer p.mu.Unlock()
		return e.now, true
	}
	p.stats.Misses++
	p.read(e)
	read := e.reading
	p.mu.Unlock()
	if read != nil {
		late := time.NewTimer(wait)
		select {
		case <-read:
		case <-late.C:
		}
		late.Stop()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !e.isRead {
		p.stats.Late++
	}
	return e.now, e.isRead
}

// Change implements edge.Profiles.
func (p *Profiles) Change(site string, id edge.ProfileID, c *edge.ProfileChange) *edge.Profile {
	p.mu.Lock()
	defer p.mu.Unlock()
	if size := c.Size(); p.closed || p.stats.QueuedBytes+size > p.o.MaxQueuedBytes {
		p.stats.Dropped++
		return nil
	}
	e := p.entry(profileKey{site, id})
	e.pending = append(e.pending, c)
	p.queued(1, c)
	if e.isRead {
		e.now = e.now.With(c)
		p.resize(e)
	} else {
		p.read(e)
	}
	p.soil(e)
	return e.now
}

// queued counts n more or, below 0, fewer changes that wait.
func (p *Profiles) queued(sign int, changes ...*edge.ProfileChange) {
	for _, c := range changes {
		p.stats.Queued += sign
		p.stats.QueuedBytes += sign * c.Size()
	}
}

// soil has an entry written. p.mu is held.
func (p *Profiles) soil(e *profileEntry) {
	if e.isDirty {
		return
	}
	e.isDirty = true
	p.dirty = append(p.dirty, e)
	signal(p.wake)
}

// entry returns the entry of a key, made where there is none. p.mu is held.
func (p *Profiles) entry(k profileKey) *profileEntry {
	if e := p.of[k]; e != nil {
		p.recent.MoveToFront(e.place)
		return e
	}
	k.site = strings.Clone(k.site) // a request's memory
	e := &profileEntry{key: k}
	p.of[k] = e
	e.place = p.recent.PushFront(e)
	p.resize(e)
	return e
}

// emptyEntry is about what an entry of nobody takes.
const emptyEntry = 400

// evictions bounds how many entries one call looks at to make room.
const evictions = 8

// resize notes what an entry takes, and makes room. p.mu is held.
func (p *Profiles) resize(e *profileEntry) {
	size := emptyEntry
	if e.now != nil {
		size += e.now.Size()
	}
	if e.disk != nil && e.disk != e.now {
		size += e.disk.Size()
	}
	p.stats.CachedBytes += size - e.size
	e.size = size
	for range evictions {
		if len(p.of) <= p.o.MaxCached && p.stats.CachedBytes <= p.o.MaxCachedBytes {
			return
		}
		last := p.recent.Back().Value.(*profileEntry)
		if last == e {
			return
		}
		if last.isBusy() {
			p.recent.MoveToFront(last.place)
			continue
		}
		p.drop(last)
	}
}

// isBusy reports whether somebody is at work on the entry.
func (e *profileEntry) isBusy() bool { return e.isDirty || e.writing || e.reading != nil }

// drop forgets an entry that nobody is at work on. p.mu is held.
func (p *Profiles) drop(e *profileEntry) {
	p.recent.Remove(e.place)
	delete(p.of, e.key)
	p.stats.CachedBytes -= e.size
	e.size = 0
}

// Stats returns the counts so far.
func (p *Profiles) Stats() ProfileStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	st := p.stats
	st.Cached = len(p.of)
	return st
}

const (
	// profileTime bounds one read or write of a profile.
	profileTime = 5 * time.Second
	// profileReaders is how many profiles are read at once. Who asks for more is
	// answered at once, that it is not known.
	profileReaders = 256
)

// read has an entry read from disk, unless somebody does. p.mu is held.
func (p *Profiles) read(e *profileEntry) {
	if e.reading != nil || p.closed || p.readers >= profileReaders {
		return
	}
	p.readers++
	e.reading = make(chan struct{})
	p.reading.Go(func() { p.readNow(e) })
}

func (p *Profiles) readNow(e *profileEntry) {
	for {
		ctx, cancel := context.WithTimeout(p.life, profileTime)
		stored, err := p.stored(ctx, e.key)
		cancel()
		p.mu.Lock()
		if e.again && err == nil {
			e.again = false
			p.mu.Unlock()
			continue
		}
		e.again = false
		if err == nil && (!e.isRead || stored.revision > e.revision) {
			p.become(e, stored)
		}
		close(e.reading)
		e.reading = nil
		p.readers--
		p.mu.Unlock()
		return
	}
}

// A storedProfile is a profile as it lies on disk; the zero value is none.
type storedProfile struct {
	profile  *edge.Profile
	value    []byte
	revision uint64
}

// stored reads a profile from disk. One that is damaged is none.
func (p *Profiles) stored(ctx context.Context, k profileKey) (out storedProfile, err error) {
	err = p.s.withBroker(ctx, func(ctx context.Context, b *broker) error {
		e, err := b.profiles.Get(ctx, k.String())
		switch {
		case errors.Is(err, jetstream.ErrKeyNotFound):
			out = storedProfile{}
			return nil
		case err != nil:
			return fmt.Errorf("read profile: %w", err)
		}
		out = p.parse(e)
		return nil
	})
	return out, err
}

func (p *Profiles) parse(e jetstream.KeyValueEntry) storedProfile {
	profile, err := edge.ParseProfile(e.Value())
	if err != nil {
		p.s.o.Logger.Error("a profile is damaged; it begins anew", "revision", e.Revision(), slog.Any("error", err))
		profile = nil
	}
	return storedProfile{profile, e.Value(), e.Revision()}
}

// become makes an entry what lies on disk, with the changes that wait. p.mu is held.
func (p *Profiles) become(e *profileEntry, stored storedProfile) {
	e.isRead, e.disk, e.revision = true, stored.profile, stored.revision
	e.now = e.disk
	for _, c := range e.pending {
		e.now = e.now.With(c)
	}
	p.resize(e)
}
