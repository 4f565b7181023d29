// SPDX-License-Identifier: Apache-2.0

package collector

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nearside/nearside/edge"
	"github.com/nearside/nearside/edge/consent"
)

// largeBatch is a full batch of purchases of different customers.
func largeBatch(t testing.TB) []byte {
	t.Helper()
	var events []say
	for i := range edge.MaxBatchEvents {
		events = append(events, toldEvent(fmt.Sprint("order-", i), "purchase", say{
			"profile": fmt.Sprint("crm-", i), "origins": say{"tier": "second"},
			"consent": say{"granted": []string{"storage", "measure", "profile"}},
			"props":   say{"transaction_id": fmt.Sprint("t-", i), "value": 12.5, "currency": "EUR", "tier": "gold", "items": []say{{"item_id": "sku-1", "price": 12.5}}},
		}))
	}
	return []byte(batchOf(say{"surface": "service", "system": "pos-7"}, events...))
}

func FuzzDecodeBatch(f *testing.F) {
	f.Add([]byte(batchOf(nil)))
	f.Add([]byte(batchOf(say{"surface": "app", "origin": "zero", "system": "ios", "profile": "c", "state": "AQAB"},
		toldEvent("a", "login", say{"origins": say{"a": "third"}, "consent": say{"granted": 3, "refused": []string{"share"}}}),
		toldEvent("b", "x", say{"consent": say{"owner": say{"granted": 31}, "gcm": say{"ad_storage": "denied"}, "gppSid": []int{7}, "tcf": "CQ", "gdpr": true}}))))
	f.Add([]byte(`{"v":1,"site":"demo","consent":{"granted":["measure"],"owner":{"granted":[]}},"events":[{"consent":{"gppSid":[[]]},"id":"a","name":"x","at":1}, 7, {}]}`))
	f.Add([]byte(`{"events":[{"consent":{"a":[{"b":1},{"c":"\ud83d\ude00"}]},"consent":{}},{"origins":{"a":{}}},{"origins":[]}],"v":1,"site":"s","consent":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		var d BatchDecoder
		var b edge.Batch
		err := d.DecodeBatch(body, &b)
		if !bytes.Equal(before, body) {
			t.Fatal("the body was changed")
		}
		checkVerdict(t, body, err)
		if err != nil {
			return
		}
		checkBatch(t, &b, d.Refused())
	})
}

func checkBatch(t *testing.T, b *edge.Batch, refused []edge.BatchRejection) {
	t.Helper()
	if n := len(b.Events) + len(refused); n > edge.MaxBatchEvents {
		t.Errorf("%d events", n)
	}
	for i := range refused {
		if refused[i].Code == "" || len(refused[i].ID) > edge.MaxIDBytes {
			t.Errorf("rejection %+v", refused[i])
		}
	}
	for i := range b.Events {
		e := &b.Events[i]
		if e.Consent >= len(b.Consents) || e.Consent < consentUnknown {
			t.Fatalf("consent %d of %d", e.Consent, len(b.Consents))
		}
		if e.Surface != "" && !slices.Contains(edge.Surfaces[:], e.Surface) || e.Origin != "" && !slices.Contains(edge.Origins[:], e.Origin) {
			t.Errorf("event %+v", e)
		}
		if len(e.State) > edge.MaxStateBytes || len(e.Profile) > edge.MaxProfileBytes || len(e.System) > edge.MaxSystemBytes || len(e.Props) > edge.MaxPropsBytes {
			t.Errorf("event %d is beyond its limits", i)
		}
		if e.Origins != nil {
			var origins map[string]*string
			if err := json.Unmarshal(e.Origins, &origins); err != nil {
				t.Errorf("origins %q: %v", e.Origins, err)
			}
			for _, origin := range origins {
				if origin != nil && !slices.Contains(edge.Origins[:], *origin) {
					t.Errorf("origins %q", e.Origins)
				}
			}
		}
	}
	for i := range b.Consents {
		c := &b.Consents[i]
		if len(c.TCF) > consent.MaxTCFBytes || len(c.GPP) > consent.MaxGPPBytes || len(c.GPPSections) > consent.MaxGPPSections {
			t.Errorf("consent %d is beyond its limits", i)
		}
	}
}

// A fault of one event's consent leaves the events behind it where they are.
func TestAFaultOfOneEventLeavesTheOthers(t *testing.T) {
	for _, wrong := range []string{
		`{"owner":{"granted":"x","refused":{"a":[1]}},"gpc":true}`, `{"gppSid":[1,[2,[3]]],"x":{}}`, `{"granted":["measure",["x"]]}`,
		`[]`, `7`, `"x"`, `{"tcf":7}`, `{"granted":[1],"granted":[2]}`, `{"gcm":[[]]}`,
		`null,"consent":{"granted":["measure"]}`, `{"granted":["measure"]},"consent":null`,
	} {
		body := `{"v":1,"site":"demo","consent":{"granted":["measure"]},"events":[` +
			`{"id":"a","name":"x","at":1,"consent":` + wrong + `,"props":{"a":1}},{"id":"b","name":"x","at":1,"props":{"b":2}}]}`
		var d BatchDecoder
		var b edge.Batch
		if err := d.DecodeBatch([]byte(body), &b); err != nil {
			t.Errorf("%s: %v", wrong, err)
			continue
		}
		if len(b.Events) != 1 || b.Events[0].ID != "b" || string(b.Events[0].Props) != `{"b":2}` || len(d.Refused()) != 1 || d.Refused()[0].ID != "a" || d.Refused()[0].Field != "consent" {
			t.Errorf("%s: %+v, refused %+v", wrong, b.Events, d.Refused())
		}
	}
}

func TestABatchIsRefusedWhole(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(`{},`, edge.MaxBatchEvents+1), ",")
	for body, want := range map[string]string{
		`{"site":"demo"}`:       "missing v",
		`{"v":1}`:               "missing site",
		`{"v":2,"site":"demo"}`: "unsupported_version v",
		`{"v":1,"site":"demo","events":[` + many + `]}`:                                           "too_many events",
		`{"v":1,"site":"demo","events":[{]}`:                                                      "bad_json ",
		`{"v":1,"site":"demo","surface":"till"}`:                                                  "bad_value surface",
		`{"v":1,"site":"demo","origin":"fourth"}`:                                                 "bad_value origin",
		`{"v":1,"site":"demo","system":""}`:                                                       "bad_value system",
		`{"v":1,"site":"demo","profile":7}`:                                                       "wrong_type profile",
		`{"v":1,"site":"demo","consent":{"granted":[1]}}`:                                         "wrong_type consent.granted",
		`{"v":1,"site":"demo","consent":{"granted":["measure"]},"consent":{"granted":["share"]}}`: "bad_value consent",
		`{"v":1,"site":"demo","a":` + strings.Repeat(" ", edge.MaxBatchBytes) + `1}`:              "too_long ",
	} {
		var d BatchDecoder
		var b edge.Batch
		err := d.DecodeBatch([]byte(body), &b)
		var decode *DecodeError
		if !errors.As(err, &decode) || decode.Code+" "+decode.Field != want {
			t.Errorf("%.80s: %v, want %s", body, err, want)
		}
	}
}

// What all events have in common stands where it stands: before them or behind.
func TestEventsInheritWhatTheyDoNotSay(t *testing.T) {
	common := `"surface":"app","origin":"second","system":"crm","profile":"p","consent":{"granted":["measure"]}`
	events := `"events":[{"id":"a","name":"x","at":1},{"id":"b","name":"x","at":1,"surface":"mail","origin":"zero","system":"own","state":"S","consent":{"granted":["share"]}}]`
	for _, body := range []string{`{"v":1,"site":"demo",` + common + `,` + events + `}`, `{` + events + `,` + common + `,"site":"demo","v":1}`} {
		var d BatchDecoder
		var b edge.Batch
		if err := d.DecodeBatch([]byte(body), &b); err != nil || len(b.Events) != 2 {
			t.Fatalf("%v, %+v", err, b)
		}
		first, second := b.Events[0], b.Events[1]
		if first.Surface != "app" || first.Origin != "second" || first.System != "crm" || first.Profile != "p" || b.Consents[first.Consent].Owner.Granted != consent.Measure {
			t.Errorf("first %+v", first)
		}
		// Whom it is about is one thing: a state of its own leaves the profile behind.
		if second.Surface != "mail" || second.Origin != "zero" || second.System != "own" || second.State != "S" || second.Profile != "" || b.Consents[second.Consent].Owner.Granted != consent.Share {
			t.Errorf("second %+v", second)
		}
	}
}

func TestDecodeBatchAllocs(t *testing.T) {
	body := largeBatch(t)
	var d BatchDecoder
	var b edge.Batch
	decode := func() {
		if err := d.DecodeBatch(body, &b); err != nil || len(b.Events) != edge.MaxBatchEvents {
			t.Fatal(err)
		}
	}
	decode() // the slices grow once
	if n := testing.AllocsPerRun(20, decode); n != 0 {
		t.Errorf("%.1f allocations, want 0", n)
	}
}

func BenchmarkDecodeBatch(b *testing.B) {
	body := largeBatch(b)
	var d BatchDecoder
	var batch edge.Batch
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.DecodeBatch(body, &batch); err != nil {
			b.Fatal(err)
		}
	}
}
