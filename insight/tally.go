// SPDX-License-Identifier: Apache-2.0

package insight

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nearside/nearside/edge"
)

// Log is the event log.
type Log interface {
	// Follow calls each for every event behind message after, in order, and goes
	// on with events as they are stored until ctx ends or each fails. The event's
	// JSON is valid until each returns.
	Follow(ctx context.Context, after uint64, each func(Position, *edge.StoredEvent) error) error
}

// Notes keeps small JSON documents by key, each with a revision.
type Notes interface {
	// PutNote writes the note under key if it has the revision, 0 for one that
	// is not there, and returns its next one.
	PutNote(ctx context.Context, key string, value []byte, revision uint64) (uint64, error)
	// Notes returns the notes whose keys begin with prefix and a dot.
	Notes(ctx context.Context, prefix string) ([]edge.Note, error)
	DeleteNote(ctx context.Context, key string, revision uint64) error
}

// Options are what a Tally works with. Log and Notes are needed.
type Options struct {
	Log   Log
	Notes Notes
	// Every is how often counts are written; default 5 s. A crash costs reading
	// that much of the log again.
	Every time.Duration
	// Days is how long counts are kept; default edge.MaxRetainDays.
	Days int
	// Logger gets what goes wrong; default none.
	Logger *slog.Logger
	// Now is time.Now if nil.
	Now func() time.Time
}

// A Tally counts. Make it with New and let Run run.
type Tally struct {
	o Options

	mu   sync.Mutex
	read Position // the last event that was counted or passed over
	days map[dayKey]*day

	writing   sync.Mutex
	written   Position          // read, as the cursor's note says
	revisions map[string]uint64 // of the notes, by key
}

// New returns a tally that has counted nothing yet.
func New(o Options) *Tally {
	if o.Every == 0 {
		o.Every = 5 * time.Second
	}
	if o.Days == 0 {
		o.Days = edge.MaxRetainDays
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Tally{o: o}
}

// Run reads what was counted before, goes on from there and counts until ctx
// ends; then it writes what it has and returns nil. It fails only when the log
// or the notes cannot be read at all, and may be called again then; it must not
// be called twice at once.
func (t *Tally) Run(ctx context.Context) error {
	if err := t.load(ctx); err != nil {
		return fmt.Errorf("read counts: %w", err)
	}
	var wg sync.WaitGroup
	reading, stop := context.WithCancel(ctx)
	wg.Go(func() { t.writeEvery(reading) })
	// The message in which the last event stands may hold more behind it.
	err := t.o.Log.Follow(reading, max(t.read.Seq, 1)-1, func(at Position, e *edge.StoredEvent) error {
		t.count(at, e)
		return nil
	})
	stop()
	wg.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.o.Every)
	defer cancel()
	if err := t.write(last); err != nil {
		t.o.Logger.Warn("counts not written; they are counted again", "error", err)
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("follow events: %w", err)
}

func (t *Tally) writeEvery(ctx context.Context) {
	tick := time.NewTicker(t.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := t.write(ctx); err != nil && ctx.Err() == nil {
			t.o.Logger.Warn("counts not written", "error", err)
		}
	}
}

// A shown is what of a slot's event is counted.
type shown struct {
	Decision struct{ Slot, Variant, Reason, Shown string }
}

// count counts one event, unless it is neither a slot's nor a prompt's or was
// counted before.
func (t *Tally) count(at Position, e *edge.StoredEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !at.after(t.read) {
		return
	}
	t.read = at
	switch e.Name {
	case "slot_click", "slot_impression":
		t.countSlot(at, e)
	case edge.PromptEvent:
		t.countPrompt(at, e)
	}
}

func (t *Tally) countSlot(at Position, e *edge.StoredEvent) {
	var s shown
	if json.Unmarshal(e.JSON, &s) != nil || s.Decision.Slot == "" || s.Decision.Reason == edge.ReasonPreview.String() {
		return
	}
	if s.Decision.Shown != "variant" { // too late, or none: they saw the page's own
		s.Decision.Variant = ""
	}
	c := t.fresh(at, e, s.Decision.Slot, s.Decision.Variant)
	switch {
	case c == nil:
	case e.Name == "slot_click":
		c.Clicked++
	default:
		c.Shown++
	}
}

// fresh returns the counts that an event belongs to, nil if it is in them already.
func (t *Tally) fresh(at Position, e *edge.StoredEvent, slot, variant string) *counts {
	d := t.day(dayKey{strings.Clone(e.Site), dayOf(e.At), slot})
	if !at.after(d.Upto) {
		return nil
	}
	d.Upto, d.changed = at, true
	return d.of(variant)
}

func (t *Tally) day(k dayKey) *day {
	d := t.days[k]
	if d == nil {
		d = &day{Variants: map[string]*counts{}}
		t.days[k] = d
	}
	return d
}

// A Count is how often a slot's variant was shown and clicked.
type Count struct {
	Slot string
	// Variant is empty for the page's own content.
	Variant        string
	Shown, Clicked uint64
}

// Counts returns a site's counts of the days from since on, by slot and variant.
func (t *Tally) Counts(site string, since time.Time) []Count {
	from := dayOf(since)
	sums := map[[2]string]*Count{}
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, d := range t.days {
		if k.site != site || k.day < from || strings.HasPrefix(k.slot, promptSlot) {
			continue
		}
		for variant, c := range d.Variants {
			sum := sums[[2]string{k.slot, variant}]
			if sum == nil {
				sum = &Count{Slot: k.slot, Variant: variant}
				sums[[2]string{k.slot, variant}] = sum
			}
			sum.Shown += c.Shown
			sum.Clicked += c.Clicked
		}
	}
	out := make([]Count, 0, len(sums))
	for _, sum := range sums {
		out = append(out, *sum)
	}
	slices.SortFunc(out, func(a, b Count) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.Variant, b.Variant))
	})
	return out
}

// load reads the notes of an earlier run.
func (t *Tally) load(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.days, t.read, t.written, t.revisions = map[dayKey]*day{}, Position{}, Position{}, map[string]uint64{}
	notes, err := t.o.Notes.Notes(ctx, "counts")
	for _, n := range notes {
		t.revisions[n.Key] = n.Revision
		if n.Key == cursorNote {
			err = errors.Join(err, json.Unmarshal(n.Value, &t.read))
			t.written = t.read
		} else if k, ok := parseDayKey(n.Key); ok {
			t.days[k] = &day{Variants: map[string]*counts{}}
			err = errors.Join(err, json.Unmarshal(n.Value, t.days[k]))
		}
	}
	return err
}
