// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/nearside/nearside/edge"
	wasmrules "github.com/nearside/nearside/wasm-rules"
)

// A replayer answers recorded decisions again, for the desk.
type replayer struct{ *workshop }

// Find implements publishing.Replayer. Only the site's own seal opens a
// decision's token, so each site's is tried.
func (r replayer) Find(ctx context.Context, decision string) (string, error) {
	sites, err := r.events.Sites(ctx)
	if err != nil {
		return "", err
	}
	for _, site := range sites {
		if _, err := r.sealer.OpenDecisionID(site, decision); err == nil {
			return site, nil
		}
	}
	return "", fmt.Errorf("%w: no site here made it", edge.ErrNone)
}

// errFound ends a search.
var errFound = errors.New("found")

// Replay implements publishing.Replayer.
func (r replayer) Replay(ctx context.Context, site, decision string) (*edge.Replay, error) {
	id, err := r.sealer.OpenDecisionID(site, decision)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", edge.ErrNone, err)
	}
	var record []byte
	// The token's time is exact to a second.
	err = r.events.Records(ctx, site, id.At.Add(-time.Second), id.At.Add(2*time.Second), func(rec edge.StoredRecord) error {
		if !edge.RecordHolds(rec.Bytes, decision) {
			return nil
		}
		record = append(record, rec.Bytes...)
		return errFound
	})
	switch {
	case record == nil && err == nil:
		return nil, fmt.Errorf("%w: the visitor did not grant measure, or it is older than %d days", edge.ErrNone, edge.RecordAge/(24*time.Hour))
	case err != nil && !errors.Is(err, errFound):
		return nil, err
	}
	document, err := r.events.ReleaseAt(ctx, site, id.Release)
	if err != nil {
		return nil, err
	}
	release, err := edge.CompileRelease(document, r.rules.Rehearsal())
	if err != nil {
		return nil, fmt.Errorf("release %d: %w", id.Release, err)
	}
	return release.Replay(record, decision, wasmrules.DecodeRecord)
}

// replayCommand answers a recorded decision again and says what it saw.
func replayCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags("replay DECISION [settings]", io.out, clientSettings...)
	asJSON := fs.Bool("json", false, "print the API's answer as JSON")
	if err := cfg.parse(fs, args, "DECISION"); err != nil {
		return err
	}
	var replay edge.Replay
	r := apiRequest{method: http.MethodPost, path: "/v1/replay", json: map[string]string{"decision": fs.Arg(0)}}
	if err := callNode(ctx, &cfg, io, r, &replay); err != nil {
		return err
	}
	if *asJSON {
		if err := printJSON(io, replay); err != nil {
			return err
		}
	} else if err := printReplay(io, &replay); err != nil {
		return err
	}
	if !replay.Same {
		return errors.New("it came out differently")
	}
	return nil
}

// printReplay tells the decision that was asked for, and in short the others of
// its page view.
func printReplay(io stdio, r *edge.Replay) error {
	t := &table{tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)}
	t.row("site "+r.Site, fmt.Sprintf("release %d", r.Release), clock(r.At), fmt.Sprintf("granted: %v", r.Granted))
	for i := range r.Decisions {
		d := &r.Decisions[i]
		asked := ""
		if d.Asked {
			asked = "← asked for"
		}
		t.row()
		t.row("slot "+d.Slot, shownName(d.Then.Variant), d.Then.Reason, d.Then.Rule, sameness(d.Same), asked)
		if !d.Same {
			t.row("  now", shownName(d.Now.Variant), d.Now.Reason, d.Now.Rule)
		}
		for j := range d.Tried {
			try := &d.Tried[j]
			t.row("  "+try.Rung, try.Rule, describeAnswer(&try.Then), "module "+short(try.Module), sameness(try.Same))
			if !try.Same {
				t.row("    now", "", describeAnswer(&try.Now))
			}
			for _, saw := range try.Saw {
				t.row("    saw "+saw.Field, string(saw.Value))
			}
			if len(try.Saw) == 0 {
				t.row("    saw nothing")
			}
			for k := range try.Rules {
				rule := &try.Rules[k]
				t.row("    "+rule.Rule, rule.Reason, describeCondition(rule))
			}
		}
	}
	return t.Flush()
}

// describeCondition says what became of the condition of a rule without code, and
// what else kept the rule from answering.
func describeCondition(t *edge.Try) string {
	said := ""
	if c := t.Condition; c != nil && c.Words != "" {
		said = c.Words + ": " + c.Verdict
	}
	switch t.Outside {
	case "":
		return said
	case "share":
		return strings.TrimPrefix(said+"; the visitor is not in its share", "; ")
	}
	return strings.TrimPrefix(said+"; its "+t.Outside+" is not live", "; ")
}

func describeAnswer(a *edge.ReplayedAnswer) string {
	return fmt.Sprintf("%s, variant %d, score %d, fuel %d", a.Reason, a.Variant, a.Score, a.Fuel)
}

func sameness(same bool) string {
	if same {
		return "the same again"
	}
	return "DIFFERENT NOW"
}
