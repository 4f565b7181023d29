// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nearside/nearside/console"
	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/stream"
)

// maxTimeline bounds the events of one person that are put in order: a person
// has some hundreds in a year, and a robot that passes for one must not take
// the node's memory.
const maxTimeline = 100_000

// storedEvents calls emit with the events that a query asks for.
func (w *workshop) storedEvents(ctx context.Context, q console.EventQuery, emit func([]byte) error) error {
	log := stream.Query{Site: q.Site, Since: q.Since, Follow: q.Follow}
	if q.Visitor == "" && q.Profile == "" {
		return w.events.Events(ctx, log, func(e stream.LogEvent) error { return emit(e.JSON) })
	}
	who := newPerson(w.sealer, &q)
	if q.Follow {
		return w.events.Events(ctx, log, func(e stream.LogEvent) error {
			if who.meet(&e); !who.is(&e) {
				return nil
			}
			return emit(e.JSON)
		})
	}
	return w.timeline(ctx, log, who, emit)
}

// timeline calls emit with a person's events in the order in which they
// happened, wherever: a till tells in the evening what it sold at noon. It reads
// the log twice, for the event that links two of a person's ids may come last.
func (w *workshop) timeline(ctx context.Context, log stream.Query, who *person, emit func([]byte) error) error {
	if who.profile != "" {
		links := log
		links.Since = time.Time{} // a link counts whenever it was told
		if err := w.events.Events(ctx, links, func(e stream.LogEvent) error { who.meet(&e); return nil }); err != nil {
			return err
		}
	}
	type moment struct {
		at   time.Time
		line []byte
	}
	var moments []moment
	err := w.events.Events(ctx, log, func(e stream.LogEvent) error {
		if !who.is(&e) {
			return nil
		}
		if len(moments) == maxTimeline {
			return errTimeline
		}
		moments = append(moments, moment{e.At, bytes.Clone(e.JSON)})
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(moments, func(a, b moment) int { return a.at.Compare(b.at) })
	for i := range moments {
		if err := emit(moments[i].line); err != nil {
			return err
		}
	}
	return nil
}

var errTimeline = &publishing.Error{
	Code:    publishing.CodeTooLarge,
	Message: fmt.Sprintf("one person has more than %d events: ask for fewer with since, or follow them as they were stored", maxTimeline),
}

// A person is whoever events are about: a visitor by the id that the site gave
// the browser, or a customer with the browsers that were linked to it, by events
// that name both.
type person struct {
	profile string // the customer's id as events have it, "" without one
	keys    map[edge.PersonKey]struct{}
}

func newPerson(sealer *edge.Sealer, q *console.EventQuery) *person {
	p := &person{keys: map[edge.PersonKey]struct{}{}}
	if q.Visitor != "" {
		p.keys[edge.PersonKeyOf(q.Site, q.Visitor)] = struct{}{}
	}
	if q.Profile != "" {
		p.profile = sealer.ProfileID(q.Site, q.Profile)
		p.keys[edge.PersonKeyOf(q.Site, p.profile)] = struct{}{}
	}
	return p
}

// is reports whether an event is about the person. Several customers may use one
// browser: of a customer's browsers, an event that names another customer is the
// other's.
func (p *person) is(e *stream.LogEvent) bool {
	if _, known := p.keys[e.Visitor]; !known || p.profile == "" {
		return known
	}
	named := customerIn(e.JSON)
	return named == "" || named == p.profile
}

// meet learns the browser of an event that names the person as a customer.
func (p *person) meet(e *stream.LogEvent) {
	if _, known := p.keys[e.Visitor]; known || p.profile == "" || e.Visitor == (edge.PersonKey{}) || !bytes.Contains(e.JSON, []byte(p.profile)) {
		return
	}
	if customerIn(e.JSON) == p.profile {
		p.keys[e.Visitor] = struct{}{}
	}
}

// customerIn returns the customer that a stored event names, "" for none.
func customerIn(stored []byte) string {
	var event struct{ Profile string }
	if json.Unmarshal(stored, &event) != nil {
		return ""
	}
	return event.Profile
}
