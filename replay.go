// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"text/tabwriter"

	"github.com/nearside/nearside/edge"
)

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
	} else {
		printReplay(io, &replay)
	}
	if !replay.Same {
		return errors.New("it came out differently")
	}
	return nil
}

// printReplay tells the decision that was asked for, and in short the others of
// its page view.
func printReplay(io stdio, r *edge.Replay) {
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
		}
	}
	t.Flush()
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
