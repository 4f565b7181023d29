// SPDX-License-Identifier: Apache-2.0

package insight

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/nearside/nearside/edge"
)

// promptSlot begins the name under which a prompt's version is counted, as if it
// were a slot with the answers for variants. No slot has such a name.
const promptSlot = "prompt="

// A PromptCount is what became of one version of a site's consent prompt.
type PromptCount struct {
	Version string
	// Shown is how often it came up by itself; the others are how often it was
	// answered, also by who asked for it again.
	Shown    uint64
	Accepted uint64 // everything it asks for
	Chosen   uint64 // some of it
	Refused  uint64
}

// of returns the number that an answer's word counts in, nil for no word of ours.
func (c *PromptCount) of(answer string) *uint64 {
	switch answer {
	case edge.PromptShown.String():
		return &c.Shown
	case edge.PromptAccepted.String():
		return &c.Accepted
	case edge.PromptChosen.String():
		return &c.Chosen
	case edge.PromptRefused.String():
		return &c.Refused
	}
	return nil
}

func (t *Tally) countPrompt(at Position, e *edge.StoredEvent) {
	var told struct {
		Props struct{ Prompt, Answer string }
	}
	if json.Unmarshal(e.JSON, &told) != nil || told.Props.Prompt == "" {
		return
	}
	if c := t.fresh(at, e, promptSlot+told.Props.Prompt, told.Props.Answer); c != nil {
		c.Shown++
	}
}

// Prompts returns the counts of a site's consent prompt of the days from since on,
// by version.
func (t *Tally) Prompts(site string, since time.Time) []PromptCount {
	from := dayOf(since)
	sums := map[string]*PromptCount{}
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, d := range t.days {
		version, ok := strings.CutPrefix(k.slot, promptSlot)
		if !ok || k.site != site || k.day < from {
			continue
		}
		sum := sums[version]
		if sum == nil {
			sum = &PromptCount{Version: version}
			sums[version] = sum
		}
		for answer, c := range d.Variants {
			if n := sum.of(answer); n != nil {
				*n += c.Shown
			}
		}
	}
	out := make([]PromptCount, 0, len(sums))
	for _, sum := range sums {
		out = append(out, *sum)
	}
	slices.SortFunc(out, func(a, b PromptCount) int { return cmp.Compare(a.Version, b.Version) })
	return out
}
