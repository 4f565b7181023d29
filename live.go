// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/insight"
	"github.com/nearside/nearside/publishing"
	"github.com/nearside/nearside/stream"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// A liveNode is what the desk may know of a running node.
type liveNode struct{ *node }

// awaitTime bounds the wait for a release to be served.
const awaitTime = 2 * time.Second

// Await implements publishing.Live. Before the node serves there is nothing to
// wait for.
func (n liveNode) Await(ctx context.Context, site string, number uint64) bool {
	if n.ready() != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, awaitTime)
	defer cancel()
	for {
		if r, ok := n.engine.Release(site); ok && r.Number() >= number {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(time.Millisecond):
		}
	}
}

// Health implements publishing.Live. Rules of one module with several settings
// are told apart by Loaded.
func (n liveNode) Health(site string, modules []edge.ModuleRef) []publishing.Health {
	var out []publishing.Health
	for _, s := range n.rules.Status() {
		if s.Site != site || !slices.ContainsFunc(modules, func(ref edge.ModuleRef) bool { return ref.Hash == s.Hash }) {
			continue
		}
		h := publishing.Health{
			Module: s.Module, Hash: s.Hash, Calls: s.Calls, Faults: s.Failed(), Spent: s.Faults[wasmrules.FaultBudget],
			Budget: s.Budget, FuelMean: s.MeanFuel(), FuelMax: s.MaxFuel, Loaded: s.Loaded,
		}
		h.Faults -= h.Spent
		if !s.QuarantinedUntil.IsZero() {
			h.Quarantined, h.Until = true, s.QuarantinedUntil
			h.Reason = fmt.Sprintf("%d of its calls failed", s.Failed())
		}
		out = append(out, h)
	}
	return out
}

// Shadows implements publishing.Live.
func (n liveNode) Shadows(site string) []edge.ShadowReport { return n.engine.Shadows(site) }

// Counts implements publishing.Live.
func (n liveNode) Counts(_ context.Context, site string, since time.Time) ([]publishing.Count, error) {
	var out []publishing.Count
	for _, c := range n.tally.Counts(site, since) {
		out = append(out, publishing.Count{Slot: c.Slot, Variant: c.Variant, Shown: c.Shown, Clicked: c.Clicked})
	}
	return out, nil
}

// Prompts implements publishing.Live.
func (n liveNode) Prompts(_ context.Context, site string, since time.Time) ([]publishing.PromptCount, error) {
	var out []publishing.PromptCount
	for _, c := range n.tally.Prompts(site, since) {
		out = append(out, publishing.PromptCount(c))
	}
	return out, nil
}

// Preview implements edge.Previewer.
func (n liveNode) Preview(site, id string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), previewTime)
	defer cancel()
	return n.desk.PreviewDocument(ctx, site, id)
}

// previewTime bounds the look for a preview, for which a page waits.
const previewTime = 2 * time.Second

// tallyGather is how long events wait to be counted: so long that a wake-up counts some,
// and so short that they take no time of which an answer would hear.
const tallyGather = 100 * time.Millisecond

// tallyLog is the event log as the tally reads it.
type tallyLog struct{ *stream.Stream }

// Follow implements insight.Log.
func (l tallyLog) Follow(ctx context.Context, after uint64, each func(insight.Position, *edge.StoredEvent) error) error {
	var event edge.StoredEvent // one for all of them
	return l.Events(ctx, stream.Query{After: after, Follow: true, Gather: tallyGather}, func(e stream.LogEvent) error {
		event = e.StoredEvent
		return each(insight.Position{Seq: e.Seq, Index: e.Index}, &event)
	})
}
