// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// readEvents reads a whole file's events, and the lines that are refused.
func readEvents(t testing.TB, text, format string, at place, mapping map[string]string) (events []map[string]any, refused []string, after place) {
	t.Helper()
	f, err := openEvents(strings.NewReader(text[at.Offset:]), format, at, mapping)
	if err != nil {
		t.Fatal(err)
	}
	f.site, f.zone = "shop", time.UTC
	for {
		e, err := f.next()
		if errors.Is(err, io.EOF) {
			return events, refused, after
		}
		if err != nil {
			t.Fatal(err)
		}
		after = e.after
		if e.refused != nil {
			refused = append(refused, e.refused.String())
			continue
		}
		var event map[string]any
		if err := json.Unmarshal(e.event.json, &event); err != nil {
			t.Fatal(err)
		}
		events = append(events, event)
	}
}

const orders = "Order ID,Date,Customer,Total,currency,item_id,item_name,price,quantity,note\n" +
	"R-1,2026-11-01 10:00,crm-1,30.00,EUR,hat-1,\"A hat,\nof felt\",10.00,2,secret\n" +
	"R-1,2026-11-01 10:00,crm-1,30.00,EUR,cap-1,Cap,10.00,1,\n" +
	"R-2,2026-11-02,crm-2,5,EUR,pin-1,Pin,five,1,\n" +
	"R-3,2026-11-03T10:00:00+01:00,,7.5,EUR,,,,,\n" +
	"R-1,2026-11-01 10:00,crm-1,30.00,EUR,pin-1,Pin,5.00,1,\n" +
	"R-4,sometime,crm-1,1,EUR,pin-1,Pin,5.00,1,\n"

var orderMap = map[string]string{"Order ID": "transaction_id", "Date": "at", "Customer": "profile", "Total": "value"}

func TestRowsOfAnOrderAreOneEvent(t *testing.T) {
	f, err := openEvents(strings.NewReader(orders), formatCSV, place{}, orderMap)
	if err != nil {
		t.Fatal(err)
	}
	f.site, f.name, f.zone = "shop", "purchase", time.UTC
	var events, refused []string
	for {
		e, err := f.next()
		if err != nil {
			break
		}
		if e.refused != nil {
			refused = append(refused, e.refused.String())
			continue
		}
		events = append(events, string(e.event.json))
	}
	want := []string{
		`{"at":1793527200000,"id":"imp-ID","name":"purchase","profile":"crm-1","props":{"currency":"EUR","items":[{"item_id":"hat-1","item_name":"A hat,\nof felt","price":10.00,"quantity":2},{"item_id":"cap-1","item_name":"Cap","price":10.00,"quantity":1}],"transaction_id":"R-1","value":30.00}}`,
		`{"at":1793696400000,"id":"imp-ID","name":"purchase","props":{"currency":"EUR","transaction_id":"R-3","value":7.5}}`,
	}
	if len(events) != len(want) {
		t.Fatalf("%d events: %q", len(events), events)
	}
	for i := range want {
		at := strings.Index(events[i], `"imp-`)
		if got := events[i][:at+5] + "ID" + events[i][at+5+32:]; got != want[i] {
			t.Errorf("event %d is\n%s, want\n%s", i, got, want[i])
		}
	}
	if got := strings.Join(refused, "; "); got != "line 5: price: malformed; line 7: transaction_id: scattered; line 8: at: malformed" {
		t.Errorf("refused: %s", got)
	}
	if len(f.passed) != 1 || f.passed[0] != "note" {
		t.Errorf("passed over: %q", f.passed)
	}
}

func TestEventsOfJSONLines(t *testing.T) {
	text := `{"id":"a","name":"login","at":1793527200000,"consent":{"granted":["measure"]},"future":{"x":[1]}}` + "\n" +
		`{"name":"login","at":"2026-11-01T10:00:00Z","props":{"method":"app"}}` + "\n" +
		`{"name":"login","at":"2026-11-01T10:00:00Z","props":{"method":"app"}}` + "\n\n" +
		`{"name":"login"}` + "\n" + `{"at":1}` + "\n" + `{"name":7,"at":1}` + "\nnull\n[]\n" + `{"name":"login","at":true}` + "\n" +
		`{"name":"login","at":1793527200,"props":[]}` + "\n" + `{"name":"login"` + "\n" + `{"name":"logout","at":1793527200}`
	events, refused, _ := readEvents(t, text, formatJSONL, place{}, nil)
	if len(events) != 4 {
		t.Fatalf("%d events: %v", len(events), events)
	}
	if events[0]["id"] != "a" || events[0]["future"] == nil || events[3]["at"] != 1793527200000.0 {
		t.Errorf("events are %v", events)
	}
	if a, b := events[1]["id"], events[2]["id"]; a == b || a == nil {
		t.Errorf("two equal lines have the ids %v and %v", a, b)
	}
	again, _, _ := readEvents(t, text, formatJSONL, place{}, nil)
	if again[1]["id"] != events[1]["id"] {
		t.Errorf("the same file gives other ids: %v and %v", again[1]["id"], events[1]["id"])
	}
	want := "line 5: at: missing; line 6: name: missing; line 7: name: malformed; line 8: malformed; line 9: malformed; line 10: at: malformed; line 11: props: malformed; line 12: malformed"
	if got := strings.Join(refused, "; "); got != want {
		t.Errorf("refused: %s\nwant: %s", got, want)
	}
}

