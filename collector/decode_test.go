// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

var update = flag.Bool("update", false, "rewrite what the case files want")

// An acceptedCase is a file of testdata/beacons/accepted: a body, and what the
// decoder makes of it.
type acceptedCase struct {
	Why      string           `json:"why"`
	Text     string           `json:"text"` // the body, byte by byte
	Want     wireBeacon       `json:"want"`
	Rejected []edge.Rejection `json:"rejected,omitempty"`
	Refused  []refusedPart    `json:"refused,omitempty"` // slots
}

// A refusedPart is a part of a beacon that is refused alone.
type refusedPart struct {
	Code  string `json:"code"`
	Field string `json:"field"`
}

func refusedParts(passed []DecodeError) (list []refusedPart) {
	for _, e := range passed {
		list = append(list, refusedPart{e.Code, e.Field})
	}
	return list
}

func caseFiles(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no case file matches %s: %v", pattern, err)
	}
	return files
}

func readCase(t testing.TB, file string, into any) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func writeCase(t testing.TB, file string, c any) {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(c); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

func sentence(file string) string {
	return strings.ReplaceAll(strings.TrimSuffix(filepath.Base(file), ".json"), "-", " ")
}

func TestAcceptedBeacons(t *testing.T) {
	for _, file := range caseFiles(t, "testdata/beacons/accepted/*.json") {
		t.Run(sentence(file), func(t *testing.T) {
			var c acceptedCase
			readCase(t, file, &c)
			var d Decoder
			var b edge.Beacon
			if err := d.DecodeBeacon([]byte(c.Text), &b); err != nil {
				t.Fatalf("refused: %v", err)
			}
			got, rejected, refused := wireOf(&b), slices.Clone(d.Rejected()), refusedParts(d.passedOver())
			if *update {
				c.Want, c.Rejected, c.Refused = got, rejected, refused
				writeCase(t, file, &c)
				return
			}
			if got, want := mustJSON(t, got), mustJSON(t, c.Want); got != want {
				t.Errorf("decoded\n%s\nwant\n%s", got, want)
			}
			if !slices.Equal(rejected, c.Rejected) {
				t.Errorf("rejected %+v, want %+v", rejected, c.Rejected)
			}
			if !slices.Equal(refused, c.Refused) {
				t.Errorf("refused %+v, want %+v", refused, c.Refused)
			}
		})
	}
}

// A refusedCase is a file of testdata/beacons/refused: a body, and how it is
// refused.
type refusedCase struct {
	Why   string `json:"why"`
	Text  string `json:"text"`
	Code  string `json:"code"`
	Field string `json:"field"`
}

func TestRefusedBeacons(t *testing.T) {
	for _, file := range caseFiles(t, "testdata/beacons/refused/*.json") {
		t.Run(sentence(file), func(t *testing.T) {
			var c refusedCase
			readCase(t, file, &c)
			var d Decoder
			var b edge.Beacon
			err := d.DecodeBeacon([]byte(c.Text), &b)
			var decode *DecodeError
			if !errors.As(err, &decode) {
				t.Fatalf("error %v, want a *DecodeError", err)
			}
			if decode.Code != c.Code || decode.Field != c.Field {
				t.Errorf("refused as %s at %q, want %s at %q", decode.Code, decode.Field, c.Code, c.Field)
			}
			if decode.Err == nil || decode.Error() == "" {
				t.Error("the error says nothing")
			}
		})
	}
}

// TestLimits builds, for every limit of the wire, a beacon that just keeps it
// and one that just breaks it.
func TestLimits(t *testing.T) {
	text := func(n int) any { return strings.Repeat("a", n) }
	list := func(value any) func(int) any { return func(n int) any { return slices.Repeat([]any{value}, n) } }
	tests := []struct {
		name  string
		most  int
		path  string // of the value, dots between members
		value func(n int) any
		code  string
		field string // if not path
	}{
		{"site", edge.MaxSiteBytes, "site", text, "too_long", ""},
		{"page id", edge.MaxIDBytes, "page.id", text, "too_long", ""},
		{"page address", edge.MaxURLBytes, "page.url", text, "too_long", ""},
		{"referrer", edge.MaxURLBytes, "page.ref", text, "too_long", ""},
		{"title", edge.MaxTitleBytes, "page.title", text, "too_long", ""},
		{"page type", edge.MaxWordBytes, "page.type", text, "too_long", ""},
		{"category", edge.MaxWordBytes, "page.category", text, "too_long", ""},
		{"item", edge.MaxWordBytes, "page.item", text, "too_long", ""},
		{"page language", edge.MaxLangBytes, "page.lang", text, "too_long", ""},
		{"tags", edge.MaxTags, "page.tags", list("felt"), "too_many", ""},
		{"a tag", edge.MaxTagBytes, "page.tags", func(n int) any { return []any{"felt", strings.Repeat("a", n)} }, "too_long", "page.tags[1]"},
		{"languages", edge.MaxLangs, "client.langs", list("fr"), "too_many", ""},
		{"a language", edge.MaxLangBytes, "client.langs", func(n int) any { return []any{strings.Repeat("a", n)} }, "too_long", "client.langs[0]"},
		{"time zone", maxZoneBytes, "client.tz", text, "too_long", ""},
		{"viewport", maxPixels, "client.viewport", func(n int) any { return []any{800, n} }, "bad_value", "client.viewport[1]"},
		{"screen", maxPixels, "client.screen", func(n int) any { return []any{n, 600} }, "bad_value", "client.screen[0]"},
		{"state", edge.MaxStateBytes, "state", text, "too_long", ""},
		{"a prompt's version", edge.MaxPromptBytes, "prompt.version", text, "too_long", ""},
		{"slots", edge.MaxSlots, "slots", list("hero"), "too_many", ""},
		{"decisions shown", edge.MaxBeaconShown, "shown", list("AQ"), "too_many", ""},
		{"a decision shown", edge.MaxStateBytes, "shown", func(n int) any { return []any{strings.Repeat("a", n)} }, "too_long", "shown[0]"},
		{"a slot's name", edge.MaxNameBytes, "slots", func(n int) any { return []any{strings.Repeat("a", n)} }, "too_long", "slots[0]"},
		{"a slot's item", edge.MaxWordBytes, "slots", func(n int) any {
			return []any{map[string]any{"name": "a", "item": strings.Repeat("a", n)}}
		}, "too_long", "slots[0].item"},
		{"a slot's limit", maxSlotLimit, "slots", func(n int) any { return []any{"a", map[string]any{"name": "b", "limit": n}} }, "bad_value", "slots[1].limit"},
		{"TCF string", consent.MaxTCFBytes, "consent.tcf", text, "too_long", ""},
		{"GPP string", consent.MaxGPPBytes, "consent.gpp", text, "too_long", ""},
		{"GPP sections", consent.MaxGPPSections, "consent.gppSid", list(7), "too_many", ""},
		{"nesting", edge.MaxDepth - 1, "unknown", func(n int) any {
			var nested any = 1
			for range n {
				nested = []any{nested}
			}
			return nested
		}, "too_deep", "-"},
		{"events and surplus", edge.MaxEvents + maxRefusedEvents, "events", list(map[string]any{}), "too_many", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d Decoder
			var b edge.Beacon
			if err := d.DecodeBeacon(bodyWith(t, tt.path, tt.value(tt.most)), &b); err != nil {
				t.Errorf("%d is refused: %v", tt.most, err)
			}
			err := d.DecodeBeacon(bodyWith(t, tt.path, tt.value(tt.most+1)), &b)
			if passed := d.passedOver(); err == nil && len(passed) == 1 {
				err = &passed[0]
			}
			field := tt.field
			switch field {
			case "":
				field = tt.path
			case "-":
				field = ""
			}
			var decode *DecodeError
			if !errors.As(err, &decode) || decode.Code != tt.code || decode.Field != field {
				t.Errorf("%d gives %v, want %s at %q", tt.most+1, err, tt.code, field)
			}
		})
	}
}

