// SPDX-License-Identifier: Apache-2.0

package edgetest

import (
	"sync"
	"time"

	"github.com/nearside/nearside/edge"
)

// People keeps profiles in memory, for one site. The zero value is ready. It is
// safe for concurrent use.
type People struct {
	mu sync.Mutex
	of map[edge.ProfileID]*edge.Profile
	// down means that nothing is known, and that changes are only kept.
	down  bool
	later []func()
	// Reads and Changes count the calls.
	Reads, Changes int
}

// Profile implements edge.Profiles.
func (p *People) Profile(_ string, id edge.ProfileID, _ time.Duration) (*edge.Profile, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Reads++
	if p.down {
		return nil, false
	}
	return p.of[id], true
}

// Change implements edge.Profiles.
func (p *People) Change(_ string, id edge.ProfileID, c *edge.ProfileChange) *edge.Profile {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Changes++
	change := func() {
		if p.of == nil {
			p.of = map[edge.ProfileID]*edge.Profile{}
		}
		p.of[id] = p.of[id].With(c)
	}
	if p.down {
		p.later = append(p.later, change)
		return nil
	}
	change()
	return p.of[id]
}

// Fail makes nothing known until Mend, which makes the changes since.
func (p *People) Fail() { p.mu.Lock(); defer p.mu.Unlock(); p.down = true }

// Mend ends what Fail began.
func (p *People) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
	for _, change := range p.later {
		change()
	}
	p.later = nil
}

// Erase forgets everybody.
func (p *People) Erase() { p.mu.Lock(); defer p.mu.Unlock(); clear(p.of) }

// Of returns what is held of a person, nil for nobody.
func (p *People) Of(id edge.ProfileID) *edge.Profile {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.of[id]
}
