// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/sink"
	"github.com/nearside/nearside/stream"
)

// flows are where the events of a data directory flow on to: the sinks that a
// node runs, and of every sink what the log remembers. It erases persons from
// there and from the log. It is safe for concurrent use.
type flows struct {
	events *stream.Stream
	pumps  []*sink.Pump // none without a node
	names  []string     // of the pumps
	specs  []*sink.Spec // the same
}

// flowLog is the log as sinks read it.
type flowLog struct{ *stream.Stream }

// Next implements sink.Log.
func (l flowLog) Next(ctx context.Context, after uint64) (sink.Frame, error) {
	f, err := l.Stream.Next(ctx, after)
	if errors.Is(err, stream.ErrClosed) {
		err = edge.ErrEnded
	}
	return sink.Frame{Seq: f.Seq, Site: f.Site, Received: f.Received, Events: f.Events, Damaged: f.Damaged != nil, Lost: f.Lost}, err
}

// Backlog implements sink.Log.
func (l flowLog) Backlog(ctx context.Context, after uint64) (uint64, time.Time, error) {
	b, err := l.Stream.Backlog(ctx, after)
	return b.Messages, b.Oldest, err
}

// MarkOf implements sink.Ledger.
func (l flowLog) MarkOf(ctx context.Context, name string) (sink.Mark, error) {
	m, err := l.Stream.MarkOf(ctx, name)
	return sink.Mark(m), err
}

// PutMark implements sink.Ledger.
func (l flowLog) PutMark(ctx context.Context, name string, m sink.Mark) error {
	return l.Stream.PutMark(ctx, name, stream.Mark(m))
}

// readSinks reads the file of sinks, "" for none.
func readSinks(file string) ([]*sink.Spec, error) {
	if file == "" {
		return nil, nil
	}
	content, err := readFile(file, sink.MaxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("--sinks: %w", err)
	}
	specs, err := sink.Parse(file, content, lookupEnv)
	if err != nil {
		return nil, fmt.Errorf("--sinks: %w", err)
	}
	return specs, nil
}

// open makes the pumps; serve runs them.
// It is called before the node stores anything.
func (f *flows) open(ctx context.Context, file string, log *slog.Logger) error {
	specs, err := readSinks(file)
	if err != nil || len(specs) == 0 {
		return err
	}
	_, newest, err := f.events.Ends(ctx)
	if err != nil {
		return fmt.Errorf("open sinks: %w", err)
	}
	from := flowLog{f.events}
	for _, spec := range specs {
		f.pumps = append(f.pumps, sink.New(sink.Options{Spec: spec, Log: from, Ledger: from, Persons: from, Newest: newest, Logger: log, Now: f.events.Now}))
		f.names = append(f.names, spec.Name)
		f.specs = append(f.specs, spec)
	}
	return nil
}

// Sinks implements console.Flow: the sinks that run, and those that did and have
// a mark still.
func (f *flows) Sinks(ctx context.Context) ([]edge.SinkStatus, error) {
	marks, err := f.events.Marks(ctx)
	if err != nil {
		return nil, flowError(err, "sink")
	}
	all := []edge.SinkStatus{}
	for i, p := range f.pumps {
		all = append(all, p.Status(ctx))
		delete(marks, f.names[i])
	}
	for name, mark := range marks {
		waiting, _ := f.events.Forgettings(mark.Forgets)
		s := edge.SinkStatus{Name: name, State: edge.SinkIdle, Position: mark.Seq, Forgetting: len(waiting)}
		if b, err := f.events.Backlog(ctx, mark.Seq); err == nil {
			s.Backlog, s.Oldest = b.Messages, b.Oldest
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b edge.SinkStatus) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// DropSink implements console.Flow: the log forgets a sink that nobody runs.
func (f *flows) DropSink(ctx context.Context, name string) error {
	if slices.Contains(f.names, name) {
		return &publishing.Error{Code: publishing.CodeConflict, Field: "sink", Message: "the node runs this sink: take it out of the file of --sinks first, and restart"}
	}
	if _, err := f.events.MarkOf(ctx, name); err != nil {
		return flowError(err, "sink")
	}
	return flowError(f.events.DropMark(ctx, name), "sink")
}

// flowError says what the store's trouble is in the admin API's words.
func flowError(err error, what string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, edge.ErrNone):
		return &publishing.Error{Code: publishing.CodeNotFound, Message: "there is no such " + what, Err: err}
	case errors.Is(err, stream.ErrInvalid):
		return &publishing.Error{Code: publishing.CodeInvalid, Message: err.Error(), Err: err}
	}
	return &publishing.Error{Code: publishing.CodeUnavailable, Message: what + ": " + err.Error(), Err: err}
}

// writeMetrics writes what the sinks count, by the sink's name: there are as many
// as the file has.
func (f *flows) writeMetrics(ctx context.Context, w io.Writer) error {
	all, err := f.Sinks(ctx)
	if err != nil {
		return err
	}
	series := []struct {
		kind, name, help string
		value            func(*edge.SinkStatus) uint64
	}{
		{"gauge", "nearside_sink_up", "whether a sink gets on: 1 or 0", func(s *edge.SinkStatus) uint64 {
			if s.State == edge.SinkRunning {
				return 1
			}
			return 0
		}},
		{"gauge", "nearside_sink_backlog_messages", "messages of the log that a sink does not have yet", func(s *edge.SinkStatus) uint64 { return s.Backlog }},
		{"gauge", "nearside_sink_backlog_age_seconds", "how long the oldest of them has waited", func(s *edge.SinkStatus) uint64 {
			if s.Oldest.IsZero() {
				return 0
			}
			return uint64(max(0, time.Since(s.Oldest)/time.Second))
		}},
		{"counter", "nearside_sink_written_events_total", "events that a sink has taken", func(s *edge.SinkStatus) uint64 { return s.Written }},
		{"counter", "nearside_sink_dead_events_total", "events that became dead letters", func(s *edge.SinkStatus) uint64 { return s.Dead }},
		{"counter", "nearside_sink_lost_messages_total", "messages that left the log before a sink had them", func(s *edge.SinkStatus) uint64 { return s.Lost }},
		{"counter", "nearside_sink_retries_total", "attempts of a sink that failed", func(s *edge.SinkStatus) uint64 { return s.Retries }},
		{"gauge", "nearside_sink_forgettings_waiting", "persons whom a sink has yet to forget", func(s *edge.SinkStatus) uint64 { return uint64(s.Forgetting) }},
	}
	for _, m := range series {
		family(w, m.kind, m.name, m.help)
		for i := range all {
			fmt.Fprintf(w, "%s{sink=%q} %d\n", m.name, all[i].Name, m.value(&all[i]))
		}
	}
	family(w, "counter", "nearside_sink_skipped_events_total", "events that a sink may not have, by why")
	for i := range all {
		for _, why := range sink.Reasons() {
			fmt.Fprintf(w, "nearside_sink_skipped_events_total{sink=%q,why=%q} %d\n", all[i].Name, why, all[i].Skipped[why])
		}
	}
	return nil
}