// TestABrokenTextIsRefusedAsSuch holds that what a part would be passed over for does not
// stand for what is wrong with the text behind it.
func TestABrokenTextIsRefusedAsSuch(t *testing.T) {
	deep := strings.Repeat("[", edge.MaxDepth) + strings.Repeat("]", edge.MaxDepth)
	for body, want := range map[string]string{
		`{"v":1,"site":"demo","slots":[{"limit":"x","name":hero}]}`:                    "bad_json ",
		`{"v":1,"site":"demo","page":{"tags":[7,"felt}}`:                               "bad_json ",
		`{"v":1,"site":"demo","slots":[{"limit":"x","name":"hero","a":` + deep + `}]}`: "too_deep slots",
		`{"v":1,"site":"demo","page":{"tags":[7,` + deep + `]}}`:                       "too_deep page.tags",
	} {
		var d Decoder
		var b edge.Beacon
		var e *DecodeError
		if err := d.DecodeBeacon([]byte(body), &b); !errors.As(err, &e) || e.Code+" "+e.Field != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
	}
}

// TestOnlySoMuchIsPassedOver holds that an answer does not grow with what is refused.
func TestOnlySoMuchIsPassedOver(t *testing.T) {
	page := func(n int) []byte {
		return []byte(`{"v":1,"site":"demo","page":{` + strings.Repeat(`"title":1,`, n) + `"item":"lamp"}}`)
	}
	var d Decoder
	var b edge.Beacon
	if err := d.DecodeBeacon(page(maxPassed), &b); err != nil || len(d.passedOver()) != maxPassed || b.Page.Item != "lamp" {
		t.Errorf("%d parts passed over, item %q: %v", len(d.passedOver()), b.Page.Item, err)
	}
	var decode *DecodeError
	if err := d.DecodeBeacon(page(maxPassed+1), &b); !errors.As(err, &decode) || decode.Code != "wrong_type" || decode.Field != "page.title" {
		t.Errorf("got %v, want wrong_type at page.title", err)
	}
}

