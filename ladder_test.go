// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// withdrawals is the order in which a visitor of the demo takes consent back, one
// purpose after the other, down to none.
var withdrawals = []consent.Purposes{
	consent.Share, consent.Geo, consent.Device, consent.Personalise, consent.Profile, consent.Measure, consent.Storage, consent.Context,
}

// A ladderCase is what a slot of the demo shows to a visitor who granted so much:
// without storage there is no profile and no personalise, without measure no share.
type ladderCase struct {
	Granted []string `json:"granted"`
	Slot    string   `json:"slot"`
	// Variant is "" for the page's own content. The demo's season stands as season.
	Variant string `json:"variant"`
	Rung    string `json:"rung"`
	Reason  string `json:"reason"`
	Rule    string `json:"rule,omitempty"`
}

// aRegular is the state of somebody who came three times, looked at four hats and
// bought a scarf.
func aRegular() *edge.State {
	now := time.Now()
	s := &edge.State{Visitor: [16]byte{1, 2, 3}, First: now.AddDate(0, 0, -20), Last: now.AddDate(0, 0, -1), Started: now.AddDate(0, 0, -1), Visits: 3}
	for i, item := range []string{"fell-beanie", "shore-straw", "moor-cap", "fell-beanie"} {
		s.Learn("view_item", s.Last.Add(time.Duration(i)*time.Minute), edge.ItemEvent{Item: item, Category: "hats", Price: 38})
	}
	s.Learn("purchase", now.AddDate(0, 0, -10), edge.ItemEvent{Item: "tarn-scarf", Category: "scarves", Price: 59})
	return s
}

var seasons = regexp.MustCompile(`^(winter|summer)-`)

// shown asks the demo's slots for a regular who granted so much.
func (n *testNode) shown(t *testing.T, state string, granted consent.Purposes) []ladderCase {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"v": 1, "site": "demo", "page": map[string]any{"url": n.base + "/en/", "lang": "en"}, "why": true,
		"consent": map[string]any{"purposes": granted, "owner": map[string]any{"granted": granted, "refused": consent.All &^ granted}},
		"slots":   []string{"hero", "offer", "announce"},
	})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.base+"/_near/v1/beacon", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", n.base)
	req.Header.Set("Accept-Language", "en")
	req.Header.Set("Cookie", "__Secure-near-demo="+state)
	req.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Granted   consent.Purposes
		Decisions []struct {
			Slot, Variant, Reason, Rule string
			Why                         struct{ Rung string }
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK || !granted.Has(answer.Granted) {
		t.Fatalf("%s, granted %s of %s, %v", res.Status, answer.Granted, granted, err)
	}
	var out []ladderCase
	for _, d := range answer.Decisions {
		out = append(out, ladderCase{answer.Granted.Names(), d.Slot, seasons.ReplaceAllString(d.Variant, "season-"), d.Why.Rung, d.Reason, d.Rule})
	}
	return out
}

// A visitor of the demo takes consent back purpose by purpose. Each slot goes down its
// ladder and never ends up empty: below the last rung is the page's own content. What
// comes out is in testdata/ladder.json and, as a table, in docs/LADDER.md.
func TestTheLadderOfTheDemo(t *testing.T) {
	n := startDemo(t)
	sealer, _, err := openSealer(n.data)
	if err != nil {
		t.Fatal(err)
	}
	state := sealer.SealState("demo", aRegular())
	var cases []ladderCase
	granted := consent.All
	cases = append(cases, n.shown(t, state, granted)...)
	for _, purpose := range withdrawals {
		granted &^= purpose
		cases = append(cases, n.shown(t, state, granted)...)
	}
	if granted != 0 {
		t.Fatalf("%s is left", granted)
	}
	for _, row := range consent.Rows() { // and each of them alone
		cases = append(cases, n.shown(t, state, consent.All&^row.Bit)...)
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	for _, c := range cases {
		if err := enc.Encode(c); err != nil {
			t.Fatal(err)
		}
	}
	golden(t, filepath.Join("testdata", "ladder.jsonl"), text.String())
	golden(t, filepath.Join("docs", "LADDER.md"), ladderPage(t, cases))
}

// What was bought is not promoted again: the slot keeps the page's own content.
func TestTheDemoDoesNotPromoteWhatWasBought(t *testing.T) {
	n := startDemo(t)
	sealer, _, err := openSealer(n.data)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	s := &edge.State{First: now.AddDate(0, 0, -2), Last: now, Started: now, Visits: 1}
	ask := func(want string) {
		t.Helper()
		hero := n.shown(t, sealer.SealState("demo", s), consent.All)[0]
		if got := strings.TrimSpace(hero.Variant + " " + hero.Reason); got != want {
			t.Errorf("the hero shows %s, want %s", got, want)
		}
	}
	ask("season-phone rule")
	s.Learn("purchase", now, edge.ItemEvent{Item: "signal-gloves"}, edge.ItemEvent{Item: "shore-straw"})
	ask("suppressed")
}

// ladderPage is docs/LADDER.md.
func ladderPage(t *testing.T, cases []ladderCase) string {
	t.Helper()
	const slots = 3
	cell := func(c ladderCase) string {
		if c.Variant == "" {
			return fmt.Sprintf("the page's own (%s)", c.Reason)
		}
		return fmt.Sprintf("%s · %s", c.Variant, c.Rung)
	}
	table := func(b *strings.Builder, first string, names []string, rows []ladderCase) {
		fmt.Fprintf(b, "| %s | hero | offer | announce |\n| --- | --- | --- | --- |\n", first)
		for i, name := range names {
			fmt.Fprintf(b, "| %s |", name)
			for _, c := range rows[i*slots : (i+1)*slots] {
				fmt.Fprintf(b, " %s |", cell(c))
			}
			b.WriteByte('\n')
		}
	}
	var b strings.Builder
	b.WriteString(`# The ladder, proved

Each slot has a ladder: full profile, session, context, and below them the page's own content. Refusing a purpose moves a visitor down a
rung, not out, and no slot is ever empty. The tables are what the demo's node answers to one visitor on a phone, who came three times,
looked at hats and bought a scarf: the variant and the rung it comes from. The variants that follow the season are called season here.
A test asks the node and compares (` + "`go test . -run TestTheLadderOfTheDemo`" + `); the answers with rule and reason are in
[testdata/ladder.jsonl](../testdata/ladder.jsonl).

## One purpose after the other is taken back

`)
	names := []string{"everything is granted"}
	for _, p := range withdrawals {
		names = append(names, "then without "+p.String())
	}
	table(&b, "", names, cases)
	b.WriteString("\n## One purpose alone is refused\n\n")
	var alone []string
	for _, row := range consent.Rows() {
		alone = append(alone, "all but "+row.Name)
	}
	table(&b, "", alone, cases[len(names)*slots:])
	return b.String()
}