// Wherever a run ends, the next one goes on with the same events, ids and lines.
func TestReadingGoesOnWhereItEnded(t *testing.T) {
	files := map[string]struct {
		text, format string
		mapping      map[string]string
	}{
		"orders":     {"\ufeff" + orders + "R-9,2026-11-01,,1,EUR,a,A,1,1,\n", formatCSV, map[string]string{"Order ID": "transaction_id", "Date": "at", "Customer": "profile", "Total": "value", "note": "name"}},
		"rows":       {"at;name;props.x\r\n1;a;\"x\ny\"\r\n2;b;\n3;c;z\n4;a;\"x\ny\"\n", formatCSV, nil},
		"JSON lines": {"\ufeff{\"name\":\"a\",\"at\":1}\n\n{\"name\":\"b\",\"at\":\"x\"}\r\n{\"name\":\"a\",\"at\":1}", formatJSONL, nil},
	}
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			all := entries(t, file.text, file.format, place{}, file.mapping)
			for cut := range all {
				rest := entries(t, file.text, file.format, all[cut].after, file.mapping)
				if len(rest) != len(all)-cut-1 {
					t.Fatalf("after %d of %d entries %d follow", cut+1, len(all), len(rest))
				}
				for i, e := range rest {
					want := all[cut+1+i]
					switch {
					case (e.event == nil) != (want.event == nil), e.event != nil && (string(e.event.json) != string(want.event.json) || e.event.line != want.event.line):
						t.Errorf("after %d entries, entry %d is %s, want %s", cut+1, i, e, want)
					case e.refused != nil && *e.refused != *want.refused:
						t.Errorf("after %d entries, %v is refused, want %v", cut+1, e.refused, want.refused)
					}
				}
			}
		})
	}
}

func (e importEntry) String() string {
	if e.event != nil {
		return string(e.event.json)
	}
	return e.refused.String()
}

func entries(t testing.TB, text, format string, at place, mapping map[string]string) (all []importEntry) {
	t.Helper()
	f, err := openEvents(strings.NewReader(text[at.Offset:]), format, at, mapping)
	if err != nil {
		t.Fatal(err)
	}
	f.site, f.zone = "shop", time.UTC
	for {
		e, err := f.next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
}

func TestColumnsThatCannotBe(t *testing.T) {
	for name, tt := range map[string]struct {
		header  string
		mapping map[string]string
		says    string
	}{
		"no time":                 {"name", nil, "no column is the event's time"},
		"a mapping of no column":  {"at", map[string]string{"when": "at"}, "no column of that name"},
		"a mapping to no member":  {"at,x", map[string]string{"x": "nonsense"}, "no member of that name"},
		"two of one member":       {"at,When", map[string]string{"When": "at"}, "two columns are at"},
		"a property without name": {"at,x", map[string]string{"x": "props."}, "no member of that name"},
	} {
		if _, err := openEvents(strings.NewReader(tt.header+"\n"), formatCSV, place{}, tt.mapping); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}

// FuzzEvents gives bytes to who reads events of each format: what it takes is JSON
// of bounded size, what it refuses has a line and a code, and it always goes on to
// the end of the file.
func FuzzEvents(f *testing.F) {
	f.Add(orders, true)
	f.Add("at,name\n1,\"a\n", true)
	f.Add("at\tname\n1\ta\"b\n\xff\t\n", true)
	f.Add(`{"name":"a","at":1}`+"\n"+`{"at":"2026-11-01"}`, false)
	f.Fuzz(func(t *testing.T, text string, table bool) {
		format, mapping := formatJSONL, map[string]string(nil)
		if table {
			format = formatCSV
			if strings.HasPrefix(text, "Order ID,Date,Customer,Total,") {
				mapping = orderMap
			}
		}
		r, err := openEvents(strings.NewReader(text), format, place{}, mapping)
		if err != nil {
			return
		}
		r.site, r.name, r.zone = "shop", "purchase", time.UTC
		offset := int64(0)
		for {
			e, err := r.next()
			if err != nil {
				return
			}
			if e.after.Offset <= offset || e.after.Offset > int64(len(text)) {
				t.Fatalf("the file goes on at %d, after %d of %d", e.after.Offset, offset, len(text))
			}
			offset = e.after.Offset
			if e.event != nil && (!json.Valid(e.event.json) || len(e.event.json) > maxEventBytes || e.event.line < 1) {
				t.Errorf("event %q", e.event.json)
			}
			if e.refused != nil && (e.refused.Line < 1 || e.refused.Code == "") {
				t.Errorf("refused %+v", e.refused)
			}
		}
	})
}
