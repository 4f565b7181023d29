// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/sink"
	"github.com/nearside/nearside/stream"
)

var _ edge.Eraser = (*flows)(nil)

// Erase implements edge.Eraser: it is what everything calls that has to erase a
// person.
func (f *flows) Erase(ctx context.Context, p edge.Person) (edge.Erasure, error) {
	if _, err := f.events.Forget(ctx, p); err != nil {
		return edge.Erasure{}, flowError(err, "person")
	}
	return f.Erasure(ctx, p)
}

// sinkPlace begins the names of sinks among the places of an erasure.
const sinkPlace = "sink "

// Erasure implements console.Eraser.
func (f *flows) Erasure(ctx context.Context, p edge.Person) (edge.Erasure, error) {
	now, err := f.events.Erasure(p)
	if err != nil {
		return now, flowError(err, "erasure")
	}
	sinks, err := f.events.Forgetting(ctx, p)
	if err != nil {
		return now, flowError(err, "erasure")
	}
	for _, s := range sinks.Sinks {
		state := edge.ErasurePending
		if s.Done {
			state = edge.ErasureAbsent
		}
		now.Places = append(now.Places, edge.ErasurePlace{Place: sinkPlace + s.Sink, State: state})
	}
	return now, nil
}

// Erasures implements console.Eraser.
func (f *flows) Erasures(context.Context) ([]edge.Erasure, error) {
	all := []edge.Erasure{}
	f.events.Erasures(func(p edge.Person, at time.Time) { all = append(all, edge.Erasure{Person: p, At: at}) })
	slices.SortFunc(all, func(a, b edge.Erasure) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Site, b.Site), bytes.Compare(a.Key[:], b.Key[:]))
	})
	return all, nil
}

// Prove implements console.Eraser.
func (f *flows) Prove(ctx context.Context, t edge.Traces) (edge.Erasure, error) {
	now, err := f.Erasure(ctx, t.Person)
	if errors.Is(err, edge.ErrNone) {
		now, err = edge.Erasure{Person: t.Person}, nil
	}
	if err != nil {
		return now, err
	}
	found, err := f.events.Find(ctx, t)
	if err != nil {
		return now, flowError(err, "person")
	}
	for _, n := range found {
		var problem error
		if n.Unread > 0 {
			problem = fmt.Errorf("%d files are damaged and cannot be searched to their end", n.Unread)
		}
		noteFound(&now, n.Place, n.Found, problem)
	}
	for _, spec := range f.specs {
		n, err := sink.Find(ctx, spec, t)
		noteFound(&now, sinkPlace+spec.Name, n, err)
	}
	return now, ctx.Err()
}

// noteFound notes what a search found in a place.
func noteFound(e *edge.Erasure, place string, n uint64, problem error) {
	i := slices.IndexFunc(e.Places, func(p edge.ErasurePlace) bool { return p.Place == place })
	if i < 0 {
		i = len(e.Places)
		e.Places = append(e.Places, edge.ErasurePlace{Place: place, State: edge.ErasureAbsent})
	}
	p := &e.Places[i]
	p.Found = n
	if problem != nil {
		p.Problem = problem.Error()
	}
	if p.State == edge.ErasureAbsent && (n > 0 || problem != nil) {
		p.State = edge.ErasureFound
	}
}

// LinkedTo implements console.Eraser. It reads the log twice: the event that links
// a browser to a customer may come last, and one of another customer before.
func (f *flows) LinkedTo(ctx context.Context, site, profile string, known []edge.PersonKey) (browsers []edge.PersonKey, shared int, err error) {
	own := edge.PersonKeyOf(site, profile)
	who := &person{profile: profile, keys: map[edge.PersonKey]struct{}{own: {}}}
	for _, key := range known {
		who.keys[key] = struct{}{}
	}
	log := stream.Query{Site: site}
	if err := f.events.Events(ctx, log, func(e stream.LogEvent) error { who.meet(&e); return nil }); err != nil {
		return nil, 0, err
	}
	delete(who.keys, own)
	others := map[edge.PersonKey]bool{}
	if len(who.keys) > 0 {
		if err := f.events.Events(ctx, log, func(e stream.LogEvent) error {
			if _, linked := who.keys[e.Visitor]; linked && !others[e.Visitor] {
				if named := customerIn(e.JSON); named != "" && named != profile {
					others[e.Visitor] = true
				}
			}
			return nil
		}); err != nil {
			return nil, 0, err
		}
	}
	for key := range who.keys {
		if !others[key] {
			browsers = append(browsers, key)
		}
	}
	slices.SortFunc(browsers, func(a, b edge.PersonKey) int { return bytes.Compare(a[:], b[:]) })
	return browsers, len(others), nil
}

// askErased asks of a restored directory what was asked of the house since its
// backup was made, and does it.
func askErased(ctx context.Context, s *stream.Stream, asked []edge.Erasure) (n int, err error) {
	for _, e := range asked {
		if s.Erased(e.Person, e.At) {
			continue // the backup knows
		}
		if _, err := s.ForgetAt(ctx, e.Person, e.At); err != nil {
			return n, err
		}
		n++
	}
	return n, s.EraseWaiting(ctx)
}
