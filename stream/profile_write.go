// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"
	"context"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/nearside/nearside/edge"
)

const (
	// profileWriters is how many profiles are written at once: the server syncs them
	// one by one and answers while it takes the next.
	profileWriters = 8
	// profileRetry is the pause before what could not be written is tried again.
	profileRetry = 200 * time.Millisecond
)

// writeAll writes what is dirty, in windows, until the Profiles close and nothing
// is left.
func (p *Profiles) writeAll() {
	for {
		select {
		case <-p.wake:
			select {
			case <-time.After(p.o.Window):
			case <-p.closing:
			}
			if !p.writeDirty() {
				select {
				case <-time.After(profileRetry):
				case <-p.life.Done():
					return
				}
			}
		case <-p.closing:
			for !p.writeDirty() {
				select {
				case <-time.After(profileRetry):
				case <-p.life.Done():
					return
				}
			}
			return
		}
	}
}

// writeDirty writes what is dirty now, and reports whether all of it is on disk.
func (p *Profiles) writeDirty() bool {
	p.mu.Lock()
	batch := p.dirty
	p.dirty = nil
	p.mu.Unlock()
	var writers sync.WaitGroup
	turns := make(chan struct{}, profileWriters)
	for _, e := range batch {
		turns <- struct{}{}
		writers.Go(func() {
			p.write(e)
			<-turns
		})
	}
	writers.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.dirty) == 0
}

// write brings an entry's pending changes to disk.
func (p *Profiles) write(e *profileEntry) {
	ctx, cancel := context.WithTimeout(p.life, profileTime)
	defer cancel()
	for {
		value, count, done := p.beginWrite(ctx, e)
		if done {
			return
		}
		revision, err := p.put(ctx, e, value)
		p.mu.Lock()
		e.writing = false
		switch {
		case err == nil:
			p.wrote(e, e.triedAs, count, revision)
		case raced(err):
			e.newer = math.MaxUint64 // what is there is read before the next try
			p.stats.Conflicts++
		default:
			e.newer = math.MaxUint64
			p.failed(e)
			p.mu.Unlock()
			return
		}
		p.mu.Unlock()
	}
}

// beginWrite returns what is to be written of an entry; done means nothing, or not
// now.
func (p *Profiles) beginWrite(ctx context.Context, e *profileEntry) (value []byte, count int, done bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !e.isRead || e.newer > e.revision {
		if !p.refresh(ctx, e) {
			p.failed(e)
			return nil, 0, true
		}
	}
	if len(e.pending) == 0 {
		e.isDirty = false
		p.resize(e)
		return nil, 0, true
	}
	e.writing = true
	e.triedAs, e.triedOf = e.now, len(e.pending)
	e.tried = edge.AppendProfile(nil, e.now)
	return e.tried, e.triedOf, false
}

// refresh reads an entry anew. p.mu is held, but not while it reads. It reports
// whether it could.
func (p *Profiles) refresh(ctx context.Context, e *profileEntry) bool {
	e.writing = true
	e.newer = 0
	p.mu.Unlock()
	stored, err := p.stored(ctx, e.key)
	p.mu.Lock()
	e.writing = false
	if err != nil {
		return false
	}
	if e.tried != nil && bytes.Equal(stored.value, e.tried) {
		p.settle(e, e.triedOf) // it came through, and the answer was lost
	}
	e.tried, e.triedAs = nil, nil
	p.become(e, stored)
	return true
}

// wrote notes what is on disk now. p.mu is held.
func (p *Profiles) wrote(e *profileEntry, as *edge.Profile, count int, revision uint64) {
	p.stats.Writes++
	p.settle(e, count)
	e.tried, e.triedAs = nil, nil
	e.disk, e.revision = as, revision
	if len(e.pending) == 0 {
		e.now = as
	}
}

// settle forgets the first changes that waited. p.mu is held.
func (p *Profiles) settle(e *profileEntry, count int) {
	count = min(count, len(e.pending))
	p.queued(-1, e.pending[:count]...)
	e.pending = append([]*edge.ProfileChange(nil), e.pending[count:]...)
}

// failed has an entry written later. p.mu is held.
func (p *Profiles) failed(e *profileEntry) {
	p.stats.Failed++
	p.dirty = append(p.dirty, e)
	signal(p.wake)
}

// put writes a value in the place of the entry's revision.
func (p *Profiles) put(ctx context.Context, e *profileEntry, value []byte) (revision uint64, err error) {
	key, was := e.key.String(), e.revision
	err = p.s.withBroker(ctx, func(ctx context.Context, b *broker) error {
		if err := p.s.writable(); err != nil {
			return err
		}
		if was == 0 {
			revision, err = b.profiles.Create(ctx, key, value)
		} else {
			revision, err = b.profiles.Update(ctx, key, value, was)
		}
		if err != nil && !raced(err) && !errors.Is(err, context.Canceled) {
			signal(p.s.suspect)
		}
		return err
	})
	return revision, err
}
