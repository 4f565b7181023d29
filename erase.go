// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/stream"
)

// eraseWait bounds how long a visitor waits for their erasure to be on disk.
const eraseWait = 5 * time.Second

// An eraser erases a visitor who asks for it on their own page, and the person whom
// they are known to be. It is the collector's Eraser.
type eraser struct {
	flows  *flows
	people people
}

// Erase implements collector.Eraser. The profile goes last: it says which other
// browsers are the person's, whose events go too.
func (e eraser) Erase(site string, state *edge.State) error {
	ctx, cancel := context.WithTimeout(context.Background(), eraseWait)
	defer cancel()
	ids := []string{state.VisitorID()}
	known := state.Known.Profile != (edge.ProfileID{})
	if known {
		profile, err := e.people.profiles.Stored(ctx, site, state.Known.Profile)
		if err != nil && !errors.Is(err, stream.ErrNoProfile) {
			return err
		}
		ids = append(ids, state.Known.Profile.String()) // which events of servers have
		if profile != nil {
			ids = append(ids, profile.Visitors()...)
		}
	}
	for _, id := range ids {
		if _, err := e.flows.Erase(ctx, edge.Person{Site: site, Key: edge.PersonKeyOf(site, id)}); err != nil {
			return err
		}
	}
	if !known {
		return nil
	}
	if err := e.people.profiles.Erase(ctx, site, state.Known.Profile); err != nil && !errors.Is(err, stream.ErrNoProfile) {
		return err
	}
	return nil
}

// Erased implements collector.Eraser.
func (e eraser) Erased(p edge.Person, at time.Time) bool { return e.flows.events.Erased(p, at) }