func TestTooLargeABodyIsNotRead(t *testing.T) {
	var d Decoder
	var b edge.Beacon
	body := bodyWith(t, "unknown", strings.Repeat("a", edge.MaxBeaconBytes))
	var decode *DecodeError
	if err := d.DecodeBeacon(body, &b); !errors.As(err, &decode) || decode.Code != "too_long" {
		t.Errorf("got %v, want too_long", err)
	}
	if b.Site != "" {
		t.Error("the body was read")
	}
}

func TestDecodeWithdrawal(t *testing.T) {
	tests := []struct {
		name, body  string
		want        withdrawal
		code, field string
	}{
		{name: "what is still granted is read", body: `{"v":1,"site":"demo","purposes":5}`, want: withdrawal{"demo", 5}},
		{name: "nothing said means nothing granted", body: `{"v":1,"site":"demo","x":[{}]}`, want: withdrawal{"demo", 0}},
		{name: "a site is needed", body: `{"v":1,"purposes":5}`, code: "missing", field: "site"},
		{name: "a version is needed", body: `{"site":"demo"}`, code: "missing", field: "v"},
		{name: "another version is refused", body: `{"v":2,"site":"demo"}`, code: "unsupported_version", field: "v"},
		{name: "purposes are a number", body: `{"v":1,"site":"demo","purposes":"5"}`, code: "wrong_type", field: "purposes"},
		{name: "a list is no withdrawal", body: `[1]`, code: "wrong_type"},
		{name: "nothing may follow", body: `{"v":1,"site":"demo"}{}`, code: "bad_json"},
		{name: "an empty body is no withdrawal", body: ``, code: "bad_json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d Decoder
			var got withdrawal
			err := d.decodeWithdrawal([]byte(tt.body), &got)
			var decode *DecodeError
			if errors.As(err, &decode); tt.code != "" {
				if decode == nil || decode.Code != tt.code || decode.Field != tt.field {
					t.Errorf("got %v, want %s at %q", err, tt.code, tt.field)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

// TestTagGoldenFiles reads what the tag really sends.
func TestTagGoldenFiles(t *testing.T) {
	for _, file := range caseFiles(t, "../tag/testdata/wire/*.json") {
		t.Run(sentence(file), func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var d Decoder
			var b edge.Beacon
			var w withdrawal
			if err := d.DecodeBeacon(body, &b); err != nil {
				t.Errorf("refused: %v", err)
			}
			if r := d.Rejected(); len(r) > 0 {
				t.Errorf("events rejected: %+v", r)
			}
			if err := d.decodeWithdrawal(body, &w); err != nil {
				t.Errorf("not a withdrawal either: %v", err)
			}
			var second wireBeacon
			if err := json.Unmarshal(body, &struct {
				*wireBeacon
				Slots []json.RawMessage `json:"slots"` // a slot is a name or an object
			}{wireBeacon: &second}); err != nil {
				t.Fatal(err)
			}
			got := wireOf(&b)
			for _, part := range []struct {
				name      string
				got, want any
			}{
				{"page", got.Page, second.Page}, {"client", got.Client, second.Client}, {"events", got.Events, second.Events},
				{"sent", got.Sent, second.Sent}, {"state", got.State, second.State}, {"why", got.Why, second.Why},
			} {
				if got, want := mustJSON(t, part.got), mustJSON(t, part.want); got != want {
					t.Errorf("%s: read %s, encoding/json reads %s", part.name, got, want)
				}
			}
		})
	}
}

func TestDecodeConsent(t *testing.T) {
	tests := []struct {
		name, body string
		want       consent.Signals
		field      string // at fault
		code       string
	}{
		{"a beacon's", `{"purposes":31,"gdpr":true,"tcf":"CQ","gppSid":[8],"gpc":true}`, consent.Signals{Claimed: 31, GDPR: consent.Yes, TCF: "CQ", GPPSections: []int{8}, GPC: true}, "", ""},
		{"a server's", `{"granted":["storage"]}`, consent.Signals{Claimed: consent.All, Owner: consent.Choice{Granted: consent.Storage, Refused: consent.All &^ consent.Storage}}, "", ""},
		{"without a claim there is no ceiling", `{"gpc":true}`, consent.Signals{Claimed: consent.All, GPC: true}, "", ""},
		{"a signal of the wrong type", `{"tcf":7}`, consent.Signals{}, "tcf", "wrong_type"},
		{"a signal twice", `{"gpc":true,"gpc":false}`, consent.Signals{}, "gpc", "bad_value"},
		{"more behind it", `{"gpc":true} {}`, consent.Signals{}, "", "bad_json"},
		{"no object", `[]`, consent.Signals{}, "", "wrong_type"},
		{"nothing", ``, consent.Signals{}, "", "bad_json"},
		{"too much", strings.Repeat(" ", edge.MaxBeaconBytes) + `{}`, consent.Signals{}, "", "too_long"},
	}
	var d Decoder
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got consent.Signals
			err := d.DecodeConsent([]byte(tt.body), &got)
			if tt.code == "" {
				if err != nil || !reflect.DeepEqual(got, tt.want) {
					t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
				}
				return
			}
			refused, ok := errors.AsType[*DecodeError](err)
			if !ok || refused.Field != tt.field || refused.Code != tt.code {
				t.Errorf("got %v, want %s of %q", err, tt.code, tt.field)
			}
		})
	}
}
