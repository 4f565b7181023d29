// SPDX-License-Identifier: Apache-2.0

package lang_test

import (
	"fmt"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/wasm-rules/lang"
)

func TestNoticesOfWhatNeverHolds(t *testing.T) {
	const country = `geo.country is never `
	tests := []struct{ name, when, want string }{ // want is line:column: message; hint
		{"a device that there is", `device.type == "phone"`, ""},
		{"a device that there is not", `device.type == "mobile"`, `1:16: device.type is never "mobile"; it is phone, tablet, desktop, tv or other`},
		{"a misspelt device", `device.type != "phnoe"`, `1:16: device.type is never "phnoe"; did you mean phone?`},
		{"the constant first", `"phones" == device.type`, `1:1: device.type is never "phones"; did you mean phone?`},
		{"one of a list", `source.channel in ["ads", "maill"]`, `1:27: source.channel is never "maill"; did you mean mail?`},
		{"a class that only a channel is", `ref.class == "ads"`, `1:14: ref.class is never "ads"; it is search, social, mail, referral, internal or direct`},
		{"a surface in another line", "true &&\n  surface == \"tv\"", `2:14: surface is never "tv"; it is web, app, mail, search or service`},
		{"a country in small letters", `geo.country == "no"`, `1:16: ` + country + `"no"; write "NO"`},
		{"a country's name", `geo.country in ["SE", "Norway"]`, `1:23: ` + country + `"Norway"; write the country's two letters, as in "NO"`},
		{"countries", `geo.country in ["SE", "NO"]`, ""},
		{"an hour too many", `time.hour == 24`, `1:14: time.hour is a whole number from 0 to 23; so this is the same for everybody`},
		{"after the last hour", `time.hour > 23`, `1:13: time.hour is a whole number from 0 to 23; so this is the same for everybody`},
		{"before the end of the day", `time.hour >= 18 && time.hour < 24`, ""},
		{"from the begin of the day", `time.hour >= 0`, ""},
		{"before the first hour, turned round", `0 > time.hour`, `1:1: time.hour is a whole number from 0 to 23; so this is the same for everybody`},
		{"a Sunday of other calendars", `time.weekday in [6, 7, 0]`, `1:24: time.weekday is a whole number from 1 to 7; so this is the same for everybody`},
		{"a number with a point", `time.hour >= 24.0`, `1:14: time.hour is a whole number from 0 to 23; so this is the same for everybody`},
		{"an event that GA4 has", `count("view_item", "7d") > 2`, ""},
		{"a misspelt event", `count("veiw_item", "7d") > 2`, `1:7: veiw_item is no event that GA4 has a name for; did you mean view_item?`},
		{"an event of the site's own", `count("view_itam", "7d") > 2`, ""},
		{"an event that is like none", `count("try_on", "7d") > 2`, ""},
		{"a share for a bucket", `hash("x") < 0.5`, `1:13: hash is a whole number from 0 to 9999; write 5000`},
		{"a bucket", `hash("x") < 5000`, ""},
		{"a bucket with a point", `hash("x") < 2500.5`, ""},
		{"an empty text", `utm.source == ""`, `1:15: utm.source is never empty: without a value it is unknown; leave it out: a condition on what is not there does not hold`},
		{"an empty text of the site's own field", `tier != ""`, `1:9: tier is never empty: without a value it is unknown; leave it out: a condition on what is not there does not hold`},
		{"any word of the site's own field", `tier == "mobile"`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := edge.ReleaseDocument{
				Fields: []edge.OwnField{
					{Name: "tier", Type: "string", Purpose: "context", From: "page"},
					{Name: "tried", Type: "i64", Purpose: "context", From: "event", Event: "view_itam", Prop: "n"},
				},
				Audiences: []edge.Audience{{Name: "some", When: tt.when}},
				Slots: []edge.SlotSpec{{Name: "hero", Kind: "text", Ladder: []edge.RungSpec{{Rung: "context", Rules: []edge.RuleSpec{
					{Name: "r", When: tt.when, Score: "(" + tt.when + ") ? 1 : 0", Show: []edge.ShowSpec{{Variant: "a"}}},
				}}}}},
			}
			if _, err := lang.Compile(&doc); err != nil {
				t.Fatalf("a notice is no error: %v", err)
			}
			found := lang.Notices(&doc)
			if tt.want == "" {
				if len(found) > 0 {
					t.Errorf("noticed: %v", found[0])
				}
				return
			}
			if len(found) != 3 || found[0].Audience != "some" || found[1].Rule != "r" || found[1].Member != "when" || found[2].Member != "score" {
				t.Fatalf("noticed %v, want it in the audience, the condition and the score", found)
			}
			for _, n := range found[:2] {
				if got := fmt.Sprintf("%d:%d: %s; %s", n.Line, n.Column, n.Message, n.Hint); got != tt.want || n.Code != "notice" {
					t.Errorf("got  %s: %s\nwant %s", n.Code, got, tt.want)
				}
			}
		})
	}
}

func TestNothingIsNoticedOfWhatIsRefused(t *testing.T) {
	doc := edge.ReleaseDocument{Audiences: []edge.Audience{{Name: "a", When: `device.type == "mobile"`}, {Name: "b", When: "no field"}}}
	if found := lang.Notices(&doc); len(found) > 0 {
		t.Errorf("noticed %v", found)
	}
}
