// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/stream"
)

// people are the profiles of known people, by the sites' own ids.
type people struct {
	profiles *stream.Profiles
	sealer   *edge.Sealer
	keep     func(site string) time.Duration
}

func (p people) id(site, customer string) edge.ProfileID {
	id, err := edge.ParseProfileID(p.sealer.ProfileID(site, customer))
	if err != nil {
		panic(err) // it is one
	}
	return id
}

// Profile implements console.People.
func (p people) Profile(ctx context.Context, site, customer string) (*edge.ProfileReport, error) {
	id := p.id(site, customer)
	profile, err := p.profiles.Stored(ctx, site, id)
	if err != nil {
		return nil, err
	}
	return profile.Report(id, time.Now(), p.keep(site)), nil
}

// EraseProfile implements console.People.
func (p people) EraseProfile(ctx context.Context, site, customer string) error {
	return p.profiles.Erase(ctx, site, p.id(site, customer))
}

// writeProfileMetrics writes what the profiles count.
func writeProfileMetrics(w io.Writer, s stream.ProfileStats) {
	gauge(w, "nearside_profiles_cached", "profiles of known people in memory, those of whom nothing is held included", uint64(s.Cached))
	gauge(w, "nearside_profiles_cached_bytes", "about what they take", uint64(s.CachedBytes))
	gauge(w, "nearside_profile_changes_queued", "changes of profiles that are not on disk yet", uint64(s.Queued))
	gauge(w, "nearside_profile_changes_queued_bytes", "about what they take", uint64(s.QueuedBytes))
	counter(w, "nearside_profile_misses_total", "profiles that were not in memory when they were needed", s.Misses)
	counter(w, "nearside_profile_late_total", "decisions that went on without one", s.Late)
	counter(w, "nearside_profile_writes_total", "profiles written", s.Writes)
	counter(w, "nearside_profile_conflicts_total", "writes that found another node's and were made anew", s.Conflicts)
	counter(w, "nearside_profile_write_errors_total", "writes that failed and are tried again", s.Failed)
	counter(w, "nearside_profile_changes_dropped_total", "changes for which there was no room", s.Dropped)
}

// Mine implements collector.Profiles.
func (p people) Mine(site string, state *edge.State) (json.RawMessage, error) {
	if state.Known.Profile == (edge.ProfileID{}) {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), eraseWait)
	defer cancel()
	profile, err := p.profiles.Stored(ctx, site, state.Known.Profile)
	if errors.Is(err, stream.ErrNoProfile) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(profile.Report(state.Known.Profile, time.Now(), p.keep(site)))
}
