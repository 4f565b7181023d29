// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/sink"
)

// replayTime bounds the wait for a sink that is given a dead letter again.
const replayTime = 30 * time.Second

// codes of a dead letter that cannot be replayed.
const (
	codeWithheld = "withheld" // the sink may not have the event by now
	codeRefused  = "refused"  // the sink refused it again
	codeNoEvent  = "no_event" // its bytes could not be read
	codeNoSink   = "no_sink"  // the node does not run the sink
)

// Dead implements console.Dead: it calls fn with the dead letters of a site and a
// sink, of all with "", oldest first.
func (f *flows) Dead(ctx context.Context, site, sink string, fn func(edge.DeadLetter) error) error {
	return f.events.Dead(ctx, site, sink, fn)
}

// DeadLetter implements console.Dead.
func (f *flows) DeadLetter(ctx context.Context, site, id string) (edge.DeadLetter, error) {
	d, err := f.events.DeadLetter(ctx, site, id)
	return d, flowError(err, "dead letter")
}

// DropDead implements console.Dead.
func (f *flows) DropDead(ctx context.Context, site, id string) error {
	return flowError(f.events.DropDead(ctx, site, id), "dead letter")
}

// ReplayDead implements console.Dead: the letter's sink is given the event again,
// and the letter goes once it has it durably. Killed in between, the letter
// stays, and a second replay gives the event a second time.
func (f *flows) ReplayDead(ctx context.Context, site, id string) error {
	d, err := f.DeadLetter(ctx, site, id)
	if err != nil {
		return err
	}
	at := slices.Index(f.names, d.Sink)
	if at < 0 {
		return &publishing.Error{Code: codeNoSink, Field: "sink", Message: "no node runs the sink " + d.Sink}
	}
	ctx, cancel := context.WithTimeout(ctx, replayTime)
	defer cancel()
	switch err := f.pumps[at].Replay(ctx, d); {
	case err == nil:
		return f.DropDead(ctx, site, id)
	case errors.Is(err, sink.ErrWithheld):
		return &publishing.Error{Code: codeWithheld, Message: err.Error(), Err: err}
	case errors.Is(err, sink.ErrRefused):
		return &publishing.Error{Code: codeRefused, Message: err.Error(), Err: err}
	case errors.Is(err, sink.ErrNothing):
		return &publishing.Error{Code: codeNoEvent, Message: err.Error(), Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		return &publishing.Error{Code: publishing.CodeUnavailable, Field: "sink", Message: "the sink did not take it in time; nearside sinks status says how it does", Err: err}
	default:
		return flowError(err, "sink")
	}
}
