// SPDX-License-Identifier: Apache-2.0

// Command genprivacy writes docs/PRIVACY.md: the purposes, what each one
// unlocks, and what an event and the state can hold.
//
// It takes purposes and fields from the engine's own tables, and what an event
// holds from the engine itself: it lets one decide about a visitor who granted
// everything, and again with each purpose refused. It states nothing about
// members that it has no words for, but fails. It does no network; the same
// engine always gives the same bytes. It runs on one goroutine.
package main

import (
	"bytes"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"strings"
	"text/template"
	"time"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

//go:generate go run . -out ../PRIVACY.md

func main() {
	out := flag.String("out", "", "`file` to write")
	flag.Parse()
	document, err := generate()
	if err == nil {
		err = os.WriteFile(*out, document, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "genprivacy:", err)
		os.Exit(1)
	}
}

//go:embed privacy.md.tmpl
var text string

// generate returns the document.
func generate() ([]byte, error) {
	members, err := eventMembers()
	if err != nil {
		return nil, err
	}
	tmpl, err := template.New("privacy").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, err
	}
	var document bytes.Buffer
	err = tmpl.Execute(&document, map[string]any{
		"Purposes":       purposes(),
		"Always":         fieldsOf(0),
		"Defaults":       defaults(),
		"Event":          members,
		"RetainDays":     edge.DefaultRetainDays,
		"MaxEventAge":    hours(edge.MaxEventAge),
		"StateDays":      hours(edge.StateMaxAge) / 24,
		"RecordDays":     hours(edge.RecordAge) / 24,
		"StateItems":     edge.MaxStateItems,
		"StateInterests": edge.MaxStateInterests, "StateVariations": edge.MaxStateVariations, "CapTimes": edge.MaxCapTimes,
		"StateLife":      hours(edge.StateMaxLife) / 24,
		"CountDays":      edge.MaxWindowDays,
		"CountKeys":      edge.MaxEvents,
		"MaxStateBytes":  edge.MaxStateBytes,
		"StateAnswers":   edge.MaxStateAttributes,
		"MaxAttributes":  edge.MaxAttributes,
		"MaxLinked":      edge.MaxLinked,
		"ProfileKeys":    edge.ProfileKeys,
		"MaxProfile":     edge.MaxProfileStored >> 10,
		"ProfileDays":    edge.DefaultProfileDays,
		"SessionMinutes": int(edge.SessionGap.Minutes()),
	})
	return document.Bytes(), err
}

func hours(d time.Duration) int { return int(d.Hours()) }

// A purpose is a row of the purposes with the fields it unlocks.
type purpose struct {
	consent.Row
	Fields []edge.Field
}

func purposes() []purpose {
	var list []purpose
	for _, row := range consent.Rows() {
		list = append(list, purpose{row, fieldsOf(row.Bit)})
	}
	return list
}

func fieldsOf(set consent.Purposes) []edge.Field {
	var list []edge.Field
	for _, field := range edge.Fields() {
		if field.Purpose == set {
			list = append(list, field)
		}
	}
	return list
}

// A fallback is what is allowed in a place where the visitor has said nothing,
// under the page policy that fits it and the site policy as shipped.
type fallback struct{ Where, Page, Allowed string }

func defaults() []fallback {
	var list []fallback
	for _, place := range []struct {
		where  string
		region consent.Region
		page   consent.PagePolicy
	}{
		{"EU, EEA, Switzerland", consent.Region{Country: "FR"}, consent.Strict},
		{"United Kingdom", consent.Region{Country: "GB"}, consent.UK},
		{"US states with an opt-out law", consent.Region{Country: "US", Subdivision: "CA"}, consent.USOptOut},
		{"elsewhere", consent.Region{Country: "JP"}, consent.Strict},
		{"unknown place", consent.Region{}, consent.Strict},
	} {
		signals := consent.Signals{Claimed: consent.All, PagePolicy: place.page}
		verdict := consent.Evaluate(&signals, &consent.Policy{}, place.region, time.Time{}) // there is no string whose age matters
		allowed := "nothing"
		if verdict.Granted != 0 {
			allowed = strings.Join(verdict.Granted.Names(), ", ")
		}
		list = append(list, fallback{place.where, place.page.String(), allowed})
	}
	return list
}
