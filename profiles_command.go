// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"text/tabwriter"

	"github.com/nearside/nearside/edge"
)

const profilesLine = "profiles show --site ID --profile CUSTOMER [settings]"

// profilesCommand shows what is held of a known person.
func profilesCommand(ctx context.Context, args []string, io stdio) error {
	switch {
	case len(args) > 0 && args[0] == "show":
		return showProfileCommand(ctx, args[1:], io)
	case len(args) > 0 && isHelp(args[0]):
		fmt.Fprintf(io.out, "Usage: nearside %s\n\nnearside profiles show --help lists the settings.\n", profilesLine)
		return nil
	}
	return usagef("want nearside %s", profilesLine)
}

func showProfileCommand(ctx context.Context, args []string, io stdio) error {
	cfg := defaults()
	fs := cfg.flags(profilesLine, io.out, clientSettings...)
	asJSON := fs.Bool("json", false, "print the API's answer as JSON")
	var site, customer string
	siteFlag(fs, &site)
	fs.StringVar(&customer, "profile", "", "the customer whom the site knows by this `id`")
	if err := cfg.parse(fs, args); err != nil {
		return err
	}
	if site == "" || customer == "" {
		return usagef("want --site ID --profile CUSTOMER")
	}
	r := apiRequest{method: http.MethodGet, path: "/v1/sites/" + url.PathEscape(site) + "/profile?" + url.Values{"profile": {customer}}.Encode()}
	var p edge.ProfileReport
	if err := callNode(ctx, &cfg, io, r, &p); err != nil {
		return err
	}
	if *asJSON {
		return printJSON(io, p)
	}
	return printProfile(io, &p)
}

// printProfile prints all of a profile.
func printProfile(io stdio, p *edge.ProfileReport) error {
	t := &table{tabwriter.NewWriter(io.out, 0, 8, 2, ' ', 0)}
	t.row("profile", p.Profile)
	t.row("lots by", p.Lot)
	t.row("began", clock(p.Began))
	t.row("touched", clock(p.Seen))
	t.row("last there", clock(p.Visited))
	t.row("kept until", clock(p.Kept))
	for _, id := range p.Linked {
		t.row("was visitor", id)
	}
	t.row("stage", p.Journey.Stage, p.Journey.Intent)
	t.row("products viewed", p.Journey.Views)
	t.row("orders", p.Journey.Orders, clock(p.Journey.FirstOrder), clock(p.Journey.LastOrder))
	t.row("event keys", p.EventKeys)
	t.row()
	t.row("ATTRIBUTE", "VALUE", "ORIGIN", "PURPOSE", "TOLD", "EXPIRES")
	for _, a := range p.Tells {
		t.row(a.Name, string(a.Value), a.Origin, a.Purpose, clock(a.At), clock(a.Expires))
	}
	t.row()
	t.row("ITEM", "CATEGORY", "VIEWED", "BOUGHT", "IN THE CART", "QUANTITY")
	for _, i := range p.Items {
		t.row(i.ID, i.Category, clock(i.Viewed), clock(i.Bought), clock(i.Cart), i.Quantity)
	}
	for _, list := range []struct {
		name   string
		values map[string]float64
	}{{"INTEREST", p.Interests}, {"ACTIVITY", p.Activity}} {
		t.row()
		t.row(list.name, "LEFT")
		for _, name := range slices.Sorted(maps.Keys(list.values)) {
			t.row(name, list.values[name])
		}
	}
	for _, c := range p.Counters {
		t.row()
		t.row("COUNTED "+c.Event, "TIMES")
		for _, d := range c.Days {
			t.row(d.Day, d.Count)
		}
	}
	if len(p.Variations) > 0 {
		t.row()
		t.row("VARIATION OF", "IS", "FIRST SEEN")
		for _, v := range p.Variations {
			t.row(fmt.Sprintf("%08x", v.Hash), fmt.Sprintf("%08x", v.VariantHash), clock(v.At))
		}
	}
	return t.Flush()
}
