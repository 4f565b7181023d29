// SPDX-License-Identifier: Apache-2.0

// Package sink lets stored events flow on: to files of JSON lines, to Parquet
// files, and to whoever takes webhooks.
//
// A Pump is one sink's part of the work. It reads the event log message by
// message from a mark of its own, keeps back what the sink may not have, hands
// the rest over in the log's order, and moves the mark once the sink has it
// durably. So a sink that is slow or dead costs nobody else anything: its backlog
// lies in the log. What a sink cannot take becomes a dead letter, and does not
// stop what comes behind it. Every sink can forget a person.
//
// An event reaches a sink only with the purposes that the sink needs, before it
// expires, and unless its person is forgotten.
//
// The package never changes the event log, never decides what a visitor allowed,
// and writes nothing of a visitor into an error, a log line or a status. Each
// Pump is one goroutine; its Status and Replay may be called by any.
package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nearside/nearside/edge"
)

// An Event is a stored event with its place in the log.
type Event struct {
	Seq      uint64 // of the message
	Index    int    // in the message, from 0
	Received time.Time
	edge.StoredEvent
}

// A Batch is what a sink is given at once.
type Batch struct {
	// Events are in the log's order. The sink keeps none of their memory.
	Events []Event
	// End is the newest message of which nothing is left to come: with the batch,
	// the sink has seen all it will ever get of the log up to there.
	End uint64
	// Now asks the sink to have everything durably before Write returns, instead
	// of gathering more.
	Now bool
	// Replay says that somebody waits to hear whether the sink takes these events
	// now, which it did not before.
	Replay bool
}

// A Receipt is a sink's answer to a batch.
type Receipt struct {
	// Durable is the newest End up to which the sink has everything on disk, or in
	// the receiver's hands.
	Durable uint64
	// Refused are events of the batch that the sink will never take.
	Refused []Refusal
}

// A Refusal is an event that a sink will never take.
type Refusal struct {
	// Event is its place in the batch. Parked is the event instead, if it is of an
	// earlier batch, past whose messages Durable has not gone.
	Event  int
	Parked *Event
	// Reason is a code of edge.DeadLetter, Detail the same in words without
	// anything of the visitor's.
	Reason, Detail string
	// Tries is how often it was tried, 1 at least.
	Tries int
}

// A Sink is a place that events flow on to. One goroutine uses it. After an error
// of Write or Forget that is not ctx's it is closed and opened anew, and gets
// again what was not durable; not so after ErrLeft.
type Sink interface {
	// Write takes a batch, which may be empty: it lets a sink that gathers look at
	// its clock. It returns when the sink can take the next one. A sink that knows
	// what it has takes no event a second time, unless Now asks for it.
	Write(ctx context.Context, b Batch) (Receipt, error)
	// Forget deletes what the sink holds of a person, the events that it has
	// gathered included, or tells the receiver to, after everything written
	// before. It is safe to repeat. With ErrLeft something is left, and the sink
	// goes on; it is asked again.
	Forget(ctx context.Context, f edge.Forgetting) error
	// Close lets go of what is not durable.
	Close() error
}

// kinds are the sinks that there are.
var kinds = map[string]kind{
	"jsonl":   {members: append(fileMembers, gzipMember), needs: ownNeeds, open: openLines},
	"parquet": {members: fileMembers, needs: ownNeeds, open: openParquet},
	"webhook": {members: hookMembers, needs: thirdPartyNeeds, open: openHook},
}

// ErrStopped reports a sink whose receiver does not want anything any more. It is
// not tried again until the node is restarted.
var ErrStopped = errors.New("the receiver wants no more")

// ErrLeft reports that a sink still holds something of a person who is to be
// forgotten, or cannot tell.
var ErrLeft = errors.New("a deletion is not done")

// Circumstances are what a sink is opened in.
type Circumstances struct {
	// Newest is the newest message of the log. A sink that has more than that was
	// filled from a log that is gone, and goes on from there.
	Newest uint64
	// Notice hears why a sink that tries again by itself does not get on, and nil
	// once it does; several goroutines may call it at once. It may be nil.
	Notice func(problem error)
	// Now is the clock by which events expire; time.Now if nil.
	Now func() time.Time
	// Forgotten reports whether the person of an event, in the message of a number,
	// is forgotten; nobody is if nil. A sink that holds events asks before it gives
	// them away.
	Forgotten func(p edge.Person, seq uint64) bool
}

// Open opens the sink that a spec describes.
func Open(ctx context.Context, s *Spec, c Circumstances) (Sink, error) {
	if c.Notice == nil {
		c.Notice = func(error) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Forgotten == nil {
		c.Forgotten = func(edge.Person, uint64) bool { return false }
	}
	opened, err := kinds[s.Kind].open(ctx, s, c)
	if err != nil {
		return nil, fmt.Errorf("open sink %s: %w", s.Name, err)
	}
	return opened, nil
}

// appendLine appends an event as sinks tell it: the stored event, one JSON object
// without line breaks, with one member more that says where in the log it lies,
// whose it is and until when it may be kept.
func appendLine(b []byte, e *Event) []byte {
	b = append(b, e.JSON[:len(e.JSON)-1]...) // without its last }
	b = fmt.Appendf(b, `,"log":{"seq":%d,"index":%d`, e.Seq, e.Index)
	if key := edge.PersonKey(e.Visitor); key != (edge.PersonKey{}) {
		b = fmt.Appendf(b, `,"person":"%s"`, key)
	}
	if !e.Expires.IsZero() {
		b = fmt.Appendf(b, `,"expires":%d`, e.Expires.UnixMilli())
	}
	return append(b, '}', '}')
}
